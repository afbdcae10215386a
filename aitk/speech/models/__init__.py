"""One readable file per architecture.

Every backbone is a functional Keras model named ``backbone`` that maps ``features`` (batch, frames,
dimensions) float32 and ``padding_mask`` (batch, frames) int32 to (batch, steps, hidden), where step
j is at frame j * ``frames_per_step``. Padding never changes a real step.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    import keras

#: Model name -> its module.
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
    """Build the backbone of a model, with new weights.

    Args:
        dimensions: features per frame.

    Raises:
        UsageError: the model has only pretrained weights, or its settings are contradictory.
    """
    if model not in FILES:
        raise UsageError(
            f"the model {model!r} cannot be trained from new weights",
            where="--model",
            hint="Name pretrained weights with --from, or choose " + ", ".join(FILES),
        )
    heads, hidden = getattr(settings, "heads", 1), getattr(settings, "hidden", 0)
    if hidden % heads:
        raise UsageError(
            f"hidden={hidden} is not divisible by heads={heads}",
            where="--set hidden",
            hint=f"Use a multiple of {heads}",
        )
    module = importlib.import_module(f"aitk.speech.models.{FILES[model]}")
    from aitk.core.layers.group_norm import with_normalization
    from aitk.speech.models.convolution import step_group_normalization

    backbone = module.build_backbone(settings, dimensions)
    return with_normalization(
        backbone, getattr(settings, "normalization", "batch"), replace=step_group_normalization
    )


def check_dimensions(backbone: keras.Model, dimensions: int) -> None:
    """Refuse features that differ from those that a backbone was trained on.

    Raises:
        ArtifactError: the number of dimensions differs.
    """
    own = next(spec.shape[-1] for spec in backbone.inputs if spec.name == "features")
    if own != dimensions:
        raise ArtifactError(
            f"the backbone reads {own} features per frame, but the rows have {dimensions}",
            hint="Use the feature settings of its run",
        )
