"""What the steps of ``compress`` that train share: candidates, drafts of models, the training."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.artifacts.data import PreparedData
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Task
from aitk.core.training.batches import Examples
from aitk.stages.options import TrainingOptions

if TYPE_CHECKING:
    import keras

BATCH = 32


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model that is being made smaller: a ``.keras`` file and what goes with it.

    Attributes:
        step: what was done to it last, as the table names it.
    """

    path: Path
    model: str
    settings: Mapping[str, Any]
    assets: Assets
    history: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    step: str = "before"


@dataclasses.dataclass(frozen=True)
class Drafts:
    """Paths of intermediate models and of their training states.

    Attributes:
        identity: identifies everything that determines their weights.
    """

    folder: Path
    identity: str

    def model(self, name: str) -> Path:
        return self.folder / f"{name}.keras"


@dataclasses.dataclass(frozen=True)
class Work:
    """What every step needs.

    Attributes:
        rows: of the training split, then those without labels.
        labelled: how many of them have labels.
        drafts: where a step keeps its model and goes on with its training.
        training: how models are trained.
        sequences: a student learns the texts that its teacher writes.
        hidden: weight of the features in distillation; None leaves them out.
    """

    task: Task
    data: PreparedData
    rows: Sequence[Mapping[str, Any]]
    labelled: int
    drafts: Drafts
    training: TrainingOptions
    sequences: bool
    hidden: float | None
    reporter: Reporter


@dataclasses.dataclass(frozen=True)
class Fitted:
    path: Path
    history: Sequence[Mapping[str, Any]]
    assets: Assets


def fit(
    model: keras.Model,
    work: Work,
    assets: Assets,
    name: str,
    *,
    examples: Examples,
    training: TrainingOptions,
    loss: Any,
    add_soft_targets: Any = None,
    trained_as: keras.Model | None = None,
    pruner: Any = None,
) -> Fitted:
    """Train a model and save its best epoch; its assets may have other thresholds.

    Args:
        name: of the draft.
        training: with epochs, batch size and learning rate filled in.
        add_soft_targets: see ``core.training.loop.train``.
        trained_as: a model of the same weights with more outputs, for which the loss is.
        pruner: see there.
    """
    from aitk.core.training.history import calibrate, uncompiled
    from aitk.core.training.loop import train

    task, data = work.task, work.data
    validation = None
    if "validation" in data.splits:
        validation = Examples(data.rows("validation"), task, assets)
    trained = train(
        model if trained_as is None else trained_as,
        task,
        assets,
        train=examples,
        validation=validation,
        options=training,
        state=work.drafts.folder / name,
        identity=f"{name} {work.drafts.identity}",
        reporter=work.reporter,
        loss=loss,
        add_soft_targets=add_soft_targets,
        pruner=pruner,
        evaluated=model,
    )
    if trained_as is not None:
        trained = dataclasses.replace(trained, model=uncompiled(model))
    path = work.drafts.model(name)
    trained.model.save(path)
    trained, assets = calibrate(
        trained, task, assets, validation=validation, batch_size=training.batch_size or BATCH
    )
    return Fitted(path, trained.history, assets)


def each_row(rows: Any) -> Iterator[Mapping[str, Any]]:
    """Every row in order; a sequence read in blocks is iterated by index."""
    return (rows[index] for index in range(len(rows)))
