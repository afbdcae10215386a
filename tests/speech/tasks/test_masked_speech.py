"""Masked speech: masked frames are the targets, and the same in every evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.core.contract.options import resolve
from aitk.speech.data.audio import encode_audio
from aitk.speech.tasks.masked_speech import MaskedSpeech
from aitk.speech.tasks.settings import MaskedConformerSettings

RATE = 8000


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    clips = [0.3 * rng.standard_normal(RATE * seconds // 2) for seconds in (1, 2, 3)]
    return [
        {"audio": encode_audio(audio.astype("float32"), RATE), "speaker": "", "id": str(number)}
        for number, audio in enumerate(clips)
    ]


@pytest.fixture(scope="module", params=["random", "pca"])
def assets(request, rows):
    given = {"codes": 32, "mask_share": 0.4, "mask_ms": 160, "subsampling": 4}
    if request.param == "pca":
        given |= {"projection": "pca", "code_size": 8, "codebooks": 3}
    settings = resolve(MaskedConformerSettings, given)
    return MaskedSpeech().learn(rows, {}, settings, note=print)


def batch_of(rows, assets, *, rng=None):
    task = MaskedSpeech()
    return task.collate(task.encode(rows, assets), assets, rng=rng)


def test_hidden_steps_are_noise_and_the_others_as_they_were(rows, assets):
    from aitk.speech.features.batching import audio_inputs, pad_features

    whole = pad_features(audio_inputs(rows, assets.audio), assets.audio)["features"]
    batch = batch_of(rows, assets)
    hidden = np.repeat(batch.weights > 0, 4, axis=1)[:, : whole.shape[1]]
    assert np.array_equal(batch.inputs["features"][~hidden], whole[~hidden])
    assert batch.inputs["features"][hidden].std() == pytest.approx(0.1, abs=0.02)
    assert 0.2 < hidden.mean() < 0.6
    assert assets.span == 4  # 160 ms of steps of 40 ms


def test_targets_name_what_was_there(rows, assets):
    batch = batch_of(rows, assets)
    assert batch.targets.shape == (*batch.weights.shape, assets.quantiser.codebooks)
    for row, steps in enumerate(batch.context["steps"]):
        assert 0 <= batch.targets[row, :steps].min() <= batch.targets[row, :steps].max() < 32
        assert not batch.weights[row, steps:].any()  # nothing is asked of padding
    assert batch.weights.mean() == pytest.approx(1)


def test_evaluation_hides_the_same_and_training_does_not(rows, assets):
    first, alone = batch_of(rows, assets), batch_of(rows[:1], assets)
    steps = alone.weights.shape[1]
    assert np.array_equal(first.weights[0, :steps] > 0, alone.weights[0] > 0)
    drawn = [batch_of(rows, assets, rng=np.random.default_rng(seed)).weights for seed in (1, 2)]
    assert not np.array_equal(*drawn)


def test_guesses_are_scored_on_hidden_steps_alone(rows, assets):
    task, batch = MaskedSpeech(), batch_of(rows, assets)
    right = np.eye(32, dtype=np.float32)[batch.targets] * 50
    right = right.reshape(*batch.weights.shape, -1)
    perfect = task.score(task.measure(batch, right, assets), assets, resamples=20)
    assert perfect.metrics["accuracy"].value == 1
    assert perfect.metrics["perplexity"].value == pytest.approx(1)
    blind = task.score(task.measure(batch, np.zeros_like(right), assets), assets)
    assert blind.metrics["perplexity"].value == pytest.approx(32)
    (answer, *_) = task.decode(batch, right, assets)
    count = len(answer["hidden"]) * assets.quantiser.codebooks
    assert answer["prediction"] == f"{count} of {count} masked codes"


def test_assets_survive(rows, assets, tmp_path):
    assets.save(tmp_path)
    assert MaskedSpeech().load_assets(tmp_path) == assets


def test_the_loss_is_the_mean_over_codebooks(rows, assets):
    import keras

    batch = batch_of(rows, assets)
    books = assets.quantiser.codebooks
    outputs = np.random.default_rng(0).standard_normal((*batch.weights.shape, books * 32))
    each = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)
    expected = np.mean(
        [
            np.asarray(each(batch.targets[..., book], outputs[..., book * 32 : (book + 1) * 32]))
            for book in range(books)
        ],
        axis=0,
    )
    task = MaskedSpeech()
    loss = task.models["conformer"].loss(assets)
    weighted = float(loss(batch.targets, outputs, sample_weight=batch.weights))
    assert weighted == pytest.approx((expected * batch.weights).mean(), rel=1e-5)
    measured = task.measure(batch, outputs, assets)["loss"].sum()
    assert measured == pytest.approx((expected * (batch.weights > 0)).sum(), rel=1e-5)
