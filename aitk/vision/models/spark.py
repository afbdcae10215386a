"""Masked autoencoder of a convolutional network (Tian et al. 2023, SparK, section 3).

A convolution over a masked image sees the edges of the mask and blurs them further in every
layer, so its features differ from those of whole images. The mask is therefore reapplied to every
map: all layers ignore masked patches, as sparse convolutions would, and batch normalisation counts
only visible positions (section 3.1). The paper's decoder upsamples to full size through the maps
of all stages; this one stays at the size of the last map, for a tenth of the cost.

"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.vision.models.backbones.blocks import MOMENTUM, FusedBatchNormalization
from aitk.vision.models.mae import marked


def fill_in_map(
    backbone: keras.Model,
    image: keras.KerasTensor,
    visible: keras.KerasTensor,
    *,
    grid: tuple[int, int],
    width: int,
    layers: int,
) -> keras.KerasTensor:
    """Features of every position of the last map, computed from the visible patches.

    Args:
        backbone: convolutions with batch normalisation; its layers are shared.
        image: (batch, height, width, 3) uint8.
        visible: (batch, shown) int32, numbers of the visible patches.
        grid: rows and columns of patches, which divide those of every map of the backbone.
        width: channels of the decoder.
        layers: residual blocks of the decoder.

    Returns:
        (batch, rows, columns, width), at the size of the last map.
    """
    shown = VisibleMap(grid, name="visible_map")(visible)  # (batch, *grid, 1)
    normalised = backbone.get_layer("normalise")(image)
    whole = _enlarged(shown, normalised.shape[1:3], name="visible_pixels")
    masked = keras.layers.Concatenate(name="masked_image")([normalised * whole, whole])
    x = blind(backbone)(masked)
    x = FillHoles(name="fill_holes")(x, _enlarged(shown, x.shape[1:3], name="visible_places"))
    x = keras.layers.Conv2D(width, 1, name="decoder_in")(x)
    for number in range(1, layers + 1):
        y = _normalised(x, f"decoder{number}_norm1")
        y = keras.layers.Conv2D(
            width, 3, padding="same", use_bias=False, name=f"decoder{number}_conv1"
        )(y)
        y = _normalised(y, f"decoder{number}_norm2")
        y = keras.layers.Conv2D(width, 3, padding="same", name=f"decoder{number}_conv2")(y)
        x = keras.layers.Add(name=f"decoder{number}_add")([x, y])
    return _normalised(x, "decoder_norm")


def blind(backbone: keras.Model) -> keras.Model:
    """The backbone with shared weights and a mask applied to every map.

    Returns:
        A functional model from (batch, height, width, 4), a normalised image without its masked
        pixels plus a visibility channel, to the last map, 0 at masked positions.

    """
    size = backbone.input_shape[1:3]
    masked = keras.Input((*size, 4), name="masked_image")
    shown: dict[tuple[int, ...], Any] = {}

    def at(shape: tuple[int, ...]) -> Any:
        if shape not in shown:
            step = size[0] // shape[0]
            shown[shape] = shown[size][:, ::step, ::step]
        return shown[shape]

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.name == "normalise":
            shown[size] = args[0][..., 3:]
            return args[0][..., :3]
        if isinstance(layer, keras.layers.BatchNormalization):
            holes = at(tuple(args[0].shape[1:3]))
            return layer(*args, **(kwargs | {"mask": holes[..., 0]})) * holes
        return layer(*args, **kwargs)

    return keras.models.clone_model(
        keras.Model(backbone.input, backbone.output, name="blind"),
        input_tensors=masked,
        clone_function=lambda layer: layer,
        call_function=call,
    )


@keras.saving.register_keras_serializable("aitk.vision")
class VisibleMap(keras.layers.Layer):
    """1 for visible patches, 0 for masked ones: (batch, shown) -> (batch, *grid, 1)."""

    def __init__(self, grid: tuple[int, int], **kwargs: Any):
        super().__init__(**kwargs)
        self.grid = tuple(grid)

    def call(self, visible: Tensor) -> Tensor:
        places = marked(visible, self.grid[0] * self.grid[1], self.compute_dtype)
        return ops.reshape(ops.sum(places, axis=1), (-1, *self.grid, 1))

    def compute_output_spec(self, visible: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor((visible.shape[0], *self.grid, 1), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"grid": self.grid}


@keras.saving.register_keras_serializable("aitk.vision")
class FillHoles(keras.layers.Layer):
    """Put a learned vector at every masked position (section 3.2)."""

    def build(self, features_shape: Shape, shown_shape: Shape) -> None:
        normal = keras.initializers.TruncatedNormal(stddev=0.02)
        shape = (features_shape[-1],)
        self.hidden = self.add_weight(shape=shape, initializer=normal, name="hidden")

    def call(self, features: Tensor, shown: Tensor) -> Tensor:
        # (batch, rows, columns, channels), (batch, rows, columns, 1) -> the shape of the first
        return features * shown + (1 - shown) * self.hidden

    def compute_output_shape(self, features_shape: Shape, shown_shape: Shape) -> Shape:
        return features_shape


def _enlarged(shown: Any, shape: tuple[int, ...], *, name: str) -> Any:
    factors = (shape[0] // shown.shape[1], shape[1] // shown.shape[2])
    return shown if factors == (1, 1) else keras.layers.UpSampling2D(factors, name=name)(shown)


def _normalised(x: Any, name: str) -> Any:
    x = FusedBatchNormalization(momentum=MOMENTUM, epsilon=1e-5, name=name)(x)
    return keras.layers.Activation("relu", name=f"{name}_relu")(x)
