"""The settings and specifications of a network with one head per annotation kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from aitk.core.contract.model_spec import ONLY_OUTPUT, SettingsT
from aitk.core.contract.options import option
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.sample import KINDS
from aitk.vision.models import build_backbone
from aitk.vision.models.detectors.settings import DetectSettings
from aitk.vision.models.detectors.specs import DETECTORS
from aitk.vision.models.segmenters.settings import LOSSES, SegmentSettings
from aitk.vision.models.segmenters.specs import SEGMENTERS
from aitk.vision.models.settings import CnnSettings, ResNetSettings
from aitk.vision.models.specs import CLASSIFIERS, ImageModel

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class HeadOptions:
    """Settings of the heads; a model has those for which its data has annotations."""

    boxes_head: str = option("yolo", "head for boxes", choices=DETECTORS)
    boxes_width: int = option(64, "channels of the box head", minimum=8, maximum=512)
    strides: str = option("8,16,32", "strides of the box head in pixels; 4,8,16 for small objects")
    mask_head: str = option("unet", "head for masks", choices=SEGMENTERS)
    mask_width: int = option(16, "channels of the mask head", minimum=4, maximum=512)
    mask_loss: str = option("ce+dice", "loss of the mask head", choices=LOSSES, inherited=False)


@dataclass(frozen=True)
class MultitaskResNetSettings(HeadOptions, ResNetSettings):
    """Residual blocks below all heads (He et al. 2016)."""

    image_size: str = option("256x320", "input size: pixels per side, or HEIGHTxWIDTH")
    fit: str = option(
        "letterbox",
        "how images of another aspect ratio are resized",
        choices=("stretch", "letterbox", "crop"),
    )
    blocks: str = option("2,2,2,2", "residual blocks per stage")

    default_learning_rate: ClassVar[float] = 2e-3
    default_epochs: ClassVar[int] = 50
    default_steps: ClassVar[int] = 3000
    default_batch_size: ClassVar[int] = 8


@dataclass(frozen=True)
class MultitaskCnnSettings(HeadOptions, CnnSettings):
    """Plain convolutions below all heads."""

    image_size: str = option("256x320", "input size: pixels per side, or HEIGHTxWIDTH")
    fit: str = option(
        "letterbox",
        "how images of another aspect ratio are resized",
        choices=("stretch", "letterbox", "crop"),
    )
    blocks: str = option("2,2,2,2", "blocks per stage")

    default_learning_rate: ClassVar[float] = 2e-3
    default_epochs: ClassVar[int] = 50
    default_steps: ClassVar[int] = 3000
    default_batch_size: ClassVar[int] = 8


class MultitaskModel(ImageModel[SettingsT]):
    """One backbone with the heads of several single-task models.

    Args:
        network: name of the backbone.
    """

    def __init__(self, settings: type[SettingsT], network: str):
        super().__init__(settings)
        self._network = network

    def build(
        self, settings: Any, assets: ImageAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.core.layers.group_norm import with_normalization
        from aitk.vision.models.backbones.feature_maps import last_map
        from aitk.vision.models.multitask import multitask
        from aitk.vision.models.transfer import resize_input

        if backbone is None:
            backbone = build_backbone(self._network, settings, assets.size)
        backbone = resize_input(last_map(backbone), assets.size)
        heads = {}
        for kind in heads_of(assets):
            heads[kind] = self._head(kind, settings).build(
                head_settings(kind, settings), assets_of(kind, assets), backbone=backbone
            )
        return with_normalization(multitask(backbone, heads), settings.normalization)

    def loss(self, assets: ImageAssets) -> dict[str, Any]:
        """The loss of each head; the model weights them."""
        losses = {}
        for kind in heads_of(assets):
            own = assets_of(kind, assets)
            if kind == "boxes":
                losses[kind] = DETECTORS[own.parameters["model"]].loss(own)
            else:  # all models of a kind share one loss
                models = CLASSIFIERS if kind == "label" else SEGMENTERS
                losses[kind] = next(iter(models.values())).loss(own)
        return losses

    def output_sizes(self, assets: ImageAssets) -> Mapping[str, int]:
        heads = heads_of(assets)
        return {
            kind if len(heads) > 1 else ONLY_OUTPUT: len(assets.labels_of(kind))
            for kind in heads
            if kind != "boxes"
        }

    def added_classes(self, old: ImageAssets, new: ImageAssets) -> dict[str, int]:
        return {f"{kind}_": len(new.labels_of(kind)) - len(old.labels_of(kind)) for kind in KINDS}

    def _head(self, kind: str, settings: Any) -> ImageModel[Any]:
        """The model whose head predicts an annotation kind."""
        if kind == "label":
            return CLASSIFIERS[self._network]
        return DETECTORS[settings.boxes_head] if kind == "boxes" else SEGMENTERS[settings.mask_head]


#: Name -> model, in display order; the first is the default.
MULTITASK_MODELS: Mapping[str, MultitaskModel[Any]] = {
    "resnet": MultitaskModel(MultitaskResNetSettings, "resnet"),
    "cnn": MultitaskModel(MultitaskCnnSettings, "cnn"),
}


def heads_of(assets: ImageAssets) -> list[str]:
    """The annotation kinds present in the training rows."""
    return [kind for kind in KINDS if assets.labels_of(kind)]


def assets_of(kind: str, assets: ImageAssets) -> ImageAssets:
    """The assets of one head, in the form of its own task."""
    return dataclasses.replace(
        assets, labels=assets.labels_of(kind), parameters=assets.parameters["heads"][kind]
    )


def head_settings(kind: str, settings: Any) -> Any:
    """The settings of the model whose head predicts an annotation kind."""
    if kind == "boxes":
        return box_settings(settings)
    return mask_settings(settings) if kind == "mask" else settings


def box_settings(settings: MultitaskResNetSettings | MultitaskCnnSettings) -> DetectSettings:
    """The settings of the detector that provides the head."""
    return DETECTORS[settings.boxes_head].settings(
        image_size=settings.image_size,
        fit=settings.fit,
        strides=settings.strides,
        width=settings.boxes_width,
    )


def mask_settings(settings: MultitaskResNetSettings | MultitaskCnnSettings) -> SegmentSettings:
    """The settings of the segmentation model that provides the head."""
    return SEGMENTERS[settings.mask_head].settings(
        image_size=settings.image_size,
        fit=settings.fit,
        loss=settings.mask_loss,
        dropout=settings.dropout,
        width=settings.mask_width,
    )
