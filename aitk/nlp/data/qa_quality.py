"""Data quality and statistics of questions, contexts and answers."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Any

import numpy as np

from aitk.core.contract.rows import SPLITS, Row
from aitk.core.contract.task import Finding
from aitk.core.metrics.class_checks import count_finding
from aitk.nlp.data.options import QaReading, TextReading
from aitk.nlp.data.quality import TextInspector

LONG_ANSWER_CHARACTERS = 300
#: A check of ``TextInspector`` that does not apply: long contexts are read in windows.
_NOT_HERE = "long texts"


class QaInspector:
    """Inspects every accepted row once; see ``aitk.core.contract.task.Inspector``."""

    def __init__(self, reading: QaReading):
        del reading  # texts are not cleaned
        self._texts = TextInspector(TextReading(), labelled=False)
        self._contexts: dict[int, set[str]] = {}
        self._rows: Counter[str] = Counter()
        self._unanswerable: Counter[str] = Counter()
        self._lengths = array("I")
        self._context_hashes, self._splits = array("q"), array("B")
        self._several = self._long = 0

    def add(self, row: Row, split: str) -> None:
        fields = row.fields
        text = f"{fields['question']} {fields['context']}"
        self._texts.add(Row({"text": text}, row.file, row.line, row.split), split)
        self._rows[split] += 1
        self._unanswerable[split] += not fields["answers"]
        self._several += len(fields["answers"]) > 1
        self._long += any(len(each) > LONG_ANSWER_CHARACTERS for each in fields["answers"])
        self._lengths.extend(len(each) for each in fields["answers"][:1])
        name = hash(fields["context"])
        self._context_hashes.append(name)
        self._splits.append(SPLITS.index(split))
        self._contexts.setdefault(name, set()).add(split)

    def findings(self) -> list[Finding]:
        """All checks made, including those without a fault."""
        rows = sum(self._rows.values())
        splits = np.array(self._splits)
        trained = {name for name, found in self._contexts.items() if "train" in found}
        held_out = [
            name in trained
            for name, split in zip(self._context_hashes, splits.tolist(), strict=True)
            if split
        ]
        shared = count_finding(
            "contexts across splits",
            sum(held_out),
            len(held_out),
            "held-out questions on a context of the training rows; to evaluate on"
            " new contexts, provide one file per split",
        )
        return [
            *(each for each in self._texts.findings() if each.check != _NOT_HERE),
            shared,
            count_finding(
                "long answers",
                self._long,
                rows,
                f"questions with an answer of over {LONG_ANSWER_CHARACTERS} characters",
            ),
            self._find_unanswerable(),
        ]

    def summary(self) -> dict[str, Any]:
        """Rows, contexts, answers and languages, as JSON values and charts."""
        summary = self._texts.summary()
        summary["contexts"] = {
            split: sum(split in found for found in self._contexts.values())
            for split in summary["rows"]
        }
        summary["unanswerable"] = {split: self._unanswerable[split] for split in summary["rows"]}
        values = np.minimum(np.array(self._lengths or [0]), LONG_ANSWER_CHARACTERS)
        counts, edges = np.histogram(values, bins=min(30, int(np.ptp(values)) + 1))
        summary["charts"]["characters_in_an_answer"] = {
            "x": ((edges[:-1] + edges[1:]) / 2).round(1).tolist(),
            "y": counts.tolist(),
        }
        return summary

    def _find_unanswerable(self) -> Finding:
        count, rows = self._unanswerable.total(), sum(self._rows.values())
        message = "every question has an answer, so the model always predicts one"
        if count:
            message = f"{count:,} of {rows:,} questions have no answer in their context"
        details = {"rows": count, "several_answers": self._several}
        if self._unanswerable["train"] == 0 < count:
            message += ", but no training question: the model cannot learn this case"
            return Finding("unanswerable", "warning", message, details)
        return Finding("unanswerable", "ok", message, details)
