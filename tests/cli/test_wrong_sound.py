"""User errors with audio: one line with problem and place, and no lost data."""

import json
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8000
TONES = {"la": 500.0, "ti": 1500.0}
SONGS = ("la", "ti", "la ti", "ti la") * 4
TASKS = ("asr", "keywords")

#: Why each of these sounds is refused, whoever names it.
REASONS = {
    "empty.wav": "the file is empty",
    "blink.wav": "lasts 0.010 s, below the minimum of 0.05 s",
    "hours.wav": "lasts 10,800.0 s, over the limit of 30 s",
    "silent.wav": "is silent",
    "nan.wav": "are not numbers (NaN or infinite)",
    "header.wav": "cannot be read as audio",
    "half.wav": "is truncated: its header declares more, 50% of it is present",
    "missing.wav": "there is no file missing.wav",
}
#: What is unusual, and sound all the same.
UNUSUAL = ("studio.wav", "layer3.wav")


def sing(text):
    """A tone for each word, silence around it: (n,) float64."""
    parts = [np.zeros(400)]
    for word in text.split():
        time_s = np.arange(1200) / RATE
        parts += [0.3 * np.sin(2 * np.pi * TONES[word] * time_s), np.zeros(600)]
    return np.concatenate(parts)


def write_hours(path, hours):
    """A recording of hours with a song at either end; what lies between takes no room on disk."""
    rate = RATE // 2
    song = (sing("la ti")[::2] * 32767).astype("<i2").tobytes()
    size = round(2 * rate * 3600 * hours)
    form = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt \x10\0\0\0" + form)
        file.write(b"data" + struct.pack("<I", size) + song)
        file.seek(44 + size - len(song))
        file.write(song)


