"""The inspector: each fault of the audio is found, graded and located."""

import json

import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.contract.rows import Row
from aitk.speech.data.audio import encode_audio
from aitk.speech.data.options import AudioReading
from aitk.speech.data.quality import AudioInspector

RATE = 8000


@pytest.fixture
def row(voice):
    """Make the fields of a row; each number is different audio."""

    def make(number, *, seconds=0.5, level=0.3, noise=0.001, speaker="", **content):
        samples = np.concatenate([np.zeros(800), voice(seconds - 0.1, hertz=200, level=level)])
        noise = noise * np.random.default_rng(number).standard_normal(len(samples))
        audio = encode_audio(samples + noise, RATE)
        known = {"speaker": speaker, "seconds": seconds, "id": f"u{number}"}
        return {"audio": audio, **content, **known}

    return make


def inspect(rows, *, content=None):
    """An inspector of (fields, split), their lines numbered from 1."""
    inspector = AudioInspector(AudioReading(sample_rate_hz=RATE), content=content)
    for line, (fields, split) in enumerate(rows, 1):
        inspector.add(Row(fields, "a.csv", line), split)
    return inspector


def finding(rows, check, *, content=None):
    return {item.check: item for item in inspect(rows, content=content).findings()}[check]


def plain(summary):
    """The part stored in ``dataset.json``: images are for the report only."""
    return {name: value for name, value in summary.items() if name != "pictures"}


def test_sound_data_has_nothing_but_ok(row):
    train = [(row(n, label="xy"[n % 2], speaker="a"), "train") for n in range(12)]
    test = [(row(20 + n, label="xy"[n % 2], speaker="b"), "test") for n in range(4)]
    assert {item.grade for item in inspect(train + test, content="label").findings()} == {"ok"}


def test_duplicates_in_a_split_and_across(row):
    rows = [(row(1), "train"), (row(2), "train"), (row(1), "train"), (row(2), "test")]
    assert finding(rows, "duplicates").details["examples"] == ["a.csv:3"]
    across = finding(rows, "duplicates across splits")
    assert (across.grade, across.details["examples"]) == ("error", ["a.csv:4"])


def test_speakers_whom_training_hears_too(row):
    rows = [
        (row(n, speaker=speaker), split)
        for n, (speaker, split) in enumerate(
            [
                ("ann", "train"),
                ("ben", "test"),
                ("ann", "test"),
                ("ann", "validation"),
                ("", "test"),
                ("", "train"),
            ]
        )
    ]
    found = finding(rows, "speakers")
    assert (found.grade, found.details["rows"]) == ("warning", 2)
    assert found.details["speakers"] == ["ann"]
    assert "validation (see --validation-speakers) and test" in found.message


def test_speakers_that_validation_shares_are_reported_where_test_has_its_own(row):
    speakers = [("ann", "train"), ("ann", "validation"), ("ben", "test")]
    rows = [(row(n, speaker=speaker), split) for n, (speaker, split) in enumerate(speakers)]
    found = finding(rows, "speakers")
    assert found.grade == "warning" and "in validation (see --validation-sp" in found.message


def test_speakers_without_names_are_not_checked(row):
    found = finding([(row(1), "train")], "speakers")
    assert found.grade == "skipped" and "speakers are unknown" in found.message


def test_a_speaker_to_be_held_out_who_does_not_occur_is_an_error(row):
    inspector = AudioInspector(AudioReading(test_speakers=["sp1,sp2"]), content=None)
    inspector.add(Row(row(1, speaker="sp1"), "a.csv", 1), "train")
    with pytest.raises(UsageError, match="Known: sp1"):
        inspector.findings()


def test_clipping_and_noise(row):
    rows = [(row(1), "train"), (row(2, level=3.0), "train"), (row(3, noise=0.1), "train")]
    assert finding(rows, "clipping").details["examples"] == ["a.csv:2"]
    assert finding(rows, "noise").details["examples"] == ["a.csv:3"]


def test_transcripts_that_do_not_fit_their_sound(row):
    rows = [(row(n, text="hello you"[: 7 + n % 3]), "train") for n in range(30)]
    rows += [(row(90, text="a" * 60), "train"), (row(91, text="a", seconds=2.0), "train")]
    found = finding(rows, "transcripts and durations", content="text")
    assert found.details["examples"] == ["a.csv:31", "a.csv:32"]
    assert found.details["usual_characters_a_second"] == 16


def test_characters_that_are_rare_or_unseen(row):
    rows = [(row(n, text="ab"), "train") for n in range(6)]
    rows += [(row(10, text="abc"), "train"), (row(11, text="abé"), "test")]
    found = finding(rows, "characters", content="text")
    assert found.grade == "warning"
    assert found.details == {"rare": {"c": 1}, "unseen": {"é": 1}}


def test_classes_that_are_alone_rare_or_unseen(row):
    rows = [(row(n, label="x"), "train") for n in range(12)]
    assert finding(rows, "classes", content="label").grade == "error"
    rows += [(row(20, label="y"), "train"), (row(21, label="z"), "test")]
    rare = finding(rows, "rare classes", content="label")
    assert (rare.grade, rare.details) == ("warning", {"rows": {"y": 1}})
    assert finding(rows, "balance", content="label").details["ratio"] == 12
    unseen = finding(rows, "unseen labels", content="label")
    assert (unseen.grade, unseen.details["labels"]) == ("error", {"z": 1})


def test_summary(row):
    rows = [(row(n, label="xy"[n % 2], speaker="a"), "train") for n in range(6)]
    rows += [(row(9, label="x", speaker="b", seconds=3.0), "test")]
    summary = inspect(rows, content="label").summary()
    assert summary["sample_rate_hz"] == RATE
    assert summary["hours"] == round(6 / 3600, 4)
    assert summary["speakers"] == 2
    assert summary["rows"] == {"train": 6, "test": 1}
    assert summary["seconds"] == {"train": 3.0, "test": 3.0}
    assert summary["labels"] == ["x", "y"]
    assert summary["label_counts"] == {"train": {"x": 3, "y": 3}, "test": {"x": 1}}
    assert summary["speaker_rows"] == {"train": {"a": 6}, "test": {"b": 1}}
    assert sum(summary["charts"]["seconds_of_a_sound"]["y"]) == 7
    assert [picture["caption"] for picture in summary["pictures"]] == ["x", "y"]
    assert summary["pictures"][0]["png"].startswith(b"\x89PNG")
    json.dumps(plain(summary))


def test_characters_in_the_summary_are_those_of_training(row):
    rows = [(row(1, text="ab ba"), "train"), (row(2, text="c"), "test")]
    summary = inspect(rows, content="text").summary()
    assert summary["characters"] == {" ": 1, "a": 2, "b": 2}
    json.dumps(plain(summary))


@pytest.mark.parametrize("content", [None, "text", "label"])
def test_no_rows_at_all(content):
    inspector = inspect([], content=content)
    json.dumps([plain(inspector.summary()), [dict(item.details) for item in inspector.findings()]])
