"""Reading audio: every layout with its metadata, and refusals."""

import io

import numpy as np
import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal
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


def test_a_folder_per_label_with_splits(save_sound, tmp_path):
    for name in ("train/yes/a.wav", "train/no/b.flac", "test/yes/c.ogg", "train/_noise_/d.wav"):
        save_sound(name)
    notes = []
    rows = rows_of(tmp_path, content="label", notes=notes)
    assert told(rows, "label", "id") == [
        ("yes", "test/yes/c", "test"),
        ("no", "train/no/b", "train"),
        ("yes", "train/yes/a", "train"),
    ]
    assert any("1 recordings ignored" in note for note in notes)


def test_speech_commands_list_their_splits(save_sound, write, tmp_path):
    for name in ("yes/1f_nohash_0.wav", "yes/2f_nohash_0.wav", "no/3f_nohash_1.wav"):
        save_sound(name)
    write("testing_list.txt", "yes/2f_nohash_0.wav\n")
    write("validation_list.txt", "no/3f_nohash_1.wav\n")
    rows = rows_of(tmp_path, content="label", file_names="{speaker}_nohash_{}")
    assert told(rows, "label", "speaker") == [
        ("no", "3f", "validation"),
        ("yes", "1f", "train"),
        ("yes", "2f", "test"),
    ]


def test_names_of_files_tell_label_and_speaker_who_may_be_held_out(save_sound, tmp_path):
    for name in ("0_ann_1.wav", "1_ben_7.wav", "0_cy_3.wav", "notes.wav"):
        save_sound(name)
    options = {"content": "label", "file_names": "{label}_{speaker}_{}"}
    rows = rows_of(tmp_path, test_speakers=["cy"], validation_speakers=["ben"], **options)
    assert told(rows, "label", "speaker") == [
        ("0", "ann", "train"),
        ("0", "cy", "test"),
        ("1", "ben", "validation"),
        "its name does not match {label}_{speaker}_{}",
    ]
    with pytest.raises(UsageError, match="Did you mean 'label'"):
        rows_of(tmp_path, content="label", file_names="{lable}_{spaeker}")


def test_a_name_that_tells_nothing_is_no_fault_where_nothing_need_be_told(save_sound, tmp_path):
    """A run that learnt its labels from file names predicts for files of any name."""
    save_sound("notes.wav")
    rows = rows_of(tmp_path, content="label", labelled=False, file_names="{label}_{speaker}_{}")
    assert [item.file for item in rows] == [str(tmp_path / "notes.wav")]


def test_librispeech(save_sound, write, tmp_path):
    save_sound("dev-clean/84/121/84-121-0000.flac")
    write("dev-clean/84/121/84-121.trans.txt", "84-121-0000 GO, DO YOU HEAR\n84-121-0001 NO\n")
    assert told(rows_of(tmp_path), "id", "text", "speaker") == [
        ("84-121-0000", "go do you hear", "84", "validation"),
        "there is no recording 84-121-0001 next to it",
    ]


def test_common_voice(save_sound, write, tmp_path):
    for name in ("a", "b", "c"):
        save_sound(f"clips/{name}.mp3")
    head = "client_id\tpath\tsentence\tage\n"
    write("train.tsv", f"{head}s1\ta.mp3\tOne, two.\t\n")
    write("test.tsv", f"{head}s2\tb.mp3\tIt's three\t\n")
    write("validated.tsv", f"{head}s1\ta.mp3\tOne, two.\t\ns2\tb.mp3\tIt's three\t\n")
    write("invalidated.tsv", f"{head}s3\tc.mp3\tRubbish\t\n")
    assert told(rows_of(tmp_path), "id", "text", "speaker") == [
        ("b", "it's three", "s2", "test"),
        ("a", "one two", "s1", "train"),
    ]


def test_kaldi_data(save_sound, write, tmp_path, voice):
    save_sound("train/r1.wav", voice(2.0))
    write("train/wav.scp", "r1 r1.wav\nr2 sph2pipe -f wav x.sph |\nr3 gone.wav\n")
    write(
        "train/segments", "u1 r1 0.0 0.5\nu2 r1 0.5 -1\nu3 r2 0 1\nu4 r3 0 1\nu5 r1 x\nu6 r1 0 1\n"
    )
    write("train/text", "u1 a b\nu2 c\nu3 d\nu4 e\nu5 f\n")
    write("train/utt2spk", "u1 s1\nu2 s1\n")
    rows = rows_of(tmp_path / "train")
    assert told(rows, "id", "text", "speaker", "seconds") == [
        ("u1", "a b", "s1", 0.5, "train"),
        ("u2", "c", "s1", 1.5, "train"),
        "its recording is a command, which is not executed: give a file name",
        "there is no file gone.wav",
        "cannot read the segment 'r1 x'",
        "the file text has no entry for u6",
    ]
    assert [row.line for row in rows] == [1, 2, 3, 4, 5, 6]


