"""Abilities of predicting: ensembles, files, drawings, explanations, exports."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from aitk.core.contract.task import AssetsT, AssetsT_contra, Batch

if TYPE_CHECKING:
    import keras

    from aitk.core.edge.parts import BundleParts
    from aitk.core.inference.text_scores import OpenScorer
    from aitk.core.io.prediction_files import PredictionLines


@runtime_checkable
class Ensemblable(Protocol[AssetsT_contra]):
    """A classifier whose logits can be combined with another run's (``--ensemble-with``)."""

    @abstractmethod
    def class_labels(self, assets: AssetsT_contra) -> Sequence[str]:
        """The label of each logit, in order."""


@runtime_checkable
class Bundled(Protocol[AssetsT_contra]):
    """A task whose runs can predict on a small device without aitk (``compress --bundle``)."""

    @abstractmethod
    def bundle(self, assets: AssetsT_contra, reading: Any) -> BundleParts:
        """The script code before and after the model, with the values that it needs.

        Args:
            reading: the options with which the run's data was prepared.

        Raises:
            UsageError: a step cannot run with NumPy alone.
        """


@runtime_checkable
class Generative(Protocol[AssetsT_contra]):
    """A task whose predictions need several calls of the model (decoding, tiles, chunks)."""

    @abstractmethod
    def infer(
        self,
        batch: Batch,
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: AssetsT_contra,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> Any:
        """The outputs for a batch, as passed to ``decode`` and ``measure``.

        Args:
            predict: maps inputs by name to outputs.
            options: options of ``predict``; None for the defaults (training, plain evaluation).
        """


@runtime_checkable
class Configurable(Protocol[AssetsT]):
    """A task whose predict options change the assets: other models to load, another input view."""

    @abstractmethod
    def configure(
        self, assets: AssetsT, options: Any, *, open_scorer: OpenScorer | None
    ) -> AssetsT:
        """The assets for encoding, predicting and scoring rows with these options.

        Args:
            options: options of ``predict``; None for the defaults (training).
            open_scorer: opens a language model, possibly of another domain; None in training, where
                no option needs one.
        """


@runtime_checkable
class WritesFiles(Protocol):
    """A task with prediction formats or prediction fields of its own."""

    #: File suffix -> its ``predict`` format, in addition to .jsonl and .csv.
    prediction_formats: Mapping[str, Callable[[], PredictionLines]]
    #: The fields of a prediction, by which ``predict --overwrite`` recognises its own files.
    #: ``boxes.score`` means a list of objects with a score.
    prediction_fields: tuple[str, ...]


@runtime_checkable
class Drawable(Protocol):
    """A task whose predictions can be drawn (``predict --draw``)."""

    @abstractmethod
    def draw(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> np.ndarray | None:
        """An image of a row and its prediction, (height, width, 3) uint8, or None."""


@runtime_checkable
class Summarizable(Protocol):
    """A task whose predictions are too large for the table of the worst ones."""

    @abstractmethod
    def summarize(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        """The prediction as shown in the table."""


@runtime_checkable
class RanksOutputs(Protocol):
    """A task whose models give ranked lists, whose entries have no fixed place."""

    #: Names of these outputs; "" is the only output of a model.
    ranked_outputs: ClassVar[frozenset[str]]


@runtime_checkable
class Explainable(Protocol[AssetsT_contra]):
    """A task that explains which parts of a row contributed to its prediction."""

    @abstractmethod
    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: AssetsT_contra,
        *,
        target: str | None = None,
        model: Callable[[], keras.Model] | None = None,
    ) -> dict[str, Any]:
        """Attribute one prediction to the parts of its row.

        Args:
            predict: maps a list of rows' fields to outputs (rows, ...).
            target: explain this class instead of the predicted one.
            model: opens the Keras model, for gradients; None for a run of another format.

        Returns:
            JSON: the ``prediction`` and ``parts``, a list of {"text": str, "weight": float} in
            order; and ``pictures``, {"caption": str} with "png" (bytes) or "svg" (str) each. At
            least one of the two.
        """


@runtime_checkable
class Embeddable(Protocol):
    """A task whose backbones embed values for other tasks (``core.inference.embedding``)."""

    #: The content field of a row.
    content: ClassVar[str]


@runtime_checkable
class LanguageModelling(Protocol[AssetsT_contra]):
    """A task whose models assign probabilities to texts."""

    @abstractmethod
    def log_probabilities(
        self,
        texts: Sequence[str],
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: AssetsT_contra,
        *,
        ended: bool,
    ) -> np.ndarray:
        """The natural log-probability of each text, (texts,) float64.

        Args:
            predict: maps inputs by name to outputs.
            ended: probability of the text including its end; otherwise as a prefix.
        """
