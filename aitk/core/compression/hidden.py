"""Distillation of hidden features: a student's match its teacher's through a projection.

Romero et al. 2015, "FitNets: Hints for Thin Deep Nets", section 2.2, and Jiao et al. 2020,
"TinyBERT", section 3.1: the squared distance after a linear projection, which is learned and
discarded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from aitk.core.contract.errors import UsageError
from aitk.core.contract.model_spec import BACKBONE, ONLY_OUTPUT

#: The name of the projected features among the outputs of a student in training.
FEATURES = "hidden_features"


def features_of(model: keras.Model) -> keras.KerasTensor:
    """The vector that a model's head reads, (batch, size); the last map of the backbone where the
    head predicts something at every place, (batch, ..., size)."""
    backbone = model.get_layer(BACKBONE)
    nodes = [node for depth in sorted(model._nodes_by_depth, reverse=True)
             for node in model._nodes_by_depth[depth]]  # fmt: skip
    start = next(at for at, node in enumerate(nodes) if node.operation is backbone)
    outputs = keras.tree.flatten(nodes[start].output_tensors)
    last = {id(tensor) for tensor in keras.tree.flatten(model.output)}
    for node in nodes[start:]:
        for tensor in keras.tree.flatten(node.output_tensors):
            if len(tensor.shape) == 2 and id(tensor) not in last:
                return tensor
    return outputs[-1]


def with_features(model: keras.Model) -> keras.Model:
    """The model with its features as one more output."""
    return keras.Model(model.inputs, _named(model) | {FEATURES: features_of(model)})


def with_projection(student: keras.Model, wanted: keras.KerasTensor) -> keras.Model:
    """The student with its features, projected to the size of its teacher's, as one more output.

    The weights are those of the student, which stays as it is.

    Args:
        wanted: features of the teacher.

    Raises:
        UsageError: they have other axes or places.
    """
    own = features_of(student)
    places, others = own.shape[1:-1], wanted.shape[1:-1]
    if len(places) != len(others) or any(
        a != b for a, b in zip(places, others, strict=True) if a is not None and b is not None
    ):
        raise UsageError(
            f"the features of the student have the shape {own.shape[1:]}, those of the run"
            f" {wanted.shape[1:]}",
            where="--distill-hidden",
            hint="Choose a student with as many places, or leave it out",
        )
    project = keras.layers.Dense(wanted.shape[-1], use_bias=False, name=FEATURES, dtype="float32")
    return keras.Model(student.inputs, _named(student) | {FEATURES: project(own)})


class HiddenLoss(keras.losses.Loss):
    """The squared distance of features, relative to the mean square of the teacher's.

    (batch, ..., size) twice -> (batch, ...).

    Args:
        weight: relative to the rest of the loss.
    """

    def __init__(self, weight: float):
        super().__init__(name="hidden_loss")
        self.weight = weight
        self.facts = {"weight": weight}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        wanted, found = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        scale = ops.maximum(ops.mean(ops.square(wanted)), 1e-12)
        return self.weight * ops.mean(ops.square(found - wanted), axis=-1) / scale


def losses_with_hidden(loss: Any, weight: float) -> dict[str, Any]:
    """The losses of a student's outputs and that of its features, by name."""
    named = dict(loss) if isinstance(loss, Mapping) else {ONLY_OUTPUT: loss}
    return named | {FEATURES: HiddenLoss(weight)}


def _named(model: keras.Model) -> dict[str, Any]:
    output = model.output
    return dict(output) if isinstance(output, Mapping) else {ONLY_OUTPUT: output}
