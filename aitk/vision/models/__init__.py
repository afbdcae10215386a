"""One readable file an architecture.

Every backbone is a functional Keras model named ``backbone``: ``picture``, uint8 RGB of shape
(batch, height, width, 3), becomes its last feature map (batch, h, w, channels). Scaling lies
inside. The last layer of each stage is named ``stride_N`` (see ``levels``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import UsageError
from aitk.vision.tasks.settings import WithBackbone

if TYPE_CHECKING:
    import keras


def build_backbone(model: str, settings: Any, size: tuple[int, int]) -> keras.Model:
    """Build the backbone that a model's name stands for, with new weights.

    Args:
        model: one of ``settings.BACKBONES``.
        settings: those of that model, or a ``WithBackbone`` that names it.
        size: (height, width) of the pictures it will read.

    Raises:
        UsageError: the model has no weights of its own, or the size does not suit it.
    """
    from aitk.vision.models.backbones import cnn, efficientnet, mobilenet, resnet, vgg, vit

    builders = {
        "cnn": cnn.build_backbone,
        "vgg": vgg.build_backbone,
        "resnet": resnet.build_backbone,
        "mobilenet": mobilenet.build_backbone,
        "efficientnet": efficientnet.build_backbone,
        "vit": vit.build_backbone,
    }
    if model not in builders:
        raise UsageError(
            f"the model {model!r} has no weights of its own to start from",
            where="--model",
            hint="Name pretrained weights with --from, or choose " + ", ".join(builders),
        )
    if isinstance(settings, WithBackbone):
        settings = settings.network()
    return builders[model](settings, size)
