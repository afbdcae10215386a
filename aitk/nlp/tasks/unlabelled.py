"""Rows of tasks on texts without labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import AssetsT, Evaluation, Metric, Note, Task
from aitk.nlp.data.languages import language_of, mix_languages
from aitk.nlp.data.options import TextReading
from aitk.nlp.data.quality import TextInspector
from aitk.nlp.data.reading import read_texts
from aitk.nlp.metrics.perplexity import score_tokens


class UnlabelledTexts(Task[AssetsT]):
    """Texts without labels, from files in many formats, scored by the perplexity of tokens."""

    reading = TextReading
    metric = Metric("perplexity", higher_is_better=False, is_rate=False)
    content = "text"

    def read(
        self, sources: Sequence[str], reading: Any, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        return read_texts(sources, reading, labelled=False, label=False, note=note)

    def key(self, fields: Mapping[str, Any]) -> str:
        return fields["text"]

    def inspector(self, reading: Any) -> TextInspector:
        return TextInspector(reading, labelled=False)

    def language(self, fields: Mapping[str, Any]) -> str:
        """See ``HasLanguages``."""
        return language_of(fields["text"])

    def mix(
        self, rows: Sequence[Mapping[str, Any]], settings: Any, *, note: Note
    ) -> np.ndarray | None:
        """See ``Mixes``: languages by the setting ``mix``; the shares are noted."""
        exponent = getattr(settings, "mix", 1.0)  # settings of plug-ins may lack it
        if exponent == 1 or not len(rows):
            return None
        languages = [self.language(fields) for fields in rows]
        places = mix_languages(languages, exponent)
        before, after = Counter(languages), Counter(languages[place] for place in places)
        shares = (
            f"{name} {count / len(rows):.1%} -> {after[name] / len(places):.1%}"
            for name, count in before.most_common()
        )
        note("rows of each language, and with mix: " + ", ".join(shares))
        return places

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        return {"text": tfds.features.Text()}

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: AssetsT,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        return score_tokens(measured, resamples=resamples, seed=seed)
