"""The specifications of image models: a new or pretrained backbone with a head.

A classifier in a plug-in is its settings and a function that builds its backbone::

    @dataclass(frozen=True)
    class DenseNetSettings(ClassifierSettings):
        growth: int = option(12, "channels added per layer", minimum=1)

    def build_backbone(settings: DenseNetSettings, size: tuple[int, int]) -> keras.Model: ...

    densenet = ImageClassifier(DenseNetSettings, build_backbone)
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import UsageError
from aitk.core.contract.label_task import LabelOutputs, initial_bias
from aitk.core.contract.model_spec import BACKBONE, SettingsT, TrainedModel
from aitk.core.contract.score_task import ScoreModel
from aitk.vision.features.assets import ImageAssets
from aitk.vision.models import build_backbone
from aitk.vision.models.settings import NETWORKS, HubSettings, WithBackbone

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained

#: From settings and (height, width) to a backbone with new weights.
BuildBackbone = Callable[[Any, tuple[int, int]], "keras.Model"]


class ImageModel(TrainedModel[SettingsT, ImageAssets]):
    """An image model whose heads can get new classes."""

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.vision.models.pretrained import adopt

        return adopt(found)

    def grow(
        self, model: keras.Model, settings: SettingsT, *, old: ImageAssets, new: ImageAssets
    ) -> keras.Model:
        """The model with outputs for new classes, and unchanged outputs for the old ones."""
        added = self.added_classes(old, new)
        if not any(added.values()):
            return model
        from aitk.core.compression.pruning.channels import narrowed_like
        from aitk.core.training.growth import copy_grown_weights

        grown = self.build(settings, new, backbone=model.get_layer(BACKBONE))
        grown = narrowed_like(grown, model)  # ``compress`` may have pruned channels of the head
        copy_grown_weights(model, grown, added=added)
        return grown

    def added_classes(self, old: ImageAssets, new: ImageAssets) -> dict[str, int]:
        """The number of new classes of each head, by the prefix of its layer names."""
        return {"": len(new.labels) - len(old.labels)}


class PooledHead(ImageModel[SettingsT]):
    """A linear head on the mean of the backbone's last map.

    Args:
        settings: options dataclass, with ``dropout`` and ``smoothing``.
        backbone: builds a backbone with new weights (see ``aitk.vision.models``): a function, or
            ``"package.module:function"`` if the module imports Keras. None for a model that wraps
            the pretrained backbone of ``--from``.
    """

    def __init__(self, settings: type[SettingsT], backbone: BuildBackbone | str | None = None):
        super().__init__(settings)
        self._build_backbone = backbone
        self.wraps_pretrained = backbone is None  # type: ignore[misc]

    def build(
        self, settings: Any, assets: ImageAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.core.layers.group_norm import with_normalization
        from aitk.vision.models.classifier import classifier
        from aitk.vision.models.transfer import resize_input

        if backbone is None:
            backbone = self.new_backbone(settings, assets.size)
        model = classifier(
            resize_input(backbone, assets.size),
            classes=max(1, len(assets.labels)),
            dropout=settings.dropout,
            bias=initial_bias(assets),
        )
        return with_normalization(model, settings.normalization)

    def new_backbone(self, settings: SettingsT, size: tuple[int, int]) -> keras.Model:
        """A backbone with new weights.

        Raises:
            UsageError: the model wraps pretrained weights, or does not support the size.
        """
        build = self._build_backbone
        if build is None:
            raise UsageError(
                "the model needs pretrained weights, but none are given",
                where="--model",
                hint="Name pretrained weights with --from, or choose " + ", ".join(NETWORKS),
            )
        if isinstance(build, str):
            module, _, function = build.partition(":")
            build = getattr(importlib.import_module(module), function)
        return build(settings, size)


class ImageClassifier(LabelOutputs[SettingsT, ImageAssets], PooledHead[SettingsT]):
    """Logits (batch, classes)."""

    def loss(self, assets: ImageAssets) -> Any:
        """Cross-entropy with class shares and the label smoothing of the settings."""
        import keras

        smoothing = assets.parameters.get("smoothing", 0.0)
        if assets.thresholds:
            from aitk.core.training.label_losses import MultiLabelLoss

            return MultiLabelLoss(assets.weights, smoothing=smoothing)
        return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)


class ImageRegressor(ScoreModel[SettingsT, ImageAssets], PooledHead[SettingsT]):
    """A standardised score (batch, 1)."""


class HeadOnBackbone(ImageModel[SettingsT]):
    """A head on any backbone that reads the maps of several stages."""

    any_backbone = True
    backbone_settings = ("filters", "blocks", "stem_stride")

    def adopt(self, found: Pretrained) -> Pretrained:
        """Use the weights, but not the image size of a pretrained classifier: it was trained on
        small squares, while boxes and masks need whole images."""
        adopted = super().adopt(found)
        if found.kind in ("run", "keras", "weights"):
            return adopted
        return dataclasses.replace(adopted, settings={})

    def backbone(
        self, settings: WithBackbone, assets: ImageAssets, given: keras.Model | None
    ) -> keras.Model:
        """The given backbone or a new one, for the image size of the assets."""
        from aitk.vision.models.transfer import resize_input

        if given is None:
            given = build_backbone(settings.backbone, settings, assets.size)
        return resize_input(given, assets.size)


#: Name -> classifier, in display order; the first is the default.
CLASSIFIERS: Mapping[str, ImageClassifier[Any]] = {
    **{
        name: ImageClassifier(settings, f"aitk.vision.models.backbones.{name}:build_backbone")
        for name, settings in NETWORKS.items()
    },
    "hub": ImageClassifier(HubSettings),
}
#: The same for regression.
REGRESSORS: Mapping[str, ImageRegressor[Any]] = {
    **{
        name: ImageRegressor(settings, f"aitk.vision.models.backbones.{name}:build_backbone")
        for name, settings in NETWORKS.items()
    },
    "hub": ImageRegressor(HubSettings),
}
