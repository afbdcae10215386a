"""Stored features go to the model as those that are computed from audio."""

import numpy as np
import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.speech.data.audio import encode_audio
from aitk.speech.data.formats.kaldi_files import encode_matrix
from aitk.speech.data.options import AugmentOptions, FeatureSettings
from aitk.speech.features.assets import AudioAssets, learn_features, learn_moments
from aitk.speech.features.batching import audio_inputs, pad_features, seconds_of
from aitk.speech.features.signal import features
from aitk.speech.tasks.settings import CnnSettings, DsCnnSettings, GmmHmmSettings

PLAIN = FeatureSettings(sample_rate_hz=8000, normalise="none")


@pytest.fixture
def pairs(voice):
    """Rows of audio, and the same rows with the features of that audio."""
    rows = [
        {
            "audio": encode_audio(voice(seconds, hertz=hertz), 8000),
            "speaker": f"s{hertz}",
            "seconds": seconds,
        }
        for seconds, hertz in ((0.4, 200), (0.6, 500))
    ]
    stored = []
    for row in rows:
        (inputs,) = audio_inputs([row], AudioAssets(PLAIN))
        matrix = features(inputs["samples"], PLAIN)
        stored.append(row | {"audio": encode_matrix(matrix), "seconds": len(matrix) / 100})
    return rows, stored


@pytest.mark.parametrize("normalise", ["none", "utterance", "speaker", "corpus"])
def test_stored_features_are_normalised_and_differenced_like_computed_ones(pairs, normalise):
    batches = []
    for rows in pairs:
        settings = CnnSettings(normalise=normalise, filters=24, deltas=2)
        if rows is pairs[0]:
            settings = CnnSettings(normalise=normalise, filters=40, deltas=2)
            read, _ = learn_features(rows, settings, note=print)
        else:
            read, _ = learn_features(rows, settings, note=print)
            assert (read.columns, read.shift_ms) == (40, 10.0)
        assets = AudioAssets(read, moments=learn_moments(rows, read))
        examples = audio_inputs(rows, assets)
        batches.append(pad_features(examples, assets))
    for name in batches[0]:
        np.testing.assert_allclose(batches[0][name], batches[1][name], atol=1e-5)
    assert seconds_of(examples[0], assets) == pytest.approx(0.38)


def test_training_crops_and_masks_stored_features(pairs):
    options = AugmentOptions(max_start_crop=0.9, max_end_crop=0.9, max_tempo_change=0.2)
    read, _ = learn_features(pairs[1], DsCnnSettings(normalise="none"), note=print)
    assets = AudioAssets(read, augment=options)
    examples = audio_inputs(pairs[1], assets)
    rng = np.random.default_rng(0)
    frames = {
        int(pad_features(examples, assets, rng=rng)["padding_mask"][1].sum()) for _ in range(9)
    }
    assert len(frames) > 4
    assert all(0 < count <= 1.2 * 58 + 1 for count in frames)


def test_settings_that_need_a_waveform_are_refused_for_stored_features(pairs):
    for changed in ({"speeds": [0.9, 1.1]}, {"noise_share": 0.5}, {"filters": 30}, {"pitch": True}):
        with pytest.raises(UsageError, match="needs audio"):
            learn_features(pairs[1], DsCnnSettings(**changed), note=print)


def test_usual_speeds_are_left_out_with_a_note(pairs):
    notes = []
    learn_features(pairs[1], GmmHmmSettings(), note=notes.append)
    assert notes == ["speed perturbation is off: the rows have features, not audio"]


def test_rows_of_the_other_kind_are_refused(pairs):
    audio, stored = pairs
    of_audio = AudioAssets(PLAIN)
    of_features = AudioAssets(learn_features(stored, CnnSettings(normalise="none"), note=print)[0])
    for rows, assets, words in (
        (stored, of_audio, "has features with 40 columns, but the model was trained with audio"),
        (audio, of_features, "has audio, but the model was trained with features with 40 columns"),
    ):
        with pytest.raises(DataError, match=words):
            audio_inputs(rows, assets)
