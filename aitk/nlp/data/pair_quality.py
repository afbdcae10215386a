"""Data quality and statistics of sentence pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from aitk.core.contract.rows import Row
from aitk.core.contract.task import Finding
from aitk.core.metrics.class_checks import count_finding
from aitk.nlp.data.options import TextReading
from aitk.nlp.data.quality import TextInspector

#: Not checked for targets: many sentences share a translation.
_OF_SOURCES_ALONE = ("duplicates", "duplicates across splits")


class PairInspector:
    """Inspects every accepted pair once; see ``aitk.core.contract.task.Inspector``."""

    def __init__(self) -> None:
        self._sources = TextInspector(TextReading(), labelled=False)
        self._targets = TextInspector(TextReading(), labelled=False)
        self._rows = self._copied = 0

    def add(self, row: Row, split: str) -> None:
        source, target = row.fields["source"], row.fields["target"]
        self._sources.add(dataclasses.replace(row, fields={"text": source}), split)
        self._targets.add(dataclasses.replace(row, fields={"text": target}), split)
        self._rows += 1
        self._copied += source.casefold() == target.casefold() and any(map(str.isalpha, source))

    def state(self) -> dict[str, Any]:
        """See ``Mergeable``."""
        return {
            "sources": self._sources.state(),
            "targets": self._targets.state(),
            "rows": self._rows,
            "copied": self._copied,
        }

    def merge(self, state: Mapping[str, Any]) -> None:
        """See ``Mergeable``."""
        self._sources.merge(state["sources"])
        self._targets.merge(state["targets"])
        self._rows += state["rows"]
        self._copied += state["copied"]

    def findings(self) -> list[Finding]:
        copies = count_finding(
            "untranslated", self._copied, self._rows, "pairs whose target equals the source"
        )
        targets = [
            dataclasses.replace(finding, check=f"{finding.check} of the targets")
            for finding in self._targets.findings()
            if finding.check not in _OF_SOURCES_ALONE
        ]
        return [*self._sources.findings(), copies, *targets]

    def summary(self) -> dict[str, Any]:
        sources, targets = self._sources.summary(), self._targets.summary()
        charts = {
            f"{side}_{name}": chart
            for side, summary in (("source", sources), ("target", targets))
            for name, chart in summary["charts"].items()
        }
        return {
            "rows": sources["rows"],
            "lengths": {"source": sources["lengths"], "target": targets["lengths"]},
            "languages": {"source": sources["languages"], "target": targets["languages"]},
            "scripts": {"source": sources["scripts"], "target": targets["scripts"]},
            "charts": charts,
        }
