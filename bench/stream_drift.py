"""A stream with a planted drift: how soon it is detected, what is recovered, what is forgotten.

    python bench/stream_drift.py CLINC150 OUT [--kind intents] [update options such as --anchor ewc]

CLINC150: train.jsonl and val.jsonl (text, intent). `bag` is trained on 110 of the 150 intents, half
of their training rows (the rest of these is the stream). After the first part of the stream, rows
like those of training, the drift comes:

intents     two of five rows are of the other 40 intents, which the model has never seen
wording     every row is written as by another keyboard: each vowel with an accent, and "i want to"
            becomes "gimme" and so on, so that most words are new

The rows of val.jsonl are held out: the old intents as the run's test rows, and, written like the
stream after the drift, as the new ones. Prints JSON: when the drift was detected, the score on new
held-out rows before the drift, at its worst, and at the end (recovered: the share of the loss that
came back), and on the old ones.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

import aitk

NEW_INTENTS, FIRST = 40, 1000
ACCENTS = str.maketrans("aeiou", "áéíóú")
WORDS = {"i want to": "gimme", "what is": "wuts", "my": "ma", "can you": "cld u", "please": "pls"}


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def reworded(row: dict[str, str]) -> dict[str, str]:
    text = row["text"]
    for words, others in WORDS.items():
        text = text.replace(words, others)
    return row | {"text": text.translate(ACCENTS)}


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def accuracy(run: Path, rows: list[dict[str, str]]) -> float:
    found = aitk.load(run).predict([{"text": row["text"]} for row in rows])
    right = [each["prediction"] == row["intent"] for each, row in zip(found, rows, strict=True)]
    return sum(right) / len(right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clinc150", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kind", choices=("intents", "wording"), default="intents")
    parser.add_argument("--seed", type=int, default=0)
    told, more = parser.parse_known_args()
    options: dict[str, Any] = {}
    for name, value in zip(more[::2], more[1::2], strict=True):
        options[name.removeprefix("--").replace("-", "_")] = value
    out = told.out / told.kind
    out.mkdir(parents=True, exist_ok=True)
    draw = random.Random(told.seed)
    train, held_out = (read(told.clinc150 / name) for name in ("train.jsonl", "val.jsonl"))
    draw.shuffle(train)
    intents = sorted({row["intent"] for row in train})
    draw.shuffle(intents)
    new = set(intents[:NEW_INTENTS])
    old_rows = [row for row in train if row["intent"] not in new]
    base, later = old_rows[: len(old_rows) // 2], old_rows[len(old_rows) // 2 :]
    old_test = [row for row in held_out if row["intent"] not in new]
    before, after = later[:FIRST], later[FIRST:]
    if told.kind == "intents":
        extra = [row for row in train if row["intent"] in new]
        after = after[: len(extra) * 3 // 2] + extra
        new_test = old_test[::2] + [row for row in held_out if row["intent"] in new]
    else:
        after, new_test = [reworded(row) for row in after], [reworded(row) for row in old_test]
    draw.shuffle(after)

    for name, rows in (("train", base), ("test", old_test)):
        write(out / f"{name}.jsonl", rows)
    aitk.prepare(
        [out / "train.jsonl", out / "test.jsonl"], task="nlp.classify", label_column="intent",
        out=out / "data", overwrite=True,
    )  # fmt: skip
    run = aitk.finetune(out / "data", out=out / "run", model="bag", overwrite=True)
    stream = write(out / "stream.jsonl", before + after)
    started = time.monotonic()
    versions = out / "versions"
    found = aitk.update(
        run, stream, out=versions, follow=True, idle=0, max_drop=1.0, **options
    ).outcome
    state = json.loads((versions / "stream.json").read_text())
    batches = state["batches"]
    at_drift = max(
        (
            batch["version"]
            for batch in batches
            if batch["first_row"] + batch["rows"] <= len(before)
        ),
        key=lambda name: int(name[1:]),
    )
    scores = {
        "no_update": accuracy(out / "run", new_test),
        "at_drift": accuracy(versions / at_drift, new_test),
        "end": accuracy(versions / "current", new_test),
        "before_drift_on_old": accuracy(versions / at_drift, old_test),
    }
    lost = scores["before_drift_on_old"] - scores["at_drift"]
    result = {
        "kind": told.kind,
        "options": options,
        "rows": len(before) + len(after),
        "drift_at": len(before),
        "detected": found.facts["drifts"],
        "rows_until_detected": {
            signal: min(
                (d["row"] - len(before) for d in found.facts["drifts"]
                 if d["signal"] == signal and d["row"] >= len(before)), default=None,
            )
            for signal in ("score", "inputs")
        },
        "false_alarms": sum(d["row"] < len(before) for d in found.facts["drifts"]),
        "new_held_out": scores,
        "recovered": (scores["end"] - scores["at_drift"]) / lost if lost > 0 else None,
        "old_held_out": {
            "start": batches[0]["old_before"], "end": batches[-1]["old"],
            "lost_points": 100 * (batches[0]["old_before"] - batches[-1]["old"]),
        },
        "updates": found.facts["updates"],
        "seconds": round(time.monotonic() - started),
    }  # fmt: skip
    (out / "result.json").write_text(json.dumps(result, indent=2))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
