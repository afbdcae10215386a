"""The interface of the recognisers of ``speech.asr``: CTC and sequence to sequence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import AssetsT, Batch, Example, Note
from aitk.speech.data.options import TranscriptionOptions
from aitk.speech.features.tokenizers.units import Units

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.inference.text_scores import OpenScorer

#: The model function: inputs by name to outputs.
Predict = Callable[[Mapping[str, np.ndarray]], Any]
Fields = Mapping[str, Any]


class Recogniser(ABC, Generic[AssetsT]):
    """One kind of recogniser. Stateless; shared methods are documented in ``Task``."""

    #: A file in ``assets`` that only this kind of recogniser has.
    file: ClassVar[str]

    @abstractmethod
    def learn(
        self, rows: Sequence[Fields], settings: Any, *, start: Pretrained | None, note: Note
    ) -> AssetsT: ...

    @abstractmethod
    def load_assets(self, folder: Path) -> AssetsT: ...

    @abstractmethod
    def encode(self, rows: Sequence[Fields], assets: AssetsT) -> list[Example]: ...

    @abstractmethod
    def collate(
        self,
        examples: Sequence[Example],
        assets: AssetsT,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """See ``Task``. The context of a batch has ``seconds`` of each clip, its ``speaker``, its
        start in the file in seconds (``start``), its ``text`` if known, and the time at which
        collation started (``began``, from ``time.perf_counter``)."""

    @abstractmethod
    def infer(
        self,
        batch: Batch,
        predict: Predict,
        assets: AssetsT,
        *,
        top_k: int,
        options: TranscriptionOptions,
    ) -> Any:
        """See ``Generative``; raises ``UsageError`` for unsupported options."""

    @abstractmethod
    def decode(
        self,
        batch: Batch,
        outputs: Any,
        assets: AssetsT,
        *,
        top_k: int = 1,
        options: TranscriptionOptions,
    ) -> list[dict[str, Any]]: ...

    @abstractmethod
    def transcripts(
        self, batch: Batch, outputs: Any, assets: AssetsT
    ) -> tuple[list[str], list[str]]:
        """References and hypotheses of a batch, normalised for comparison."""

    @abstractmethod
    def explain(
        self, fields: Fields, predict: Any, assets: AssetsT, *, target: str | None
    ) -> dict[str, Any]: ...

    @abstractmethod
    def refuse(self, fields: Fields, assets: AssetsT) -> str | None:
        """Why a row cannot be used in an update, or None."""

    def extend(
        self, items: Iterator[Row | Refusal], assets: AssetsT
    ) -> tuple[AssetsT, Iterator[Row | Refusal]]:
        """Assets extended for the new rows, and the rows; by default nothing changes."""
        return assets, items

    def configure(
        self, assets: AssetsT, options: TranscriptionOptions, open_scorer: OpenScorer | None
    ) -> AssetsT:
        """See ``Configurable``; by default, options do not change the assets."""
        del options, open_scorer
        return assets

    def units(self, assets: AssetsT) -> Units | None:
        """The model's output units; None if unrestricted."""
        del assets
        return None

    def add_soft_targets(
        self, example: Example, outputs: np.ndarray, assets: AssetsT, *, teacher: AssetsT
    ) -> Example:
        """See ``DistillsRows``."""
        raise cannot_distill()

    def teacher_only(self, example: Example, assets: AssetsT) -> Example:
        """See ``DistillsUnlabelled``."""
        raise cannot_distill()

    def distillation_loss(self, assets: AssetsT, *, teacher: AssetsT) -> Any:
        """See ``DistillsRows``; unsupported by default."""
        raise cannot_distill()


def cannot_distill() -> UsageError:
    """The error for a teacher or a student that is a sequence-to-sequence model."""
    return UsageError(
        "sequence-to-sequence models have no distribution at every step that a student could learn",
        where="--distill",
        hint="Add --distill-sequences: the student learns the texts that the run writes",
    )


def with_offset(item: Mapping[str, Any], start_s: float) -> dict[str, Any]:
    """A word or segment with times relative to the whole recording."""
    return dict(item) | {name: round(item[name] + start_s, 3) for name in ("start", "end")}
