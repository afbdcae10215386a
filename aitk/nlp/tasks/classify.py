"""Text classification: one label for a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import ONLY_OUTPUT, Batch, Evaluation, Example, Task
from aitk.core.metrics.baselines import Baseline, Rows, majority_class
from aitk.core.metrics.classification import (
    answer_classes,
    explained_class,
    score_classification,
    softmax,
)
from aitk.nlp.data.options import ClassifyReading
from aitk.nlp.data.quality import TextInspector
from aitk.nlp.data.reading import read_texts
from aitk.nlp.features import batching
from aitk.nlp.features.assets import TextAssets, load_text_assets
from aitk.nlp.features.frequencies import inverse_frequencies
from aitk.nlp.features.tokenizers import train_tokenizer
from aitk.nlp.tasks.settings import (
    BagSettings,
    CnnSettings,
    HubSettings,
    LstmSettings,
    RnnSettings,
    TransformerSettings,
)

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained

UNSEEN = -1  # the target of a label that training never saw


class Classify(Task):
    """Topic, sentiment, intent: whatever a column of labels says."""

    name = "nlp.classify"
    reading = ClassifyReading
    models = {
        "bag": BagSettings,
        "cnn": CnnSettings,
        "rnn": RnnSettings,
        "lstm": LstmSettings,
        "transformer": TransformerSettings,
        "hub": HubSettings,
    }
    main_metric = "accuracy"
    combines = True

    def __init__(self) -> None:
        self._notes: list[str] = []

    def read(
        self, sources: Sequence[str], reading: ClassifyReading, *, labelled: bool
    ) -> Iterator[Row | Refusal]:
        return read_texts(sources, reading, labelled=labelled, label=True, notes=self._notes)

    def reading_notes(self) -> list[str]:
        notes, self._notes[:] = list(self._notes), []
        return notes

    def key(self, fields: Mapping[str, Any]) -> str:
        return fields["text"]

    def inspector(self, reading: ClassifyReading) -> TextInspector:
        return TextInspector(reading, labelled=True)

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        labels = summary["labels"]
        if len(labels) < 2 and "train" in summary["label_counts"]:
            found = f"only the class {labels[0]!r}" if labels else "no class"
            raise DataError(
                f"the training rows hold {found}: nothing to tell apart",
                hint="Name the right column with --label-column",
            )
        # Labels that only held-out rows have come last: stored, though no model will know them.
        unseen = sorted(set().union(*summary["label_counts"].values()) - set(labels))
        return {
            "text": tfds.features.Text(),
            "label": tfds.features.ClassLabel(names=[*labels, *unseen]),
        }

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.nlp.models.pretrained import adopt

        return adopt(found)

    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        *,
        start: Pretrained | None = None,
        balance: bool = False,
        tables: Path | None = None,
    ) -> TextAssets:
        labels = tuple(summary["labels"])
        weights: tuple[float, ...] = ()
        if balance:
            counts = Counter(row["label"] for row in rows)
            weights = tuple(len(rows) / (len(labels) * counts[label]) for label in labels)
        tokenizer = start.tokenizer if start else None
        if tokenizer is None:
            tokenizer = train_tokenizer((row["text"] for row in rows), settings)
        frequencies = None
        if settings.linear and start is None:
            frequencies = inverse_frequencies(rows, tokenizer, max_length=settings.max_length)
        return TextAssets(tokenizer, settings.max_length, labels, weights, frequencies)

    def load_assets(self, folder: Path) -> TextAssets:
        return load_text_assets(folder)

    def output_sizes(self, assets: TextAssets) -> dict[str, int]:
        return {ONLY_OUTPUT: len(assets.labels)}

    def encode(self, fields: Mapping[str, Any], assets: TextAssets) -> Example:
        return self.encode_many([fields], assets)[0]

    def encode_many(self, rows: Sequence[Mapping[str, Any]], assets: TextAssets) -> list[Example]:
        numbers = {label: number for number, label in enumerate(assets.labels)}
        tokens = batching.token_arrays([row["text"] for row in rows], assets)
        examples = []
        for row, ids in zip(rows, tokens, strict=True):
            target = numbers.get(row["label"], UNSEEN) if "label" in row else None
            weight = assets.weights[target] if assets.weights and target not in (None, -1) else 1.0
            examples.append(Example({"token_ids": ids}, target, weight))
        return examples

    def length(self, example: Example) -> int:
        return len(example.inputs["token_ids"])

    def collate(
        self,
        examples: Sequence[Example],
        assets: TextAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        inputs = batching.pad_tokens([item.inputs["token_ids"] for item in examples], pad_to=pad_to)
        if any(item.target is None for item in examples):
            return Batch(inputs)
        targets = np.array([item.target for item in examples])
        weights = np.array([item.weight for item in examples], np.float32)
        return Batch(inputs, targets, weights)

    def build(self, model: str, settings: Any, assets: TextAssets, *, backbone: Any = None) -> Any:
        from aitk.nlp.models import build_backbone, check_length
        from aitk.nlp.models.head import classifier

        if backbone is None:
            backbone = build_backbone(
                model, settings, assets.tokenizer.vocabulary_size, classes=len(assets.labels)
            )
            if assets.inverse_frequencies is not None:
                backbone.get_layer("rarity").fill(assets.inverse_frequencies)
        check_length(backbone, assets.max_length)
        return classifier(
            backbone,
            classes=len(assets.labels),
            pooling=settings.pooling,
            dropout=settings.dropout,
            linear=settings.linear,
        )

    def objective(self, assets: TextAssets) -> Any:
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: TextAssets,
        *,
        top_k: int = 1,
        asked: Any = None,
    ) -> list[dict[str, Any]]:
        return answer_classes(softmax(outputs), assets.labels, top_k=top_k)

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: TextAssets
    ) -> dict[str, np.ndarray]:
        return {"target": np.asarray(batch.targets), "probabilities": softmax(outputs)}

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: TextAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        return score_classification(
            measured["target"],
            measured["probabilities"],
            list(assets.labels),
            resamples=resamples,
            seed=seed,
        )

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: TextAssets
    ) -> Iterator[Baseline]:
        from aitk.nlp.metrics.linear_baseline import linear_baseline

        yield majority_class(summary["label_counts"]["train"], assets.labels)
        linear = linear_baseline(train, assets.labels)
        if linear is not None:
            yield linear

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: TextAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        from aitk.nlp.explain.occlusion import explain_text

        index, told = explained_class(softmax(predict([fields]))[0], assets.labels, target)

        def probability(texts: Sequence[str]) -> np.ndarray:
            return softmax(predict([{"text": text} for text in texts]))[:, index]

        return told | explain_text(fields["text"], probability)