def write_sounds(folder):
    """Valid songs, and every fault of an audio file."""
    noise = np.random.default_rng(0)
    for number, text in enumerate(SONGS):
        song = sing(text)
        song += 0.002 * noise.standard_normal(len(song))
        soundfile.write(folder / f"good-{number}.wav", song, RATE)
    (folder / "empty.wav").touch()
    soundfile.write(folder / "blink.wav", sing("la")[400:480], RATE)
    write_hours(folder / "hours.wav", 3)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    holed = sing("la")
    holed[700] = np.nan
    soundfile.write(folder / "nan.wav", holed, RATE, subtype="FLOAT")
    whole = (folder / "good-0.wav").read_bytes()
    (folder / "header.wav").write_bytes(whole[:20])
    (folder / "half.wav").write_bytes(whole[: len(whole) // 2])
    time_s = np.arange(57_600) / 192_000
    tone = 0.3 * np.sin(2 * np.pi * TONES["la"] * time_s)
    soundfile.write(folder / "studio.wav", np.stack([tone, 0.5 * tone], axis=1), 192_000)
    soundfile.write(folder / "layer3.wav", sing("la"), RATE, format="MP3")


def write_manifest(path, rows):
    lines = [f"{audio},{text},{text.split()[0]}\n" for audio, text in rows]
    path.write_text("audio,text,label\n" + "".join(lines), encoding="utf-8")


def good_rows():
    return [(f"good-{number}.wav", text) for number, text in enumerate(SONGS)]


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A folder of audio; ``all.csv`` lists all files, valid ones first."""
    folder = tmp_path_factory.mktemp("sounds")
    write_sounds(folder)
    write_manifest(
        folder / "all.csv", good_rows() + [(name, "la") for name in (*REASONS, *UNUSUAL)]
    )
    return folder


@pytest.fixture(scope="module")
def runs(studio):
    """A run of each task: ``data-TASK`` prepared from all audio, ``run-TASK`` trained on that."""
    from aitk.cli.main import main

    before = os.getcwd()
    os.chdir(studio)
    small = {
        "asr": "--model tcn --epochs 1 --set channels=4 --set blocks=1 --set stacks=1"
        " --set width=3 --set filters=12",
        "keywords": "--model gmm-hmm --set states=1 --set mixtures=1 --set iterations=1"
        " --set coefficients=6",
    }
    try:
        for task in TASKS:
            told = ["--task", task, "--sample-rate-hz", "4000", "--quiet"]
            assert main(["speech", "prepare", "all.csv", "--out", f"data-{task}", *told]) == 6
            told = [*small[task].split(), "--quiet"]
            assert main(["speech", "finetune", f"data-{task}", "--out", f"run-{task}", *told]) == 0
        yield studio
    finally:
        os.chdir(before)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("task", TASKS)
def test_prepare_refuses_each_with_its_name_and_reason_and_keeps_the_rest(runs, task):
    refused = read_lines(runs / f"data-{task}" / "rejects.jsonl")
    first = 2 + len(SONGS)
    assert [each["line"] for each in refused] == list(range(first, first + len(REASONS)))
    for each, (name, reason) in zip(refused, REASONS.items(), strict=True):
        assert each["file"] == "all.csv"
        assert name in each["reason"] and reason in each["reason"]
    manifest = json.loads((runs / f"data-{task}" / "dataset.json").read_text())
    assert manifest["refused"] == len(REASONS)
    assert sum(manifest["rows"].values()) == len(SONGS) + len(UNUSUAL)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", [name for name in REASONS if name != "missing.wav"])
def test_a_sound_that_is_all_there_is_is_refused_in_one_line(aitk, studio, here, task, name):
    write_manifest(here / "one.csv", [(str(studio / name), "la")])
    before = set(os.listdir(here))
    told = ["--outside", "--out", "data", "--task", task]
    result = aitk("speech", "prepare", "one.csv", *told)
    assert result.code == 3
    assert "Traceback" not in result.err
    assert result.lines[-1].startswith("aitk: one.csv: its only row was refused: ")
    assert name in result.lines[-1] and REASONS[name] in result.lines[-1]
    assert set(os.listdir(here)) == before


@pytest.mark.parametrize("task", TASKS)
def test_predict_gives_predictions_for_valid_rows_and_reasons_for_others(aitk, runs, here, task):
    names = [name for name in REASONS if name != "hours.wav"]
    rows = [("good-0.wav", "la"), *((name, "la") for name in names), ("good-1.wav", "ti")]
    rows += [(name, "la") for name in UNUSUAL]
    write_manifest(runs / f"mixed-{task}.csv", rows)
    result = aitk("speech", "predict", runs / f"run-{task}", runs / f"mixed-{task}.csv",
                "--out", "answers.jsonl")  # fmt: skip
    assert result.code == 6, result.err
    assert f"{len(names)} rows were refused" in result.err
    answers = read_lines(here / "answers.jsonl")
    assert [answer.get("audio") for answer in answers] == [
        name if name not in REASONS else None for name, _ in rows
    ]
    for answer, (name, _) in zip(answers, rows, strict=True):
        if name in REASONS:
            assert name in answer["error"] and REASONS[name] in answer["error"]
        else:
            assert 0 <= answer["confidence" if task == "asr" else "probability"] <= 1


def test_a_recording_of_hours_is_split_and_its_silence_reported_once(aitk, runs, here):
    aitk("speech", "predict", runs / "run-asr", runs / "good-0.wav", "--out", "-")  # all is loaded
    tracemalloc.start()
    try:
        result = aitk("speech", "predict", runs / "run-asr", runs / "hours.wav", "--out", "a.jsonl")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.code == 6, result.err
    first, silence, last = read_lines(here / "a.jsonl")
    assert first["start"] == 0
    assert silence["error"].startswith(
        f"from {first['end']:.2f} to {last['start']:.2f} s it is silent"
    )
    assert last["end"] == 10_800
    assert most < 50e6  # all of it would take 173 MB


def test_layouts_without_a_manifest_name_the_file_that_is_refused(aitk, studio, here):
    for label in ("la", "ti"):
        (here / "sounds" / label).mkdir(parents=True)
        for number in range(4):
            source = studio / f"good-{number * 4 + ('la', 'ti').index(label)}.wav"
            (here / "sounds" / label / source.name).write_bytes(source.read_bytes())
    (here / "sounds" / "la" / "half.wav").write_bytes((studio / "half.wav").read_bytes())
    result = aitk("speech", "prepare", "sounds", "--task", "keywords", "--out", "data")
    assert result.code == 6
    (refused,) = read_lines(here / "data" / "rejects.jsonl")
    assert Path(refused["file"]) == Path("sounds/la/half.wav")
    assert refused["reason"] == REASONS["half.wav"]


#: More letters than 0.28 s can carry in steps of 40 ms, though somebody may say them.
HURRIED = "la lala l"
STRANGE = "ζ ti"


def test_impossible_transcripts_are_reported_at_every_stage(aitk, runs, here):
    rows = good_rows()
    write_manifest(
        runs / "hurried.csv", [*rows, ("good-0.wav", "la " * 12), ("good-0.wav", HURRIED)]
    )
    prepare = ["speech", "prepare", runs / "hurried.csv", "--task", "asr"]
    result = aitk(*prepare, "--sample-rate-hz", "4000", "--out", "data")
    assert result.code == 6
    (refused,) = read_lines(here / "data" / "rejects.jsonl")
    assert refused["line"] == 2 + len(rows)
    assert "35 characters for 0.28 s" in refused["reason"]

    write_manifest(runs / "new.csv", [("good-0.wav", HURRIED), ("good-1.wav", STRANGE)])
    run, new = runs / "run-asr", runs / "new.csv"
    result = aitk("speech", "evaluate", run, "--data", new, "--resamples", "0", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["rows"] == 2
    assert "1 rows have a text without units in the model: they count as wrong" in result.err
    result = aitk("speech", "predict", run, new, "--out", "-")
    assert result.code == 0
    assert [json.loads(line)["text"] for line in result.out.splitlines()] == [HURRIED, STRANGE]
    result = aitk("speech", "update", run, new, "--out", "x")
    assert result.code == 3
    assert "no usable new rows. 2 rows were refused" in result.lines[-1]
    assert "new.csv:2: its text has 9 units, more than fit into its 0.28 s" in result.err
    assert "new.csv:3: 'ζ' is not among the" in result.err
    for target, words in (
        ("ζ", "'ζ' is not among the"),
        (HURRIED, "more than fit into its 0.28 s"),
    ):
        result = aitk(
            "speech", "explain", run, new, "--rows", "1", "--target", target, "--out", "x"
        )
        assert result.code == 2
        assert result.lines[-1].startswith("aitk: --target: ") and words in result.lines[-1]
    assert not list(here.glob("x*"))


def test_a_label_unseen_in_training_is_reported(aitk, runs, here):
    write_manifest(runs / "strange.csv", [("good-0.wav", "la"), ("good-1.wav", STRANGE)])
    run, strange = runs / "run-keywords", runs / "strange.csv"
    result = aitk("speech", "evaluate", run, "--data", strange, "--resamples", "0")
    assert result.code == 0, result.err
    assert "1 rows have a label unseen in training" in result.err
    write_manifest(runs / "strange.csv", [("good-1.wav", STRANGE)])
    result = aitk("speech", "update", run, strange, "--out", "x")
    assert result.code == 3
    assert "strange.csv:2: the label 'ζ' was not seen in training" in result.err
    assert not list(here.glob("x*"))
