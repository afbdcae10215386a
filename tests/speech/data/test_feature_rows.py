"""Rows of precomputed features: Kaldi's feats.scp and archives, by kaldiio."""

import kaldiio
import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.speech.data.audio import content_key
from aitk.speech.data.formats.kaldi_files import decode_matrix, encode_matrix
from aitk.speech.data.options import LabelledAudioReading, TranscribedAudioReading
from aitk.speech.data.quality import AudioInspector
from aitk.speech.data.reading import read_audio_rows

RNG = np.random.default_rng(0)
MATRICES = {
    name: RNG.standard_normal((frames, 3)).astype(np.float32)
    for name, frames in (("u1", 20), ("u2", 30), ("u3", 10))
}


@pytest.fixture
def data(tmp_path):
    """A Kaldi data folder that has features only."""
    folder = tmp_path / "train"
    folder.mkdir()
    with kaldiio.WriteHelper(f"ark,scp:{folder}/feats.ark,{folder}/feats.scp") as writer:
        for name, matrix in MATRICES.items():
            writer(name, matrix)
    lines = (folder / "feats.scp").read_text().replace(f"{folder}/", "")
    (folder / "feats.scp").write_text(lines)
    (folder / "text").write_text("u1 yes\nu2 no\n")
    (folder / "utt2spk").write_text("u1 s1\nu2 s2\nu3 s1\n")
    return folder


def rows_of(source, *, content="label", labelled=True, note=lambda sentence: None, **options):
    reading = (LabelledAudioReading if content == "label" else TranscribedAudioReading)(**options)
    return list(
        read_audio_rows([str(source)], reading, content=content, labelled=labelled, note=note)
    )


@pytest.mark.parametrize("content", ["label", "text"])
def test_rows_hold_the_features_and_what_the_folder_says_of_them(data, content):
    *rows, refused = rows_of(data, content=content)
    for row, name, result in zip(rows, ("u1", "u2"), ("yes", "no"), strict=True):
        np.testing.assert_array_equal(decode_matrix(row.fields["audio"]), MATRICES[name])
        assert (row.fields["id"], row.fields[content], row.split) == (name, result, "train")
        assert row.fields["seconds"] == pytest.approx(len(MATRICES[name]) / 100)
    assert [row.fields["speaker"] for row in rows] == ["s1", "s2"]
    assert refused == Refusal(str(data / "feats.scp"), 3, "the file text has no entry for u3")


@pytest.mark.parametrize("name", ["feats.scp", "feats.ark"])
def test_a_list_or_an_archive_is_a_source(data, name):
    rows = rows_of(data / name, labelled=False)
    assert [row.record["id"] for row in rows] == ["u1", "u2", "u3"]
    assert [row.fields["seconds"] for row in rows] == [0.2, 0.3, 0.1]


def test_audio_is_preferred_unless_features_are_requested(data, save_sound):
    save_sound("train/u1.wav")
    (data / "wav.scp").write_text("u1 u1.wav\n")
    notes = []
    (row,) = rows_of(data, note=notes.append)
    assert row.fields["audio"].startswith(b"fLaC")
    assert any("--precomputed" in note for note in notes)
    assert len(rows_of(data, precomputed=True)) == 3


def test_segments_cut_features_of_recordings(data):
    (data / "segments").write_text("a u1 0.05 0.15\nb u2 0.1 -1\nc u1 0.5 0.6\nd u9 0 1\n")
    (data / "text").write_text("a one\nb two\nc three\nd four\n")
    first, second, outside, unknown = rows_of(data, content="text")
    np.testing.assert_array_equal(decode_matrix(first.fields["audio"]), MATRICES["u1"][5:15])
    np.testing.assert_array_equal(decode_matrix(second.fields["audio"]), MATRICES["u2"][10:])
    assert outside.reason == "feats.ark: has 20 frames and cannot be cut from 0.5 s to 0.6 s"
    assert (unknown.line, unknown.reason) == (4, "feats.scp has no recording u9")


def test_segments_of_utterances_with_features_of_their_own_cut_nothing(data):
    (data / "segments").write_text("u1 r 5.0 5.2\nu2 r 7 7.3\n")
    row = rows_of(data)[0]
    np.testing.assert_array_equal(decode_matrix(row.fields["audio"]), MATRICES["u1"])


def test_the_frame_shift_gives_the_seconds(data):
    assert rows_of(data, feature_shift_ms=20.0)[0].fields["seconds"] == 0.4


def test_long_features_are_cut_without_text_and_refused_with_one(data):
    pieces = rows_of(data / "feats.ark", labelled=False, max_seconds=0.1)
    assert [row.fields["id"] for row in pieces][:3] == ["u1-0000000", "u1-0000010", "u2-0000000"]
    assert pieces[1].record["start"] == pieces[1].fields["start"] == 0.1
    assert rows_of(data, max_seconds=0.25)[1].reason.startswith("feats.ark: lasts 0.3 s")


def test_entries_that_cannot_be_read_are_refused_with_their_line(data):
    (data / "feats.scp").write_text(
        "u1 feats.ark:3\nu2 copy-feats x |\nu3 gone.ark:3\nu4 feats.ark:1\nu5 feats.ark\n"
    )
    rows = rows_of(data / "feats.scp", labelled=False)
    assert isinstance(rows[0], Row)
    assert [(row.line, row.reason) for row in rows[1:]] == [
        (2, "copy-feats x | is not FILE:OFFSET (no commands or ranges)"),
        (3, "there is no file gone.ark"),
        (4, "feats.ark: is not a Kaldi archive"),
        (5, "feats.ark has no offset (FILE:OFFSET)"),
    ]


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (np.full((5, 3), np.nan, np.float32), "not finite"),
        (
            np.zeros((5, 4), np.float32),
            "has features with 4 columns, but the first row has features",
        ),
        (np.zeros(7, np.float32), "is a vector"),
        (np.zeros((0, 3), np.float32), "has no frames"),
    ],
)
def test_matrices_of_other_kinds_are_refused(tmp_path, matrix, words):
    path = str(tmp_path / "x.ark")
    kaldiio.save_ark(path, {"a": MATRICES["u1"], "b": matrix})
    _, refused = rows_of(path, labelled=False)
    assert words in refused.reason


def test_options_that_need_a_waveform_are_refused(data):
    with pytest.raises(UsageError, match="needs audio"):
        rows_of(data, trim_silence=True)


def test_the_inspector_counts_seconds_and_has_no_levels(data):
    inspector = AudioInspector(LabelledAudioReading(), content="label")
    for row in rows_of(data)[:2]:
        inspector.add(row, "train")
    summary = inspector.summary()
    assert summary["seconds"] == {"train": 0.5}
    assert summary["measured"]["level_dbfs"] == {}
    grades = {each.check: each.grade for each in inspector.findings()}
    assert grades["clipping"] == grades["noise"] == "skipped"


def test_equal_features_have_equal_keys():
    stored = encode_matrix(MATRICES["u1"])
    assert content_key(stored) == content_key(encode_matrix(MATRICES["u1"].copy()))
    assert content_key(stored) != content_key(encode_matrix(MATRICES["u2"]))
