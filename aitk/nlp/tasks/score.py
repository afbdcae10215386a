"""Text regression: a number per text, such as a star rating."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.score_task import ScoreTask
from aitk.core.contract.task import Batch, Example, Note
from aitk.core.io.files import write_json
from aitk.core.io.json_files import read_json
from aitk.nlp.data.languages import language_of
from aitk.nlp.data.options import ScoreReading
from aitk.nlp.data.quality import TextInspector
from aitk.nlp.data.reading import read_texts
from aitk.nlp.features.assets import TextAssets, load_text_assets
from aitk.nlp.features.batching import pad_tokens, token_arrays
from aitk.nlp.features.word_embeddings import learn_tokenizer
from aitk.nlp.models.specs import TextRegressor
from aitk.nlp.tasks.settings import CnnSettings, HubSettings, LstmSettings, TransformerSettings

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained

FILE = "scores.json"


@dataclass(frozen=True)
class TextScoreAssets:
    """The tokeniser, and the mean and standard deviation of the training scores."""

    text: TextAssets
    mean: float
    deviation: float

    @property
    def tokenizer(self) -> Any:
        return self.text.tokenizer

    @property
    def max_length(self) -> int:
        return self.text.max_length

    def save(self, folder: Path) -> None:
        self.text.save(folder)
        write_json(folder / FILE, {"mean": self.mean, "deviation": self.deviation})


class Score(ScoreTask[TextScoreAssets]):
    """Ratings, grades, similarity: the values of a number column."""

    name = "nlp.score"
    reading = ScoreReading
    models = {
        "cnn": TextRegressor(CnnSettings, "aitk.nlp.models.cnn:build_backbone"),
        "lstm": TextRegressor(LstmSettings, "aitk.nlp.models.rnn:build_lstm_backbone"),
        "transformer": TextRegressor(
            TransformerSettings, "aitk.nlp.models.transformer:build_backbone"
        ),
        "hub": TextRegressor(HubSettings),
    }
    content = "text"

    def read(
        self, sources: Sequence[str], reading: ScoreReading, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        return read_texts(sources, reading, labelled=labelled, label=True, note=note)

    def key(self, fields: Mapping[str, Any]) -> str:
        return fields["text"]

    def language(self, fields: Mapping[str, Any]) -> str:
        """See ``HasLanguages``."""
        return language_of(fields["text"])

    def inspector(self, reading: ScoreReading) -> TextInspector:
        return TextInspector(reading)

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        return {"text": tfds.features.Text(), "score": np.float32}

    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        *,
        start: Pretrained | None = None,
        balance: bool = False,
        tables: Path | None = None,
        note: Note,
    ) -> TextScoreAssets:
        tokenizer, embeddings = learn_tokenizer(
            (row["text"] for row in rows), settings, start=start, note=note
        )
        text = TextAssets(tokenizer, settings.max_length, embeddings=embeddings)
        return TextScoreAssets(text, **self.learn_scores(summary))

    def load_assets(self, folder: Path) -> TextScoreAssets:
        values = read_json(folder / FILE, {"mean": float, "deviation": float})
        if not values["deviation"] > 0:
            raise ArtifactError("deviation is not positive", where=str(folder / FILE))
        return TextScoreAssets(load_text_assets(folder), values["mean"], values["deviation"])

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: TextScoreAssets) -> list[Example]:
        tokens = token_arrays(rows, assets.text)
        return [
            Example({"token_ids": ids}, row.get("score"))
            for ids, row in zip(tokens, rows, strict=True)
        ]

    def length(self, example: Example) -> int:
        return len(example.inputs["token_ids"])

    def collate(
        self,
        examples: Sequence[Example],
        assets: TextScoreAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        inputs = pad_tokens([item.inputs["token_ids"] for item in examples], pad_to=pad_to)
        return self.score_batch(inputs, examples, assets)

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: TextScoreAssets,
        *,
        target: str | None = None,
        model: Callable[[], keras.Model] | None = None,
    ) -> dict[str, Any]:
        """See ``Explainable``: the decrease of the score without each word."""
        from aitk.nlp.explain.occlusion import explain_text

        def score(texts: Sequence[str]) -> np.ndarray:
            return self.scores(predict([{"text": text} for text in texts]), assets)

        prediction = round(float(score([fields["text"]])[0]), 6)
        return {"prediction": prediction} | explain_text(fields["text"], score)
