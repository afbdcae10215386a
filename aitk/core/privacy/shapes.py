"""Personal data recognisable by shape: addresses, and numbers with check digits.

A shape alone is not sufficient: order numbers, dates, versions and prices look alike. Check digits
must be valid (``checksums``), and phone numbers must be assigned in their country and written in
its usual format (``phonenumbers``, Google's libphonenumber).
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from aitk.core.privacy import checksums

Span = tuple[int, int]
Finder = Callable[[str], Iterator[Span]]

# Look-behinds prevent matches from starting inside a word, which would take quadratic time.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9À-ԯ_.+%-])[A-Za-z0-9À-ԯ_][A-Za-z0-9À-ԯ_.+%-]{0,63}"
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:[A-Za-z]{2,24}|[^\W\d_]{2,24})"
)
# "name at example dot com" and the like, with brackets around the words.
_EMAIL_SPELLED = re.compile(
    r"(?<![A-Za-z0-9_.+%-])[A-Za-z0-9_][A-Za-z0-9_.+%-]{0,63}\s?[\[({]\s?at\s?[\])}]\s?[A-Za-z0-9-]{1,63}"
    r"(?:(?:\s?[\[({]\s?dot\s?[\])}]\s?|\.)[A-Za-z0-9-]{1,63}){1,5}",
    re.IGNORECASE,
)
_IP4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)", re.ASCII)
_IP6 = re.compile(
    r"(?<![\w:.])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}(?![\w:])",
    re.ASCII | re.IGNORECASE,
)
# Verses and times (4:24::3) have the shape, but no part of three characters.
_LONG_PART = re.compile(r"[0-9a-f]{3}", re.IGNORECASE)
# Words before a dotted number with another meaning: version 10.2.33.1, section 1.2.3.4.
_NUMBERED = re.compile(
    r"(?:\bv|\bver(?:sion)?s?|\bbuild|\brelease|\bfirmware|\bsection|\bsec|\bchapter|\barticle|\brev"
    r"|§|版本|章节)[.: ]{0,2}$",
    re.ASCII | re.IGNORECASE,
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_CARD = re.compile(r"(?<![\w.,-])\d(?:[ -]?\d){11,18}(?![\w]|[.,]\d|-\d)", re.ASCII)
# A complete number: not part of a longer one, in groups or with a decimal point.
_AROUND = r"(?<![\w.,/-])(?<!\d )", r"(?!\w|[.,/-]\d| \d{3})"

#: Country -> pattern of its number, and its validation.
_IDS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    (r"\d{17}[\dXx]", checksums.is_chinese_resident),
    (r"\d{3}-\d{2}-\d{4}|\d{3} \d{2} \d{4}", checksums.is_ssn),
    (r"\d{8}[ -]?[A-Za-z]|[XYZxyz][ -]?\d{7}[ -]?[A-Za-z]", checksums.is_spanish),
    (
        r"[1278] ?\d{2} ?\d{2} ?(?:\d{2}|2[ABab]) ?\d{3} ?\d{3} ?\d{2}",
        checksums.is_french,
    ),
    (r"\d{2} ?\d{3} ?\d{3} ?\d{3}", checksums.is_german_tax),
    (r"\d{4}[ -]?\d{4}[ -]?\d{4}", checksums.is_aadhaar),
    (
        r"(?i:[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPR-T][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z])",
        checksums.is_italian,
    ),
    (r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", checksums.is_brazilian),
    (r"[A-Za-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-Da-d]", checksums.is_british),
    (r"\d{6}-\d{7}", checksums.is_korean),
)
_SEPARATORS = re.compile(r"[ .-]")

#: Prefilter for phone numbers: seven digits with few characters in between.
_DIGITS = re.compile(r"\d(?:[ ().\-/\u00a0]{0,3}\d){6}")
_CUE = re.compile(
    r"(?:\btel(?:ephone|efon|efono|éfono)?|\btél(?:éphone)?|\bph(?:one)?|\bcall(?: me| us)?(?: at)?"
    r"|\bcell|\bmob(?:ile|il)?|\bhandy|\bfax|\bwhats ?app|\bwechat|\btext(?: me)?(?: at| on)?|\bsms"
    r"|\bmóvil|\bcellulare|\bportable|\bcontact|电话|電話|手机|手機|联系方式|致电|热线|座机|传真|微信)"
    r"(?:\s?(?:no|number|nummer|号码|号))?[.:：#是为 ]{0,3}$",
    re.ASCII | re.IGNORECASE,
)
#: Words before a number that give it another meaning.
_OTHER_NUMBER = re.compile(
    r"(?:\border|\binvoice|\bticket|\bcase|\btracking|\bitem|\bsku|\bpart|\bserial|\bref(?:erence)?"
    r"|\bid|\baccount|\bbooking|\bcustomer|\bpolicy|\bisbn|\barticle|\bmodel|订单|单号|编号|发票|快递)"
    r"(?:\s?(?:no|nr|number|num|code|id|号码|号))?[.:：#]{0,2}\s{0,2}#?$",
    re.ASCII | re.IGNORECASE,
)
_NOT_BEFORE = re.compile(r"[$€£¥#]$|\d[.,/:]$", re.ASCII)
_NOT_AFTER = re.compile(r"[:/]\d|\s?[€%]")
_DATE = re.compile(r"\d{1,2}([./-])\d{1,2}\1(?:19|20)\d\d\b|(?:19|20)\d\d([./-])\d{1,2}\2\d{1,2}\b")
_BEFORE = 40  # characters searched for such a word


def find_emails(text: str) -> Iterator[Span]:
    """E-mail addresses, including other scripts and ``name [at] example [dot] com``."""
    if "@" in text:
        yield from (match.span() for match in _EMAIL.finditer(text))
    for match in _EMAIL_SPELLED.finditer(text):
        yield match.span()


def find_ips(text: str) -> Iterator[Span]:
    """IPv4 and IPv6 addresses, excluding version numbers, section numbers and times of day."""
    for match in _IP4.finditer(text):
        named = _NUMBERED.search(text[max(0, match.start() - _BEFORE) : match.start()])
        if named is None and _is_ip(match[0]):
            yield match.span()
    for match in _IP6.finditer(text):
        if _LONG_PART.search(match[0]) and _is_ip(match[0]):
            yield match.span()


def find_ibans(text: str) -> Iterator[Span]:
    """Account numbers. If similar text follows, the longest valid part is used."""
    for match in _IBAN.finditer(text):
        length = checksums.IBAN_LENGTHS.get(match[0][:2])
        if length is None:
            continue
        places = [at for at, each in enumerate(match[0], match.start()) if each not in " -"]
        if len(places) < length:
            continue
        end = places[length - 1] + 1
        whole = text[match.start() : end]
        if end < len(text) and text[end].isalnum():
            continue
        if checksums.is_iban(_SEPARATORS.sub("", whole)):
            yield match.start(), end


def find_cards(text: str) -> Iterator[Span]:
    """Payment cards, bare or in groups."""
    for match in _CARD.finditer(text):
        separators = set(_SEPARATORS.findall(match[0]))
        if len(separators) < 2 and checksums.is_card(_SEPARATORS.sub("", match[0])):
            yield match.span()


def find_ids(text: str) -> Iterator[Span]:
    """Government-issued personal numbers of ten countries."""
    for pattern, is_valid in _id_patterns():
        for match in pattern.finditer(text):
            named = match[0].isdigit() and _is_named(text, match.start())
            if not named and is_valid(_SEPARATORS.sub("", match[0])):
                yield match.span()


def find_phones(text: str, *, countries: Sequence[str]) -> Iterator[Span]:
    """Phone numbers with their +CODE, and those of some countries in national format.

    Plain digits count only after a word such as "call", with a leading trunk 0, or as a Chinese
    mobile number.

    Args:
        countries: two-letter codes.
    """
    if _DIGITS.search(text) is None:
        return
    import phonenumbers
    from phonenumbers import Leniency, PhoneNumberMatcher

    for country in ("ZZ", *countries):
        leniency = Leniency.VALID if country == "ZZ" else Leniency.STRICT_GROUPING
        for match in PhoneNumberMatcher(text, country, leniency=leniency):
            raw, start = match.raw_string, match.start
            if raw.startswith("(") and raw.count("(") > raw.count(")"):
                raw, start = raw[1:], start + 1
            before = text[max(0, start - _BEFORE) : start]
            if _is_named(text, start) or _NOT_BEFORE.search(before) or _DATE.match(raw):
                continue
            if _NOT_AFTER.match(text, match.end):
                continue
            if country != "ZZ":
                if phonenumbers.region_code_for_number(match.number) != country:
                    continue
                bare = raw.isdigit()
                mobile = country == "CN" and len(raw) == 11 and raw[0] == "1"
                if bare and not (mobile or (raw[0] == "0" and len(raw) > 9) or _CUE.search(before)):
                    continue
            yield start, match.end


def finders(countries: Sequence[str]) -> dict[str, Finder]:
    """The finder of each kind, in order of precedence."""
    return {
        "email": find_emails,
        "ip": find_ips,
        "iban": find_ibans,
        "card": find_cards,
        "id": find_ids,
        "phone": functools.partial(find_phones, countries=tuple(countries)),
    }


def _is_named(text: str, start: int) -> bool:
    """Whether the preceding words mark a number as an order, an invoice, a part, ..."""
    return _OTHER_NUMBER.search(text[max(0, start - _BEFORE) : start]) is not None


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@functools.cache
def _id_patterns() -> list[tuple[re.Pattern[str], Callable[[str], bool]]]:
    before, after = _AROUND
    return [(re.compile(f"{before}(?:{shape}){after}", re.ASCII), check) for shape, check in _IDS]


def known_countries() -> Any:
    """The two-letter country codes with known phone numbers."""
    import phonenumbers

    return phonenumbers.SUPPORTED_REGIONS
