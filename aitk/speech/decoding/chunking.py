"""Recordings of any length for a model that reads a window at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.task import Batch
from aitk.speech.decoding.seq2seq import Transcript, join, read_outputs
from aitk.speech.decoding.seq2seq_assets import Seq2SeqAssets

RATE_HZ = 16000
#: Moonshine was trained on recordings up to about a minute (Jeffries et al. 2024, section 3.2).
MOONSHINE_S, SHORTEST_S = 64, 0.1
OUT = -1e9  # the score of a hypothesis that does not count yet


def window_samples(assets: Seq2SeqAssets) -> int:
    """Samples that the model reads at once."""
    if assets.filters:
        from aitk.speech.features.whisper import WINDOW_S

        return WINDOW_S * RATE_HZ
    return MOONSHINE_S * RATE_HZ


def encoder_inputs(clips: Sequence[np.ndarray], assets: Seq2SeqAssets) -> dict[str, np.ndarray]:
    """What the encoder reads of recordings (n,) each; what lies beyond the window is left out.

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
    """``token_ids`` (rows, length) int32 of prompts of one length, and ``beams`` (rows, beams)
    float32: one hypothesis at first, which may become several."""
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

    A recording longer than a window is read window by window. The next one begins where the last
    segment that was closed ends (Radford et al. 2023, section 3.8), since a word may be cut at the
    window's end; a model without times goes on where the window ended.

    Args:
        batch: its inputs are those of the first window; ``context["clips"]`` are whole.
        beams: hypotheses kept in the search.
        best: how many texts of each recording; of a long one there is one.
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
            prompts[row] = transcript.prompt  # the language stays what it was found to be
            places[row] += round(transcript.covered_s * RATE_HZ) or len(window)
        left = [row for row, goes_on in zip(left, more, strict=True) if goes_on]
    return [join(each) for each in parts]


def _predict(
    inputs: Mapping[str, np.ndarray],
    predict: Callable[[Mapping[str, np.ndarray]], Any],
    clips: Sequence[np.ndarray],
    assets: Seq2SeqAssets,
) -> Mapping[str, np.ndarray]:
    """The model's outputs. Moonshine reads recordings of several lengths one by one: the silence
    behind the shorter ones would change the level that its first layer brings them to."""
    if assets.filters or len({len(clip) for clip in clips}) == 1:
        return predict(inputs)
    found = []
    for row, clip in enumerate(clips):
        own = {name: array[row : row + 1] for name, array in inputs.items()}
        found.append(predict(own | encoder_inputs([clip], assets)))
    return {name: np.concatenate([each[name] for each in found]) for name in found[0]}
