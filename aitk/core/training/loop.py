"""The training loop: own epochs and order, with Keras' compiled step.

An epoch is a plan of batches drawn from (seed, epoch), so a position in it is a pair of numbers. A
saved state and that position suffice to resume with bit-identical results. Both are saved between
two steps, where a signal stops the training too, and once more at the end: the following
measurements may be interrupted as well.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from aitk.core.compression.pruning.prune import MagnitudePruner, PatternPruner
from aitk.core.contract.errors import ArtifactError, Interrupted, TrainingError, UsageError
from aitk.core.contract.model_spec import BACKBONE
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Batch, Task
from aitk.core.inference.prediction import measure_rows
from aitk.core.inference.predictors import KerasPredictor
from aitk.core.privacy.private import Privacy, PrivateSteps, check_model, fit_privately
from aitk.core.runtime import interrupts
from aitk.core.runtime.speed import keep_freed_memory
from aitk.core.training import lora
from aitk.core.training.anchor import Anchor
from aitk.core.training.batches import EpochPlan, Examples
from aitk.core.training.checkpoint import has_state, load_progress, restore_variables, save_state
from aitk.core.training.events import Events
from aitk.core.training.feeding import Waiting, feed
from aitk.core.training.history import Progress, Trained, evaluate_closed_form, point_scores
from aitk.core.training.memory import prepare_memory
from aitk.core.training.optimizers import SCHEDULE_FREE, make_optimizer
from aitk.core.training.replicas import Wishes, replicas_of
from aitk.core.training.schedule import learning_rate_at

if TYPE_CHECKING:
    import keras

EVENTS_EVERY = 10  # steps
#: Receives the history entry of an epoch, and the maximum number of epochs.
OnEpoch = Callable[[Mapping[str, float], int], None]


def train(
    model: keras.Model,
    task: Task,
    assets: Assets,
    *,
    train: Examples,
    validation: Examples | None,
    options: Any,
    state: Path,
    identity: str,
    reporter: Reporter,
    loss: Any,
    add_soft_targets: Callable[[Batch], Batch] | None = None,
    pruner: MagnitudePruner | PatternPruner | None = None,
    events: Path | None = None,
    on_epoch: OnEpoch | None = None,
    anchor: Anchor | None = None,
    privacy: Privacy | None = None,
) -> Trained:
    """Train until the limit of epochs, patience or minutes is reached.

    Args:
        model: functional, with a layer named ``BACKBONE``.
        options: ``TrainingOptions`` with epochs and learning rate filled in.
        state: folder of the state; an existing state is resumed.
        identity: identifies data and options; a state with another identity is refused.
        loss: a Keras loss, or a dict of losses by output: that of the model's specification, or one
            for distillation.
        add_soft_targets: adds a teacher's outputs to the targets of each training batch.
        pruner: sets weights to zero after every step.
        events: folder for TensorBoard events.
        on_epoch: called after each epoch; exceptions end the training.
        anchor: penalises the distance of the weights from their values at the start.
        privacy: trains with differential privacy; then no loss is recorded.

    Raises:
        UsageError: the model cannot be trained privately, or has no blocks to recompute.
        TrainingError: the loss is not finite, or memory is exhausted.
        Interrupted: by a signal, after saving the state.
    """
    if not options.epochs:
        return evaluate_closed_form(
            model, task, assets, validation=validation, batch_size=options.batch_size
        )
    keep_freed_memory()
    config = model.get_config() if options.lora_rank else None
    if config:
        count = lora.add_adapters(model.get_layer(BACKBONE), rank=options.lora_rank)
        reporter.note(f"low-rank adapters of rank {options.lora_rank} on {count} layers")
    prepare_memory(model, options, rows=train, fixed=task.fixed_length, reporter=reporter)
    if privacy is not None:
        check_model(model, trains_backbone=options.freeze_epochs < options.epochs)
    loop = _Loop(
        model=model,
        task=task,
        assets=assets,
        train=train,
        validation=validation,
        options=options,
        state=state,
        identity=identity,
        reporter=reporter,
        loss=loss,
        add_soft_targets=add_soft_targets,
        pruner=pruner,
        events=events,
        on_epoch=on_epoch,
        anchor=anchor,
        privacy=privacy,
    )
    with interrupts.listening():
        stopped = loop.run()
    progress = loop.progress
    if progress.best_weights is not None:
        model.set_weights(progress.best_weights)
    if config:
        model = lora.merged_copy(model, config)
    best = progress.best_epoch if progress.best_epoch is not None else -1
    return Trained(
        model=uncompiled(model),
        history=progress.history,
        best=progress.history[best],
        stopped=stopped,
        measured=loop.best_measured,
    )


class _Loop:
    """One training: the state common to its epochs."""

    def __init__(
        self,
        *,
        model: keras.Model,
        task: Task,
        assets: Assets,
        train: Examples,
        validation: Examples | None,
        options: Any,
        state: Path,
        identity: str,
        reporter: Reporter,
        loss: Any,
        add_soft_targets: Callable[[Batch], Batch] | None,
        pruner: MagnitudePruner | PatternPruner | None,
        events: Path | None,
        on_epoch: OnEpoch | None,
        anchor: Anchor | None,
        privacy: Privacy | None,
    ):
        self.model, self.task, self.assets = model, task, assets
        self.train, self.validation, self.options = train, validation, options
        self.state, self.identity, self.reporter = state, identity, reporter
        self.loss, self.add_soft_targets, self.pruner = loss, add_soft_targets, pruner
        self.steps_per_epoch = math.ceil(len(train) / options.batch_size)
        self.progress = Progress()
        self.best_measured: Mapping[str, np.ndarray] | None = None
        self.events = Events(events) if events and not privacy else None
        self.privacy, self.private_steps = privacy, cast(PrivateSteps | None, None)
        self.on_epoch, self.anchor = on_epoch, anchor
        self.replicas = replicas_of(model, self._wishes)
        if privacy is not None and self.replicas is not None:
            raise UsageError("trains in one process", where="--private")
        self.waiting = Waiting()
        self.saved_at = time.monotonic()
        self.started = time.monotonic()

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
        predict = KerasPredictor(self.model)
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
            plan = EpochPlan(
                self.train,
                options.batch_size,
                seed=options.seed,
                epoch=progress.epoch,
                sort=not self.task.fixed_length,
            )
            fit = self.model.fit if self.replicas is None else self.replicas.fit
            fit(
                self._feed(plan, progress.step),
                epochs=1,
                steps_per_epoch=len(plan) - progress.step,
                callbacks=[_watcher(self, plan, start=progress.step)],
                verbose=0,
                shuffle=False,
            )
            self.waiting.check()
        except _out_of_memory() as error:
            raise TrainingError(
                "out of memory",
                hint=f"Try a --batch-size below {options.batch_size}, with --accumulate",
            ) from error

    def _feed(self, plan: Sequence[np.ndarray], start: int) -> Any:
        return feed(
            self.model,
            self.task,
            self.assets,
            examples=self.train,
            plan=plan,
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
            return self.replicas.told
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
            self._average_weights()
        with self._evaluated_weights():
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
            row |= point_scores(self.task, measured, self.assets)
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

    @contextlib.contextmanager
    def _evaluated_weights(self) -> Iterator[None]:
        """Use the weights for evaluation: the average in schedule-free training.

        Training continues from the previous weights, also after an interruption.
        """
        if not self._schedule_free:
            yield
            return
        variables = self.model.trainable_variables
        trained = [np.array(variable) for variable in variables]
        averages = self.model.optimizer.averages(variables)
        for variable, value in zip(variables, averages, strict=True):
            variable.assign(value)
        try:
            yield
        finally:
            for variable, value in zip(variables, trained, strict=True):
                variable.assign(value)

    def _average_weights(self) -> None:
        """Replace the weights by their moving average (Polyak and Juditsky 1992).

        The next epoch continues from it, as after Keras' fit; for an epoch interrupted after its
        last step, this is the first time.
        """
        weights = self.model.trainable_variables
        self.model.optimizer.finalize_variable_values(weights)
        for weight in weights:  # on JAX, both would share memory that a step donates
            weight.assign(np.array(weight))

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
        import keras

        backbone = self.model.get_layer(BACKBONE)
        if self.options.freeze_epochs:
            backbone.trainable = self.progress.epoch >= self.options.freeze_epochs
        # The slots of an optimizer lie on the devices of the scope that it is made in.
        scope = self.replicas.scope() if self.replicas is not None else contextlib.nullcontext()
        with scope:
            optimizer = make_optimizer(self.options, backbone, anchor=self.anchor)
            # XLA recompiles for every batch length, which costs more than it saves here.
            compiled = keras.backend.backend() == "jax"
            self.model.compile(optimizer=optimizer, loss=self.loss, jit_compile=compiled)
            self.model.optimizer.build(self.model.trainable_variables)
        self.private_steps = None  # of the variables that are trained from here on


def _watcher(loop: _Loop, plan: EpochPlan, *, start: int) -> Any:
    """A Keras callback that hands every batch of a plan from number ``start`` on to the loop."""
    import keras

    class Watcher(keras.callbacks.Callback):
        # On JAX, reading ``self.model`` synchronises its variables with the step.

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.optimizer.learning_rate = loop.rate()
            self.model.reset_metrics()  # so that the logged loss is that of this batch

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            model = self.model
            if loop.after_batch(float((logs or {})["loss"]), rows=plan.size(start + batch)):
                model.stop_training = True

    return Watcher()


def _out_of_memory() -> tuple[type[BaseException], ...]:
    import keras

    if keras.backend.backend() != "tensorflow":
        return (MemoryError,)
    import tensorflow as tf

    return (MemoryError, tf.errors.ResourceExhaustedError)


def uncompiled(model: keras.Model) -> keras.Model:
    """A copy without the optimizer, which ``.keras`` files would otherwise include.

    Built from the configuration, so that subclasses with tied weights (masked LM) are preserved.
    """
    plain = type(model).from_config(model.get_config())
    plain.set_weights(model.get_weights())
    return plain
