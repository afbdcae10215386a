"""One readable file an architecture.

Every backbone is a functional Keras model named ``backbone``: ``features`` (batch, frames,
dimensions) float32 and ``padding_mask`` (batch, frames) int32 become (batch, steps, hidden), where
step j stands at frame j * ``frames_per_step``. How far a batch is padded never changes a real step.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    import keras

#: Model name -> the file it is in.
FILES = {
    "cnn": "cnn",
    "dscnn": "dscnn",
    "tc-resnet": "tc_resnet",
    "bilstm": "bilstm",
    "tcn": "tcn",
    "transformer": "transformer",
    "conformer": "conformer",
}


def build_backbone(model: str, settings: Any, dimensions: int) -> keras.Model:
    """Build the backbone that a model's name stands for, with new weights.

    Args:
        dimensions: numbers a frame.

    Raises:
        UsageError: the model has no weights of its own, or its settings contradict each other.
    """
    if model not in FILES:
        raise UsageError(
            f"the model {model!r} has no weights of its own to start from",
            where="--model",
            hint="Name pretrained weights with --from, or choose " + ", ".join(FILES),
        )
    heads, hidden = getattr(settings, "heads", 1), getattr(settings, "hidden", 0)
    if hidden % heads:
        raise UsageError(
            f"hidden {hidden} cannot be shared out among {heads} heads",
            where="--set hidden",
            hint=f"Give a multiple of {heads}",
        )
    module = importlib.import_module(f"aitk.speech.models.{FILES[model]}")
    return module.build_backbone(settings, dimensions)


def check_dimensions(backbone: keras.Model, dimensions: int) -> None:
    """Refuse features that a backbone was not trained on.

    Raises:
        ArtifactError: its frames have another number of dimensions.
    """
    own = next(spec.shape[-1] for spec in backbone.inputs if spec.name == "features")
    if own != dimensions:
        raise ArtifactError(
            f"the backbone reads {own} numbers a frame, and the features have {dimensions}",
            hint="Leave the settings of the features as they are in its run",
        )
