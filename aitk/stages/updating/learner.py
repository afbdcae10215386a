"""Learning from new rows: growing, replay, anchored weights, the scores before and after."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aitk.core.artifacts.data import PreparedData
from aitk.core.artifacts.opening import open_assets, open_reading, open_settings, open_spec
from aitk.core.artifacts.run import Run
from aitk.core.artifacts.run_draft import RunDraft
from aitk.core.contract.capabilities import Updatable
from aitk.core.contract.errors import BudgetMissed, UsageError
from aitk.core.contract.model_spec import BACKBONE, ClosedFormModel, TrainedModel
from aitk.core.contract.options import as_dict
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Task
from aitk.core.inference.prediction import measure_rows
from aitk.core.io.files import fingerprint
from aitk.core.runtime.versions import package_versions
from aitk.core.training.batches import Examples
from aitk.stages.options import TrainingOptions, UpdateOptions
from aitk.stages.privacy.private import refuse_private, without_guarantee
from aitk.stages.training.defaults import batch_size_of, deciding, with_defaults
from aitk.stages.training.records import save_trained, validation_metrics
from aitk.stages.training.run_data import data_of, require_float_run
from aitk.stages.updating.rows import Known, NewRows, latest, replay

#: Old rows replayed for each new one.
REPLAY = 1.0
#: How strongly weights are drawn back by default, of a penalty whose importances have the mean 1.
ANCHOR_STRENGTH = 0.01


@dataclass(frozen=True)
class Updated:
    """What an update made of a run.

    Attributes:
        model: with its new weights, uncompiled.
        history: of its training.
        best: the scores of the epoch that was kept.
        record: what ``run.json`` and the outcome say of it: rows, and scores before and after.
        learned: every row that updates have taught so far.
    """

    model: Any
    assets: Assets
    history: Sequence[Mapping[str, Any]]
    best: dict[str, float]
    record: dict[str, Any]
    learned: list[dict[str, Any]]
    chosen: TrainingOptions


class Learner:
    """A run that learns from new rows, one batch of them or many.

    Args:
        run: what it starts from.

    Raises:
        UsageError: the task cannot learn from new rows.
        ArtifactError: the run's own data is gone, so that nothing can be replayed.
    """

    def __init__(
        self,
        run: Run,
        task: Task,
        *,
        options: UpdateOptions,
        training: TrainingOptions,
        reporter: Reporter,
    ):
        refuse_private(training, "update", why="train anew on all rows")
        require_float_run(run, "updated")
        if not isinstance(task, Updatable):
            raise UsageError(f"{task.name} cannot learn from new rows", where=str(run.folder))
        self.run, self.task, self.reporter = run, task, reporter
        self.options, self.training = options, training
        self.spec = open_spec(task, run)
        if options.anchor != "none" and isinstance(self.spec, ClosedFormModel):
            raise UsageError(
                f"{run.model} is fitted again to all rows: nothing is drawn back", where="--anchor"
            )
        self.data: PreparedData = data_of(task, run)
        self.assets: Assets
        self.reading: Any = None
        self.settings: Any = None
        self.learned: list[dict[str, Any]] = []
        self.model: Any = None
        self._old_score: float | None = None

    def open(self) -> None:
        """Read the assets and options of the run; ``start`` loads its model."""
        self.assets = open_assets(self.task, self.run)
        self.reading = open_reading(self.task, self.run)
        self.settings = open_settings(self.task, self.run)
        self.learned = list(self.run.learned)

    @property
    def known(self) -> Known:
        """The rows it was trained on so far."""
        return Known(self.data.rows("train"), self.learned)

    @property
    def batch_size(self) -> int:
        return batch_size_of(self.training, self.settings)

    def start(self) -> Any:
        """Load the model. Returns the scope that its training runs in."""
        from aitk.core.artifacts.keras_file import load_keras
        from aitk.core.runtime.devices import set_up_training

        training = self.training
        scope = set_up_training(
            seed=training.seed, precision=training.precision, devices=training.devices
        )
        with scope:
            self.model = load_keras(self.run.model_path)
        return scope

    def learn(
        self,
        new: NewRows,
        assets: Assets,
        draft: RunDraft,
        *,
        inputs: Sequence[str],
        recent: Sequence[Mapping[str, Any]] = (),
        select: bool = True,
    ) -> Updated:
        """Train the model on new rows; it is left in ``self`` only by ``take``.

        Args:
            assets: those that know the new rows, from ``Updatable.extend``.
            draft: of the run that it becomes.
            inputs: names of what the rows came from.
            recent: more held-out rows, of earlier updates, that count as new.
            select: keep the best epoch by the validation rows and the held-out new ones; if not,
                the last.
        """
        from aitk.core.training.history import calibrate, evaluate_closed_form
        from aitk.core.training.loop import train

        task, data, spec, reporter = self.task, self.data, self.spec, self.reporter
        assets.save(draft.assets)
        held_out_new = [*recent, *new.held_out]
        before = self._scores(self.model, self.assets, held_out_new)
        share = REPLAY if self.options.replay is None else self.options.replay
        replayed = replay(self.known, round(len(new.train) * share), seed=self.training.seed)
        chosen = self.training
        if isinstance(spec, TrainedModel):
            chosen = with_defaults(
                self.training,
                self.settings,
                rows=len(new.train) + len(replayed),
                learning_rate=spec.default_learning_rate(data.summary),
            )
        validation = Examples(
            [*data.rows(data.held_out("validation")), *new.held_out] if select else [],
            task,
            assets,
        )
        started = time.monotonic()
        learned = [*self.learned, *new.train]
        if isinstance(spec, ClosedFormModel):
            replayed = []
            every = latest(task, Known(data.rows("train"), learned))
            model = spec.fit(
                self.settings, assets, every, seed=self.training.seed, reporter=reporter
            )
            reporter.note(
                f"{len(new.train):,} new rows; {self.run.model} is fitted again to all rows"
            )
            trained = evaluate_closed_form(
                model, task, assets, validation=validation if select else None,
                batch_size=self.batch_size, started=started,
            )  # fmt: skip
        else:
            model = spec.grow(self.model, self.settings, old=self.assets, new=assets)
            reporter.note(f"{len(new.train):,} new rows with {len(replayed):,} old ones replayed")
            rows = Examples([*new.train, *replayed], task, assets)
            trained = train(
                model,
                task,
                assets,
                train=rows,
                validation=validation if select else None,
                options=chosen,
                state=draft.state,
                identity=fingerprint(
                    {
                        "run": self.run.manifest,
                        "rows": new.fingerprint,
                        "training": deciding(chosen),
                        "anchor": [self.options.anchor, self.options.anchor_strength],
                    }
                ),
                reporter=reporter,
                loss=spec.loss(assets),
                anchor=self._anchor(model, assets, spec.loss(assets)),
            )
        if select:
            trained, assets = calibrate(
                trained, task, assets, validation=validation, batch_size=self.batch_size
            )
            assets.save(draft.assets)
        after = self._scores(trained.model, assets, held_out_new, fresh=True)
        record = {
            "inputs": list(inputs),
            "rows": len(new.train),
            "replayed": len(replayed),
            "before": before,
            "after": after,
        }
        if self.options.anchor != "none":
            record["anchor"] = self.options.anchor
        return Updated(
            trained.model, assets, trained.history, trained.best, record, learned, chosen
        )

    def take_if(self, better: bool, updated: Updated, run: Run) -> None:
        """Go on from an updated run, or from the one before it; its rows were seen either way."""
        if better:
            self.model, self.assets, self.run = updated.model, updated.assets, run
            self.learned = updated.learned
            self._old_score = updated.record["after"]["old"]
        else:  # the training changed weights that both share
            self._old_score = updated.record["before"]["old"]
            self.start()

    def encoder(self) -> Any:
        """Rows to vectors (rows, d) by the backbone as it is now; None where there is none."""
        import keras

        from aitk.core.inference.embedding import row_vectors
        from aitk.core.training.history import uncompiled

        backbone = next((each for each in self.model.layers if each.name == BACKBONE), None)
        if not isinstance(backbone, keras.Model) or not isinstance(
            backbone.output, keras.KerasTensor
        ):
            return None
        twin, assets = uncompiled(backbone), self.assets
        return lambda rows: row_vectors(twin, self.task, assets, rows, batch_size=self.batch_size)

    def save(
        self, updated: Updated, draft: RunDraft, name: str, cost: Mapping[str, Any],
        extra: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Write the updated run.

        Args:
            name: of the run.
            cost: what it cost, for ``run.json``.
            extra: more keys for ``run.json``.
        """
        void = without_guarantee(self.run.manifest, "the update trained without noise")
        manifest = {
            **self.run.manifest,
            "options": as_dict(updated.chosen),
            "parent": str(self.run.folder),
            "seed": self.training.seed,
            "parameters": updated.model.count_params(),
            "best": updated.best,
            "updates": [*self.run.manifest.get("updates", []), updated.record],
            "packages": package_versions(),
        }
        metrics = validation_metrics(self.task, updated.best, self.data)
        draft.write_learned(updated.learned)
        save_trained(
            draft, name, updated.model, updated.history,
            manifest | void | dict(extra or {}) | dict(cost), metrics,
        )  # fmt: skip

    def _scores(
        self, model: Any, assets: Assets, new: Sequence[Mapping[str, Any]], *, fresh: bool = False
    ) -> dict[str, float]:
        """The main metric on the old held-out rows, and on the new ones where there are some."""
        from aitk.core.inference.predictors import KerasPredictor

        predict = KerasPredictor(model)
        old = None if fresh else self._old_score
        if old is None:
            rows = self.data.rows(self.data.held_out("test"))
            old = main_score(self.task, rows, assets, predict, self.batch_size)
        scores = {"old": old}
        if new:
            scores["new"] = main_score(self.task, new, assets, predict, self.batch_size)
        return scores

    def _anchor(self, model: Any, assets: Assets, loss: Any) -> Any:
        """What holds the weights of a model near where they are; None without ``--anchor``."""
        from aitk.core.training.optimization.anchor import FISHER_ROWS, Anchor, fisher_information

        if self.options.anchor == "none":
            return None
        strength = self.options.anchor_strength
        strength = ANCHOR_STRENGTH if strength is None else strength
        importance = None
        if self.options.anchor == "ewc":
            self.reporter.status("measuring which weights the old rows depend on")
            old = replay(self.known, FISHER_ROWS, seed=self.training.seed + 1)
            rows = Examples(old, self.task, assets)
            importance = fisher_information(model, self.task, assets, rows=rows, loss=loss)
        return Anchor(model, strength=strength, importance=importance)


