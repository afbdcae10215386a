"""Files of vectors, good and bad."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest

from aitk.core.contract.errors import ArtifactError
from aitk.nlp.data.formats.vectors import NpyLines, VectorLines, read_vectors

WORDS, MATRIX = ["the", "cat", "été"], np.arange(6, dtype=np.float32).reshape(3, 2) / 4


def text_lines():
    pairs = zip(WORDS, MATRIX, strict=True)
    return "".join(f"{word} {row[0]} {row[1]}\n" for word, row in pairs)


def binary():
    pairs = zip(WORDS, MATRIX, strict=True)
    return b"3 2\n" + b"".join(w.encode() + b" " + row.astype("<f4").tobytes() for w, row in pairs)


CONTENTS = {
    "glove": text_lines().encode(),
    "word2vec text": b"3 2\n" + text_lines().encode(),
    "word2vec binary": binary(),
    "word2vec binary with line ends": binary().replace(b"cat", b"\ncat"),
    "gzip": gzip.compress(text_lines().encode()),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_every_format_gives_the_same_vectors(tmp_path, kind):
    path = tmp_path / "vectors"
    path.write_bytes(CONTENTS[kind])
    words, matrix = read_vectors(path)
    assert words == WORDS
    assert (matrix == MATRIX).all()
    assert read_vectors(path, keep=lambda word, row: word == "cat")[0] == ["cat"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"99999999999 2\nthe 1 2\n", "is not a file of vectors"),
        (b"999999999 2\nthe 1 2\n", "its header names"),
        (b"3 999999\nthe 1 2\n", "its header names"),
        (b"the 1 2\ncat 1\n", ":2: does not have a word and 2 numbers"),
        (b"the 1 2\ncat 1 nan\n", ":2: does not have a word"),
        (b"3 2\nthe 1 2\ncat 3 4\n", "ends after 2 of 3"),
        (b"1 2\nthe 1 2\ncat 3 4\n", "has more than 1"),
        (binary()[:-3], "ends after 2 of 3"),
        (b"3 2\n" + b"x" * 5000, "is damaged at vector 1"),
        (b"", "not a file of vectors|contains no vectors"),
        (b"<html>\n", "is not a file of vectors"),
        (gzip.compress(text_lines().encode())[:20], "cannot be read"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path, content, says):
    path = tmp_path / "vectors"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=says):
        read_vectors(path)


def test_written_vectors_are_read_again_by_numpy_and_by_us(tmp_path):
    parts = [
        [{"text": "a b", "prediction": [0.5, 1.0]}],
        [{"line": 2, "error": "x"}, {"text": "c", "prediction": [2.0, 3.0]}],
    ]
    npy, vec = NpyLines(), VectorLines()
    content = b"".join(npy.format(part) for part in parts)
    array = np.load(io.BytesIO(npy.head() + content[len(npy.head()) :]))
    assert np.isnan(array[1]).all()
    assert array[[0, 2]].tolist() == [[0.5, 1], [2, 3]]
    text = "".join(vec.format(part) for part in parts).encode()
    path = tmp_path / "made.vec"
    path.write_bytes(vec.head() + text[len(vec.head()) :])
    assert read_vectors(path)[0] == ["a_b", "c"]
    assert vec.recognises(path.read_text(), ())
