"""One readable file an architecture.

Every backbone is a functional Keras model named ``backbone``: ``image``, uint8 RGB of shape
(batch, height, width, 3), becomes its last feature map (batch, h, w, channels). Scaling lies
inside. The last layer of each stage is named ``stride_N`` (see ``levels``).
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
        name: of the network, the name of its file in ``backbones`` too.
        settings: those of the network, or a ``WithBackbone`` that names it.
        size: (height, width) of the images it will read.

    Raises:
        UsageError: the network has no weights of its own, or the size does not suit it.
    """
    if name not in NETWORKS:
        raise UsageError(
            f"the model {name!r} has no weights of its own to start from",
            where="--model",
            hint="Name pretrained weights with --from, or choose " + ", ".join(NETWORKS),
        )
    if isinstance(settings, WithBackbone):
        settings = settings.network()
    module = importlib.import_module(f"aitk.vision.models.backbones.{name}")
    return module.build_backbone(settings, size)
