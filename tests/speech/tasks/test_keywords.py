"""The keywords task: rows to batches, batches to predictions, closed-form models, explanations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.progress import Silent
from aitk.core.contract.rows import Row
from aitk.core.contract.task import Batch
from aitk.core.metrics.classification import softmax
from aitk.speech.data.audio import decode_audio, encode_audio
from aitk.speech.features.assets import load_audio_assets
from aitk.speech.tasks.keywords import Keywords
from aitk.speech.tasks.settings import CnnSettings, DsCnnSettings, GmmHmmSettings

TASK = Keywords()
DSCNN, GMM_HMM = TASK.models["dscnn"], TASK.models["gmm-hmm"]
RATE = 8000
LABELS = ["high", "low"]
QUIET = {"time_masks": 0, "frequency_masks": 0}


def tone(hertz: float, seconds: float, seed: int = 0) -> np.ndarray:
    """A tone that swells and fades, with a little noise."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    swell = np.sin(np.pi * time_s / seconds)
    noise = 0.01 * np.random.default_rng(seed).standard_normal(len(time_s))
    return (0.3 * swell * np.sin(2 * np.pi * hertz * time_s) + noise).astype("float32")


def row(label: str, seed: int, speaker: str = "anna") -> dict:
    rng = np.random.default_rng(seed)
    seconds = rng.uniform(0.2, 0.4)
    hertz = rng.uniform(2000, 2500) if label == "high" else rng.uniform(300, 500)
    samples = tone(hertz, seconds, seed)
    return {
        "audio": encode_audio(samples, RATE), "label": label, "speaker": speaker,
        "seconds": len(samples) / RATE, "id": f"{label}-{seed}",
    }  # fmt: skip


ROWS = [row(label, seed) for seed in range(10) for label in LABELS]


def learn(settings, **given):
    summary = {"labels": LABELS, "label_counts": {"train": {"high": 10, "low": 10}}}
    return TASK.learn(ROWS, summary, settings, note=print, **given)


@pytest.fixture(scope="module")
def assets():
    return learn(DsCnnSettings(**QUIET))


