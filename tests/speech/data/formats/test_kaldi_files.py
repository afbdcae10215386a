"""Kaldi archives against kaldiio, and damaged ones."""

import struct

import kaldiio
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from aitk.core.contract.errors import DataError
from aitk.speech.data.formats.kaldi_files import (
    MatrixPlace,
    decode_matrix,
    encode_matrix,
    index_ark,
    matrix_columns,
    place_of,
)

RNG = np.random.default_rng(0)
MATRICES = {
    "u1": RNG.standard_normal((5, 3)).astype(np.float32),
    "u2": RNG.standard_normal((1, 7)).astype(np.float32),
    "v": RNG.standard_normal(4).astype(np.float32),
}


def read_all(path):
    return {key: place.read() for key, place in index_ark(path)}


@pytest.mark.parametrize("method", [None, 1, 2, 3, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_kaldiio_writes_is_read(tmp_path, method, dtype):
    path = str(tmp_path / "feats.ark")
    matrices = {key: value.astype(dtype) for key, value in MATRICES.items() if value.ndim == 2}
    kaldiio.save_ark(path, matrices, scp=str(tmp_path / "feats.scp"), compression_method=method)
    found = read_all(path)
    assert list(found) == ["u1", "u2"]
    for key, expected in kaldiio.load_ark(path):
        np.testing.assert_allclose(found[key], expected, atol=1e-5)
        assert np.abs(found[key] - MATRICES[key]).max() < 0.1


def test_text_archives_are_read(tmp_path):
    path = str(tmp_path / "feats.txt")
    kaldiio.save_ark(path, {"a": MATRICES["u1"], "b": MATRICES["v"]}, text=True)
    found = read_all(path)
    np.testing.assert_allclose(found["a"], MATRICES["u1"], atol=1e-5)
    np.testing.assert_allclose(found["b"], MATRICES["v"], atol=1e-5)


def test_an_entry_of_a_list_names_the_place_of_a_matrix(tmp_path):
    kaldiio.save_ark(str(tmp_path / "a.ark"), MATRICES, scp=str(tmp_path / "a.scp"))
    entries = dict(line.split() for line in (tmp_path / "a.scp").read_text().splitlines())
    offset = entries["v"].rpartition(":")[2]
    place = place_of(f"a.ark:{offset}", tmp_path, outside=False)
    assert place == MatrixPlace(tmp_path / "a.ark", int(offset))
    np.testing.assert_array_equal(place.read(), MATRICES["v"])


@pytest.mark.parametrize("options", [{}, {"text": True}, {"compression_method": 2}])
def test_an_index_finds_what_kaldiio_lists(tmp_path, options):
    path, matrices = str(tmp_path / "a.ark"), {"b": MATRICES["u1"], "c": MATRICES["u2"]}
    kaldiio.save_ark(path, matrices, scp=str(tmp_path / "a.scp"), **options)
    listed = dict(line.split() for line in (tmp_path / "a.scp").read_text().splitlines())
    for key, place in index_ark(path):
        np.testing.assert_allclose(place.read(), kaldiio.load_mat(listed[key]), atol=1e-5)


def test_a_row_stores_a_matrix_as_bytes(tmp_path):
    stored = encode_matrix(MATRICES["u1"])
    (tmp_path / "x").write_bytes(stored)
    np.testing.assert_array_equal(kaldiio.load_mat(str(tmp_path / "x")), MATRICES["u1"])
    assert matrix_columns(stored) == 3
    np.testing.assert_array_equal(decode_matrix(stored), MATRICES["u1"])
    assert matrix_columns(b"fLaC" + bytes(60)) == 0
    with pytest.raises(DataError, match="truncated"):
        decode_matrix(stored[:-1])


@given(
    arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9))
)
def test_every_shape_is_restored(matrix):
    np.testing.assert_array_equal(decode_matrix(encode_matrix(matrix)), matrix)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"u1 \0BFM \x04\xff\xff\xff\x7f\x04\xff\xff\xff\x7f1234", "larger than the limit"),
        (b"u1 \0BCM2 " + struct.pack("<ffii", 0, 1, 1 << 30, 9), "larger than the limit"),
        (b"u1 \0BFM \x04\x05\0\0\0\x04\x05\0\0\0" + b"1" * 50, "truncated"),
        (b"u1 \0BFM \x04\xff\xff\xff\xff\x04\x05\0\0\0", "negative size"),
        (b"u1 \0BCM " + struct.pack("<ffii", 0, 1, 9, 9), "truncated"),
        (b"u1 \0BXY whatever", "only float matrices are supported"),
        (b"u1 \0Bsomethinglong", "not a Kaldi archive"),
        (b"u1", "ends inside a key"),
        (b"x" * 5000, "a key has no end"),
        (b"u1 hello\n ]", "not a Kaldi archive"),
        (b"u1  [\n 1 2\n 3 ]\n", "a non-number"),
        (b"u1  [\n 1 2\n", "ends inside a matrix"),
    ],
)
def test_damaged_archives_are_refused(tmp_path, content, words):
    path = tmp_path / "feats.ark"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_all(path)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("../x.ark:3", "is outside"),
        ("copy-feats x |", "no commands or ranges"),
        ("x.ark:3[0:5]", "no commands or ranges"),
        ("gone.ark:3", "there is no file"),
        ("gone.ark", "no offset"),
    ],
)
def test_entries_that_lead_out_or_run_commands_are_refused(tmp_path, entry, words):
    (tmp_path / "data").mkdir()
    (tmp_path / "x.ark").write_bytes(b"")
    with pytest.raises(DataError, match=words):
        place_of(entry, tmp_path / "data", outside=False)
