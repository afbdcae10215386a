"""Batches of padded features with a padding mask, augmented in training.

An example holds its samples; features are computed per batch, so that every epoch has other
speeds, noise and masks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.speech.data.audio import decode_audio
from aitk.speech.data.feature_rows import describe_kind
from aitk.speech.data.formats.kaldi_files import decode_matrix, matrix_columns
from aitk.speech.data.options import FeatureSettings
from aitk.speech.features.assets import CORPUS, AudioAssets, at_speed_name, moments_by_speaker
from aitk.speech.features.augment import at_speed, augment_audio, cut, mask_features, warp_features
from aitk.speech.features.normalise import Moments, normalised
from aitk.speech.features.signal import (
    features_of_many,
    finish_features,
    frame_count,
    frame_lengths,
)


def audio_inputs(
    rows: Sequence[Mapping[str, Any]], assets: AudioAssets
) -> list[dict[str, np.ndarray]]:
    """The example values of rows: ``samples`` (n,) float32, or for rows with features ``matrix``
    (frames, columns); the number of ``frames``; and with normalisation by speaker or corpus
    ``moments`` (2, d), the means of the features and of their squares, with ``speed_moments``
    (speeds, 2, d) at each training speed.

    A speaker not in the training rows is normalised by the features in these rows, combined with
    one second of the training average, so that a single short recording has limited influence.

    Raises:
        DataError: a row differs from the training rows in sample rate, or has features instead of
            audio.
    """
    settings = assets.features
    if settings.normalise in ("none", "utterance"):
        return [_sound(row, settings) for row in rows]
    speakers = [row.get("speaker", CORPUS) for row in rows]
    strange = [row for row, name in zip(rows, speakers, strict=True) if name not in assets.moments]
    known = dict(assets.moments)
    if settings.normalise == "speaker":
        known |= moments_by_speaker(strange, settings)

    def moments(name: str) -> np.ndarray:
        own, corpus = known.get(name, known[CORPUS]), _average(known[CORPUS])
        share = own.frames / (own.frames + 1000 / settings.shift_ms)
        return share * _average(own) + (1 - share) * corpus

    found = []
    for row, name in zip(rows, speakers, strict=True):
        inputs = _sound(row, settings) | {"moments": moments(name)}
        # At another speed, a speaker is treated and normalised as another one.
        faster = [at_speed_name(name, speed) for speed in assets.augment.speeds]
        if faster and all(other in known for other in faster):
            inputs["speed_moments"] = np.stack([moments(other) for other in faster])
        found.append(inputs)
    return found


def pad_features(
    examples: Sequence[Mapping[str, np.ndarray]],
    assets: AudioAssets,
    *,
    rng: np.random.Generator | None = None,
    pad_to: int | None = None,
) -> dict[str, np.ndarray]:
    """Compute and pad the features of several examples.

    Args:
        examples: from ``audio_inputs``.
        rng: given in training: recordings are augmented by ``assets.augment``.
        pad_to: number of frames; longer recordings are truncated.

    Returns:
        ``features`` (batch, frames, d) float32, padded with 0, and ``padding_mask`` (batch, frames)
        int32, 1 for real frames.
    """
    settings = assets.features
    plain = dataclasses.replace(settings, normalise=_within(settings))
    if settings.columns:
        matrices = [_cropped(item["matrix"], assets, rng) for item in examples]
        found = finish_features(matrices, plain)
        found = [
            normalised(each, Moments(1, *item["moments"])) if "moments" in item else each
            for each, item in zip(found, examples, strict=True)
        ]
        return pad_frames(_warped_and_masked(found, assets, rng), pad_to=pad_to)
    clips_and_moments = [
        _varied(item, assets, rng) if rng else _as_it_is(item) for item in examples
    ]
    clips = [_long_enough(samples, settings) for samples, _ in clips_and_moments]
    found = [
        each if moments is None else normalised(each, Moments(1, *moments))
        for each, (_, moments) in zip(
            features_of_many(clips, plain, rng=rng), clips_and_moments, strict=True
        )
    ]
    return pad_frames(_warped_and_masked(found, assets, rng), pad_to=pad_to)


def seconds_of(example: Mapping[str, np.ndarray], assets: AudioAssets) -> float:
    """The audio length of an example of ``audio_inputs``, in seconds."""
    if "matrix" in example:
        return len(example["matrix"]) * assets.features.shift_ms / 1000
    return len(example["samples"]) / assets.features.sample_rate_hz


def _warped_and_masked(
    found: list[np.ndarray], assets: AudioAssets, rng: np.random.Generator | None
) -> list[np.ndarray]:
    """Augment features if ``rng`` is given."""
    if rng is None:
        return found
    found = [warp_features(each, assets.augment, rng=rng) for each in found]
    return [mask_features(each, assets.augment, rng=rng) for each in found]


def _cropped(
    matrix: np.ndarray, assets: AudioAssets, rng: np.random.Generator | None
) -> np.ndarray:
    """Precomputed features (frames, columns), with cropped ends in training."""
    options = assets.augment
    if rng is None or not (options.max_start_crop or options.max_end_crop):
        return matrix
    return cut(matrix, start_most=options.max_start_crop, end_most=options.max_end_crop, rng=rng)


def pad_frames(found: Sequence[np.ndarray], *, pad_to: int | None = None) -> dict[str, np.ndarray]:
    """Pad the features (frames, d) of several recordings; see ``pad_features``."""
    frames = pad_to or max(len(each) for each in found)
    features = np.zeros((len(found), frames, found[0].shape[1]), np.float32)
    mask = np.zeros((len(found), frames), np.int32)
    for row, each in enumerate(found):
        kept = each[:frames]
        features[row, : len(kept)] = kept
        mask[row, : len(kept)] = 1
    return {"features": features, "padding_mask": mask}


def _as_it_is(item: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """The samples of an example, and the moments (2, d) for normalisation."""
    return item["samples"], item.get("moments")


def _varied(
    item: Mapping[str, np.ndarray], assets: AudioAssets, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """An augmented version of an example, and its moments."""
    samples, moments = _as_it_is(item)
    options = assets.augment
    if options.speeds:
        drawn = int(rng.integers(len(options.speeds)))
        samples = at_speed(samples, options.speeds[drawn])
        moments = item["speed_moments"][drawn] if "speed_moments" in item else moments
        options = dataclasses.replace(options, speeds=[])
    return augment_audio(samples, assets.features.sample_rate_hz, options, rng=rng), moments


def _sound(row: Mapping[str, Any], settings: FeatureSettings) -> dict[str, np.ndarray]:
    columns = matrix_columns(row["audio"])
    if columns != settings.columns:
        raise DataError(
            f"a row has {describe_kind(columns)}, but the model was trained with"
            f" {describe_kind(settings.columns)}"
        )
    if columns:
        matrix = decode_matrix(row["audio"])
        return {"matrix": matrix, "frames": np.array(len(matrix), np.int32)}
    samples, rate = decode_audio(row["audio"])
    if rate != settings.sample_rate_hz:
        raise DataError(
            f"a recording has a sample rate of {rate} Hz, but the model was trained with"
            f" {settings.sample_rate_hz}",
            hint=f"Prepare with --sample-rate-hz {settings.sample_rate_hz}",
        )
    frames = max(1, frame_count(len(samples), settings))
    return {"samples": samples, "frames": np.array(frames, np.int32)}


def _average(moments: Moments) -> np.ndarray:
    """(2, d): the means of features and of their squares."""
    return np.stack([moments.sums, moments.squares]) / max(moments.frames, 1)


def _within(settings: FeatureSettings) -> str:
    """The scope of normalisation inside one recording."""
    return settings.normalise if settings.normalise == "utterance" else "none"


def _long_enough(samples: np.ndarray, settings: FeatureSettings) -> np.ndarray:
    """Pad a recording shorter than one frame with silence, so that every row has a frame."""
    length, shift = frame_lengths(settings)
    shortest = length if settings.snip_edges else shift
    return np.pad(samples, (0, max(0, shortest - len(samples))))
