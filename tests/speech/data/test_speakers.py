"""Whole speakers are held out where they are known, and channels are speakers of a call."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError
from aitk.speech.data.audio import Clip
from aitk.speech.data.cleaning import clean, voiced_share
from aitk.speech.data.options import LabelledAudioReading, UnlabelledAudioReading
from aitk.speech.data.reading import read_audio_rows
from aitk.speech.data.speakers import choose_speakers
from aitk.speech.decoding.alignment import confident

RATE = 8000


@pytest.mark.parametrize(
    ("speakers", "held_out"), [(1, []), (2, []), (4, ["validation"]), (5, ["test", "validation"])]
)
def test_few_speakers_are_spared_for_training(speakers, held_out):
    chosen = choose_speakers({f"speaker {number}": 10 for number in range(speakers)})
    assert sorted(chosen.values()) == held_out


@given(st.dictionaries(st.text(min_size=1), st.integers(1, 1000), min_size=3, max_size=50))
def test_speakers_are_left_for_training_and_validation_has_one(recordings):
    chosen = choose_speakers(recordings)
    assert "validation" in chosen.values()
    assert len(chosen) < len(recordings)
    assert chosen == choose_speakers(dict(reversed(recordings.items())))


def tone(path, *, channels: int = 1) -> None:
    times = np.arange(RATE) / RATE
    waves = [0.3 * np.sin(2 * np.pi * 200 * (1 + channel) * times) for channel in range(channels)]
    soundfile.write(path, np.stack(waves, axis=1), RATE)


@pytest.fixture
def table(tmp_path):
    lines = ["audio,label,speaker"]
    for number in range(12):
        tone(tmp_path / f"{number}.wav")
        lines.append(f"{number}.wav,{'yes' if number % 2 else 'no'},s{number % 6}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines))
    return path


def splits(path, **options):
    notes: list[str] = []
    reading = LabelledAudioReading(sample_rate_hz=RATE, **options)
    rows = list(
        read_audio_rows([str(path)], reading, content="label", labelled=True, note=notes.append)
    )
    return {row.fields["speaker"]: row.split for row in rows}, notes


def test_keywords_hold_out_whole_speakers_by_default(table):
    by_speaker, notes = splits(table)
    assert sorted(map(str, by_speaker.values())) == ["test", *["train"] * 4, "validation"]
    assert any("--split-by recording" in note for note in notes)
    assert set(splits(table, split_by="recording")[0].values()) == {None}


def test_speakers_named_for_test_are_the_only_ones_tested(table):
    by_speaker, _ = splits(table, test_speakers=["s3"])
    assert [name for name, split in by_speaker.items() if split == "test"] == ["s3"]
    assert sorted(by_speaker.values()) == ["test", *["train"] * 4, "validation"]


def test_speakers_named_for_validation_are_the_only_ones_held_out(table):
    by_speaker, _ = splits(table, validation_speakers=["s3"])
    assert by_speaker["s3"] == "validation"
    assert sorted(by_speaker.values()) == [*["train"] * 5, "validation"]


def test_each_channel_of_a_call_is_a_row_and_a_speaker(tmp_path):
    tone(tmp_path / "call.wav", channels=2)
    reading = UnlabelledAudioReading(sample_rate_hz=RATE, channel="each")
    source = str(tmp_path / "call.wav")
    rows = list(read_audio_rows([source], reading, content=None, labelled=False, note=[].append))
    assert [row.fields["speaker"] for row in rows] == ["channel 1", "channel 2"]
    assert [row.record["channel"] for row in rows] == [1, 2]
    assert rows[0].fields["audio"] != rows[1].fields["audio"]


def test_a_column_says_which_channel_a_row_is(tmp_path):
    tone(tmp_path / "call.wav", channels=2)
    listed = [{"audio": "call.wav", "label": "a", "channel": number} for number in (2, 3)]
    path = tmp_path / "table.jsonl"
    path.write_text("\n".join(map(json.dumps, listed)))
    second, missing = read_audio_rows(
        [str(path)],
        LabelledAudioReading(sample_rate_hz=RATE),
        content="label",
        labelled=True,
        note=[].append,
    )
    assert second.fields["seconds"] == 1.0
    assert "has no channel 3, only 2" in missing.reason


def test_noise_holds_no_voice_and_is_refused_on_demand():
    noise = np.random.default_rng(0).normal(0, 0.05, 4 * RATE).astype(np.float32)
    pulses = np.zeros(4 * RATE, np.float32)
    pulses[:: RATE // 120] = 0.8  # a voice of 120 Hz
    assert voiced_share(noise, RATE) < 0.02 < 0.9 < voiced_share(pulses, RATE)
    clip = Clip(noise, RATE, RATE, 1, 0.0)
    with pytest.raises(DataError, match="contains no voice"):
        clean(clip, UnlabelledAudioReading(min_voiced=0.05))
    assert len(clean(clip, UnlabelledAudioReading())[0]) == len(noise)


def test_words_heard_with_little_confidence_are_left_out_of_the_text():
    words = [{"word": "left", "confidence": 0.9}, {"word": "uh", "confidence": 0.2}]
    assert confident("left uh", words, 0.0) == ("left uh", words)
    assert confident("left uh", words, 0.5) == ("left", words[:1])