def test_a_batch_holds_padded_features_and_their_mask(assets):
    examples = TASK.encode(ROWS[:3], assets)
    batch = TASK.collate(examples, assets)
    frames = [1 + (len(each.inputs["samples"]) - 200) // 80 for each in examples]
    assert batch.inputs["features"].shape == (3, max(frames), 40)
    assert batch.inputs["padding_mask"].sum(axis=1).tolist() == frames
    assert (batch.inputs["features"][batch.inputs["padding_mask"] == 0] == 0).all()
    assert batch.targets.tolist() == [0, 1, 0]
    longer = TASK.collate(examples, assets, pad_to=60)
    assert longer.inputs["features"].shape == (3, 60, 40)


def test_sounds_vary_in_training_alone():
    learned = learn(DsCnnSettings(noise_share=1.0))
    examples = TASK.encode(ROWS[:1] * 2, learned)
    first, second = TASK.collate(examples, learned).inputs["features"]
    np.testing.assert_array_equal(first, second)
    varied = TASK.collate(examples, learned, rng=np.random.default_rng(0)).inputs["features"]
    assert np.abs(varied[0] - varied[1]).max() > 0.1
    again = TASK.collate(examples, learned, rng=np.random.default_rng(0)).inputs["features"]
    np.testing.assert_array_equal(varied, again)


def test_a_speaker_has_mean_zero_and_variance_one(assets):
    batch = TASK.collate(TASK.encode(ROWS, assets), assets)
    frames = batch.inputs["features"][batch.inputs["padding_mask"] == 1]
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(frames.std(axis=0), 1, atol=0.02)


def test_at_another_speed_a_speaker_is_another_one():
    from aitk.speech.features.augment import at_speed
    from aitk.speech.features.signal import features

    learned = learn(DsCnnSettings(speeds=[1.25], **QUIET))
    examples = TASK.encode(ROWS[:1], learned)
    batch = TASK.collate(examples, learned, rng=np.random.default_rng(0))
    own, corpus = learned.moments["anna x1.25"], learned.moments[""]
    share = own.frames / (own.frames + 100)  # a second of the corpus keeps it company
    mean, square = (
        share * getattr(own, name) / own.frames
        + (1 - share) * getattr(corpus, name) / corpus.frames
        for name in ("sums", "squares")
    )
    plain = dataclasses.replace(learned.features, normalise="none")
    faster = features(at_speed(examples[0].inputs["samples"], 1.25), plain)
    wanted = (faster - mean) / np.sqrt(square - mean**2)
    np.testing.assert_allclose(batch.inputs["features"][0], wanted, atol=1e-3)


def test_a_new_speaker_is_normalised_by_her_own_sounds(assets):
    loud = [dict(each, speaker="eve") for each in ROWS]
    assert "eve" not in assets.moments
    known = TASK.encode(ROWS, assets)[0].inputs["moments"]
    own = TASK.encode(loud, assets)[0].inputs["moments"]
    np.testing.assert_allclose(own, known, atol=0.01)
    alone = TASK.encode(loud[:1], assets)[0].inputs["moments"]
    assert np.abs(alone - known).max() > 0.1


def test_rows_without_a_speaker_are_normalised_by_the_corpus(assets):
    nameless = dict(ROWS[0], speaker="")
    found = TASK.encode([nameless], assets)[0].inputs["moments"]
    corpus = assets.moments[""]
    np.testing.assert_allclose(found[0], corpus.sums / corpus.frames)


@pytest.mark.parametrize("normalise", ["none", "utterance", "corpus"])
def test_every_normalisation_makes_batches(normalise):
    learned = learn(DsCnnSettings(normalise=normalise, **QUIET))
    features = TASK.collate(TASK.encode(ROWS[:2], learned), learned).inputs["features"]
    assert np.isfinite(features).all()


def test_a_sound_shorter_than_a_frame_is_a_row_all_the_same(assets):
    short = dict(ROWS[0], audio=encode_audio(np.full(50, 0.1, "float32"), RATE))
    batch = TASK.collate(TASK.encode([short], assets), assets)
    assert batch.inputs["padding_mask"].tolist() == [[1]]


def test_another_sample_rate_is_refused(assets):
    other = dict(ROWS[0], audio=encode_audio(np.zeros(4000, "float32"), 16000))
    with pytest.raises(DataError, match="sample rate of 16000 Hz.*--sample-rate-hz 8000"):
        TASK.encode([other], assets)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_smoothing_spreads_a_share_of_the_target(share):
    learned = learn(CnnSettings(smoothing=share))
    logits = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    targets = np.array([0, 4, 2, 2])
    wanted = (1 - share) * np.eye(5)[targets] + share / 5
    entropies = -(wanted * np.log(softmax(logits))).sum(axis=1)
    weights = np.array([1.0, 0.5, 0.0, 2.0])
    found = TASK.models["cnn"].loss(learned)(targets, logits, sample_weight=weights)
    assert float(found) == pytest.approx((entropies * weights).mean(), rel=1e-5)


def test_assets_survive_saving(tmp_path):
    learned = learn(DsCnnSettings(speeds=[0.9, 1.1], smoothing=0.2), balance=True)
    learned.save(tmp_path)
    again = load_audio_assets(tmp_path)
    assert again.features == learned.features
    assert again.augment == learned.augment
    assert (again.labels, again.weights) == (("high", "low"), (1.0, 1.0))
    assert again.smoothing == 0.2
    np.testing.assert_array_equal(again.moments["anna"].sums, learned.moments["anna"].sums)


def test_a_new_speaker_is_known_at_every_speed():
    learned = learn(DsCnnSettings(speeds=[0.9, 1.1]))
    new = [Row(row("high", seed) | {"speaker": "zoe"}, "zoe.wav", 1) for seed in range(3)]
    again, items = TASK.extend(iter(new), learned, ROWS, reading=TASK.reading())
    assert list(items) == new
    assert set(again.moments) - set(learned.moments) == {"zoe", "zoe x0.9", "zoe x1.1"}
    by_corpus = learn(DsCnnSettings(normalise="corpus"))
    same, _ = TASK.extend(iter(new), by_corpus, ROWS, reading=TASK.reading())
    assert same.moments == by_corpus.moments


def test_a_stored_row_reads_back_the_same(tmp_path):
    import tensorflow_datasets as tfds

    from aitk.core.artifacts.data import DataWriter, Rows

    summary = {"labels": LABELS, "label_counts": {"train": {"high": 10, "low": 10}}}
    writer = DataWriter(tmp_path, TASK.features(summary), description="tones")
    writer.write("train", ROWS[:4])
    writer.close()
    builder = tfds.builder_from_directory(str(tmp_path))
    stored = Rows(builder.as_data_source("train"), where=str(tmp_path))[:4]
    for one, other in zip(stored, ROWS, strict=False):
        assert one == dict(other, seconds=pytest.approx(other["seconds"]))


def test_equal_sounds_have_equal_keys():
    assert TASK.key(ROWS[0]) == TASK.key(dict(ROWS[0], label="low"))
    assert TASK.key(ROWS[0]) != TASK.key(ROWS[2])


def test_a_single_label_is_refused():
    with pytest.raises(DataError, match="only the label 'high'"):
        TASK.features({"labels": ["high"], "label_counts": {"train": {"high": 2}}})


def test_word_models_are_fitted_and_distinguish_the_words():
    settings = GmmHmmSettings(states=2, mixtures=1, iterations=4, coefficients=8, speeds=[0.9])
    learned = learn(settings)
    model = GMM_HMM.fit(settings, learned, ROWS, seed=0, reporter=Silent())
    held_out = [row(label, seed) for seed in range(50, 60) for label in LABELS]
    batch = TASK.collate(TASK.encode(held_out, learned), learned)
    outputs = np.asarray(model(batch.inputs))
    evaluation = TASK.score(TASK.measure(batch, outputs, learned), learned)
    assert evaluation.metrics["accuracy"].value == 1
    assert evaluation.metrics["log_loss"].value < 0.3
    assert model.get_layer("backbone").name == "backbone"
    answer = TASK.decode(batch, outputs, learned, top_k=2)[0]
    assert answer["prediction"] == "high"
    assert [each["label"] for each in answer["top_k"]] == ["high", "low"]


def test_a_pruned_word_model_keeps_a_gaussian_in_every_state():
    from aitk.speech.models.gmm_hmm import prune

    settings = GmmHmmSettings(states=2, mixtures=3, iterations=2, coefficients=8, speeds=[])
    learned = learn(settings)
    model = GMM_HMM.fit(settings, learned, ROWS, seed=0, reporter=Silent())
    batch = TASK.collate(TASK.encode(ROWS, learned), learned)
    before = np.asarray(model(batch.inputs))
    np.testing.assert_allclose(np.asarray(prune(model, share=0.0)(batch.inputs)), before, rtol=1e-4)
    pruned = GMM_HMM.prune(model, 1.0)
    means = np.asarray(pruned.get_layer("backbone").get_layer("state_densities").means)
    assert (np.abs(means).sum(axis=1) > 0).reshape(4, 3).sum(axis=1).tolist() == [1, 1, 1, 1]
    outputs = np.asarray(pruned(batch.inputs))
    assert (outputs.argmax(axis=1) == batch.targets).mean() == 1


def test_a_backbone_for_other_features_is_refused(assets):
    backbone = DSCNN.build(DsCnnSettings(channels=2, blocks=1), assets).get_layer("backbone")
    learned = learn(DsCnnSettings(filters=20))
    with pytest.raises(ArtifactError, match="reads 40 features per frame.*have 20"):
        DSCNN.build(DsCnnSettings(), learned, backbone=backbone)


def test_scores_count_false_alarms(assets):
    logits = np.array([[4.0, 0], [4, 0], [0, 4], [4, 0]])
    batch = Batch({}, np.array([0, 0, 1, 1]), context={"seconds": np.full(4, 900.0)})
    evaluation = TASK.score(TASK.measure(batch, logits, assets), assets)
    assert evaluation.metrics["accuracy"].value == 0.75
    high, low = evaluation.details["tables"]["Detection of each keyword"]
    assert high["false alarms/h as predicted"] == pytest.approx(2)  # one in half an hour
    assert low["misses at 0.5 false alarms/h"] == pytest.approx(0.5)
    assert set(evaluation.details["det"]) == {"high", "low"}


def test_an_explanation_points_at_the_tone(assets):
    samples = np.concatenate([np.zeros(1600), tone(2200, 0.2), np.zeros(1600)]).astype("float32")
    fields = dict(ROWS[0], audio=encode_audio(samples, RATE))

    def predict(rows):
        """High where there is energy above 1 kHz."""
        logits = []
        for each in rows:
            spectrum = np.abs(np.fft.rfft(decode_audio(each["audio"])[0], RATE)) ** 2
            logits.append([np.log(spectrum[1000:].sum() + 1e-3), np.log(1.0)])
        return np.array(logits)

    found = TASK.explain(fields, predict, assets)
    assert found["prediction"] == "high"
    best = max(found["regions"], key=lambda region: region["weight"])
    assert best["low_hz"] < 2200 < best["high_hz"]
    assert 0.15 <= best["start_s"] <= 0.45
    assert found["faithfulness"]["named"] > found["faithfulness"]["random"]
    (picture,) = found["pictures"]
    assert picture["caption"] == f"high-0: high, {found['probability']:.1%}"
    assert picture["svg"].startswith("<svg")
    heaviest = max(found["parts"], key=lambda part: part["weight"])
    assert heaviest["text"].startswith(f"{best['start_s']:.2f}")
    with pytest.raises(UsageError, match="higher"):
        TASK.explain(fields, predict, assets, target="higher")


def test_a_prediction_beyond_doubt_can_be_explained(assets):
    samples = np.concatenate([np.zeros(1600), tone(2200, 0.2), np.zeros(1600)]).astype("float32")
    fields = dict(ROWS[0], audio=encode_audio(samples, RATE))

    def predict(rows):
        """High by far, the more so the more energy there is: the probability is 1 anyhow."""
        energies = [float(np.square(decode_audio(each["audio"])[0]).sum()) for each in rows]
        return np.array([[500.0 + energy, 0.0] for energy in energies])

    found = TASK.explain(fields, predict, assets)
    best = max(found["regions"], key=lambda region: region["weight"])
    assert best["low_hz"] < 2200 < best["high_hz"]
    assert best["weight"] > 1
    assert found["faithfulness"]["named"] == found["faithfulness"]["random"] == 0
