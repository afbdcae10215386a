"""The specification of one model of a task: its settings, how it is made, grown and exported.

``aitk tasks``, ``--set``, ``tune`` and ``compress`` read specifications; nothing else knows models
by name. A model is either trained (``TrainedModel``) or fitted in closed form
(``ClosedFormModel``). Specifications are light: whatever needs Keras imports it inside a method.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from aitk.core.contract.errors import UsageError

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.keras_arrays import StoredLayer
    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.contract.progress import Reporter

SettingsT = TypeVar("SettingsT")
AssetsT = TypeVar("AssetsT")

#: The name of a model's output where it has only one.
ONLY_OUTPUT = "outputs"
#: The name of the layer that holds the encoder, which pretrained weights replace.
BACKBONE = "backbone"


class ModelSpec(ABC, Generic[SettingsT, AssetsT]):
    """What every model declares.

    Args:
        settings: options dataclass: ``--set``, help texts and search ranges come from it.
    """

    #: Formats that a run can be stored in; None means all.
    formats: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, settings: type[SettingsT]):
        self.settings = settings

    def output_sizes(self, assets: AssetsT) -> Mapping[str, int]:
        """Size of the last axis of each output, by name, where the assets decide it.

        The only output of a model is called ``ONLY_OUTPUT``.
        """
        del assets
        return {}


class TrainedModel(ModelSpec[SettingsT, AssetsT]):
    """A model that is trained by gradient descent.

    How it is trained where the user does not say stands in class variables of its settings:
    ``default_learning_rate`` and ``default_epochs``; ``default_steps``, the optimiser steps that
    data too small for them is repeated for (500), and ``default_batch_size`` (32).
    """

    #: It is a head over any backbone of the domain, which the setting ``backbone`` names.
    any_backbone: ClassVar[bool] = False
    #: With ``any_backbone``: the settings that describe the backbone, which its source decides.
    backbone_settings: ClassVar[tuple[str, ...]] = ()
    #: It wraps a backbone that only ``--from`` supplies (Keras Hub, Hugging Face, timm).
    wraps_pretrained: ClassVar[bool] = False

    def default_settings(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Values of settings that depend on the data, in place of their declared defaults.

        Args:
            summary: of the prepared data, what ``Inspector.summary`` returned.
        """
        del summary
        return {}

    def default_learning_rate(self, summary: Mapping[str, Any]) -> float:
        """The peak learning rate where the user names none."""
        del summary
        rate: float = self.settings.default_learning_rate  # type: ignore[attr-defined]
        return rate

    @abstractmethod
    def build(
        self, settings: SettingsT, assets: AssetsT, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        """Build the functional Keras model, its encoder being a layer named ``backbone``.

        Inputs are named as ``Task.collate`` names them.

        Args:
            backbone: a pretrained encoder; only the head is new then.
        """

    @abstractmethod
    def loss(self, assets: AssetsT) -> Any:
        """The Keras loss the model is trained with (from logits), or a dict of them by output."""

    def open_folder(
        self, folder: Path, config: Mapping[str, Any], *, source: str
    ) -> Pretrained | None:
        """Open a folder of weights that only this model reads; None leaves it to Keras Hub.

        Args:
            config: the folder's ``config.json``.
            source: the value of ``--from``.
        """
        del folder, config, source
        return None

    def adopt(self, found: Pretrained) -> Pretrained:
        """Fit weights from elsewhere to the domain: the backbone's inputs, its tokeniser."""
        return found

    def fill(self, found: Pretrained, model: keras.Model, assets: AssetsT) -> Pretrained:
        """Copy into a built model what ``build`` could not take from the source.

        Returns:
            The source, with what was loaded and what was skipped.
        """
        del assets
        return found.fill(model)

    def grow(
        self, model: keras.Model, settings: SettingsT, *, old: AssetsT, new: AssetsT
    ) -> keras.Model:
        """The model for grown assets, keeping what it learned; by default nothing grows."""
        del settings, old, new
        return model


class ClosedFormModel(ModelSpec[SettingsT, AssetsT]):
    """A model whose weights are computed from the training rows at once."""

    @abstractmethod
    def fit(
        self,
        settings: SettingsT,
        assets: AssetsT,
        rows: Sequence[Mapping[str, Any]],
        *,
        seed: int,
        reporter: Reporter,
    ) -> keras.Model:
        """The Keras model with its weights computed from the training rows."""

    def open_arrays(self, layer: StoredLayer) -> Callable[[Mapping[str, Any]], Any] | None:
        """The model in NumPy, from the layer ``backbone`` as it is stored; None leaves it to Keras.

        The function maps a batch's inputs to the model's outputs. ``evaluate`` and ``predict``
        then start no TensorFlow.
        """
        del layer
        return None

    def prune(self, model: keras.Model, share: float) -> keras.Model:
        """The model without the ``share`` of its weights that matter least.

        Raises:
            UsageError: its weights cannot be left out.
        """
        del model, share
        raise UsageError("weights of this model cannot be pruned", where="--prune")


#: What the table of a task's models holds.
AnyModel = TrainedModel[Any, Any] | ClosedFormModel[Any, Any]