def test_transcripts_in_files_next_to_the_sounds(save_sound, write, tmp_path):
    save_sound("a.wav")
    save_sound("b.wav")
    write("a.txt", "hello\nthere\n")
    assert told(rows_of(tmp_path), "text") == [
        ("hello there", None),
        "there is no transcript b.txt next to it",
    ]


def test_a_sound_named_by_itself(save_sound):
    path = save_sound("a.wav")
    (row,) = rows_of(path, labelled=False)
    assert (row.file, row.record) == (str(path), {"file": str(path)})


def test_rows_can_be_checked(save_sound, write):
    save_sound("a.wav")
    source = write("a.csv", "audio,text\na.wav,much too long\na.wav,no\n")

    def check(fields):
        return "too long" if len(fields["text"]) > 5 else None

    assert told(rows_of(source, check=check), "text") == ["too long", ("no", None)]


def test_folders_and_files_without_sound(tmp_path, write):
    with pytest.raises(DataError, match="no audio in the folder"):
        rows_of(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        rows_of(tmp_path / "a.wav")
    (refused,) = rows_of(write("a.wav", "not a sound"), labelled=False)
    assert "cannot be read as audio" in refused.reason


def test_a_tensorflow_data_set(monkeypatch):
    from aitk.core.io.tables import Table
    from aitk.speech.data.formats import tfds_audio as tfds_sounds

    samples = (8000 * np.sin(np.arange(4000) / 5)).astype(int).tolist()
    records = [{"audio": samples, "label": "yes"}, {"audio": [], "label": "no"}]
    table = Table("tfds:x[test]", ["audio", "label"], [], [], iter(enumerate(records, 1)))
    monkeypatch.setattr(tfds_sounds, "open_tfds", lambda source: [("test", table)])
    monkeypatch.setattr(tfds_sounds, "_rate_of", lambda source, audio: None)
    notes = []
    rows = rows_of("tfds:x", content="label", notes=notes)
    assert told(rows, "label", "id", "seconds") == [
        ("yes", "test-1", 0.25, "test"),
        "it has no samples",
    ]
    assert notes[0] == "tfds:x[test]: the sample rate is not declared, assuming 16000"


def test_stored_rows_are_read_by_tensorflow_datasets_alone(save_sound, tmp_path):
    import soundfile
    import tensorflow_datasets as tfds

    from aitk.core.artifacts.data import DataWriter

    save_sound("yes/a.wav")
    (row,) = rows_of(tmp_path, content="label")
    features = {
        "audio": tfds.features.Tensor(shape=(), dtype=np.object_),
        "label": tfds.features.Text(),
        "speaker": tfds.features.Text(),
        "seconds": np.float32,
        "id": tfds.features.Text(),
    }
    (tmp_path / "data").mkdir()
    writer = DataWriter(tmp_path / "data", features, description="sounds")
    writer.write("train", [row.fields])
    writer.close()
    (stored,) = tfds.builder_from_directory(tmp_path / "data").as_data_source("train")
    samples, rate = soundfile.read(io.BytesIO(stored["audio"]))
    assert (len(samples), rate, stored["label"]) == (4000, 8000, b"yes")


def test_labels_and_speakers_that_look_alike_are_one_and_missing_ones_are_reported(
    write, save_sound
):
    save_sound("a.wav")
    source = write(
        "a.csv",
        "audio,label,speaker\na.wav,yes\u200b,ann\na.wav,yes,NULL\na.wav,nan,ann\na.wav,1.0,5.0\n",
    )
    rows = rows_of(source, content="label")
    assert told(rows, "label", "speaker") == [
        ("yes", "ann", None),
        ("yes", "", None),
        "its label is nan, a missing value (--keep-na reads it as a name)",
        ("1", "5", None),
    ]


def test_personal_data_in_transcripts_is_replaced_and_counted(save_sound, write):
    save_sound("a.wav")
    save_sound("b.wav")
    table = write("lines.csv", "audio,text\na.wav,Mail Ann@b.org!\nb.wav,Good morning\n")
    first, second = rows_of(table, redact=["all"])
    assert first.fields["text"] == "mail [EMAIL]"
    assert (first.redacted, second.redacted) == ({"email": 1}, {})
