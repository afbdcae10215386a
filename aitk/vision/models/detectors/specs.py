"""The specifications of detectors, each with its losses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from aitk.core.contract.model_spec import SettingsT
from aitk.vision.features.assets import ImageAssets
from aitk.vision.models.detectors.settings import (
    FasterRcnnSettings,
    SsdSettings,
    YoloSettings,
    parse_strides,
)
from aitk.vision.models.specs import HeadOnBackbone

if TYPE_CHECKING:
    import keras


class Detector(HeadOnBackbone[SettingsT]):
    """A detector with output (batch, detections, 6): box, score and class."""

    #: Anchors per position, with sizes learned from the training boxes; 0 for none.
    anchors: ClassVar[int] = 0

    def build(
        self, settings: Any, assets: ImageAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.core.layers.group_norm import with_normalization
        from aitk.vision.models.detectors.suppression import Suppression

        shared = {
            "size": assets.size,
            "classes": len(assets.labels),
            "strides": parse_strides(settings.strides),
            "width": settings.width,
            "suppression": Suppression(
                candidates=3 * settings.detections,
                detections=settings.detections,
                overlap=settings.overlap,
            ),
        }
        chosen = self.backbone(settings, assets, backbone)
        model = self.build_head(chosen, settings, assets, shared)
        return with_normalization(model, settings.normalization)

    @abstractmethod
    def build_head(
        self,
        backbone: keras.Model,
        settings: Any,
        assets: ImageAssets,
        shared: Mapping[str, Any],
    ) -> keras.Model:
        """Put the head on a backbone.

        Args:
            shared: the arguments common to all detectors.
        """

    @abstractmethod
    def distillation_loss(self) -> Any:
        """The Keras loss for targets that include a teacher's outputs."""


class Yolo(Detector[YoloSettings]):
    """See ``yolo``."""

    def build_head(
        self,
        backbone: keras.Model,
        settings: YoloSettings,
        assets: ImageAssets,
        shared: Mapping[str, Any],
    ) -> keras.Model:
        from aitk.vision.models.detectors.yolo import yolo

        return yolo(backbone, **shared)

    def loss(self, assets: ImageAssets) -> Any:
        from aitk.vision.losses.detection import YoloLoss

        return YoloLoss()

    def distillation_loss(self) -> Any:
        from aitk.vision.losses.detection_distillation import YoloDistillationLoss

        return YoloDistillationLoss()


class Ssd(Detector[SsdSettings]):
    """See ``ssd``."""

    anchors = 4

    def build_head(
        self,
        backbone: keras.Model,
        settings: SsdSettings,
        assets: ImageAssets,
        shared: Mapping[str, Any],
    ) -> keras.Model:
        from aitk.vision.models.detectors.ssd import ssd

        return ssd(backbone, sides=assets.parameters["anchors"], **shared)

    def loss(self, assets: ImageAssets) -> Any:
        from aitk.vision.losses.detection import SsdLoss

        return SsdLoss()

    def distillation_loss(self) -> Any:
        from aitk.vision.losses.detection_distillation import SsdDistillationLoss

        return SsdDistillationLoss()


class FasterRcnn(Detector[FasterRcnnSettings]):
    """See ``faster_rcnn``."""

    anchors = 3

    def build_head(
        self,
        backbone: keras.Model,
        settings: FasterRcnnSettings,
        assets: ImageAssets,
        shared: Mapping[str, Any],
    ) -> keras.Model:
        from aitk.vision.models.detectors.faster_rcnn import faster_rcnn

        sides = assets.parameters["anchors"]
        return faster_rcnn(backbone, sides=sides, hidden=settings.hidden, **shared)

    def loss(self, assets: ImageAssets) -> Any:
        from aitk.vision.losses.detection import FasterRcnnLoss

        return FasterRcnnLoss()

    def distillation_loss(self) -> Any:
        from aitk.vision.losses.detection_distillation import FasterRcnnDistillationLoss

        return FasterRcnnDistillationLoss()


#: Name -> detector, in display order; the first is the default.
DETECTORS: Mapping[str, Detector[Any]] = {
    "yolo": Yolo(YoloSettings),
    "ssd": Ssd(SsdSettings),
    "faster-rcnn": FasterRcnn(FasterRcnnSettings),
}
