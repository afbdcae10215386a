"""Training a model from its first step to its result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.compression.pruning.prune import MagnitudePruner, PatternPruner
from aitk.core.contract.model_spec import BACKBONE
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Batch, Task
from aitk.core.privacy.private import Privacy, check_model
from aitk.core.runtime import interrupts
from aitk.core.runtime.speed import keep_freed_memory
from aitk.core.training import lora
from aitk.core.training.batches import Examples
from aitk.core.training.epochs import Epochs, OnEpoch
from aitk.core.training.history import Trained, evaluate_closed_form, uncompiled
from aitk.core.training.memory import prepare_memory
from aitk.core.training.optimization.anchor import Anchor

if TYPE_CHECKING:
    import keras

    from aitk.core.compression.fake_quantization import KernelRounding


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
    pruner: MagnitudePruner | PatternPruner | KernelRounding | None = None,
    evaluated: keras.Model | None = None,
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
        pruner: changes weights after every step: sets some to zero, or rounds them.
        evaluated: a model of the same weights that is scored instead, with fewer outputs.
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
    epochs = Epochs(
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
        evaluated=model if evaluated is None else evaluated,
        events_folder=events,
        on_epoch=on_epoch,
        anchor=anchor,
        privacy=privacy,
    )
    with interrupts.listening():
        stopped = epochs.run()
    progress = epochs.progress
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
        measured=epochs.best_measured,
    )
