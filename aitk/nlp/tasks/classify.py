"""Text classification: one label per text, or any number."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.features import Text
from aitk.core.contract.label_task import LabelDistillation, LabelTask
from aitk.core.contract.multi_label import MultiLabelTask
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Example, Note
from aitk.core.metrics.baselines import Baseline, Rows
from aitk.nlp.data.languages import language_of
from aitk.nlp.data.options import ClassifyReading
from aitk.nlp.data.quality import TextInspector
from aitk.nlp.data.reading import read_texts
from aitk.nlp.features.assets import TextAssets, load_text_assets
from aitk.nlp.features.batching import (
    inverse_frequencies,
    pad_tokens,
    sif_weights,
    token_arrays,
    whole_text,
)
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer, Tokenizer
from aitk.nlp.features.word_embeddings import learn_tokenizer
from aitk.nlp.models.specs import BagClassifier, StaticClassifier, TextClassifier
from aitk.nlp.tasks.settings import (
    BagSettings,
    CnnSettings,
    HubSettings,
    LstmSettings,
    RnnSettings,
    StaticClassifierSettings,
    TransformerSettings,
)

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.edge.parts import BundleParts


class Classify(LabelDistillation[TextAssets], LabelTask[TextAssets]):
    """Topics, sentiment, intents: the classes of a label column."""

    name = "nlp.classify"
    reading = ClassifyReading
    models = {
        "bag": BagClassifier(BagSettings, "aitk.nlp.models.bag:build_backbone"),
        "cnn": TextClassifier(CnnSettings, "aitk.nlp.models.cnn:build_backbone"),
        "rnn": TextClassifier(RnnSettings, "aitk.nlp.models.rnn:build_rnn_backbone"),
        "lstm": TextClassifier(LstmSettings, "aitk.nlp.models.rnn:build_lstm_backbone"),
        "transformer": TextClassifier(
            TransformerSettings, "aitk.nlp.models.transformer:build_backbone"
        ),
        "hub": TextClassifier(HubSettings),
        "static": StaticClassifier(StaticClassifierSettings),
    }
    content = "text"

    def for_reading(self, reading: ClassifyReading) -> Classify:
        """See ``DependsOnReading``."""
        return MultiLabelClassify() if reading.has_many_labels else self

    def read(
        self, sources: Sequence[str], reading: ClassifyReading, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        return read_texts(sources, reading, labelled=labelled, label=True, note=note)

    def key(self, fields: Mapping[str, Any]) -> str:
        return whole_text(fields)

    def language(self, fields: Mapping[str, Any]) -> str:
        """See ``HasLanguages``."""
        return language_of(fields["text"])

    def inspector(self, reading: ClassifyReading) -> TextInspector:
        return TextInspector(reading, labelled=True)

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        texts = ("text", "pair") if summary.get("pairs") else ("text",)
        return {name: Text() for name in texts} | self.label_features(summary)

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
    ) -> TextAssets:
        tokenizer, embeddings = learn_tokenizer(
            map(whole_text, rows), settings, start=start, note=note
        )
        weights = None
        if isinstance(settings, StaticClassifierSettings):
            weights = _sif_weights(rows, tokenizer, settings)
        elif settings.linear and start is None:
            weights = inverse_frequencies(rows, tokenizer, max_length=settings.max_length)
        return TextAssets(
            tokenizer,
            settings.max_length,
            unit_weights=weights,
            embeddings=embeddings,
            **self.learn_labels(summary, balance=balance),
        )

    def load_assets(self, folder: Path) -> TextAssets:
        return load_text_assets(folder)

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: TextAssets) -> list[Example]:
        tokens = token_arrays(rows, assets)
        return [
            Example({"token_ids": ids}, **target)
            for ids, target in zip(tokens, self.label_targets(rows, assets), strict=True)
        ]

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
        inputs = pad_tokens([item.inputs["token_ids"] for item in examples], pad_to=pad_to)
        return self.label_batch(inputs, examples)

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: TextAssets
    ) -> Iterable[Baseline]:
        from aitk.nlp.metrics.linear_baseline import linear_baseline

        yield from super().baselines(train, summary, assets)
        linear = linear_baseline(train, assets.labels)
        if linear is not None:
            yield linear

    def prune_vocabulary(
        self, assets: TextAssets, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[TextAssets, int, np.ndarray]:
        """See ``PrunesVocabulary``."""
        from aitk.nlp.features.tokenizers.pruning import prune_tokenizer

        texts = (text for row in rows for text in (row["text"], row.get("pair")) if text)
        tokenizer, kept = prune_tokenizer(assets.tokenizer, texts, assets.max_length)
        pruned = dataclasses.replace(assets, tokenizer=tokenizer)
        return pruned, assets.tokenizer.vocabulary_size, kept

    def bundle(self, assets: TextAssets, reading: ClassifyReading) -> BundleParts:
        """See ``Bundled``."""
        from aitk.nlp.edge.parts import text_parts

        return text_parts(assets, reading)

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: TextAssets,
        *,
        target: str | None = None,
        model: Callable[[], keras.Model] | None = None,
    ) -> dict[str, Any]:
        from aitk.nlp.explain.occlusion import explain_text

        index, facts = self.explained(predict([fields]), assets, target)

        def probability(texts: Sequence[str], name: str = "text") -> np.ndarray:
            outputs = predict([{**fields, name: text} for text in texts])
            return self.probabilities(outputs, assets)[:, index]

        def predicted(texts: Sequence[str]) -> list[str]:
            outputs = predict([{**fields, "text": text} for text in texts])
            chosen = self.probabilities(outputs, assets).argmax(axis=1)
            return [assets.labels[number] for number in chosen]

        one_label = not assets.thresholds and target is None
        found = explain_text(
            fields["text"], probability, predicted=predicted if one_label else None
        )
        if "pair" in fields:
            second = explain_text(fields["pair"], partial(probability, name="pair"))
            found["parts"] = [*found["parts"], {"text": " — ", "weight": 0.0}, *second["parts"]]
        return facts | found


class MultiLabelClassify(MultiLabelTask[TextAssets], Classify):
    """Classification with any number of labels per text."""

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: TextAssets
    ) -> Iterable[Baseline]:
        from aitk.nlp.metrics.linear_baseline import linear_multi_label_baseline

        yield from super().baselines(train, summary, assets)
        linear = linear_multi_label_baseline(train, assets.labels, assets.thresholds)
        if linear is not None:
            yield linear


def _sif_weights(
    rows: Rows, tokenizer: Tokenizer, settings: StaticClassifierSettings
) -> np.ndarray:
    """See ``sif_weights``, of the training texts.

    Raises:
        UsageError: the units have no vectors of their own.
    """
    if not isinstance(tokenizer, SubwordTokenizer):
        raise UsageError(
            "a static table is distilled from an encoder with a vector for each token",
            where="static",
            hint="Use a transformer or hub run, or an encoder with --from",
        )

    def encode(taken: Rows) -> list[list[int]]:
        return tokenizer.encode_bare(list(map(whole_text, taken)), settings.max_length)

    return sif_weights(rows, encode, tokenizer, sif=settings.sif)
