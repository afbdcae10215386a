"""Manifests of recordings: their columns, cuts of files, and faulty rows."""

import io
import sys

import numpy as np
import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal
from aitk.speech.data.audio import decode_audio
from aitk.speech.data.options import LabelledAudioReading, TranscribedAudioReading
from aitk.speech.data.reading import read_audio_rows


@pytest.fixture
def write(tmp_path):
    def write_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    return write_file


def rows_of(*sources, content="text", labelled=True, notes=None, check=None, **options):
    """Rows and refusals of sources."""
    kind = LabelledAudioReading if content == "label" else TranscribedAudioReading
    return list(
        read_audio_rows(
            [str(source) for source in sources],
            kind(**{"sample_rate_hz": 8000} | options),
            content=content,
            labelled=labelled,
            note=[].append if notes is None else notes.append,
            check=check,
        )
    )


def told(rows, *names):
    """These fields and the split of rows; refusals as their reason."""
    return [
        row.reason
        if isinstance(row, Refusal)
        else (*(row.fields.get(name) for name in names), row.split)
        for row in rows
    ]


def test_a_manifest_names_sounds_with_all_that_is_known(write, save_sound):
    save_sound("wavs/a.wav")
    save_sound("wavs/b.wav")
    source = write(
        "list.csv",
        "id,audio,sentence,speaker,split\n"
        "u1,wavs/a.wav,Hello There,ann,dev\n"
        "u2,wavs/b.wav,good-bye,ben,test\n",
    )
    notes = []
    rows = rows_of(source, notes=notes)
    assert told(rows, "id", "text", "speaker", "seconds") == [
        ("u1", "hello there", "ann", 0.5, "validation"),
        ("u2", "good bye", "ben", 0.5, "test"),
    ]
    assert list(rows[0].fields) == ["audio", "text", "speaker", "seconds", "id"]
    samples, rate = decode_audio(rows[0].fields["audio"])
    assert (len(samples), rate) == (4000, 8000)
    assert notes[-1] == "source recordings: 8,000 Hz, 1 channel (2)"


def test_cuts_of_one_file_by_start_and_end_or_by_offset_and_duration(write, save_sound, voice):
    save_sound("long.wav", voice(3.0))
    cuts = write("cuts.tsv", "audio\ttext\tstart\tend\nlong.wav\tone\t0.5\t1.25\n")
    nemo = '{"audio_filepath": "long.wav", "text": "two", "offset": 2.0, "duration": 0.5}\n'
    rows = rows_of(cuts, write("nemo.jsonl", nemo))
    assert told(rows, "text", "seconds") == [("one", 0.75, None), ("two", 0.5, None)]


def test_faulty_rows_of_a_manifest_are_refused_one_by_one(write, save_sound, voice, tmp_path):
    save_sound("a.wav")
    save_sound("none.wav", np.zeros(4000))
    save_sound("short.wav", voice(0.01))
    save_sound("long.wav", voice(3.0))
    (tmp_path / "empty.wav").touch()
    source = write(
        "list.csv",
        "audio,text,start,end\n"
        "a.wav,fine,,\n"
        "b.wav,gone,,\n"
        ",nameless,,\n"
        "a.wav, ,,\n"
        "a.wav,?!,,\n"
        "a.wav,late,soon,\n"
        "a.wav,later,2,\n"
        "none.wav,silent,,\n"
        "short.wav,short,,\n"
        "long.wav,long,,\n"
        "empty.wav,empty,,\n"
        "/etc/passwd,outside,,\n"
        "../a.wav,outside,,\n",
    )
    found = told(rows_of(source, max_seconds=2.0), "text")
    assert found == [
        ("fine", None),
        "there is no file b.wav",
        "it names no recording",
        "its text is empty",
        "its text is empty after cleaning",
        "its start is 'soon', not a number of seconds",
        "a.wav: the cut begins at 2 s, but the recording ends at 0.50 s",
        "none.wav: is silent: its loudest 25 ms have -120 dBFS, below -70 (--min-level-dbfs)",
        "short.wav: lasts 0.010 s, below the minimum of 0.05 s (--min-seconds)",
        "long.wav: lasts 3.0 s, over the limit of 2 s (--max-seconds)",
        "empty.wav: the file is empty",
        "/etc/passwd is outside the manifest's folder; --outside allows it",
        "../a.wav is outside the manifest's folder; --outside allows it",
    ]


def test_files_outside_of_the_folder_where_it_is_allowed(write, save_sound):
    path = save_sound("sounds/a.wav")
    source = write("lists/a.csv", f"audio,text\n{path},yes\n../sounds/a.wav,yes\n")
    assert told(rows_of(source, outside=True), "text") == [("yes", None), ("yes", None)]


def test_columns_are_named_by_options_or_refused(write, save_sound):
    save_sound("a.wav")
    source = write("a.csv", "x,y,z\na.wav,hello,ann\n")
    with pytest.raises(DataError, match="cannot tell which column is the audio"):
        rows_of(source)
    rows = rows_of(source, audio_column="x", text_column="2", speaker_column="z")
    assert told(rows, "text", "speaker") == [("hello", "ann", None)]
    with pytest.raises(UsageError, match="no column 'w'"):
        rows_of(source, audio_column="w")


def test_a_manifest_on_stdin(write, save_sound, monkeypatch, tmp_path):
    save_sound("a.wav")
    monkeypatch.chdir(tmp_path)
    stdin = io.TextIOWrapper(io.BytesIO(b'{"audio": "a.wav", "id": 7}\n'))
    monkeypatch.setattr(sys, "stdin", stdin)
    (row,) = rows_of("-", labelled=False)
    assert (row.fields["id"], row.record) == ("7", {"audio": "a.wav", "id": 7})
    assert "text" not in row.fields
