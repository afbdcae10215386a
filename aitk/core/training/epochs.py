"""The epochs of one training: own order of the rows, with Keras' compiled step.

An epoch is a plan of batches drawn from (seed, epoch), so a position in it is a pair of numbers. A
saved state and that position suffice to resume with bit-identical results. Both are saved between
two steps, where a signal stops the training too, and once more at the end: the following
measurements may be interrupted as well.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.compression.pruning.prune import MagnitudePruner, PatternPruner
from aitk.core.contract.capabilities import Packs
from aitk.core.contract.errors import ArtifactError, Interrupted, TrainingError, UsageError
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Batch, Example, Task
from aitk.core.inference.prediction import measure_rows
from aitk.core.inference.predictors import KerasPredictor
from aitk.core.privacy.private import Privacy, PrivateSteps, fit_privately
from aitk.core.runtime import interrupts
from aitk.core.training.batches import EpochPlan, Examples
from aitk.core.training.checkpoint import has_state, load_progress, restore_variables, save_state
from aitk.core.training.events import Events
from aitk.core.training.feeding import Waiting, feed
from aitk.core.training.history import (
    Progress,
    point_scores,
)
from aitk.core.training.jax_ranks import jax_ranks_of
from aitk.core.training.optimization.anchor import Anchor
from aitk.core.training.optimization.averages import schedule_free_average, use_moving_average
from aitk.core.training.optimization.optimizers import SCHEDULE_FREE, compile_model
from aitk.core.training.optimization.schedule import learning_rate_at
from aitk.core.training.packing import PackedPlan, epoch_size
from aitk.core.training.replicas import Wishes, replicas_of
from aitk.core.training.steps import out_of_memory, step_callback

if TYPE_CHECKING:
    import keras

    from aitk.core.compression.fake_quantization import KernelRounding

EVENTS_EVERY = 10  # steps
#: Receives the history entry of an epoch, and the maximum number of epochs.
OnEpoch = Callable[[Mapping[str, float], int], None]


@dataclass(kw_only=True)
class Epochs:
    """One training: its arguments, as ``train`` describes them, and the state of its epochs."""

    model: keras.Model
    task: Task
    assets: Assets
    train: Examples
    validation: Examples | None
    options: Any
    state: Path
    identity: str
    reporter: Reporter
    loss: Any
    add_soft_targets: Callable[[Batch], Batch] | None
    pruner: MagnitudePruner | PatternPruner | KernelRounding | None
    evaluated: keras.Model
    events_folder: Path | None
    on_epoch: OnEpoch | None
    anchor: Anchor | None
    privacy: Privacy | None
    progress: Progress = field(default_factory=Progress)
    best_measured: Mapping[str, np.ndarray] | None = None
    private_steps: PrivateSteps | None = None
    waiting: Waiting = field(default_factory=Waiting)
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.saved_at = self.started
        size = epoch_size(self.train, self.task, self.assets)
        self.steps_per_epoch = math.ceil(size / self.options.batch_size)
        written = self.events_folder if self.privacy is None else None
        self.events = Events(written) if written else None
        several = replicas_of(self.model, self._wishes)
        self.replicas = several or jax_ranks_of(self.model, self._wishes)
        if self.privacy is not None and self.replicas is not None:
            raise UsageError("trains in one process", where="--private")

    @property
    def minutes(self) -> float:
        """Minutes of training, including those before an interruption."""
        return (self.progress.seconds + time.monotonic() - self.started) / 60

    def run(self) -> str | None:
        """Train the remaining epochs; return why it ended early, or None."""
        saved = self._load() if has_state(self.state) else None
        progress = self.progress
        self._compile()
        self.reporter.status("tracing the model")
        if saved is not None:
            restore_variables(self._variables(), saved)
        predict = KerasPredictor(self.evaluated)
        try:
            while progress.epoch < self.options.epochs and not self._reason_to_stop():
                self._stop_if_interrupted()
                self._train_epoch()
                try:
                    self._finish_epoch(predict)
                except Interrupted:
                    self.save()
                    raise
        except Interrupted as error:
            raise Interrupted(
                f"interrupted at epoch {progress.epoch + 1}, step {progress.step}",
                hint="Repeat the command with --resume",
            ) from error
        self.save()
        return self._reason_to_stop()

    def _train_epoch(self) -> None:
        """Run the remaining batches of this epoch."""
        progress, options = self.progress, self.options
        self.waiting = Waiting()
        done = progress.step == self.steps_per_epoch
        if done or (progress.step and self._out_of_time()):
            return
        try:
            if self.privacy is not None:
                self._fit_privately(self.privacy)
                return
            plan = self._plan()
            fit = self.model.fit if self.replicas is None else self.replicas.fit
            fit(
                self._feed(plan, progress.step),
                epochs=1,
                steps_per_epoch=len(plan) - progress.step,
                callbacks=[step_callback(self, plan, start=progress.step)],
                verbose=0,
                shuffle=False,
            )
            self.waiting.check()
        except out_of_memory() as error:
            raise TrainingError(
                "out of memory",
                hint=f"Try a --batch-size below {options.batch_size}, with --accumulate",
            ) from error

    def _plan(self) -> EpochPlan | PackedPlan:
        """What the steps of this epoch see."""
        options, epoch = self.options, self.progress.epoch
        if isinstance(self.task, Packs) and self.task.packs(self.assets):
            steps = self.steps_per_epoch
            return PackedPlan(
                self.train, self.task, self.assets, steps=steps, seed=options.seed, epoch=epoch
            )
        is_sorted = not self.task.fixed_length
        return EpochPlan(
            self.train, options.batch_size, seed=options.seed, epoch=epoch, sort=is_sorted
        )

    def _feed(self, plan: Sequence[Any], start: int) -> Any:
        def examples_at(step: int) -> Sequence[Example]:
            return plan[step] if isinstance(plan, PackedPlan) else self.train.take(plan[step])

        return feed(
            self.model,
            self.task,
            self.assets,
            examples_at=examples_at,
            steps=len(plan),
            ahead=getattr(plan, "batches_per_window", 0),
            epoch=self.progress.epoch,
            start=start,
            seed=self.options.seed,
            waiting=self.waiting,
            add_soft_targets=self.add_soft_targets,
        )

    def _fit_privately(self, privacy: Privacy) -> None:
        progress = self.progress
        if self.private_steps is None:
            self.private_steps = PrivateSteps(self.model, privacy)
        plan = privacy.plan_epoch(len(self.train), self.steps_per_epoch, epoch=progress.epoch)
        fit_privately(
            self.private_steps,
            self._feed,
            plan=plan,
            lengths_of=None if self.task.fixed_length else self.train.lengths_of,
            done=progress.step,
            first_step=self._global_step(),
            booking=self,
        )
        self.waiting.check()

    def after_batch(self, loss: float, *, rows: int) -> bool:
        """Record one step. Returns whether to stop because the time is up.

        Raises:
            Interrupted: a signal was received; the step is complete and recorded.
        """
        progress, options = self.progress, self.options
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {progress.step + 1} of epoch {progress.epoch + 1}",
                hint=f"Try a --learning-rate below {options.learning_rate:g}, --clip-norm 1,"
                " or --precision float32",
            )
        self.waiting.step_is_done()
        progress.step += 1
        progress.loss_sum += loss * rows
        progress.rows += rows
        if self.pruner:
            self.pruner.after_step(self._global_step())
        if self.events and self._global_step() % EVENTS_EVERY == 0:
            self.events.write(self._global_step(), {"loss": loss, "learning_rate": self.rate()})
        self.reporter.update(
            f"epoch {progress.epoch + 1}/{options.epochs}",
            progress.step,
            self.steps_per_epoch,
            f"loss {progress.loss_sum / max(1, progress.rows):.4f}",
        )
        self._stop_if_interrupted()
        if self._agreed().save:
            self.save()
        return self._out_of_time()

    def _wishes(self) -> Wishes:
        """What this process wants to be done after the next step."""
        limit = self.options.max_minutes
        return Wishes(
            stop=interrupts.requested(),
            save=time.monotonic() - self.saved_at > self.options.save_minutes * 60,
            no_more=limit is not None and self.minutes >= limit,
        )

    def _agreed(self) -> Wishes:
        """What is to be done: of several processes all do what rank 0 wanted."""
        if self.replicas is not None and self.replicas.spans_processes:
            return self.replicas.agreed
        return self._wishes()

    def _stop_if_interrupted(self) -> None:
        """Save and stop after a signal; leaving fit makes Keras average the weights."""
        if self._agreed().stop:
            self.save()
            interrupts.check()
            raise Interrupted("rank 0 was interrupted")

    def rate(self) -> float:
        """The learning rate of the next step."""
        return learning_rate_at(
            self._global_step(),
            total=self.options.epochs * self.steps_per_epoch,
            peak=self.options.learning_rate,
            warmup=self.options.warmup,
            schedule="constant" if self._schedule_free else self.options.schedule,
        )

    @property
    def _schedule_free(self) -> bool:
        return self.options.optimizer == SCHEDULE_FREE

    def save(self) -> None:
        """Write the state for resuming the training."""
        progress = self.progress
        # Some variables are averages over the ranks: each of these takes part in reading them.
        variables = [np.asarray(variable) for variable in self._variables()]
        self.saved_at = time.monotonic()
        if self.replicas is not None and not self.replicas.writes:
            return
        save_state(
            self.state,
            variables=variables,
            progress={
                "identity": self.identity,
                "epoch": progress.epoch,
                "step": progress.step,
                "history": progress.history,
                "best_epoch": progress.best_epoch,
                "best_weights": progress.best_weights,
                "loss_sum": progress.loss_sum,
                "rows": progress.rows,
                "seconds": self.minutes * 60,
                "secret": self.privacy.secret if self.privacy else None,
            },
        )

    def _load(self) -> list[np.ndarray]:
        saved = load_progress(self.state)
        if saved.pop("identity") != self.identity:
            raise ArtifactError(
                "the interrupted training had other data or options",
                where=str(self.state.parent),
                hint="Repeat its exact command with --resume, or start anew with --overwrite",
            )
        variables = saved.pop("variables")
        secret = saved.pop("secret", None)
        if self.privacy and secret:  # the same rows and noise as before: nothing is spent twice
            self.privacy = dataclasses.replace(self.privacy, secret=secret)
        self.progress = Progress(**saved)
        at = f"epoch {self.progress.epoch + 1}, step {self.progress.step}"
        self.reporter.note(f"resuming at {at}")
        return variables

    def _finish_epoch(self, predict: Any) -> None:
        """Evaluate the epoch and advance to the next; after an interruption it is evaluated
        again."""
        progress, options = self.progress, self.options
        if options.ema is not None:
            use_moving_average(self.model)
        averaged = schedule_free_average(self.model) if self._schedule_free else nullcontext()
        with averaged:
            row = self._evaluate_epoch(predict)
        progress.epoch += 1
        progress.step, progress.rows, progress.loss_sum = 0, 0, 0.0
        if progress.epoch == options.freeze_epochs:
            self._compile()
        if self.on_epoch:
            self.on_epoch(row, options.epochs)

    def _evaluate_epoch(self, predict: Any) -> dict[str, Any]:
        """Write the epoch's history entry, and store its weights if they are the best."""
        progress, options = self.progress, self.options
        loss = progress.loss_sum / max(1, progress.rows)
        row: dict[str, Any] = {
            "epoch": progress.epoch + 1,
            "step": self._global_step(),
            "loss": loss,
            "learning_rate": self.rate(),
        }
        if self.privacy is not None:
            del row["loss"]  # it tells of the training rows, and no noise was added
        measured = None
        if self.validation is not None:
            measured = measure_rows(
                self.validation, self.task, self.assets, predict, batch_size=options.batch_size
            )
            scores = point_scores(self.task, measured, self.assets)
            if taken := row.keys() & scores.keys():
                raise TypeError(f"{self.task.name} names a metric {', '.join(taken)}")
            row |= scores
        row["waiting"] = round(self.waiting.share, 4)
        row["seconds"] = round(self.minutes * 60, 2)
        progress.history.append(row)
        if self.validation is None or progress.last_is_best(self.task.metric):
            progress.best_epoch = progress.epoch
            progress.best_weights = self.model.get_weights()
            self.best_measured = measured
        watched = ("epoch", "loss", *self.task.metric.watched, "seconds")
        self.reporter.epoch(
            {name: row[name] for name in watched if name in row},
            best=(progress.best_epoch or 0) + 1,
            epochs=options.epochs,
        )
        if self.events:
            self.events.write(self._global_step(), {f"epoch/{key}": row[key] for key in row})
        return row

    def _reason_to_stop(self) -> str | None:
        """Why the training should stop before the remaining epochs, or None."""
        options = self.options
        if not self.progress.history:
            return None
        if self._out_of_time():
            return f"--max-minutes {options.max_minutes:g} reached"
        if self.validation is None:
            return None
        gained = self.progress.epochs_without_gain(self.task.metric) < options.patience
        if self.replicas is not None:
            gained = not self.replicas.agree(not gained)
        if not gained:
            return f"no improvement for {options.patience} epochs"
        return None

    def _out_of_time(self) -> bool:
        return self._agreed().no_more

    def _global_step(self) -> int:
        return self.progress.epoch * self.steps_per_epoch + self.progress.step

    def _variables(self) -> list[Any]:
        """Everything that training changes: weights, dropout seeds, optimizer slots, masks."""
        masks = self.pruner.masks if self.pruner else []
        return [*self.model.variables, *self.model.optimizer.variables, *masks]

    def _compile(self) -> None:
        """Compile for the next epoch, which determines the set of variables."""
        frozen = self.progress.epoch < self.options.freeze_epochs
        # The slots of an optimizer lie on the devices of the scope that it is made in.
        with self.replicas.scope() if self.replicas is not None else nullcontext():
            compile_model(
                self.model, self.options, loss=self.loss, anchor=self.anchor, frozen=frozen
            )
        self.private_steps = None  # of the variables that are trained from here on
