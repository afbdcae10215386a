"""Keras Hub's image networks as backbones: uint8 input, with scaling inside.

The layers of the network become the backbone's own, so that heads find the end of each stage by
name, and saved files hold plain layers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import numpy as np
from keras_hub.src.models.vit.vit_layers import ViTPatchingAndEmbedding

from aitk.core.contract.errors import ArtifactError
from aitk.vision.models.backbones.feature_maps import PREFIX
from aitk.vision.models.backbones.patch_maps import TokensToMap
from aitk.vision.models.input_scaling import Normalise, image_input
from aitk.vision.models.transfer import clone_layer, copy_network

PROBE = 256  # pixels; divisible by every common stride


def wrap(
    hub: keras_hub.models.Backbone,
    size: tuple[int, int],
    *,
    mean: Sequence[float],
    deviation: Sequence[float],
) -> keras.Model:
    """Give a Keras Hub network the input and the single output of the backbones here.

    Args:
        hub: an image backbone that returns one map, or one sequence of patches.
        size: (height, width) of the input images.
        mean: mean of each channel, 0 to 255, to subtract.
        deviation: standard deviation of each channel, to divide by.

    Raises:
        ArtifactError: its inputs or outputs differ, or it does not support the size.
    """
    what = type(hub).__name__
    if not isinstance(hub.input, keras.KerasTensor) or len(hub.input.shape) != 4:
        raise ArtifactError(f"a {what} does not take a single image as input")
    if not isinstance(hub.output, keras.KerasTensor) or len(hub.output.shape) not in (3, 4):
        raise ArtifactError(f"a {what} does not return an image map")
    normalise = Normalise(mean, deviation, name="normalise")
    image, ends = image_input(size), _ends(hub)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        x = layer(*(normalise(each) if each is image else each for each in args), **kwargs)
        return keras.layers.Identity(name=ends[layer.name])(x) if layer.name in ends else x

    try:
        output = copy_network(hub, image, size, clone=_clone, call=call).output
        if len(output.shape) == 3:
            patch = hub.patch_size
            patch = (patch, patch) if isinstance(patch, int) else tuple(patch)
            output = TokensToMap(size, patch, name=f"{PREFIX}{patch[0]}")(output)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ArtifactError(
            f"a {what} cannot be built for images of {size[0]} x {size[1]} pixels ({reason})"
        ) from error
    return keras.Model(image, output, name="backbone")


@keras.saving.register_keras_serializable("aitk.vision")
class PatchEmbedding(ViTPatchingAndEmbedding):
    """Keras Hub's patch embedding with a configuration that can be deserialised."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        # A tensor from outside the graph would become an additional input of an ONNX file.
        self.position_ids = np.arange(self.num_positions)[None]

    def get_config(self) -> dict[str, Any]:
        config = ViTPatchingAndEmbedding.get_config(self)
        del config["num_patches"], config["num_positions"]
        return config | {"use_patch_bias": self.use_patch_bias}


def _clone(layer: Any, size: tuple[int, int]) -> Any:
    if isinstance(layer, ViTPatchingAndEmbedding):
        layer = PatchEmbedding.from_config(PatchEmbedding.get_config(layer))
    return clone_layer(layer, size)


def _ends(hub: keras_hub.models.Backbone) -> dict[str, str]:
    """The last layer of each stage: as declared by the network, else the last per resolution."""
    pyramid = getattr(hub, "pyramid_outputs", None)
    if pyramid:
        return {
            tensor._keras_history.operation.name: f"{PREFIX}{2 ** int(name[1:])}"
            for name, tensor in pyramid.items()
        }
    if len(hub.output.shape) != 4:
        return {}
    last: dict[int, str] = {}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        x = layer(*args, **kwargs)
        side = getattr(x, "shape", (None, None))[1]
        if side and PROBE % side == 0:
            last[PROBE // side] = layer.name
        return x

    keras.models.clone_model(
        keras.Model(hub.input, hub.output),
        input_tensors=keras.Input((PROBE, PROBE, 3)),
        clone_function=lambda layer: clone_layer(layer, (PROBE, PROBE)),
        call_function=call,
    )
    return {name: f"{PREFIX}{stride}" for stride, name in last.items()}
