"""A small recogniser taught by a larger one: the text, and what the larger heard at each step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.task import Example
from aitk.speech.decoding.ctc_assets import CtcAssets
from aitk.speech.decoding.seq2seq_assets import Seq2SeqAssets
from aitk.speech.features.assets import AudioAssets


def add_teacher_logits(
    example: Example, frames: int, outputs: np.ndarray, assets: CtcAssets, *, teacher: CtcAssets
) -> Example:
    """An example that also holds what the teacher made of its sound.

    Args:
        frames: of the sound.
        outputs: (steps, units) logits of the teacher, padded; a decoder's come with a place more.
        assets: of the model that is taught.
    """
    steps = assets.steps(frames)
    first = 0 if teacher.ctc_weight is None else 1  # a place of the decoder comes before
    taught = outputs[first : first + steps].astype(np.float16)
    return dataclasses.replace(example, inputs=dict(example.inputs) | {"teacher": taught})


def distillation_loss(
    assets: CtcAssets | Seq2SeqAssets, *, teacher: CtcAssets | Seq2SeqAssets
) -> Any:
    """The Keras loss of such examples.

    Raises:
        UsageError: the models do not write the same units at the same steps.
    """
    from aitk.speech.losses.ctc_loss import CtcDistillationLoss

    if isinstance(assets, Seq2SeqAssets) or isinstance(teacher, Seq2SeqAssets):
        raise UsageError(
            "a model that writes token by token teaches no other, and learns from none",
            where="--distill",
        )
    if assets.ctc_weight is not None:
        raise UsageError(
            "a model that writes by attention is not taught step by step",
            where="--distill",
            hint="Choose conformer, tcn or bilstm",
        )
    if assets.units != teacher.units or assets.subsampling != teacher.subsampling:
        raise UsageError(
            f"the run writes {len(teacher.units)} units of {teacher.units.kind!r} every"
            f" {teacher.subsampling} frames, and the smaller model {len(assets.units)} of"
            f" {assets.units.kind!r} every {assets.subsampling}",
            where="--set",
            hint=f"Add --set subsampling={teacher.subsampling} --set units={teacher.units.kind}",
        )
    return CtcDistillationLoss()


def without_tempo_changes(clip: AudioAssets) -> AudioAssets:
    """What a teacher said of a sound holds for it as it is: it may get noisy, but not shorter."""
    still = dataclasses.replace(clip.augment, speeds=[], max_shift_ms=0.0, max_tempo_change=0.0)
    return dataclasses.replace(clip, augment=still)


def append_teacher_logits(
    targets: np.ndarray,
    clips: Sequence[Mapping[str, np.ndarray]],
    inputs: Mapping[str, np.ndarray],
    assets: CtcAssets,
) -> np.ndarray:
    """Targets with the teacher's logits (steps, units) of each row behind them, in one line."""
    steps = assets.steps(inputs["padding_mask"].shape[1])
    logits = np.zeros((len(clips), steps, len(assets.units)), np.float32)
    for row, each in enumerate(clips):
        logits[row, : len(each["teacher"])] = each["teacher"]
    return np.concatenate([targets.astype(np.float32), logits.reshape(len(clips), -1)], axis=1)
