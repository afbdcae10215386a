"""Precision and recall of ``prepare --redact`` on generated texts, with hard negatives.

Numbers with check digits are made by python-stdnum, which shares no code with aitk; phone numbers
are written in the usual forms of eight countries. Negatives look alike: order numbers, dates,
versions, prices, ISBNs, cards and accounts with a wrong digit.

    pip install python-stdnum
    python bench/redaction.py --rows 20000 --seed 1
"""

# ruff: noqa: E501
from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Callable

from stdnum import iban, luhn, verhoeff
from stdnum.cn import ric
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.iso7064 import mod_11_10, mod_97_10
from stdnum.it import codicefiscale

from aitk.core.privacy.options import SHAPED, Redaction
from aitk.core.privacy.redaction import Redactor

FIRST = "anna ben carla dieter elena farid grace hiro ines jonas kofi lin maria nora omar".split()
LAST = "smith garcia müller rossi dubois chen kumar silva kowalski novak jensen okafor".split()
HOSTS = ["example.com", "mail.example.org", "uni-bonn.de", "qq.com", "firma.co.uk", "例え.jp"]
Make = Callable[[random.Random], str]


def digits(rng: random.Random, count: int, *, first: str = "0123456789") -> str:
    return rng.choice(first) + "".join(rng.choice("0123456789") for _ in range(count - 1))


def grouped(text: str, sizes: list[int], by: str) -> str:
    parts, at = [], 0
    for size in sizes:
        parts.append(text[at : at + size])
        at += size
    return by.join(part for part in [*parts, text[at:]] if part)


def email(rng: random.Random) -> str:
    first, last, host = rng.choice(FIRST), rng.choice(LAST), rng.choice(HOSTS)
    last = last.replace("ü", "ue") if rng.random() < 0.7 else last
    name = rng.choice([f"{first}.{last}", f"{first[0]}{last}", f"{first}_{rng.randrange(99)}",
                       f"{first}+news", f"{first.title()}-{last.title()}"])  # fmt: skip
    if rng.random() < 0.1 and host.isascii():
        return f"{first}.{rng.choice(LAST[:2])} [at] {host.replace('.', ' [dot] ')}"
    return f"{name}@{host}"


