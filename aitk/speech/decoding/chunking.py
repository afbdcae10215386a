"""Recordings of any length for models that read one window at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.task import Batch
from aitk.speech.decoding.seq2seq import Transcript, join, read_outputs
from aitk.speech.decoding.seq2seq_assets import Seq2SeqAssets

RATE_HZ = 16000
#: Moonshine was trained on recordings of up to about a minute (Jeffries et al. 2024, sec. 3.2).
MOONSHINE_S, SHORTEST_S = 64, 0.1
OUT = -1e9  # score of an inactive hypothesis


def window_samples(assets: Seq2SeqAssets) -> int:
    """Number of samples in the model's window."""
    if assets.filters:
        from aitk.speech.features.whisper import WINDOW_S

        return WINDOW_S * RATE_HZ
    return MOONSHINE_S * RATE_HZ


def encoder_inputs(clips: Sequence[np.ndarray], assets: Seq2SeqAssets) -> dict[str, np.ndarray]:
    """Encoder inputs of recordings (n,); samples beyond the window are omitted.

    Returns:
        For Whisper ``features`` (batch, 3000, filters) float32; for Moonshine ``samples``
        (batch, n, 1) float32 and ``padding_mask`` (batch, n) int32.
    """
    if assets.filters:
        from aitk.speech.features.whisper import whisper_features

        found = [whisper_features(each, filters=assets.filters) for each in clips]
        return {"features": np.stack(found)}
    most, least = window_samples(assets), round(SHORTEST_S * RATE_HZ)
    length = max(least, min(most, max(map(len, clips))))
    samples = np.zeros((len(clips), length, 1), np.float32)
    mask = np.zeros((len(clips), length), np.int32)
    for row, clip in enumerate(clips):
        kept = clip[:length]
        samples[row, : len(kept), 0] = kept
        mask[row, : max(least, len(kept))] = 1
    return {"samples": samples, "padding_mask": mask}


def prompt_inputs(prompts: Sequence[Sequence[int]], *, beams: int) -> dict[str, np.ndarray]:
    """``token_ids`` (rows, length) int32 of prompts of equal length, and ``beams`` (rows, beams)
    float32: one active hypothesis at first, which may branch."""
    scores = np.full((len(prompts), beams), OUT, np.float32)
    scores[:, 0] = 0.0
    return {"token_ids": np.array(prompts, np.int32), "beams": scores}


def transcribe(
    batch: Batch,
    predict: Callable[[Mapping[str, np.ndarray]], Any],
    assets: Seq2SeqAssets,
    *,
    beams: int,
    best: int,
) -> list[Transcript]:
    """Transcribe the recordings of a batch.

    A long recording is read window by window. Each window starts where the last closed segment ends
    (Radford et al. 2023, section 3.8), since a word may be cut at the end of the window; without
    segment times, windows follow one another.

    Args:
        batch: its inputs are the first windows; ``context["clips"]`` has whole recordings.
        beams: hypotheses kept in the search.
        best: texts per recording; a long recording gets one.
    """
    clips, most = batch.context["clips"], window_samples(assets)
    if max(map(len, clips)) <= most:
        prompts = batch.inputs["token_ids"].tolist()
        given = prompt_inputs(prompts, beams=beams)
        return read_outputs(
            _predict(dict(batch.inputs) | given, predict, clips, assets),
            assets,
            prompt_length=len(prompts[0]),
            seconds=[len(clip) / RATE_HZ for clip in clips],
            best=best,
        )
    prompts = [assets.prompt(times=bool(assets.filters))] * len(clips)
    parts: list[list[Transcript]] = [[] for _ in clips]
    places = [0] * len(clips)
    left = list(range(len(clips)))
    while left:
        windows = [clips[row][places[row] : places[row] + most] for row in left]
        given = prompt_inputs([prompts[row] for row in left], beams=beams)
        outputs = _predict(encoder_inputs(windows, assets) | given, predict, windows, assets)
        more = [places[row] + most < len(clips[row]) for row in left]
        found = read_outputs(
            outputs,
            assets,
            prompt_length=given["token_ids"].shape[1],
            seconds=[len(window) / RATE_HZ for window in windows],
            best=1,
            more=more,
        )
        for row, transcript, window in zip(left, found, windows, strict=True):
            parts[row].append(transcript.shifted(places[row] / RATE_HZ))
            prompts[row] = transcript.prompt  # the detected language stays fixed
            places[row] += round(transcript.covered_s * RATE_HZ) or len(window)
        left = [row for row, goes_on in zip(left, more, strict=True) if goes_on]
    return [join(each) for each in parts]


def _predict(
    inputs: Mapping[str, np.ndarray],
    predict: Callable[[Mapping[str, np.ndarray]], Any],
    clips: Sequence[np.ndarray],
    assets: Seq2SeqAssets,
) -> Mapping[str, np.ndarray]:
    """The model's outputs. Moonshine reads recordings of different lengths one by one: padding with
    silence would change the level to which its first layer normalises them."""
    if assets.filters or len({len(clip) for clip in clips}) == 1:
        return predict(inputs)
    found = []
    for row, clip in enumerate(clips):
        own = {name: array[row : row + 1] for name, array in inputs.items()}
        found.append(predict(own | encoder_inputs([clip], assets)))
    return {name: np.concatenate([each[name] for each in found]) for name in found[0]}
