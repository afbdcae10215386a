"""The recognition task: rows to batches, unusable rows, predictions, explanations."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.progress import Silent
from aitk.core.contract.rows import Refusal, Row
from aitk.core.inference.evaluation import evaluate_rows
from aitk.speech.data.audio import encode_audio
from aitk.speech.data.options import TranscribedAudioReading, TranscriptionOptions
from aitk.speech.features.tokenizers.spelling import check_transcripts, refuse_fast_speech, spell
from aitk.speech.tasks.asr import Asr
from aitk.speech.tasks.settings import (
    BiLstmCtcSettings,
    ConformerSettings,
    JointTransformerSettings,
    TcnSettings,
)

TASK = Asr()
RATE = 8000
TONES = {"la": 500.0, "ti": 1500.0, "do": 2800.0}
QUIET = {"time_masks": 0, "frequency_masks": 0, "dropout": 0.0}
TINY = {
    "conformer": ConformerSettings(
        hidden=8, layers=1, heads=2, width=3, causal=True, chunk_steps=2, left_steps=4,
        normalise="corpus", **QUIET,
    ),
    "tcn": TcnSettings(channels=8, blocks=1, stacks=1, width=3, **QUIET),
    "bilstm": BiLstmCtcSettings(hidden=8, layers=1, **QUIET),
    "transformer": JointTransformerSettings(
        hidden=8, layers=1, decoder_layers=1, heads=2, **QUIET
    ),
}  # fmt: skip


def sing(text: str, seed: int) -> np.ndarray:
    """A tone for every word, with gaps between."""
    rng = np.random.default_rng(seed)
    parts = [np.zeros(400)]
    for word in text.split():
        time_s = np.arange(round(rng.uniform(0.15, 0.25) * RATE)) / RATE
        parts += [0.3 * np.sin(2 * np.pi * TONES[word] * time_s), np.zeros(600)]
    samples = np.concatenate(parts)
    return (samples + 0.005 * rng.standard_normal(len(samples))).astype("float32")


def row(text: str, seed: int = 0, speaker: str = "anna") -> dict:
    samples = sing(text, seed)
    return {
        "audio": encode_audio(samples, RATE), "text": text, "speaker": speaker,
        "seconds": len(samples) / RATE, "id": f"{text}-{seed}",
    }  # fmt: skip


ROWS = [row(text, seed) for seed, text in enumerate(["la ti", "do", "ti do la", "la la"])]


def learn(settings=TINY["tcn"], rows=ROWS):
    return TASK.learn(rows, {}, settings, note=print)


@pytest.fixture(scope="module")
def assets():
    return learn()


@pytest.fixture(scope="module")
def models():
    """Of every architecture a tiny model and its assets."""
    made = {}
    for name, settings in TINY.items():
        learned = learn(settings)
        made[name] = (TASK.models[name].build(settings, learned), learned)
    return made


def test_targets_are_the_steps_and_the_units(assets):
    batch = TASK.collate(TASK.encode(ROWS[:2], assets), assets)
    frames = batch.inputs["padding_mask"].sum(axis=1)
    assert batch.targets[:, 0].tolist() == [-(-int(each) // 4) for each in frames]
    assert assets.units.decode(batch.targets[0, 1:]) == "la ti"
    assert batch.weights.tolist() == [1, 1]
    assert batch.context["text"] == ["la ti", "do"]


def test_rows_without_a_text_are_heard_as_well(assets):
    nameless = {name: value for name, value in ROWS[0].items() if name != "text"}
    batch = TASK.collate(TASK.encode([nameless], assets), assets)
    assert batch.targets is None


def test_the_decoder_reads_the_text_only_in_training():
    learned = learn(TINY["transformer"])
    examples = TASK.encode(ROWS[:2], learned)
    told = TASK.collate(examples, learned, rng=np.random.default_rng(0)).inputs["target_ids"]
    assert learned.units.decode(told[0]) == "la ti"
    assert TASK.collate(examples, learned).inputs["target_ids"].tolist() == [[0], [0]]


def test_a_text_with_unknown_letters_is_not_learned_from(assets):
    result = spell("la zu", assets)
    assert (assets.units.decode(result.units), result.whole, result.text) == ("la", False, "la zu")
    strange = dict(ROWS[0], text="la zu")
    batch = TASK.collate(TASK.encode([strange, ROWS[1]], assets), assets)
    assert batch.weights.tolist() == [0, 1]


def test_unusable_training_rows_are_reported(assets):
    assert check_transcripts([("la ti", 0.6)], assets) == []
    notes = check_transcripts([("la ti", 0.6), ("zu", 0.6), ("la ti do la", 0.1)], assets)
    assert "1 transcripts are not used for training: parts of them have no unit" in notes[0]
    assert "more units than their recordings have steps of 40 ms" in notes[1]
    with pytest.raises(DataError, match="subsampling"):
        check_transcripts([("la ti do la", 0.1)], assets)


def test_prepare_refuses_transcripts_too_long_for_their_audio(tmp_path, save_sound):
    save_sound("a.wav")
    (tmp_path / "rows.csv").write_text(f"audio,text\na.wav,{'la ' * 40}\na.wav,la\n")
    items = list(
        TASK.read(
            [str(tmp_path / "rows.csv")], TranscribedAudioReading(), labelled=True, note=print
        )
    )
    assert isinstance(items[0], Refusal)
    assert items[0].reason == (
        "its text has 119 characters for 0.50 s, more than 40 per second"
        " (--max-characters-per-second)"
    )
    assert items[1].fields["text"] == "la"
    assert refuse_fast_speech({"text": "x" * 20, "seconds": 0.5}, 40) is None


def test_an_update_refuses_what_the_model_cannot_write(assets):
    items = [
        Row(dict(ROWS[0], text=text, seconds=seconds), "new.csv", line, None, {})
        for line, (text, seconds) in enumerate([("la ti", 0.6), ("zu", 0.6), ("la ti do", 0.1)])
    ]
    same, checked = TASK.extend(iter(items), assets, ROWS, reading=TranscribedAudioReading())
    found = list(checked)
    assert same == assets
    assert isinstance(found[0], Row)
    assert found[1].reason == "'z' is not among the 7 units of the model"
    assert "8 units, more than fit into its 0.10 s at steps of 40 ms" in found[2].reason


def test_a_new_speaker_is_known_at_every_speed():
    learned = learn(dataclasses.replace(TINY["tcn"], normalise="speaker", speeds=[0.9, 1.1]))
    new = [Row(row("la ti", seed, "zoe"), "zoe.wav", 1) for seed in range(3)]
    refused = Row(row("la", 4, "tim") | {"text": "zu"}, "tim.wav", 2)
    items = iter([*new, refused])
    again, found = TASK.extend(items, learned, ROWS, reading=TranscribedAudioReading())
    kept = list(found)
    assert kept[:3] == new and isinstance(kept[3], Refusal)
    added = set(again.audio.moments) - set(learned.audio.moments)
    assert added == {"zoe", "zoe x0.9", "zoe x1.1"}


def test_a_causal_model_needs_features_that_are(assets):
    with pytest.raises(UsageError, match="normalise=corpus"):
        learn(dataclasses.replace(TINY["conformer"], normalise="utterance"))


def test_a_search_that_is_requested_is_scored(assets, tmp_path):
    (tmp_path / "words.txt").write_text("la\nti\ndo\n")
    path = [number for unit in assets.units.encode("di") for number in (unit, 0)]

    def predict(inputs):
        """A model that hears ``di``, a little more than ``do``."""
        steps = assets.steps(inputs["padding_mask"].shape[1])
        logits = np.zeros((1, steps, len(assets.units)), np.float32)
        logits[0, :, 0] = 9.0
        logits[0, np.arange(len(path)), 0] = 0.0
        logits[0, np.arange(len(path)), path] = 9.0
        logits[0, 2, assets.units.encode("o")[0]] = 8.0
        return logits

    plain, searched = (
        evaluate_rows([row("do")], TASK, assets, predict, reporter=Silent(), options=options)
        for options in (None, TranscriptionOptions(beam=4, lexicon=str(tmp_path / "words.txt")))
    )
    assert plain.evaluation.metrics["wer"].value == 1
    assert searched.evaluation.metrics["wer"].value == 0
    assert [each.rows[0]["prediction"]["text"] for each in (plain, searched)] == ["di", "do"]


def test_phones_need_a_lexicon(tmp_path):
    with pytest.raises(UsageError, match="need a pronunciation lexicon"):
        learn(dataclasses.replace(TINY["tcn"], units="phone"))
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("la L A\nti T I\ndo D O\n")
    with pytest.raises(UsageError, match="units=phone"):
        learn(dataclasses.replace(TINY["tcn"], lexicon=str(lexicon)))
    learned = learn(dataclasses.replace(TINY["tcn"], units="phone", lexicon=str(lexicon)))
    assert learned.units.symbols[1:] == ("A", "D", "I", "L", "O", "T")
    assert not spell("la zu", learned).whole


def test_a_stored_row_reads_back_the_same(tmp_path):
    import tensorflow_datasets as tfds

    from aitk.core.artifacts.data import DataWriter, Rows

    features = TASK.features({"characters": {"l": 1}, "rows": {"train": 4}})
    writer = DataWriter(tmp_path, features, description="tones")
    writer.write("train", ROWS)
    writer.close()
    stored = Rows(tfds.builder_from_directory(str(tmp_path)).as_data_source("train"), where="data")[
        :4
    ]
    for one, other in zip(stored, ROWS, strict=True):
        assert one == dict(other, seconds=pytest.approx(other["seconds"]))
    with pytest.raises(DataError, match="no text"):
        TASK.features({"characters": {}, "rows": {"train": 4}})


@pytest.mark.parametrize("name", TINY)
def test_predictions_do_not_depend_on_the_batch(models, name):
    from aitk.core.inference.predictors import KerasPredictor

    model, learned = models[name]
    predict = KerasPredictor(model)

    def answers(rows, **given):
        options = TranscriptionOptions(**given)
        batch = TASK.collate(TASK.encode(rows, learned), learned)
        outputs = TASK.infer(batch, predict, learned, top_k=2, options=options)
        return TASK.decode(batch, outputs, learned, top_k=2, options=options)

    together, alone = answers(ROWS[:3], beam=4), answers(ROWS[:1], beam=4)
    assert together[0]["text"] == alone[0]["text"]
    assert together[0]["top_k"][0]["score"] == pytest.approx(
        alone[0]["top_k"][0]["score"], abs=1e-2
    )
    assert json.loads(json.dumps(together)) == together
    assert all(0 <= word["confidence"] <= 1 for word in together[0]["words"])
    batch = TASK.collate(TASK.encode(ROWS, learned), learned)
    measured = TASK.measure(batch, TASK.infer(batch, predict, learned), learned)
    scored = TASK.score(measured, learned)
    assert scored.metrics["wer"].value > 0
    assert measured["took_s"].sum() > 0


def test_predictions_have_times_in_the_recording(models):
    from aitk.core.inference.predictors import KerasPredictor

    model, learned = models["tcn"]
    batch = TASK.collate(TASK.encode([dict(ROWS[0], start=60.0)], learned), learned)
    outputs = TASK.infer(batch, KerasPredictor(model), learned)
    heard = dataclasses.replace(
        outputs, found=[[dataclasses.replace(outputs.found[0][0], text="la", units=(4, 2))]]
    )
    (answer,) = TASK.decode(batch, heard, learned)
    assert answer["words"][0]["start"] >= 60
    (brief,) = TASK.decode(batch, heard, learned, options=TranscriptionOptions(words=False))
    assert set(brief) == {"text", "confidence"}


def test_a_stream_hears_what_the_whole_sound_gives(models):
    from aitk.core.inference.predictors import KerasPredictor

    model, learned = models["conformer"]
    predict = KerasPredictor(model)
    batch = TASK.collate(TASK.encode(ROWS[:3], learned), learned)
    whole = TASK.infer(batch, predict, learned)
    for chunk_ms in (10.0, 200.0):
        options = TranscriptionOptions(stream=True, chunk_ms=chunk_ms)
        streamed = TASK.infer(batch, predict, learned, options=options)
        assert [each[0].text for each in streamed.found] == [each[0].text for each in whole.found]
    answer = TASK.decode(batch, streamed, learned, options=options)[0]
    assert answer["latency_ms"]["waiting"] == pytest.approx(23 * 10 + 25)  # 3 chunks of 80 ms
    if answer["text"]:
        assert answer["partial"][-1]["text"] == answer["text"]
        assert answer["partial"][-1]["received_s"] <= ROWS[0]["seconds"]


def test_an_explanation_shows_where_words_lie(models):
    from aitk.core.inference.predictors import KerasPredictor

    model, learned = models["tcn"]
    predictor = KerasPredictor(model)

    def predict(rows):
        batch = TASK.collate(TASK.encode(rows, learned), learned)
        return list(predictor(batch.inputs))

    found = TASK.explain(ROWS[2], predict, learned, target="ti do la")
    assert found["explained"] == "ti do la"
    assert [word["word"] for word in found["words"]] == ["ti", "do", "la"]
    assert found["pictures"][0]["svg"].startswith("<svg")
    assert TASK.explain(ROWS[2], predict, learned)["explained"] == found["prediction"]
    with pytest.raises(UsageError, match="'z' is not among"):
        TASK.explain(ROWS[2], predict, learned, target="zu")


def test_a_backbone_with_other_steps_is_refused(models):
    model, learned = models["tcn"]
    other = dataclasses.replace(learned, subsampling=2)
    with pytest.raises(ArtifactError, match="4 frames per step"):
        TASK.models["tcn"].build(TINY["tcn"], other, backbone=model.get_layer("backbone"))


def test_a_student_learns_the_text_and_the_teachers_steps(models):
    from scipy.special import log_softmax, softmax

    from aitk.speech.losses.ctc_loss import TEACHER_SHARE, TEMPERATURE, CtcLoss

    _, learned = models["tcn"]
    learned = dataclasses.replace(
        learned,
        audio=dataclasses.replace(
            learned.audio, augment=dataclasses.replace(learned.audio.augment, speeds=[1.5])
        ),
    )
    loss = TASK.distillation_loss(learned, teacher=learned)
    examples = TASK.encode(ROWS[:2], learned)
    steps = [learned.steps(TASK.length(each)) for each in examples]
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(size=(2, 2, max(steps), len(learned.units))).astype("float32")
    teacher = np.round(teacher, 1).astype(np.float16).astype("float32")
    taught = [
        TASK.add_soft_targets(example, logits, learned, teacher=learned)
        for example, logits in zip(examples, teacher, strict=True)
    ]
    batch = TASK.collate(taught, learned, rng=rng)
    assert batch.inputs["padding_mask"].sum(axis=1).tolist() == [
        TASK.length(each)
        for each in examples  # at the speed that the teacher heard
    ]
    found = np.asarray(type(loss)(reduction=None)(batch.targets, student))
    plain = TASK.collate(examples, learned).targets
    hard = np.asarray(CtcLoss(reduction=None)(plain, student))
    for row, count in enumerate(steps):
        wanted = softmax(teacher[row, :count] / TEMPERATURE, axis=1)
        soft = -(wanted * log_softmax(student[row, :count] / TEMPERATURE, axis=1)).sum()
        soft /= len(ROWS[row]["text"])
        wanted = TEACHER_SHARE * TEMPERATURE**2 * soft + (1 - TEACHER_SHARE) * hard[row]
        assert found[row] == pytest.approx(wanted, rel=1e-4)


def test_a_recording_without_a_text_has_the_teacher_alone(models):
    from scipy.special import log_softmax, softmax

    from aitk.speech.losses.ctc_loss import TEACHER_SHARE, TEMPERATURE

    _, learned = models["tcn"]
    loss = TASK.distillation_loss(learned, teacher=learned)
    bare = {name: value for name, value in ROWS[0].items() if name != "text"}
    (example,) = TASK.encode([bare], learned)
    steps = learned.steps(TASK.length(example))
    rng = np.random.default_rng(0)
    student = rng.normal(size=(1, steps, len(learned.units))).astype("float32")
    teacher = np.zeros((steps, len(learned.units)), np.float32)
    teacher[:, 0] = 1
    teacher[1, 2] = teacher[2, 2] = teacher[4, 2] = 2  # two units on the most probable path
    taught = TASK.add_soft_targets(
        TASK.teacher_only(example, learned), teacher, learned, teacher=learned
    )
    batch = TASK.collate([taught], learned, rng=rng)
    soft = -softmax(teacher / TEMPERATURE, axis=1) * log_softmax(student[0] / TEMPERATURE, axis=1)
    wanted = TEACHER_SHARE * TEMPERATURE**2 * soft.sum() / 2
    assert batch.weights.tolist() == [1]
    assert float(loss(batch.targets, student)) == pytest.approx(wanted, rel=1e-4)


def test_a_student_must_write_like_its_teacher(models):
    _, learned = models["tcn"]
    with pytest.raises(UsageError, match="every 2 frames"):
        TASK.distillation_loss(learned, teacher=dataclasses.replace(learned, subsampling=2))
    _, joint = models["transformer"]
    with pytest.raises(UsageError, match="joint CTC/attention"):
        TASK.distillation_loss(joint, teacher=learned)


@pytest.mark.parametrize("name", ["bilstm", "transformer"])
def test_a_model_can_be_trained(models, name):
    import keras

    model, learned = models[name]
    model = keras.models.clone_model(model)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=TASK.models[name].loss(learned))
    rng = np.random.default_rng(0)
    batch = TASK.collate(TASK.encode(ROWS, learned), learned, rng=rng)
    losses = [float(model.train_on_batch(batch.inputs, batch.targets)) for _ in range(4)]
    assert losses[-1] < losses[0]
