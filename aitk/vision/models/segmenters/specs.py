"""The specifications of segmentation models."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aitk.core.contract.label_task import LabelOutputs
from aitk.core.contract.model_spec import SettingsT
from aitk.vision.features.assets import ImageAssets
from aitk.vision.models.segmenters.settings import DeepLabSettings, PspSettings, UNetSettings
from aitk.vision.models.specs import HeadOnBackbone

if TYPE_CHECKING:
    import keras


class Segmenter(LabelOutputs[SettingsT, ImageAssets], HeadOnBackbone[SettingsT]):
    """A segmentation model: logits of every pixel, (batch, height, width, classes)."""

    def build(
        self, settings: Any, assets: ImageAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.core.layers.group_norm import with_normalization

        shared = {
            "classes": len(assets.labels),
            "width": settings.width,
            "dropout": settings.dropout,
        }
        chosen = self.backbone(settings, assets, backbone)
        model = self.build_head(chosen, settings, shared)
        return with_normalization(model, settings.normalization)

    @abstractmethod
    def build_head(
        self, backbone: keras.Model, settings: Any, shared: Mapping[str, Any]
    ) -> keras.Model:
        """Put the head on a backbone.

        Args:
            shared: the arguments common to all segmentation models.
        """

    def loss(self, assets: ImageAssets) -> Any:
        from aitk.vision.losses.segmentation import SegmentationLoss

        return SegmentationLoss(assets.parameters["loss"], assets.weights)


class UNet(Segmenter[UNetSettings]):
    """See ``unet``."""

    def build_head(
        self, backbone: keras.Model, settings: UNetSettings, shared: Mapping[str, Any]
    ) -> keras.Model:
        from aitk.vision.models.segmenters.unet import unet

        return unet(backbone, **shared)


class DeepLab(Segmenter[DeepLabSettings]):
    """See ``deeplabv3plus``."""

    def build_head(
        self, backbone: keras.Model, settings: DeepLabSettings, shared: Mapping[str, Any]
    ) -> keras.Model:
        from aitk.vision.models.segmenters.deeplab import deeplabv3plus

        return deeplabv3plus(backbone, output_stride=settings.output_stride, **shared)


class PspNet(Segmenter[PspSettings]):
    """See ``pspnet``."""

    def build_head(
        self, backbone: keras.Model, settings: PspSettings, shared: Mapping[str, Any]
    ) -> keras.Model:
        from aitk.vision.models.segmenters.pspnet import pspnet

        return pspnet(backbone, output_stride=settings.output_stride, **shared)


#: Name -> segmentation model, in display order; the first is the default.
SEGMENTERS: Mapping[str, Segmenter[Any]] = {
    "unet": UNet(UNetSettings),
    "deeplabv3plus": DeepLab(DeepLabSettings),
    "pspnet": PspNet(PspSettings),
}
