"""The settings and specifications of masked-image pretraining."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from aitk.core.contract.errors import UsageError
from aitk.core.contract.model_spec import SettingsT
from aitk.core.contract.options import option
from aitk.vision.features.assets import ImageAssets
from aitk.vision.models import build_backbone
from aitk.vision.models.settings import (
    CnnSettings,
    MobileNetSettings,
    ResNetSettings,
    StagedSettings,
    VitSettings,
    parse_blocks,
    stem_stride,
)
from aitk.vision.models.specs import ImageModel

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class MaskedVitSettings(VitSettings):
    """The vision transformer, encoding a quarter of its patches (He et al. 2022, MAE)."""

    dropout: float = option(
        0.0,
        "dropout rate",
        minimum=0.0,
        maximum=0.95,
        search="0..0.5",
        inherited=False,
    )
    mask_share: float = option(0.75, "share of masked patches", minimum=0.05, maximum=0.95)
    decoder_width: int = option(64, "channels of the decoder", minimum=4)
    decoder_layers: int = option(2, "layers of the decoder", minimum=1, maximum=12)

    default_epochs: ClassVar[int] = 50
    default_steps: ClassVar[int] = 5000


@dataclass(frozen=True)
class MaskedResNetSettings(ResNetSettings):
    """The residual network, masked in every layer (Tian et al. 2023, SparK)."""

    mask_share: float = option(0.6, "share of masked patches", minimum=0.05, maximum=0.95)
    decoder_width: int = option(64, "channels of the decoder", minimum=4)
    decoder_layers: int = option(2, "residual blocks of the decoder", minimum=1, maximum=12)

    default_epochs: ClassVar[int] = 50
    default_steps: ClassVar[int] = 5000


@dataclass(frozen=True)
class MaskedCnnSettings(CnnSettings):
    """The plain network, masked in every layer (Tian et al. 2023, SparK)."""

    mask_share: float = option(0.6, "share of masked patches", minimum=0.05, maximum=0.95)
    decoder_width: int = option(64, "channels of the decoder", minimum=4)
    decoder_layers: int = option(2, "residual blocks of the decoder", minimum=1, maximum=12)

    default_epochs: ClassVar[int] = 50
    default_steps: ClassVar[int] = 5000


@dataclass(frozen=True)
class MaskedMobileNetSettings(MobileNetSettings):
    """Inverted residuals, masked in every layer (Tian et al. 2023, SparK)."""

    mask_share: float = option(0.6, "share of masked patches", minimum=0.05, maximum=0.95)
    decoder_width: int = option(64, "channels of the decoder", minimum=4)
    decoder_layers: int = option(2, "residual blocks of the decoder", minimum=1, maximum=12)

    default_epochs: ClassVar[int] = 50
    default_steps: ClassVar[int] = 5000


def place_side(settings: VitSettings | StagedSettings, size: tuple[int, int]) -> int:
    """Stride in pixels of the network's last map."""
    if isinstance(settings, VitSettings):
        return settings.patch
    return stem_stride(settings, size) * 2 ** (len(parse_blocks(settings.blocks)) - 1)


class MaskedModel(ImageModel[SettingsT]):
    """A backbone and a light decoder that predicts the pixels of masked patches.

    Args:
        network: name of the backbone.
    """

    def __init__(self, settings: type[SettingsT], network: str):
        super().__init__(settings)
        self._network = network

    def build(
        self, settings: Any, assets: ImageAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.vision.models.masked import MaskedImageModel
        from aitk.vision.models.transfer import resize_input

        if settings.normalization != "batch":
            raise UsageError(
                "masked pretraining has batch normalisation of its own",
                where="--set normalization",
                hint="Change it when you finetune",
            )
        if backbone is None:
            backbone = build_backbone(self._network, settings, assets.size)
        return MaskedImageModel(
            resize_input(backbone, assets.size),
            patch=assets.parameters["patch"],
            shown=assets.parameters["shown"],
            width=settings.decoder_width,
            layers=settings.decoder_layers,
            name="masked_image_model",
        )

    def loss(self, assets: ImageAssets) -> Any:
        import keras

        return keras.losses.MeanSquaredError()


#: Name -> model, in display order; the first is the default.
MASKED_MODELS: Mapping[str, MaskedModel[Any]] = {
    "vit": MaskedModel(MaskedVitSettings, "vit"),
    "resnet": MaskedModel(MaskedResNetSettings, "resnet"),
    "cnn": MaskedModel(MaskedCnnSettings, "cnn"),
    "mobilenet": MaskedModel(MaskedMobileNetSettings, "mobilenet"),
}
