"""Recognition through the stages that treat it in ways of its own."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import soundfile

from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.speech.data.options import TranscribedAudioReading
from aitk.stages import options as stages

RATE = 8000
TONES = {"la": 500.0, "ti": 1500.0, "do": 2800.0}
SMALL = {"channels": 8, "blocks": 1, "stacks": 1, "width": 3, "filters": 16}
READING = TranscribedAudioReading(sample_rate_hz=RATE)


def sing(words, rng):
    """A tone for every word, with gaps between."""
    parts = [np.zeros(400)]
    for word in words:
        time_s = np.arange(round(rng.uniform(0.12, 0.2) * RATE)) / RATE
        parts += [0.3 * np.sin(2 * np.pi * TONES[word] * time_s), np.zeros(600)]
    samples = np.concatenate(parts)
    return samples + 0.005 * rng.standard_normal(len(samples))


def write_songs(folder, name, count, *, seed):
    """A manifest of songs, with audio next to it."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        words = rng.choice(list(TONES), size=rng.integers(1, 4)).tolist()
        audio = f"{name}-{number}.flac"
        soundfile.write(folder / audio, sing(words, rng), RATE)
        rows.append((audio, " ".join(words), "ab"[number % 2]))
    path = folder / f"{name}.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("audio", "text", "speaker"), *rows])
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A recogniser that has seen some songs once."""
    from aitk.core.artifacts.data import load_data
    from aitk.speech.tasks.asr import Asr
    from aitk.stages.prepare import prepare
    from aitk.stages.training.train_run import train_run

    folder = tmp_path_factory.mktemp("songs")
    prepare(
        [str(write_songs(folder, "songs", 24, seed=0))],
        folder / "data",
        task="speech.asr",
        options=stages.PrepareOptions(),
        reading=READING,
        reporter=Silent(),
    )
    train_run(
        Asr(),
        load_data(folder / "data"),
        folder / "run",
        options=resolve(stages.TrainingOptions, {"model": "tcn", "epochs": 1}),
        settings=SMALL,
        reporter=Silent(),
    )
    return folder / "run"


def predict(run, source, out, **given):
    from aitk.stages.predict import predict

    return predict(
        run,
        [str(source)],
        out=str(out),
        domain="speech",
        options=resolve(stages.PredictOptions),
        predict_options=given,
        write=print,
        reporter=Silent(),
    )


def test_the_run_holds_a_language_model_that_others_can_read(run):
    text = (run / "assets" / "transcripts.arpa").read_text(encoding="utf-8")
    assert text.startswith("\\data\\\nngram 1=")
    assert "\tla" in text


def test_captions_and_words_in_time_are_written(run, tmp_path):
    song = run.parent / "songs-0.flac"
    predict(run, song, tmp_path / "a.srt", lexicon="self")
    assert "-->" in (tmp_path / "a.srt").read_text(encoding="utf-8")
    predict(run, run.parent / "songs.csv", tmp_path / "a.ctm", lm="self", lexicon="self")
    lines = (tmp_path / "a.ctm").read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines]
    assert {word[4] for word in words} <= set(TONES)
    assert all(len(word) == 6 and word[0].startswith("songs-") for word in words)


@pytest.fixture(scope="module")
def text_run(run):
    """A language model that has seen the transcripts of the songs."""
    from aitk.core.artifacts.data import load_data
    from aitk.nlp.data.options import GenerateReading
    from aitk.nlp.tasks.generate import Generate
    from aitk.stages.prepare import prepare
    from aitk.stages.training.train_run import train_run

    prepare(
        [str(run.parent / "songs.csv")],
        run.parent / "texts",
        task="nlp.generate",
        options=stages.PrepareOptions(),
        reading=GenerateReading(),
        reporter=Silent(),
    )
    train_run(
        Generate(),
        load_data(run.parent / "texts"),
        run.parent / "text-run",
        options=resolve(stages.TrainingOptions, {"model": "lstm", "epochs": 2}),
        settings={"hidden": 8, "tokenizer": "word"},
        reporter=Silent(),
    )
    return run.parent / "text-run"


def test_a_run_of_texts_is_a_language_model_of_the_search(run, text_run, tmp_path):
    from aitk.stages.evaluate import evaluate

    told = {"lm": str(text_run), "lexicon": "self", "lm_weight": 1.0}
    predict(run, run.parent / "songs.csv", tmp_path / "a.jsonl", **told)
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["predicted_text"] for line in lines]
    assert {word for text in texts for word in text.split()} <= set(TONES)
    evaluate(
        run,
        options=resolve(stages.EvaluateOptions, {"resamples": 0}),
        predict_options=told,
        reporter=Silent(),
    )
    assert "sha256" in load_run(run).metrics["test"]["predict_options"]["lm"]


def test_a_run_without_probabilities_of_texts_is_no_language_model(run, tmp_path):
    with pytest.raises(ArtifactError, match=r"speech\.asr, which assigns no probabilities"):
        predict(run, run.parent / "songs.csv", tmp_path / "a.jsonl", lm=str(run))


def test_a_record_comes_before_its_answer(run, tmp_path):
    predict(run, run.parent / "songs.csv", tmp_path / "a.jsonl")
    line = json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert list(line) == ["audio", "text", "speaker", "predicted_text", "confidence", "words"]


def test_a_long_recording_is_cut_and_keeps_its_time(run, tmp_path):
    rng = np.random.default_rng(5)
    songs = [sing(["la", "ti", "do"], rng) for _ in range(36)]
    gaps = [np.concatenate([song, np.zeros(RATE // 2)]) for song in songs]
    soundfile.write(tmp_path / "long.wav", np.concatenate(gaps), RATE)
    predict(run, tmp_path / "long.wav", tmp_path / "a.jsonl", lexicon="self")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert len(lines) > 1
    for line in lines:
        assert line["end"] - line["start"] <= 30
        for word in line["words"]:
            assert line["start"] <= word["start"] < word["end"] <= line["end"] + 0.1


def test_an_update_leaves_out_what_cannot_be_learned(run, tmp_path):
    from aitk.stages.update import update

    songs = write_songs(tmp_path, "more", 6, seed=1)
    with songs.open("a") as file:
        file.write("more-0.flac,zu,a\n")
    outcome = update(
        run,
        [str(songs)],
        tmp_path / "new",
        domain="speech",
        options=resolve(stages.UpdateOptions, {"force": True}),
        training=resolve(stages.TrainingOptions, {"epochs": 1}),
        reporter=Silent(),
    )
    assert outcome.refused == 1
    assert load_run(tmp_path / "new").manifest["updates"][0]["replayed"] > 0


def test_a_smaller_recogniser_is_taught(run, tmp_path):
    from aitk.stages.compress import compress

    outcome = compress(
        run,
        tmp_path / "small",
        options=resolve(stages.CompressOptions, {"distill": "tcn", "resamples": 20}),
        training=resolve(stages.TrainingOptions, {"epochs": 1}),
        settings=SMALL | {"channels": 4, "speeds": [0.9, 1.1]},
        reporter=Silent(),
    )
    assert outcome.facts["distilled_from"] == "tcn"
    assert outcome.facts["parameters"] < load_run(run).manifest["parameters"]
