"""Score answers by the rules of SQuAD's and CMRC 2018's scripts, written anew, and compare.

    aitk nlp predict RUN ROWS.json --out ANSWERS.jsonl
    aitk nlp evaluate RUN --data ROWS.json --json > SCORES.json
    python bench/qa_rules.py squad ROWS.json ANSWERS.jsonl SCORES.json     # or cmrc
    python bench/qa_rules.py sample FILE.json OUT.json --rows 200 --unanswerable 50

``squad`` follows evaluate-v2.0.py (which scores 1.1 alike), ``cmrc`` cmrc2018_evaluate.py; nothing
is imported from aitk. It exits with 1 where a score of ``evaluate`` differs by more than 1e-6.
``sample`` takes the first rows of a file and the answers of some away, as SQuAD 2.0 has it.
"""

from __future__ import annotations

import argparse
import collections
import json
import re
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MARKS = set("-:_*^/\\~`+=，。：？！“”；’《》……·、「」（）－～『』")


def squad_words(text: str) -> list[str]:
    text = "".join(each for each in text.lower() if each not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def squad(found: str, gold: str) -> tuple[float, float]:
    """Exact match and F1 of one answer."""
    left, right = squad_words(found), squad_words(gold)
    exact = float(left == right)
    if not left or not right:
        return exact, exact
    common = sum((collections.Counter(left) & collections.Counter(right)).values())
    return exact, 2 * common / (len(left) + len(right))


def cmrc_units(text: str) -> list[str]:
    """Chinese characters, and what stands between them in words (NLTK's tokeniser there)."""
    units, other = [], ""
    for letter in text.lower().strip():
        if letter in MARKS:
            continue
        if "\u4e00" <= letter <= "\u9fa5":
            units += [*re.findall(r"\w+|[^\w\s]", other), letter]
            other = ""
        else:
            other += letter
    return units + re.findall(r"\w+|[^\w\s]", other)


def cmrc(found: str, gold: str) -> tuple[float, float]:
    """Exact match and F1 of one answer."""
    left, right = cmrc_units(found), cmrc_units(gold)
    plain = ["".join(c for c in text.lower().strip() if c not in MARKS) for text in (found, gold)]
    longest = 0
    for start in range(len(left)):
        for other in range(len(right)):
            run = 0
            while left[start + run : start + run + 1] == right[other + run : other + run + 1] != []:
                run += 1
            longest = max(longest, run)
    exact = float(plain[0] == plain[1])
    return exact, 2 * longest / (len(left) + len(right)) if longest else 0.0


def questions(path: Path) -> Iterator[dict[str, Any]]:
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            yield from paragraph["qas"]


def compare(rule: Any, rows: Path, answers: Path, scores: Path) -> int:
    """Print both and say whether they agree."""
    found = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    pairs = [
        [
            rule(each.get("prediction") or "", gold["text"])
            for gold in row["answers"] or [{"text": ""}]
        ]
        for row, each in zip(questions(rows), found, strict=True)
    ]
    own = {
        "exact_match": sum(max(exact for exact, _ in each) for each in pairs) / len(pairs),
        "f1": sum(max(f1 for _, f1 in each) for each in pairs) / len(pairs),
    }
    metrics = json.loads(scores.read_text(encoding="utf-8"))["metrics"]
    given = {name: metrics[name]["value"] for name in own}
    print(json.dumps({"rows": len(pairs), "rules": own, "evaluate": given}))
    return int(any(abs(own[name] - given[name]) > 1e-6 for name in own))


def sample(source: Path, out: Path, *, rows: int, unanswerable: int) -> None:
    """Write the first rows, every ``rows // unanswerable``-th without its answers."""
    data = json.loads(source.read_text(encoding="utf-8"))["data"]
    every, number = (rows // unanswerable if unanswerable else 0), 0
    for article in data:
        for paragraph in article["paragraphs"]:
            kept = paragraph["qas"][: max(0, rows - number)]
            for row in kept:
                number += 1
                if every and number % every == 0:
                    row |= {"answers": [], "is_impossible": True}
            paragraph["qas"] = kept
        article["paragraphs"] = [each for each in article["paragraphs"] if each["qas"]]
    data = [each for each in data if each["paragraphs"]]
    out.write_text(json.dumps({"data": data}, ensure_ascii=False), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=("squad", "cmrc", "sample"))
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--unanswerable", type=int, default=0)
    given = parser.parse_args()
    if given.what == "sample":
        sample(*given.files, rows=given.rows, unanswerable=given.unanswerable)
        return 0
    return compare({"squad": squad, "cmrc": cmrc}[given.what], *given.files)


if __name__ == "__main__":
    sys.exit(main())
