"""Write the sample rows of embedding: texts to learn from, and pairs of texts with a score.

Run ``python sample_data/make_similar.py`` to write the files again; the same script gives the same
bytes. Everything in them is made up.

    sentences.txt         messages and sentences of the handbook, English and Chinese, one a line
    sentences_new.txt     texts to embed, or to find the nearest of
    sentences_update.txt  texts of a later season (to update with)
    similar.tsv           text, pair, score: 5 the same message mistyped, 3 the same intent,
                          0 another intent
"""

from __future__ import annotations

from pathlib import Path

from make import Writer
from phrases import ASKED

HERE = Path(__file__).parent
SCORES = {"same": 5, "intent": 3, "other": 0}


def main() -> None:
    """Write all files."""
    writer = Writer(seed=31)
    lines = writer.sentences("en", 300) + writer.sentences("zh", 150)
    lines += [row["text"] for row in writer.messages(450)]
    writer.random.shuffle(lines)
    _write("sentences.txt", lines)
    _write("sentences_new.txt", [row["text"] for row in writer.messages(20)])

    later = Writer(seed=32, later=True)
    later.seen = writer.seen
    _write("sentences_update.txt", [row["text"] for row in later.messages(90)])

    pairs = Writer(seed=33)
    intents = list(ASKED)
    rows = ["text\tpair\tscore"]
    for number in range(240):
        language = "zh" if number % 3 == 2 else "en"
        intent = intents[number % len(intents)]
        other = pairs.random.choice([each for each in intents if each != intent])
        first, _ = pairs.message(intent, language)
        kind = pairs.random.choice(list(SCORES))
        second = {
            "same": lambda text=first: pairs.mistype(text),
            "intent": lambda name=intent, language=language: pairs.message(name, language)[0],
            "other": lambda name=other, language=language: pairs.message(name, language)[0],
        }[kind]()
        rows.append(f"{first}\t{second}\t{SCORES[kind]}")
    _write("similar.tsv", rows)


def _write(name: str, lines: list[str]) -> None:
    (HERE / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
