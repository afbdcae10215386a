"""From a backbone's features to one vector of logits a text."""

from __future__ import annotations

import keras
from keras import ops

from aitk.nlp.models.inputs import text_inputs


def classifier(
    backbone: keras.Model, *, classes: int, pooling: str, dropout: float, linear: bool = False
) -> keras.Model:
    """Pool the features and put a linear head, named ``head``, on them.

    Args:
        backbone: ``token_ids`` and ``padding_mask`` to (batch, length, hidden).
        classes: how many logits.
        pooling: over the real tokens ``mean``, ``max``, or ``root`` (the sum over the root of
            their number: a longer text has more to say); or ``cls``, the first one.
        dropout: share of the pooled features dropped in training.
        linear: the backbone only adds up embeddings. Then no pooled feature is dropped, since
            many classes need each of them (150 of CLINC150 lost 5 points), and each class's
            weights keep the norm 1: what a unit says of a class is learned by the embeddings
            alone, or they overfit within an epoch.

    Returns:
        A functional model with the same inputs and float32 logits (batch, classes).
    """
    inputs = text_inputs()
    x = backbone(inputs)
    x = Pooling(pooling, name="pooling", dtype="float32")(x, inputs["padding_mask"])
    if linear:
        same = x.shape[-1] == classes  # one feature a class
        head = keras.layers.Dense(
            classes,
            kernel_initializer="identity" if same else "glorot_uniform",
            kernel_constraint=keras.constraints.UnitNorm(axis=0),
            name="head",
            dtype="float32",
        )
    else:
        x = keras.layers.Dropout(dropout, name="head_dropout", dtype="float32")(x)
        head = keras.layers.Dense(classes, name="head", dtype="float32")
    logits = head(x)
    return keras.Model(inputs, logits, name="classifier")


@keras.saving.register_keras_serializable("aitk.nlp")
class Pooling(keras.layers.Layer):
    """Reduce a sequence to one vector, looking at real tokens only."""

    def __init__(self, how: str, **kwargs):
        super().__init__(**kwargs)
        self.how = how
        self.supports_masking = True

    def compute_mask(self, *_):
        return None  # the mask ends here: no sequence is left for it

    def call(self, sequence, padding_mask):
        # (batch, length, hidden), (batch, length) -> (batch, hidden)
        if self.how == "cls":
            return sequence[:, 0]
        mask = ops.expand_dims(ops.cast(padding_mask, sequence.dtype), -1)
        if self.how == "max":
            return ops.max(sequence * mask - (1 - mask) * 1e9, axis=1)
        total, count = ops.sum(sequence * mask, axis=1), ops.maximum(ops.sum(mask, axis=1), 1)
        return total / (ops.sqrt(count) if self.how == "root" else count)

    def compute_output_shape(self, sequence_shape, padding_mask_shape=None):
        return (sequence_shape[0], sequence_shape[-1])

    def get_config(self):
        return super().get_config() | {"how": self.how}
