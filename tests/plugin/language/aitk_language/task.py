"""Language identification: which language a text is in, from its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aitk.core.contract.label_task import (
    LABEL_SHAPE,
    LabelDistillation,
    LabelModel,
    LabelTask,
    label_values,
    read_label_values,
)
from aitk.core.contract.options import option
from aitk.core.contract.task import Example
from aitk.core.io.files import write_json
from aitk.core.io.json_files import read_json
from aitk.nlp.data.quality import TextInspector
from aitk.nlp.data.reading import read_texts
from aitk.nlp.explain.occlusion import explain_text
from aitk_language import LanguageReading

MAX_BYTES = 256  # of a text that are read
PADDING = 0  # bytes are the numbers from 1 to 256


@dataclass(frozen=True)
class ConvSettings:
    """Convolutions over the bytes of a text, with max pooling."""

    filters: int = option(64, "features of a window of bytes", minimum=1, search="16..128")
    width: int = option(5, "bytes in a window", minimum=1, maximum=9, search="3..7")

    default_learning_rate: ClassVar[float] = 3e-3
    default_epochs: ClassVar[int] = 3


class ConvModel(LabelModel):
    """A trained classifier: ``LabelModel`` defines its loss and its number of outputs."""

    def build(self, settings, assets, *, backbone=None):
        import keras
        from keras import ops

        inputs = {"bytes": keras.Input((None,), dtype="int32", name="bytes")}
        if backbone is None:
            real = ops.cast(ops.expand_dims(inputs["bytes"] != PADDING, -1), "float32")
            x = keras.layers.Embedding(257, 16, name="embedding")(inputs["bytes"]) * real
            x = keras.layers.Conv1D(
                settings.filters, settings.width, padding="same", activation="relu", name="windows"
            )(x)  # (batch, length, filters)
            x = ops.max(x * real, axis=1)  # windows beyond the end of a text have no effect
            backbone = keras.Model(inputs, x, name="backbone")
        logits = keras.layers.Dense(len(assets.labels), name="head", dtype="float32")
        return keras.Model(inputs, logits(backbone(inputs)))


@dataclass(frozen=True)
class LanguageAssets:
    """Assets of the model: the names of the languages."""

    labels: tuple[str, ...]
    weights: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()

    def save(self, folder):
        write_json(folder / "labels.json", label_values(self))


class Language(LabelDistillation[LanguageAssets], LabelTask[LanguageAssets]):
    """The field ``text`` of a row holds the text, the field ``label`` its language."""

    name = "nlp.language"
    reading = LanguageReading
    models = {"conv": ConvModel(ConvSettings)}

    # Rows

    def read(self, sources, reading, *, labelled, note):
        return read_texts(sources, reading, labelled=labelled, label=True, note=note)

    def key(self, fields):
        return fields["text"]

    def inspector(self, reading):
        return TextInspector(reading, labelled=True)

    def features(self, summary):
        import tensorflow_datasets as tfds

        return {"text": tfds.features.Text(), **self.label_features(summary)}

    # Assets

    def learn(self, rows, summary, settings, *, start=None, balance=False, tables=None, note):
        return LanguageAssets(**self.learn_labels(summary, balance=balance))

    def load_assets(self, folder):
        path = folder / "labels.json"
        return LanguageAssets(**read_label_values(read_json(path, LABEL_SHAPE), where=str(path)))

    # Batches

    def encode(self, rows, assets):
        texts = [row["text"].encode()[:MAX_BYTES] for row in rows]
        return [
            Example({"bytes": np.frombuffer(text, np.uint8).astype(np.int32) + 1}, **target)
            for text, target in zip(texts, self.label_targets(rows, assets), strict=True)
        ]

    def length(self, example):
        return len(example.inputs["bytes"])

    def collate(self, examples, assets, *, rng=None, pad_to=None):
        padded = np.full((len(examples), pad_to or max(map(self.length, examples))), PADDING)
        for row, example in zip(padded, examples, strict=True):
            row[: self.length(example)] = example.inputs["bytes"][: len(row)]
        return self.label_batch({"bytes": padded.astype(np.int32)}, examples)

    # Explanations; predictions and scores are those of every ``LabelTask``

    def explain(self, fields, predict, assets, *, target=None, model=None):
        index, facts = self.explained(predict([fields]), assets, target)

        def probability(texts):
            outputs = predict([{"text": text} for text in texts])
            return self.probabilities(outputs, assets)[:, index]

        return facts | explain_text(fields["text"], probability)
