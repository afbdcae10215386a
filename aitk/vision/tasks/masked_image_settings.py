"""The settings of masked-image pretraining. Standard library only: help texts read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import option
from aitk.vision.tasks.settings import (
    CnnSettings,
    MobileNetSettings,
    ResNetSettings,
    StagedSettings,
    VitSettings,
    parse_blocks,
    stem_stride,
)


@dataclass(frozen=True)
class MaskedImageAnswers:
    """What an answer holds."""

    filled: bool = option(True, "put the filled-in picture into the answer, as a PNG in base64")


@dataclass(frozen=True)
class MaskedVitSettings(VitSettings):
    """The vision transformer, shown a quarter of its patches (He et al. 2022, MAE)."""

    dropout: float = option(0.0, "share of the features dropped", minimum=0.0, maximum=0.95)
    mask_share: float = option(0.75, "share of the patches to fill in", minimum=0.05, maximum=0.95)
    decoder_width: int = option(64, "channels of what fills them in", minimum=4)
    decoder_layers: int = option(2, "its layers", minimum=1, maximum=12)

    default_epochs: ClassVar[int] = 50
    default_steps: ClassVar[int] = 5000


@dataclass(frozen=True)
class MaskedResNetSettings(ResNetSettings):
    """The residual network, blind to hidden patches in every layer (Tian et al. 2023, SparK)."""

    mask_share: float = option(0.6, "share of the patches to fill in", minimum=0.05, maximum=0.95)
    decoder_width: int = option(64, "channels of what fills them in", minimum=4)
    decoder_layers: int = option(2, "its residual blocks", minimum=1, maximum=12)

    default_epochs: ClassVar[int] = 50
    default_steps: ClassVar[int] = 5000


@dataclass(frozen=True)
class MaskedCnnSettings(CnnSettings):
    """The plain network, blind to hidden patches in every layer (Tian et al. 2023, SparK)."""

    mask_share: float = option(0.6, "share of the patches to fill in", minimum=0.05, maximum=0.95)
    decoder_width: int = option(64, "channels of what fills them in", minimum=4)
    decoder_layers: int = option(2, "its residual blocks", minimum=1, maximum=12)

    default_epochs: ClassVar[int] = 50
    default_steps: ClassVar[int] = 5000


@dataclass(frozen=True)
class MaskedMobileNetSettings(MobileNetSettings):
    """Inverted residuals, blind to hidden patches in every layer (Tian et al. 2023, SparK)."""

    mask_share: float = option(0.6, "share of the patches to fill in", minimum=0.05, maximum=0.95)
    decoder_width: int = option(64, "channels of what fills them in", minimum=4)
    decoder_layers: int = option(2, "its residual blocks", minimum=1, maximum=12)

    default_epochs: ClassVar[int] = 50
    default_steps: ClassVar[int] = 5000


def place_side(settings: VitSettings | StagedSettings, size: tuple[int, int]) -> int:
    """Pixels of a side of what one place of the network's last map stands for."""
    if isinstance(settings, VitSettings):
        return settings.patch
    return stem_stride(settings, size) * 2 ** (len(parse_blocks(settings.blocks)) - 1)