def accept(
    task: Task, before: float, after: float, *, held_out: str, run: Path, options: UpdateOptions
) -> str:
    """One sentence on the score of the held-out rows before and after.

    Raises:
        BudgetMissed: it fell by more than ``max_drop``.
    """
    sign = 1 if task.metric.higher_is_better else -1
    metric = task.metric.name
    sentence = f"{metric} on the held-out {held_out} rows {before:.4f} before, {after:.4f} after"
    if sign * (before - after) > options.max_drop and not options.force:
        hint = "Accept it with --max-drop or --force"
        if not options.without_labels:
            hint += ", or replay more with --replay"
        raise BudgetMissed(f"not updated: {sentence}", where=str(run), hint=hint)
    return sentence


def main_score(
    task: Task, rows: Sequence[Mapping[str, Any]], assets: Assets, predict: Any, batch_size: int
) -> float:
    """The main metric of these rows."""
    measured = measure_rows(rows, task, assets, predict, batch_size=batch_size)
    return task.score(measured, assets).metrics[task.metric.name].value


def is_better(task: Task, record: Mapping[str, Any], *, options: UpdateOptions) -> tuple[bool, str]:
    """Whether an update is to take the place of what it was made from, and why.

    It is if the old held-out rows lose no more than ``max_drop``, and the new ones gain; where no
    new ones were held out, if the old ones do not lose.
    """
    sign = 1 if task.metric.higher_is_better else -1
    before, after = record["before"], record["after"]
    changes = ", ".join(
        f"{task.metric.name} on {name} rows {before[name]:.4f} before, {after[name]:.4f} after"
        for name in before
    )
    drop = sign * (before["old"] - after["old"])
    if options.force:
        return True, changes
    if drop > options.max_drop:
        return False, changes
    if "new" in before:
        return sign * (after["new"] - before["new"]) > 0 or drop < 0, changes
    return True, changes
