"""Vectors of images, audio and texts of items: from an encoder, or from descriptors."""

import numpy as np
import pyarrow
import pytest
from PIL import Image

from aitk.core.contract.errors import UsageError
from aitk.recsys.data.tables import read_table, write_table
from aitk.recsys.features.vectors import add_vectors


@pytest.fixture
def catalogue(tmp_path):
    """A table of three items: a red image, a missing file, and none."""
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    path = tmp_path / "items.parquet"
    table = pyarrow.table(
        {
            "item": ["a", "b", "c"],
            "title": ["one", "three", None],
            "poster": [str(tmp_path / "red.png"), str(tmp_path / "gone.png"), None],
            "price": [1.0, 2.0, 3.0],
        }
    )
    write_table(path, table, {"title": "text", "poster": "picture", "price": "number"})
    return path


def lengths(source, values, *, kind):
    """An encoder whose vectors are the length of a text, and its kind's."""
    lengths.asked.append((source, kind))
    return np.array([[len(value), len(kind)] if value else [0, 0] for value in values], np.float32)


@pytest.fixture
def embed():
    lengths.asked = []
    return lengths


class Heard:
    def __init__(self):
        self.notes, self.warnings = [], []

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)

    def track(self, items, what, *, total=None):
        yield from items


def test_an_encoder_that_is_reported_reads_its_attribute(catalogue, embed):
    heard = Heard()
    add_vectors(catalogue, ["title=runs/words"], embed, heard)
    table, kinds = read_table(catalogue)
    assert embed.asked == [("runs/words", "text")]
    assert table.column("title_vector").to_pylist() == [[3, 4], [5, 4], None]
    assert kinds["title_vector"] == "vector"
    assert "title: vectors of 2 of 3 items" in heard.notes


def test_images_without_an_encoder_are_described(catalogue, embed):
    heard = Heard()
    add_vectors(catalogue, [], embed, heard)
    table, kinds = read_table(catalogue)
    known = [vector is not None for vector in table.column("poster_vector").to_pylist()]
    assert known == [True, False, False]
    assert list(kinds) == ["title", "poster", "price", "poster_vector"]
    assert embed.asked == []
    (warning,) = heard.warnings
    assert "gone.png" in warning


def test_a_image_may_be_encoded_instead(catalogue, embed):
    add_vectors(catalogue, ["poster=net"], embed, Heard())
    assert embed.asked == [("net", "picture")]
    assert len(read_table(catalogue)[0].column("poster_vector")[0]) == 2


def test_a_column_of_vectors_that_is_there_is_kept(catalogue, embed):
    table, kinds = read_table(catalogue)
    vectors = pyarrow.array([[1.0], [2.0], None], pyarrow.list_(pyarrow.float32(), 1))
    table = table.append_column("poster_vector", vectors)
    write_table(catalogue, table, kinds | {"poster_vector": "vector"})
    add_vectors(catalogue, [], embed, Heard())
    assert read_table(catalogue)[0].column("poster_vector").to_pylist() == [[1], [2], None]
    with pytest.raises(UsageError, match="has a column poster_vector already"):
        add_vectors(catalogue, ["poster=net"], embed, Heard())


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("title", "--encoders: cannot read 'title'. Use NAME=RUN"),
        ("title=", "--encoders: cannot read 'title='"),
        ("titel=net", "unknown item attribute 'titel'. Did you mean 'title'"),
        ("price=net", "'price' is of kind number, which encoders do not support"),
    ],
)
def test_a_wrong_encoder_is_named(catalogue, embed, told, words):
    with pytest.raises(UsageError) as raised:
        add_vectors(catalogue, [told], embed, Heard())
    assert words in raised.value.line


def test_an_encoder_without_an_items_file_is_reported_so(tmp_path, embed):
    path = tmp_path / "items.parquet"
    write_table(path, pyarrow.table({"item": ["a"]}), {})
    with pytest.raises(UsageError, match="the items have no attributes.*--items"):
        add_vectors(path, ["title=net"], embed, Heard())
