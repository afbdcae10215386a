"""The smallest task that fulfils the contract: the sign of the mean of some numbers."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aitk.core.contract.model_spec import TrainedModel
from aitk.core.contract.options import option
from aitk.core.contract.task import Batch, Example, Metric, Task
from aitk.core.metrics.classification import score_classification

LABELS = ["minus", "plus"]


@dataclass(frozen=True)
class ToySettings:
    hidden: int = option(8, "width")
    dropout: float = option(0.1, "share dropped", inherited=False)
    default_learning_rate: ClassVar[float] = 1e-2
    default_epochs: ClassVar[int] = 3


class ToyModel(TrainedModel):
    def build(self, settings, assets, *, backbone=None):
        import keras

        if backbone is None:
            values = keras.Input((None,), name="values")
            x = keras.ops.sum(values, axis=1, keepdims=True)
            x = keras.layers.Dense(settings.hidden, activation="tanh", name="dense")(x)
            x = keras.layers.Dropout(settings.dropout)(x)
            backbone = keras.Model({"values": values}, x, name="backbone")
        inputs = {"values": keras.Input((None,), name="values")}
        logits = keras.layers.Dense(2, name="head")(backbone(inputs))
        return keras.Model(inputs, logits)

    def loss(self, assets):
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class ToyTask(Task):
    name = "toy.sign"
    reading = ToySettings
    models: ClassVar = {"dense": ToyModel(ToySettings)}
    metric = Metric("accuracy")

    def read(self, sources, reading, *, labelled, note):
        raise NotImplementedError("the toy has no files")

    key = inspector = features = learn = load_assets = read

    def encode(self, rows, assets):
        return [
            Example(
                {"values": np.array(row["values"], np.float32)},
                LABELS.index(row["label"]) if "label" in row else None,
            )
            for row in rows
        ]

    def length(self, example):
        return len(example.inputs["values"])

    def collate(self, examples, assets, *, rng=None, pad_to=None):
        length = pad_to or max(self.length(item) for item in examples)
        values = np.zeros((len(examples), length), np.float32)
        for row, item in enumerate(examples):
            values[row, : self.length(item)] = item.inputs["values"]
        if any(item.target is None for item in examples):
            return Batch({"values": values})
        return Batch({"values": values}, np.array([item.target for item in examples]))

    def decode(self, batch, outputs, assets, *, top_k=1, options=None):
        return [{"prediction": LABELS[row.argmax()]} for row in outputs]

    def measure(self, batch, outputs, assets):
        odds = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        probabilities = odds / odds.sum(axis=1, keepdims=True)
        return {"target": batch.targets, "probabilities": probabilities}

    def score(self, measured, assets, *, resamples=0, seed=0):
        return score_classification(
            measured["target"], measured["probabilities"], LABELS, resamples=resamples, seed=seed
        )


def toy_rows(count, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        values = rng.normal(size=rng.integers(1, 6)).tolist()
        rows.append({"values": values, "label": LABELS[int(sum(values) > 0)]})
    return rows
