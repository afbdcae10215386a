"""Write the sample rows of tagging and question answering, in English and Chinese.

Run ``python sample_data/make_spans.py`` to write the files again; the same script gives the same
bytes. Everything in them is made up.

    orders.jsonl            text, spans       what customers name: products, orders, days, places
    orders_new.jsonl        id, text          (to predict)
    orders_update.jsonl     as orders.jsonl, from a later season   (to update with)
    questions.jsonl         id, context, question, answers   about pages of a shop's handbook;
                            some have no answer there
    questions_new.jsonl     id, context, question            (to predict)
    questions_update.jsonl  as questions.jsonl, of a later edition (to update with)
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

from facts import FACTS
from phrases import AROUND, ASKED, LATER, OPENING, WORDS

HERE = Path(__file__).parent
#: Slots that are spans, and their labels.
LABELS = {
    "product": "product",
    "device": "product",
    "fabric": "product",
    "order": "order",
    "day": "date",
    "weekday": "date",
    "city": "place",
    "street": "place",
    "company": "organisation",
    "amount": "money",
}
_SLOT = re.compile(r"\{(\w+)\}")


class Writer:
    """Fills slots and remembers where each stands."""

    def __init__(self, seed: int, *, later: bool = False):
        self.random = random.Random(seed)
        self.words = {
            language: {
                name: values.split("|")
                for name, values in (words | (LATER[language] if later else {})).items()
            }
            for language, words in WORDS.items()
        }
        self.seen: set[str] = set()

    def word(self, name: str, language: str) -> str:
        """Something for a slot."""
        if name == "order":
            return f"{self.random.choice('ABKMRT')}{self.random.randint(10000, 99999)}"
        return self.random.choice(self.words[language][name])

    def fill(self, template: str, language: str) -> tuple[str, list[dict[str, Any]]]:
        """A text, and the spans of its slots."""
        text, spans, end = "", [], 0
        for slot in _SLOT.finditer(template):
            text += template[end : slot.start()]
            name = slot[1].lower()
            word = self.word(name, language)
            word = word.capitalize() if slot[1][0].isupper() else word
            if "{" in word:  # an order's state names a product
                inner, found = self.fill(word, language)
                spans += [
                    each | {"start": each["start"] + len(text), "end": each["end"] + len(text)}
                    for each in found
                ]
                word = inner
            if name in LABELS:
                label = LABELS[name]
                spans.append({"start": len(text), "end": len(text) + len(word), "label": label})
            text += word
            end = slot.end()
        return text + template[end:], spans

    def messages(self, count: int) -> list[dict[str, Any]]:
        """Messages that name something, each one new."""
        rows = []
        while len(rows) < count:
            language = "zh" if self.random.random() < 0.35 else "en"
            parts = [self.random.choice(ASKED[self.random.choice(list(ASKED))][language])]
            if self.random.random() < 0.6:
                parts.append(self.random.choice(ASKED[self.random.choice(list(ASKED))][language]))
            if self.random.random() < 0.3:
                parts.insert(0, self.random.choice(AROUND[language]))
            if self.random.random() < 0.4:
                parts.insert(0, self.random.choice(OPENING[language]))
            template = ("" if language == "zh" else " ").join(part for part in parts if part)
            text, spans = self.fill(template, language)
            if text not in self.seen and (spans or self.random.random() < 0.2):
                self.seen.add(text)
                rows.append({"text": text, "spans": spans})
        return rows

    def pages(self, count: int) -> list[dict[str, Any]]:
        """Questions about pages of a handbook; of each page one about what it does not say."""
        rows = []
        for page in range(count):
            language = "zh" if page % 3 == 2 else "en"
            chosen = self.random.sample(FACTS[language], 6)
            said, missing = chosen[:5], chosen[5]
            context, known = "", []
            for sentence, question, answer in said:
                values = {name: self.word(name, language) for name in _slots(sentence, answer)}
                start = len(context) + len(_filled(sentence[: sentence.index(answer)], values))
                known.append((_filled(question, values), _filled(answer, values), start))
                context += _filled(sentence, values) + ("" if language == "zh" else " ")
            context = context.rstrip()
            asked = self.random.sample(known, 3)
            for question, answer, start in asked:
                answers = {"text": [answer], "answer_start": [start]}
                rows.append({"context": context, "question": question, "answers": answers})
            if page % 2:
                values = {name: self.word(name, language) for name in _slots(missing[1])}
                question = _filled(missing[1], values)
                answers = {"text": [], "answer_start": []}
                rows.append({"context": context, "question": question, "answers": answers})
        return rows


def _slots(*templates: str) -> list[str]:
    return list(dict.fromkeys(name for template in templates for name in _SLOT.findall(template)))


def _filled(template: str, values: dict[str, str]) -> str:
    return _SLOT.sub(lambda slot: values[slot[1]], template)


def write_lines(name: str, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object a line."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (HERE / name).write_text("".join(lines), encoding="utf-8")


def numbered(letter: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, each with an id."""
    return [{"id": f"{letter}{number:04}"} | row for number, row in enumerate(rows, 1)]


def main() -> None:
    """Write all files."""
    write_lines("orders.jsonl", Writer(seed=21).messages(420))
    later = Writer(seed=22, later=True)
    write_lines("orders_update.jsonl", later.messages(80))
    new = [{"text": row["text"]} for row in later.messages(30)]
    write_lines("orders_new.jsonl", numbered("n", new))

    write_lines("questions.jsonl", numbered("q", Writer(seed=23).pages(100)))
    write_lines("questions_update.jsonl", numbered("u", Writer(seed=24, later=True).pages(24)))
    asked = Writer(seed=25).pages(8)
    for row in asked:
        del row["answers"]
    write_lines("questions_new.jsonl", numbered("n", asked))


if __name__ == "__main__":
    main()
