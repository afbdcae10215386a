"""Rows of sound and text as examples, and examples as batches of a recogniser."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.task import Batch, Example
from aitk.speech.decoding.ctc import ctc_targets
from aitk.speech.decoding.ctc_assets import CtcAssets
from aitk.speech.decoding.joint import decoder_inputs
from aitk.speech.decoding.transcribing import step_counts
from aitk.speech.features.batching import audio_inputs, pad_features
from aitk.speech.features.tokenizers.spelling import spell
from aitk.speech.losses.asr_distillation import append_teacher_logits, without_tempo_changes


def encode_rows(rows: Sequence[Mapping[str, Any]], assets: CtcAssets) -> list[Example]:
    """Samples and what was said in them; what has no unit for all of it has no weight."""
    examples = []
    for row, clip in zip(rows, audio_inputs(rows, assets.audio), strict=True):
        inputs = clip | {
            "speaker": np.array(row.get("speaker", "")),
            "start": np.array(row.get("start", 0.0)),
        }
        said = spell(row["text"], assets) if "text" in row else None
        weight = float(said is None or (said.whole and bool(said.units)))
        examples.append(Example(inputs, said, weight))
    return examples


def collate_examples(
    examples: Sequence[Example],
    assets: CtcAssets,
    *,
    rng: np.random.Generator | None = None,
    pad_to: int | None = None,
) -> Batch:
    """Features (batch, frames, dimensions) with their mask, and the units as CTC reads them.

    Args:
        rng: given in training: sounds vary, and a decoder is told the text.
        pad_to: frames at least.
    """
    began = time.perf_counter()
    clips = [item.inputs for item in examples]
    taught = "teacher" in clips[0]
    augmented_as = without_tempo_changes(assets.audio) if taught else assets.audio
    inputs = pad_features(clips, augmented_as, rng=rng, pad_to=pad_to)
    rate = assets.audio.features.sample_rate_hz
    context = {
        "seconds": np.array([len(item["samples"]) / rate for item in clips]),
        "speaker": [str(item["speaker"]) for item in clips],
        "start": [float(item["start"]) for item in clips],
        "began": began,
    }
    said = [item.target for item in examples]
    known = not any(each is None for each in said)
    texts = [each.units or (1,) for each in said] if known else [()] * len(said)
    if assets.ctc_weight is not None:
        inputs["target_ids"] = decoder_inputs(texts if rng is not None else [()] * len(said))
    if not known:
        return Batch(inputs, context=context)
    weights = np.array([item.weight for item in examples], np.float32)
    targets = ctc_targets(texts, step_counts(inputs, assets))
    if taught:
        targets = append_teacher_logits(targets, clips, inputs, assets)
    return Batch(inputs, targets, weights, context | {"text": [each.text for each in said]})
