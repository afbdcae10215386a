"""One readable file per architecture.

Every backbone is a functional Keras model named ``backbone`` that maps ``image``, uint8 RGB of
shape (batch, height, width, 3), to its last feature map (batch, h, w, channels). Input scaling is
part of it. The last layer of each stage is named ``stride_N`` (see ``levels``).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import UsageError
from aitk.vision.models.settings import NETWORKS, WithBackbone

if TYPE_CHECKING:
    import keras


def build_backbone(name: str, settings: Any, size: tuple[int, int]) -> keras.Model:
    """Build a backbone with new weights.

    Args:
        name: name of the network and of its file in ``backbones``.
        settings: settings of the network, or a ``WithBackbone`` that names it.
        size: (height, width) of the input images.

    Raises:
        UsageError: the network has only pretrained weights, or does not support the size.
    """
    if name not in NETWORKS:
        raise UsageError(
            f"the model {name!r} cannot be trained from new weights",
            where="--model",
            hint="Name pretrained weights with --from, or choose " + ", ".join(NETWORKS),
        )
    if isinstance(settings, WithBackbone):
        settings = settings.network()
    module = importlib.import_module(f"aitk.vision.models.backbones.{name}")
    return module.build_backbone(settings, size)
