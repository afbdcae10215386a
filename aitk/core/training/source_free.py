"""Source-free adaptation of a classifier to unlabelled rows (SHOT, Liang et al. 2020).

"Do We Really Need to Access the Source Data? Source Hypothesis Transfer for Unsupervised Domain
Adaptation". The head is fixed. The backbone learns features of the new rows for which the head is
confident, with all classes about equally frequent (information maximisation, section 3.2), and
which agree with pseudo-labels from feature clusters (section 3.3).
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.compression.distill import SoftTargetExamples
from aitk.core.contract.errors import ArtifactError, TrainingError, UsageError
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Example, Task
from aitk.core.inference.predictors import KerasPredictor
from aitk.core.layers import Tensor
from aitk.core.metrics.classification import softmax
from aitk.core.runtime import interrupts
from aitk.core.training.batches import Examples, epoch_rng
from aitk.core.training.checkpoint import has_state, load_progress, restore_variables, save_state
from aitk.core.training.feeding import Waiting, feed
from aitk.core.training.optimization.optimizers import make_optimizer

GUESS_SHARE = 0.3  # weight of the pseudo-labels, the paper's beta
GATHERINGS = 2  # iterations of computing centres and pseudo-labels
TINY = 1e-6


def adapt(
    model: keras.Model,
    task: Task,
    assets: Assets,
    *,
    rows: Examples,
    options: Any,
    state: Path,
    identity: str,
    reporter: Reporter,
) -> list[dict[str, float]]:
    """Train the backbone of a model in place, on rows whose labels are not used.

    Args:
        model: outputs class logits, with a dense layer named ``head``.
        options: ``TrainingOptions`` with epochs, batch size and learning rate filled in.
        state: folder of the state after the last whole epoch; one that is there is gone on with.
        identity: names model, rows and options; a state of another identity is refused.

    Returns:
        Values of each epoch: ``epoch``, ``step``, ``loss``, ``guesses_changed`` (the share of rows
        whose pseudo-label changed) and ``seconds``.

    Raises:
        UsageError: the model has no such head.
        ArtifactError: the state is of another adaptation.
        TrainingError: the loss is not finite.
        Interrupted: by a signal, between two steps; resuming repeats the epoch.
    """
    started = time.monotonic()
    head = next((layer for layer in model.layers if layer.name == "head"), None)
    if not isinstance(head, keras.layers.Dense):
        raise UsageError(
            "a model without a dense head cannot be adapted to rows without labels",
            where="--without-labels",
        )
    look = KerasPredictor(
        keras.Model(model.inputs, {"features": head.input, "logits": model.output})
    )
    head.trainable = False
    model.compile(
        make_optimizer(options, model.get_layer("backbone")), loss=InformationMaximisation()
    )
    size = min(options.batch_size, len(rows))
    steps = len(rows) // size  # full batches only: a few rows do not represent the classes
    stop = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs=None: interrupts.check()
    )
    history: list[dict[str, float]] = []
    guesses = np.full(len(rows), -1)
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    if has_state(state):
        saved = load_progress(state)
        if saved["identity"] != identity:
            raise ArtifactError(
                "the interrupted adaptation had other rows or options",
                where=str(state.parent),
                hint="Repeat its exact command with --resume, or start anew with --overwrite",
            )
        restore_variables(variables, saved["variables"])
        history, guesses = saved["history"], np.array(saved["guesses"])
        started -= history[-1]["seconds"]
        reporter.note(f"resuming at epoch {len(history) + 1}")
    for epoch in range(len(history), options.epochs):
        earlier, guesses = guesses, _guesses(look, task, assets, rows, size)
        # Rows are not grouped by length, which would bias the sample of classes.
        order = epoch_rng(options.seed, epoch).permutation(len(rows))
        soft = SoftTargetExamples(rows, list(guesses), _with_guess)
        plan = np.split(order[: steps * size], steps)
        examples_at = functools.partial(_of_step, soft, plan)
        waiting = Waiting()
        fed = feed(
            model,
            task,
            assets,
            examples_at=examples_at,
            steps=steps,
            epoch=epoch,
            start=0,
            seed=options.seed,
            waiting=waiting,
        )
        losses = model.fit(fed, steps_per_epoch=steps, callbacks=[stop], verbose=0, shuffle=False)
        waiting.check()
        loss = float(losses.history["loss"][0])
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} in epoch {epoch + 1}",
                hint=f"Try a --learning-rate below {options.learning_rate:g}",
            )
        changed = float(np.mean(guesses != earlier))
        row = {
            "epoch": epoch + 1,
            "step": (epoch + 1) * steps,
            "loss": loss,
            "guesses_changed": changed,
            "seconds": round(time.monotonic() - started, 2),
        }
        history.append(row)
        progress = {"identity": identity, "history": history, "guesses": guesses.tolist()}
        save_state(state, variables=variables, progress=progress)
        reporter.note(
            f"epoch {epoch + 1}/{options.epochs}: loss {loss:.4f},"
            f" {changed:.1%} of the pseudo-labels changed"
        )
    head.trainable = True
    return history


class InformationMaximisation(keras.losses.Loss):
    """Confidence per row, balance over classes, and agreement with pseudo-labels: (batch,).

    The class shares are those of the batch, which should have a few rows of each class.
    """

    def call(self, guesses: Tensor, logits: Tensor) -> Tensor:
        logs = ops.log_softmax(logits)
        chances = ops.exp(logs)
        share = ops.mean(chances, axis=0)
        unsure = -ops.sum(chances * logs, axis=-1)
        uneven = ops.sum(share * ops.log(share + TINY))
        guesses = ops.cast(ops.reshape(guesses, [-1]), "int32")
        wrong = keras.losses.sparse_categorical_crossentropy(guesses, logits, from_logits=True)
        return unsure + uneven + GUESS_SHARE * wrong


def guess_labels(features: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The class with the nearest centre for each row, by cosine (section 3.3): (n,).

    Centres are first means of all rows weighted by ``probabilities``, then of the nearest rows.

    Args:
        features: (n, d).
        probabilities: (n, classes).
    """
    ones = np.ones((len(features), 1), features.dtype)
    features = np.concatenate([features, ones], axis=1)
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    shares = probabilities
    for _ in range(GATHERINGS):
        centres = shares.T @ features
        centres /= np.linalg.norm(centres, axis=1, keepdims=True) + TINY
        nearness = features @ centres.T
        # A class without near rows has no centre and is never assigned.
        nearness[:, shares.sum(axis=0) < TINY] = -np.inf
        guessed = nearness.argmax(axis=1)
        shares = np.eye(probabilities.shape[1])[guessed]
    return guessed


def _with_guess(example: Example, guess: Any) -> Example:
    return dataclasses.replace(example, target=int(guess), weight=1.0)


def _of_step(rows: Examples, plan: Sequence[np.ndarray], step: int) -> list[Example]:
    return rows.take(plan[step])


def _guesses(look: Any, task: Task, assets: Assets, rows: Examples, size: int) -> np.ndarray:
    """The pseudo-label of every row, without augmentation."""
    found = []
    for at in range(0, len(rows), size):
        batch = task.collate(rows[at : at + size], assets)
        found.append(look(batch.inputs))
    features = np.concatenate([each["features"] for each in found])
    logits = np.concatenate([each["logits"] for each in found])
    return guess_labels(features, softmax(logits))