def card(rng: random.Random) -> str:
    prefix, size = rng.choice(
        [("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("34", 15), ("37", 15), ("6011", 16),
         ("622", 16), ("3530", 16)]
    )  # fmt: skip
    body = prefix + digits(rng, size - 1 - len(prefix))
    number = body + luhn.calc_check_digit(body)
    sizes = [4, 6] if size == 15 else [4, 4, 4]
    return rng.choice([number, grouped(number, sizes, " "), grouped(number, sizes, "-")])


def account(rng: random.Random) -> str:
    country, size, letters = rng.choice(
        [("DE", 22, ""), ("ES", 24, ""), ("AT", 20, ""), ("PL", 28, ""), ("GB", 22, "NWBK"),
         ("NL", 18, "ABNA"), ("CH", 21, ""), ("BE", 16, "")]
    )  # fmt: skip
    while True:
        body = letters + digits(rng, size - 4 - len(letters))
        check = mod_97_10.calc_check_digits(body + country)
        number = country + check + body
        if iban.is_valid(number, check_country=False):
            return rng.choice([number, grouped(number, [4] * 7, " ")])


def chinese(rng: random.Random) -> str:
    area = rng.choice(["110105", "310104", "440305", "510104", "330102"])
    date = f"{rng.randrange(1950, 2009)}{rng.randrange(1, 13):02}{rng.randrange(1, 29):02}"
    body = area + date + digits(rng, 3)
    return body + ric.calc_check_digit(body + "0")


def national(rng: random.Random) -> str:
    kind = rng.choice("cn us es nie fr de in it br gb".split())
    if kind == "cn":
        return chinese(rng)
    if kind == "us":
        return f"{rng.randrange(1, 650):03}-{rng.randrange(1, 99):02}-{rng.randrange(1, 9999):04}"
    if kind == "es":
        body = digits(rng, 8)
        return body + rng.choice(["", "-"]) + dni.calc_check_digit(body)
    if kind == "nie":
        body = rng.choice("XYZ") + digits(rng, 7)
        return body + nie.calc_check_digit(body)
    if kind == "fr":
        body = f"{rng.choice('12')}{rng.randrange(40, 99)}{rng.randrange(1, 13):02}"
        body += f"{rng.randrange(1, 95):02}{rng.randrange(1, 999):03}{rng.randrange(1, 999):03}"
        number = f"{body}{97 - int(body) % 97:02}"
        return rng.choice([number, grouped(number, [1, 2, 2, 2, 3, 3], " ")])
    if kind == "de":
        while True:
            body = digits(rng, 10, first="123456789")
            number = body + mod_11_10.calc_check_digit(body)
            if idnr.is_valid(number):
                return rng.choice([number, grouped(number, [2, 3, 3], " ")])
    if kind == "in":
        body = digits(rng, 11, first="23456789")
        number = body + verhoeff.calc_check_digit(body)
        return rng.choice([number, grouped(number, [4, 4], " ")])
    if kind == "it":
        body = f"RSSMRA{rng.randrange(40, 99)}A{rng.randrange(1, 29):02}H{rng.randrange(100, 999)}"
        return body + codicefiscale.calc_check_digit(body)
    if kind == "gb":
        return grouped(f"QQ{digits(rng, 6)}C".replace("QQ", rng.choice(["AB", "JK", "SR"])),
                       [2, 2, 2, 2], rng.choice(["", " "]))  # fmt: skip
    body = digits(rng, 9)
    for size in (9, 10):
        total = sum((size + 1 - place) * int(each) for place, each in enumerate(body))
        body += str(total * 10 % 11 % 10)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def phone(rng: random.Random) -> str:
    def n(count: int) -> str:
        return digits(rng, count)

    def start(count: int) -> str:
        return digits(rng, count, first="23456789")

    area = rng.choice(["212", "415", "312", "617", "206", "512"])
    mobile = rng.choice(["138", "139", "150", "186", "177", "199"])
    return rng.choice(
        [
            f"({area}) {start(3)}-{n(4)}", f"{area}-{start(3)}-{n(4)}", f"+1 {area} {start(3)} {n(4)}",
            f"{area}.{start(3)}.{n(4)}", f"+1-{area}-{start(3)}-{n(4)}",
            f"020 7{n(3)} {n(4)}", f"07{rng.choice('45789')}{n(2)} {n(6)}", f"+44 20 7{n(3)} {n(4)}",
            f"030 {start(8)}", f"0171 {start(7)}", f"+49 171 {start(7)}", f"+49 (0)89 {start(8)}",
            f"06 {n(2)} {n(2)} {n(2)} {n(2)}", f"01 {start(2)} {n(2)} {n(2)} {n(2)}",
            f"+33 6 {n(2)} {n(2)} {n(2)} {n(2)}", f"6{n(2)} {n(2)} {n(2)} {n(2)}",
            f"6{n(2)} {n(3)} {n(3)}", f"+34 91 {start(3)} {n(2)} {n(2)}", f"91 {start(3)} {n(2)} {n(2)}",
            f"347 {n(3)} {n(4)}", f"+39 06 {start(4)} {n(4)}", f"+39 347 {n(3)} {n(4)}",
            f"98{n(3)} {n(5)}", f"+91 98{n(3)} {n(5)}", f"+91-98{n(8)}",
            f"{mobile}{n(8)}", f"{mobile} {n(4)} {n(4)}", f"{mobile}-{n(4)}-{n(4)}",
            f"010-{rng.choice('68')}{n(7)}", f"021-{rng.choice('56')}{n(7)}",
            f"+86 {mobile} {n(4)} {n(4)}", f"0086 {mobile}{n(8)}",
        ]
    )  # fmt: skip


def address(rng: random.Random) -> str:
    if rng.random() < 0.6:
        return ".".join(str(rng.randrange(1, 255)) for _ in range(4))
    words = [f"{rng.randrange(65536):x}" for _ in range(8)]
    return rng.choice(
        [
            ":".join(words),
            f"2001:db8::{words[0]}:{words[1]}",
            f"fe80::{words[0]}:{words[1]}:{words[2]}",
        ]
    )


MAKERS: dict[str, Make] = {
    "email": email, "ip": address, "iban": account, "card": card, "id": national, "phone": phone,
}  # fmt: skip


def wrong_last(text: str) -> str:
    """The same with another last digit, which spoils the check."""
    at = max(place for place, each in enumerate(text) if each.isdigit())
    return text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]


