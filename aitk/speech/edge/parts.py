"""What the bundle of a keyword spotter holds: its features as tables."""

from __future__ import annotations

import numpy as np

from aitk.core.edge.parts import BundleParts, cannot_bundle, check_reading
from aitk.speech.data.options import FeatureSettings, LabelledAudioReading
from aitk.speech.features.assets import CORPUS, AudioAssets
from aitk.speech.features.normalise import LEAST_VARIANCE
from aitk.speech.features.signal import (
    dct_matrix,
    frame_lengths,
    lifter_weights,
    mel_filters,
    window_of,
)

#: Reading options that the script follows, or that concern labels, splits and refusals alone.
KEPT = (
    *("sample_rate_hz", "min_seconds", "max_seconds", "min_level_dbfs", "max_clipped"),
    *("test_speakers", "validation_speakers", "label_column", "split_by", "keep_na"),
    *("label_separator", "label_columns", "multi_label"),
)


def keyword_parts(assets: AudioAssets, reading: LabelledAudioReading) -> BundleParts:
    """The script, settings and tables of a keyword spotter.

    Raises:
        UsageError: the features, or the cleaning, have no place in a small script.
    """
    check_reading(reading, KEPT)
    features = assets.features
    if features.columns:
        raise cannot_bundle("a model of features that were computed elsewhere")
    if features.features not in ("fbank", "mfcc", "spectrogram") or features.pitch:
        kind = "pitch" if features.pitch else features.features
        raise cannot_bundle(
            f"features of the kind {kind}", hint="Train with --set features=fbank or mfcc"
        )
    length, shift = frame_lengths(features)
    size = 1 << (length - 1).bit_length()
    settings = {
        "labels": list(assets.labels),
        "thresholds": list(assets.thresholds),
        "sample_rate_hz": features.sample_rate_hz,
        "min_seconds": reading.min_seconds,
        "max_seconds": reading.max_seconds,
        "frame_samples": length,
        "shift_samples": shift,
        "snip_edges": features.snip_edges,
        "fft_size": size,
        "preemphasis": features.preemphasis,
        "energy": features.energy and features.features == "mfcc",
        "deltas": features.deltas,
        "normalise": features.normalise == "utterance",
        "least_variance": LEAST_VARIANCE,
    }
    tables = {"window": window_of(features.window, length)} | _tables(features, size)
    if features.normalise in ("speaker", "corpus"):  # a script has no speaker labels
        moments = assets.moments[CORPUS]
        tables |= {"mean": moments.mean, "scale": 1 / np.sqrt(moments.variance)}
    return BundleParts(
        modules=(
            "aitk.speech.edge.recordings",
            "aitk.speech.edge.filterbank",
            "aitk.core.edge.labels",
            "aitk.speech.edge.keywords",
        ),
        settings=settings,
        tables=tables,
        reads=f"`.wav` files of {features.sample_rate_hz} samples a second (PCM of 8 to 32 bits;"
        " of several channels the mean), or folders of them, each of an unknown speaker",
        example="recording.wav",
    )


def _tables(features: FeatureSettings, size: int) -> dict[str, np.ndarray]:
    """Mel filters (fft_size / 2 + 1, filters) and, of MFCC, the lifted cosine transform."""
    if features.features == "spectrogram":
        return {}
    filters = mel_filters(
        features.filters,
        low_hz=features.low_hz,
        high_hz=features.high_hz,
        sample_rate_hz=features.sample_rate_hz,
        fft_size=size,
    )
    tables = {"filters": np.pad(filters, ((0, 1), (0, 0)))}
    if features.features == "mfcc":
        cosines = dct_matrix(features.filters, features.coefficients)
        tables["cosines"] = cosines * lifter_weights(features.coefficients, features.lifter)
    return tables
