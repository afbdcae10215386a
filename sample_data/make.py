"""Write the sample rows: customer messages in English and Chinese, and a service handbook.

Run ``python sample_data/make.py`` to write the files again; the same script gives the same bytes.
Everything in them is made up: no customer, order or shop exists.

    messages.csv         id, text, intent, sentiment, language
    messages_new.csv     id, received, text          (to predict)
    messages_update.csv  as messages.csv, from a later season   (to update with)
    manual.txt           the handbook and old messages, a text a line (to pretrain on)
    handbook.txt         the handbook alone, a sentence a line  (to learn to write on)
    handbook_new.txt     beginnings of further sentences        (to continue)
    handbook_update.txt  sentences of a later edition           (to update with)
"""

from __future__ import annotations

import csv
import random
import re
from pathlib import Path

from handbook import HANDBOOK
from phrases import AROUND, ASKED, HARD, LATER, OPENING, TONE, TONES, USUAL_TONES, WORDS

HERE = Path(__file__).parent


class Writer:
    """Fills slots and joins sentences, never writing the same text twice."""

    def __init__(self, seed: int, later: bool = False):
        self.random = random.Random(seed)
        self.words = {
            language: {
                name: values.split("|")
                for name, values in (words | (LATER[language] if later else {})).items()
            }
            for language, words in WORDS.items()
        }
        self.seen: set[str] = set()

    def fill(self, text: str, language: str) -> str:
        """Put a word into every slot."""
        while slot := re.search(r"\{(\w+)\}", text):
            name = slot.group(1)
            if name == "order":
                word = f"{self.random.choice('ABKMRT')}{self.random.randint(10000, 99999)}"
            else:
                word = self.random.choice(self.words[language][name.lower()])
                word = word.capitalize() if name[0].isupper() else word
            text = text[: slot.start()] + word + text[slot.end() :]
        return text

    def message(self, intent: str, language: str) -> tuple[str, str]:
        """One new message of an intent, and its sentiment."""
        while True:
            tones = TONES.get(intent, USUAL_TONES)
            sentiment = self.random.choices(list(TONE), weights=tones)[0]
            parts = [self.random.choice(ASKED[intent][language])]
            if self.random.random() < 0.45:
                around = self.random.choice(AROUND[language])
                parts.insert(self.random.randint(0, 1), around)
            # Praise needs no further praise to be positive.
            if intent != "praise" or self.random.random() < 0.4:
                parts.append(self.random.choice(TONE[sentiment][language]))
            if self.random.random() < 0.5:
                parts.insert(0, self.random.choice(OPENING[language]))
            joint = "" if language == "zh" else " "
            text = self.fill(joint.join(part for part in parts if part), language)
            text = self.roughen(text, language)
            if text not in self.seen:
                self.seen.add(text)
                return text, sentiment

    def roughen(self, text: str, language: str) -> str:
        """Write some messages the way people in a hurry do."""
        if language == "en":
            if self.random.random() < 0.15:
                text = text.lower()
            if self.random.random() < 0.12:
                text = text.replace("Please", "Pls").replace("you", "u")
            if self.random.random() < 0.15:
                text = self.mistype(text)
        elif self.random.random() < 0.2:
            text = text.replace(",", " ").replace("。", " ").strip()
        return text

    def mistype(self, text: str) -> str:
        """Swap two neighbouring letters inside one word."""
        places = [
            place
            for place in range(1, len(text) - 2)
            if text[place - 1 : place + 3].isalpha() and text[place] != text[place + 1]
        ]
        if not places:
            return text
        place = self.random.choice(places)
        return text[:place] + text[place + 1] + text[place] + text[place + 2 :]

    def messages(self, count: int) -> list[dict[str, str]]:
        """Messages of every intent in turn, three English ones to two Chinese, shuffled."""
        rows = []
        for number in range(count):
            intent = list(ASKED)[number % len(ASKED)]
            language = "zh" if (number // len(ASKED)) % 5 in (1, 3) else "en"
            text, sentiment = self.message(intent, language)
            rows.append(_row(text, intent, sentiment))
        self.random.shuffle(rows)
        return rows

    def sentences(self, language: str, count: int) -> list[str]:
        """Sentences of the handbook, each one new."""
        written: dict[str, None] = {}
        while len(written) < count:
            template = self.random.choice(HANDBOOK[language])
            written[self.fill(template, language)] = None
        return list(written)


def _write_lines(name: str, lines: list[str]) -> None:
    (HERE / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _beginning(sentence: str) -> str:
    """Its first four words, or its first six characters where there are no words between spaces."""
    words = sentence.split()
    return " ".join(words[:4]) if len(words) > 4 else sentence[:6]


def _row(text: str, intent: str, sentiment: str) -> dict[str, str]:
    language = "zh" if re.search(r"[\u4e00-\u9fff]", text) else "en"
    return {"text": text, "intent": intent, "sentiment": sentiment, "language": language}


def write_csv(name: str, rows: list[dict[str, str]]) -> None:
    """Write rows with the columns of the first one."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Write all files."""
    writer = Writer(seed=7)
    rows = writer.messages(612) + [_row(*hard) for hard in HARD]
    writer.random.shuffle(rows)
    write_csv("messages.csv", [{"id": f"m{i:04}"} | row for i, row in enumerate(rows, 1)])

    later = Writer(seed=8, later=True)
    later.seen |= {row["text"] for row in rows}
    wave = later.messages(108)
    write_csv("messages_update.csv", [{"id": f"u{i:04}"} | row for i, row in enumerate(wave, 1)])

    new = [row["text"] for row in later.messages(60)]
    received = [f"2026-03-{2 + i // 6:02} {8 + i % 6:02}:{i * 7 % 60:02}" for i in range(60)]
    write_csv(
        "messages_new.csv",
        [
            {"id": f"n{i:04}", "received": when, "text": text}
            for i, (when, text) in enumerate(zip(received, new, strict=True), 1)
        ],
    )

    manual = Writer(seed=9)
    manual.seen = later.seen
    lines = manual.sentences("en", 330) + manual.sentences("zh", 220)
    lines += [row["text"] for row in manual.messages(630)]
    manual.random.shuffle(lines)
    _write_lines("manual.txt", lines)

    handbook = Writer(seed=11).sentences("en", 360) + Writer(seed=12).sentences("zh", 180)
    random.Random(13).shuffle(handbook)
    _write_lines("handbook.txt", handbook[30:])
    _write_lines("handbook_new.txt", [_beginning(sentence) for sentence in handbook[:30]])
    _write_lines("handbook_update.txt", Writer(seed=14, later=True).sentences("en", 60))


if __name__ == "__main__":
    main()