def negative(rng: random.Random) -> str:
    n = lambda count: digits(rng, count)  # noqa: E731
    day, month, year = rng.randrange(1, 29), rng.randrange(1, 13), rng.randrange(1990, 2027)
    return rng.choice(
        [
            f"order {n(10)}", f"order no. {n(8)}", f"#{n(9)}", f"订单号{n(12)}", f"ticket {n(7)}",
            f"reference {n(4)}-{n(4)}-{n(3)}", f"invoice {year}-{n(6)}", f"SKU {n(3)}-{n(5)}",
            n(6), n(8), n(9), n(10), f"{n(3)}-{n(3)}", f"part AB{n(2)} {n(4)} {n(4)}",
            f"{year}-{month:02}-{day:02}", f"{day:02}.{month:02}.{year}", f"{month}/{day}/{year}",
            f"{year}{month:02}{day:02}", f"{year}年{month}月{day}日", f"{day:02}-{month:02}-{year}",
            f"{year}-{month:02}-{day:02}T10:{day:02}:{month:02}Z", f"10:{day:02}:{month:02}",
            f"{year}-{year + 1}", f"{day:02}.{month:02}.{year} 10:{day:02}",
            f"version {rng.randrange(20)}.{day}.{n(2)}.{n(3)}", f"v{month}.{day}.{n(3)}",
            f"section {month}.{day}.1.2", f"build {n(4)}.{n(5)}", f"Python 3.{month}.{day}",
            f"${n(1)},{n(3)},{n(3)}.{n(2)}", f"{n(3)}.{n(3)},{n(2)} €", f"¥{n(7)}", f"£{n(4)}.{n(2)}",
            f"{n(2)} 000 000", f"{n(1)} {n(3)} {n(3)} people", f"{n(2)},{n(3)},{n(3)} rows",
            f"978-3-{n(2)}-{n(6)}-{n(1)}", f"ISBN 978{n(10)}", f"1Z{n(3)}AA1{n(10)}",
            f"{n(2)}.{n(6)}, {n(2)}.{n(6)}", f"00:1A:{n(2)}:B3:{n(2)}:{n(2)}", f"{n(3)}x{n(3)}x{n(3)}",
            f"@{rng.choice(FIRST)}_{n(2)}", "user@localhost", f"room {n(3)}@{n(1)}pm",
            f"chapter {month}:{day}", f"{month}:{day}::{n(1)}", "std::vector::size", "a::b::c",
            wrong_last(card(rng)), wrong_last(account(rng)), wrong_last(chinese(rng)),
            f"{n(8)}-{n(4)}-4{n(3)}-8{n(3)}-{n(12)}", f"score {n(1)}-{n(1)}, {n(2)}-{n(2)}, {n(2)}-{n(2)}",
            f"{n(4)} {n(4)} {n(4)} {n(4)} {n(4)}", f"ratio {n(1)}.{n(8)}", f"{n(2)}-{n(2)}-{n(2)}-{n(2)}",
            f"{n(5)} {n(5)} lines", f"lot {n(5)}/{n(3)}", f"error 0x{n(8)}", f"{n(3)} {n(3)} {n(3)}",
        ]
    )  # fmt: skip


TEMPLATES = [
    "please write to {} about it", "{}", "Content: {}.", "I sent it ({}) yesterday", "我的信息是{}，谢谢",
    "the old one was {}, which is wrong", "see {}; it failed", "Mein Eintrag: {} bitte prüfen",
    "voici {} pour le dossier", "from {} to nothing", "\"{}\" was in the log", "es {} y ya",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=0, help="errors of each kind that are shown")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    redactor = Redactor(Redaction(redact=["all"]))
    right: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    false: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    negatives = hit = characters = 0
    started = time.process_time()
    for _ in range(options.rows):
        kind = rng.choice([*SHAPED, None, None, None])
        content = MAKERS[kind](rng) if kind else negative(rng)
        template = rng.choice(TEMPLATES)
        text = template.format(content)
        characters += len(text)
        at = template.index("{}")
        found = redactor.redact(text)
        exact = [
            got
            for span, got in zip(found.spans, found.kinds, strict=True)
            if kind and span == (at, at + len(content))
        ]
        if kind is None:
            negatives += 1
            hit += bool(found.spans)
        elif kind in exact:
            right[kind] += 1
        else:
            missed[kind] += 1
        wrong = [got for got in found.kinds if got != kind or kind not in exact]
        false.update(wrong)
        for name in {*wrong, *([f"missed {kind}"] if kind and kind not in exact else [])}:
            if shown[name] < options.show:
                shown[name] += 1
                print(f"{name}: {text!r} -> {found.text!r}")
    seconds = time.process_time() - started
    table = {
        kind: {
            "texts": right[kind] + missed[kind],
            "precision": round(right[kind] / max(1, right[kind] + false[kind]), 4),
            "recall": round(right[kind] / max(1, right[kind] + missed[kind]), 4),
        }
        for kind in SHAPED
    }
    total = sum(right.values())
    every = {
        "precision": round(total / (total + sum(false.values())), 4),
        "recall": round(total / (total + sum(missed.values())), 4),
        "negatives": negatives,
        "negatives_redacted": round(hit / negatives, 4),
        "megabytes_a_second": round(characters / seconds / 1e6, 3),
    }
    print(json.dumps({"kinds": table, "all": every}, indent=1))


if __name__ == "__main__":
    main()
