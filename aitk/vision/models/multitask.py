"""Several heads on one backbone, trained jointly.

The weight of each head is learned: its loss is divided by its uncertainty, and uncertainty is
penalised (Kendall, Gal and Cipolla 2018, section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from aitk.core.artifacts.pretrained import BACKBONE
from aitk.core.layers import Shape, Tensor
from aitk.vision.features.sample import KNOWN
from aitk.vision.models.backbones.feature_maps import levels, strides_of
from aitk.vision.models.input_scaling import image_input


def multitask(backbone: keras.Model, heads: Mapping[str, keras.Model]) -> Multitask:
    """Put the heads of several models on one backbone, which then runs once.

    Args:
        backbone: model from ``image`` to maps, its stages named by their strides.
        heads: name -> a model from ``image`` to its output, built on that backbone. Its layers are
            recreated, prefixed with the name of the head.

    Returns:
        Model from ``image`` to a dict of the heads' outputs.
    """
    image = image_input(backbone.input_shape[1:3])
    strides = strides_of(backbone)
    trunk = levels(backbone, strides)
    maps = dict(zip(trunk.output_names, trunk(image), strict=True))
    outputs = {name: _apply_head(heads[name], image, maps, name=name) for name in sorted(heads)}
    return Multitask({"image": image}, outputs, name="multitask")


@keras.saving.register_keras_serializable("aitk.vision")
class Multitask(keras.Model):
    """A functional model with a dict of outputs whose loss weights the heads by uncertainty.

    Targets are a dict: one entry per head by name, and ``known``. Compile it with a dict of losses.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any):
        super().__init__(inputs, outputs, name=name, **kwargs)
        self.heads = sorted(outputs)
        self.balance = Uncertainty(len(self.heads), name="balance", dtype="float32")
        self.balance.build((len(self.heads),))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The weighted sum of the heads' losses, each a mean over the rows with its target."""
        known = ops.cast(y[KNOWN], "float32")  # (batch, heads)
        weights = known if sample_weight is None else known * ops.reshape(sample_weight, (-1, 1))
        means, present = [], []
        for number, name in enumerate(self.heads):
            own = weights[:, number]
            each = self.loss[name].call(y[name], y_pred[name])  # (batch,)
            means.append(ops.sum(each * own) / ops.maximum(ops.sum(own), 1e-6))
            present.append(ops.any(own > 0))
        total = self.balance(ops.stack(means), ops.cast(ops.stack(present), "float32"))
        return total + sum(self.losses)


@keras.saving.register_keras_serializable("aitk.vision")
class Uncertainty(keras.layers.Layer):
    """Weight losses by learned variances: the sum of loss / variance + log(variance) / 2.

    This is equation 10 of the paper for classes. For coordinates the paper divides by twice the
    variance, which only shifts the learned variance. The parameter is the logarithm, so that
    variances stay positive.
    """

    def __init__(self, heads: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, losses_shape: Shape, present_shape: Shape | None = None) -> None:
        self.log_variances = self.add_weight(
            shape=(self.heads,), initializer="zeros", name="log_variances"
        )

    def call(self, losses: Tensor, present: Tensor) -> Tensor:
        # (heads,), (heads,): 1 where the batch has a target of the head -> ()
        each = losses * ops.exp(-self.log_variances) + self.log_variances / 2
        return ops.sum(each * present)

    def compute_output_shape(self, losses_shape: Shape, present_shape: Shape) -> Shape:
        return ()

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"heads": self.heads}


def _apply_head(
    head: keras.Model, image: keras.KerasTensor, maps: Mapping[str, Any], *, name: str
) -> keras.KerasTensor:
    """Apply a head to the maps of another network with the same stages."""

    def renamed(layer: Any) -> Any:
        if layer.name == BACKBONE or not isinstance(layer, keras.layers.Layer):
            return layer  # a plain operation has no weights
        return type(layer).from_config(layer.get_config() | {"name": f"{name}_{layer.name}"})

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.name != BACKBONE:
            return layer(*args, **kwargs)
        found = [maps[stage] for stage in layer.output_names]
        return found if isinstance(layer.output, list | tuple) else found[0]

    moved = keras.models.clone_model(
        keras.Model(head.inputs[0], head.output),
        input_tensors=image,
        clone_function=renamed,
        call_function=call,
    )
    return moved.output
