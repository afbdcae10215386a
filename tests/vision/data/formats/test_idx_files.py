"""MNIST's files: all images in one, all labels in another."""

import gzip
import struct

import numpy as np
import pytest

from aitk.core.contract.errors import DataError
from aitk.core.io.images import decode_image
from aitk.vision.data.options import ClassifyImages
from aitk.vision.data.reading import read_images

IMAGES = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)


def idx(values):
    return struct.pack(f">I{values.ndim}I", 0x800 | values.ndim, *values.shape) + values.tobytes()


def read(path, **told):
    return list(
        read_images(
            [str(path)],
            ClassifyImages(**told),
            annotation_kinds={"label"},
            labelled=True,
            note=print,
        )
    )


def test_images_and_labels_are_paired(save, tmp_path):
    labels = np.array([1, 0], np.uint8)
    save("train-images-idx3-ubyte", idx(IMAGES)), save("train-labels-idx1-ubyte", idx(labels))
    save("t10k-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES[:1])))
    save("t10k-labels-idx1-ubyte.gz", gzip.compress(idx(labels[:1])))
    rows = read(tmp_path)
    assert [(row.fields["name"], row.split, row.fields["label"]) for row in rows] == [
        ("t10k#0", "test", "1"),
        ("train#0", "train", "1"),
        ("train#1", "train", "0"),
    ]
    np.testing.assert_array_equal(decode_image(rows[2].fields["image"], "")[..., 0], IMAGES[1])


def test_classes_name_the_numbers(save, tmp_path):
    save("images-idx3-ubyte", idx(IMAGES)), save("labels-idx1-ubyte", idx(np.uint8([1, 2])))
    good, bad = read(tmp_path, classes=str(save("names.txt", "shirt\nbag\n")))
    assert good.fields["label"] == "bag"
    assert bad.reason == "its class is 2, but there are only 2 classes"


def test_damage_is_reported(save, tmp_path):
    path = save("images-idx3-ubyte", idx(IMAGES)[:-1])
    with pytest.raises(DataError, match="no label file labels-idx1-ubyte|fewer or more values"):
        read(tmp_path)
    path.write_bytes(idx(IMAGES))
    save("labels-idx1-ubyte", idx(np.uint8([1])))
    with pytest.raises(DataError, match="has 1 labels for 2 images"):
        read(tmp_path)


@pytest.mark.parametrize("shape", [(2, 0, 5), (0, 4, 4), (2, 0, 2**32 - 1)])
def test_images_without_pixels_are_refused(save, tmp_path, shape):
    save("train-images-idx3-ubyte", struct.pack(">I3I", 0x803, *shape))
    save("train-labels-idx1-ubyte", idx(np.array([1, 0], np.uint8)))
    with pytest.raises(DataError, match="not images"):
        read(tmp_path)


def test_a_packed_file_that_grows_without_bound_is_refused(save, tmp_path):
    save("train-images-idx3-ubyte.gz", gzip.compress(bytes(50_000_000)))
    with pytest.raises(DataError, match="bomb"):
        read(tmp_path)
