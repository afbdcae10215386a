"""The specification of one model of a task: settings, construction, growth, export.

``aitk tasks``, ``--set``, ``tune`` and ``compress`` read specifications; nothing else refers to
models by name. A model is either trained (``TrainedModel``) or fitted in closed form
(``ClosedFormModel``). Specifications are light: methods import Keras when they need it.
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

#: The output name of a single-output model.
ONLY_OUTPUT = "outputs"
#: The name of the encoder layer, which pretrained weights replace.
BACKBONE = "backbone"


class ModelSpec(ABC, Generic[SettingsT, AssetsT]):
    """Common declarations of all models.

    Args:
        settings: options dataclass that defines ``--set``, help texts and search ranges.
    """

    #: Supported run formats; None means all.
    formats: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, settings: type[SettingsT]):
        self.settings = settings

    def output_sizes(self, assets: AssetsT) -> Mapping[str, int]:
        """Size of the last axis of each output, by name, where determined by the assets.

        A single output is called ``ONLY_OUTPUT``.
        """
        del assets
        return {}


class TrainedModel(ModelSpec[SettingsT, AssetsT]):
    """A model that is trained by gradient descent.

    Training defaults are class variables of its settings: ``default_learning_rate`` and
    ``default_epochs``; ``default_steps``, the minimum of optimiser steps, for which small data is
    repeated (500), ``default_batch_size`` (32) and ``max_batch_size``, up to which batches grow
    with the number of rows.
    """

    #: Whether it is a head on any backbone of the domain, given by the setting ``backbone``.
    any_backbone: ClassVar[bool] = False
    #: With ``any_backbone``: the settings of the backbone, which its source determines.
    backbone_settings: ClassVar[tuple[str, ...]] = ()
    #: Whether it wraps a backbone that only ``--from`` supplies (Keras Hub, Hugging Face, timm).
    wraps_pretrained: ClassVar[bool] = False
    #: Whether ``build`` computes it from the given backbone, which it does not keep.
    distils_backbone: ClassVar[bool] = False

    def default_settings(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Values of settings that depend on the data, which replace their declared defaults.

        Args:
            summary: summary of the prepared data, from ``Inspector.summary``.
        """
        del summary
        return {}

    def default_learning_rate(self, summary: Mapping[str, Any]) -> float:
        """The default peak learning rate."""
        del summary
        rate: float = self.settings.default_learning_rate  # type: ignore[attr-defined]
        return rate

    def open_arrays(self, path: Path) -> Callable[[Mapping[str, Any]], Any] | None:
        """The model of a ``.keras`` file in NumPy; None leaves it to Keras.

        The function maps a batch's inputs to the model's outputs. ``evaluate``, ``predict`` and
        ``explain`` then start without TensorFlow.
        """
        del path
        return None

    @abstractmethod
    def build(
        self, settings: SettingsT, assets: AssetsT, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        """Build the functional Keras model, with its encoder as a layer named ``backbone``.

        Inputs are named as in ``Task.collate``.

        Args:
            backbone: a pretrained encoder; then only the head is new.
        """

    @abstractmethod
    def loss(self, assets: AssetsT) -> Any:
        """The Keras training loss (from logits), or a dict of losses by output."""

    def open_folder(
        self, folder: Path, config: Mapping[str, Any], *, source: str
    ) -> Pretrained | None:
        """Open a folder of weights that only this model supports; None leaves it to Keras Hub.

        Args:
            config: content of the folder's ``config.json``.
            source: the value of ``--from``.
        """
        del folder, config, source
        return None

    def adopt(self, found: Pretrained) -> Pretrained:
        """Adapt pretrained weights to the domain: the backbone's inputs, its tokeniser."""
        return found

    def fill(self, found: Pretrained, model: keras.Model, assets: AssetsT) -> Pretrained:
        """Copy into a built model what ``build`` could not take from the source.

        Returns:
            The source, with what was loaded and skipped.
        """
        del assets
        return found.fill(model)

    def grow(
        self, model: keras.Model, settings: SettingsT, *, old: AssetsT, new: AssetsT
    ) -> keras.Model:
        """The model for extended assets, with its trained weights; by default nothing grows."""
        del settings, old, new
        return model


class ClosedFormModel(ModelSpec[SettingsT, AssetsT]):
    """A model whose weights are computed directly from the training rows."""

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
        """The model in NumPy, from its stored layer ``backbone``; None leaves it to Keras.

        The function maps a batch's inputs to the model's outputs. ``evaluate`` and ``predict`` then
        need no TensorFlow.
        """
        del layer
        return None

    def prune(self, model: keras.Model, share: float) -> keras.Model:
        """The model without the least important ``share`` of its weights.

        Raises:
            UsageError: the model cannot be pruned.
        """
        del model, share
        raise UsageError("weights of this model cannot be pruned", where="--prune")


#: A value in the table of a task's models.
AnyModel = TrainedModel[Any, Any] | ClosedFormModel[Any, Any]
