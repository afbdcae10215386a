"""Mask files: grey, indexed, colour-coded, and what is wrong with them."""

import contextlib
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aitk.core.contract.errors import DataError
from aitk.core.io.images import encode_png
from aitk.vision.data.class_lists import ClassList, parse_class_list
from aitk.vision.data.formats.masks import decode_mask, encode_mask, mask_names, read_mask
from aitk.vision.data.items import ClassMask
from aitk.vision.data.options import SegmentImages
from aitk.vision.data.quality.mask_quality import MaskStatistics
from aitk.vision.data.reading import read_images
from aitk.vision.tasks.segment import Segment

NUMBERS = np.array([[0, 1, 2], [2, 1, 255]], np.uint8)
THREE = ClassList(("road", "car", "tree"))


def read(data, classes=THREE, *, binary=False):
    return read_mask(data, height=2, width=3, classes=classes, binary=binary)


def png(values, *options):
    return cv2.imencode(".png", values, options)[1].tobytes()


def indexed_png(values, bits):
    """A PNG with a palette, all of it black but for one red."""
    height, width = values.shape
    rows = b""
    for row in values:
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, bits, 3, 0, 0, 0),
        b"PLTE": b"\xff\0\0" + bytes(3 * ((1 << bits) - 1)),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks.items()
    )


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20))), st.booleans())
def test_a_stored_mask_records_its_class_numbers(numbers, named):
    names = ("Straße", "tEXtClasses", "木") if named else ()
    data = encode_mask(ClassMask(numbers, names))
    np.testing.assert_array_equal(decode_mask(data), numbers)
    assert mask_names(data) == names


def test_grey_values_are_class_numbers():
    mask = read(png(NUMBERS))
    np.testing.assert_array_equal(mask.numbers, NUMBERS)
    assert mask.names == THREE.names


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_of_an_indexed_png_the_index_counts_not_the_colour(bits):
    values = np.array([[0, 1, 2], [2, 1, 3 if bits == 2 else 0]], np.uint8)
    classes = ClassList(("a", "b", "c", "d"))
    np.testing.assert_array_equal(read(indexed_png(values, bits), classes).numbers, values)


def test_colours_are_looked_up():
    classes = parse_class_list(b"road 0 0 0\n128 0 0\tstop sign\ntree 0 128 0\n", "x")
    assert classes.names == ("road", "stop sign", "tree")
    image = np.zeros((2, 3, 3), np.uint8)
    image[0, 1] = 128, 0, 0
    image[1, 2] = 0, 128, 0
    mask = read(png(image[..., ::-1]), classes)
    assert mask.numbers.tolist() == [[0, 1, 0], [0, 0, 2]]
    image[1, 0] = 1, 2, 3
    with pytest.raises(DataError, match=r"1 pixels of the colour \(1, 2, 3\)"):
        read(png(image[..., ::-1]), classes)


def test_colours_without_a_list_are_refused():
    image = np.zeros((2, 3, 3), np.uint8)
    image[0, 0] = 9, 0, 0
    with pytest.raises(DataError, match="colour-coded"):
        read(png(image))


def test_ignored_classes_are_void_and_the_others_close_ranks():
    classes = ClassList(("road", "car", "tree"), ignored={"car"})
    mask = read(png(NUMBERS), classes)
    assert mask.names == ("road", "tree")
    assert mask.numbers.tolist() == [[0, 255, 1], [1, 255, 255]]
    unnamed = read(png(NUMBERS), ClassList((), ignored={"1"}))
    assert unnamed.numbers.tolist() == [[0, 255, 2], [2, 255, 255]]


def test_black_and_white():
    mask = read(png(np.array([[0, 255, 255], [0, 0, 7]], np.uint8)), binary=True)
    assert mask.numbers.tolist() == [[0, 1, 1], [0, 0, 1]]


def test_wrong_values_sizes_and_formats_are_refused():
    with pytest.raises(DataError, match="the value 2, but there are only 2 classes"):
        read(png(NUMBERS), ClassList(("a", "b")))
    with pytest.raises(DataError, match="3 x 3 pixels, but its image 3 x 2"):
        read(png(np.zeros((3, 3), np.uint8)))
    with pytest.raises(DataError, match="JPEG"):
        read(cv2.imencode(".jpg", NUMBERS)[1].tobytes())
    with pytest.raises(DataError, match="the value 300"):
        read(png(np.full((2, 3), 300, np.uint16)))
    with pytest.raises(DataError, match="damaged"):
        read(png(NUMBERS)[:50])


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("train/images/1.jpg", "train/masks/1.png"),
        ("images/train/1.jpg", "masks/train/1.png"),
        ("train/1.jpg", "trainannot/1.png"),
        ("train/1.jpg", "train_labels/1_L.png"),
        ("train/1.jpg", "train/1_mask.png"),
        ("1.png", "annot/1.png"),
    ],
)
def test_masks_are_found_next_to_images(save, tmp_path, image, mask):
    save(f"in/{image}"), save(f"in/{mask}", np.ones((20, 30), np.uint8))
    (row,) = read_images(
        [str(tmp_path / "in")],
        SegmentImages(),
        annotation_kinds={"mask"},
        labelled=True,
        note=print,
    )
    assert row.fields["name"] == image
    assert (decode_mask(row.fields["mask"]) == 1).all()
    assert row.split == ("train" if "train" in image else None)
    (alone,) = read_images(
        [str(tmp_path / "in")],
        SegmentImages(),
        annotation_kinds={"mask"},
        labelled=False,
        note=print,
    )
    assert alone.fields["name"] == image


def test_the_folder_of_masks_may_be_named(save, tmp_path):
    save("in/1.jpg"), save("in/2.jpg"), save("m/1.png", np.zeros((20, 30), np.uint8))
    good, bad = read_images(
        [str(tmp_path / "in")],
        SegmentImages(masks=str(tmp_path / "m"), classes=str(save("names.txt", "a\nb\n"))),
        annotation_kinds={"mask"},
        labelled=True,
        note=print,
    )
    assert mask_names(good.fields["mask"]) == ("a", "b")
    assert bad.reason == "there is no mask with its name"


def test_a_mask_shrinks_with_its_image(save, tmp_path):
    half = np.zeros((20, 30), np.uint8)
    half[:, 15:] = 1
    save("images/1.png"), save("masks/1.png", half)
    (row,) = read_images(
        [str(tmp_path)],
        SegmentImages(largest_side=15),
        annotation_kinds={"mask"},
        labelled=True,
        note=print,
    )
    mask = decode_mask(row.fields["mask"])
    assert mask.shape == (10, 15) and set(np.unique(mask)) == {0, 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"# only a comment\n", "names no class"),
        (b"a\nb\na\n", "names 'a' twice"),
        (b"a 0 0 0\nb\n", "a colour of its own"),
    ],
)
def test_wrong_lists_of_classes(content, reason):
    with pytest.raises(DataError, match=reason):
        parse_class_list(content, "names.txt")


def test_a_label_map_of_cvat():
    text = b"# label:color_rgb:parts:actions\nbackground:0,0,0::\ntop hat:255,10,0::\n"
    classes = parse_class_list(text, "labelmap.txt")
    assert classes.names == ("background", "top hat")
    assert classes.colours[255, 10, 0] == 1


def test_a_single_image_comes_with_the_files_of_its_name(save, tmp_path):
    save("in/cat.jpg"), save("in/dog.jpg"), save("in/classes.txt", "a\nb\n")
    save("in/cat_mask.png", np.ones((20, 30), np.uint8))
    (row,) = read_images(
        [str(tmp_path / "in/cat.jpg")],
        SegmentImages(),
        annotation_kinds={"mask"},
        labelled=True,
        note=print,
    )
    assert row.fields["name"] == "cat.jpg"
    assert mask_names(row.fields["mask"]) == ("a", "b")


@given(st.sampled_from([1, 2, 4, 8]), st.data())
def test_any_bytes_are_a_mask_or_refused(bits, data):
    content = bytearray(indexed_png(np.zeros((2, 3), int), bits))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    with contextlib.suppress(DataError):
        assert read(bytes(content)).numbers.shape == (2, 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b, *b]\n", "aliases are not supported"),
        (b"names: {0: a, b: c}\n", "no list of names"),
        (b"names: {0: a, 2: c}\n", "no list of names"),
        (b"names: [[a], b]\n", "no list of names"),
        (b"names: " + b"[" * 100_000, "cannot be read as YAML"),
        (b"names: [" + b"a" * 2000 + b"]\n", "over 1,000 characters"),
        (b"names: [a, a]\n", "'a' twice"),
    ],
)
def test_a_yaml_file_that_lists_no_names_is_refused(content, reason):
    with pytest.raises(DataError, match=reason):
        parse_class_list(content, "data.yaml")


def test_names_in_yaml_are_used_as_written():
    tags = b"names: {1: no, 0: 1.50, 2: !!timestamp x}\n"
    assert parse_class_list(tags, "data.yaml").names == ("1.50", "no", "x")


def soft_mask(seed):
    """A white disc with a soft edge on black."""
    mask = np.zeros((64, 96), np.uint8)
    cv2.circle(mask, (20 + seed, 30), 15, 255, -1)
    return cv2.GaussianBlur(mask, (0, 0), 2)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_soft_edge_is_cut_in_its_middle(suffix):
    data = cv2.imencode(suffix, soft_mask(0))[1].tobytes()
    mask = read_mask(data, height=64, width=96, classes=ClassList(()), binary=True)
    assert set(np.unique(mask.numbers)) == {0, 1}
    assert abs(int(mask.numbers.sum()) - 709) < 40  # the pixels of the disc


def test_a_jpeg_mask_next_to_its_image_is_read_where_it_is_black_and_white(save, tmp_path):
    save("in/images/1.png", height=64, width=96)
    save("in/masks/1.jpg", cv2.imencode(".jpg", soft_mask(0))[1].tobytes())
    source = {"annotation_kinds": {"mask"}, "labelled": True, "note": print}
    (bad,) = read_images([str(tmp_path / "in")], SegmentImages(), **source)
    assert "--binary-masks" in bad.reason
    (row,) = read_images([str(tmp_path / "in")], SegmentImages(binary_masks=True), **source)
    assert set(np.unique(decode_mask(row.fields["mask"]))) == {0, 1}


@pytest.mark.parametrize("values", ["black and white", "soft"])
def test_black_and_white_masks_are_refused_with_the_option_that_reads_them(values):
    statistics = MaskStatistics()
    for seed in range(40):
        mask = soft_mask(seed)
        numbers = mask if values == "soft" else np.where(mask > 127, 255, 0).astype(np.uint8)
        statistics.add(encode_mask(ClassMask(numbers)), "train")
    statistics.add(encode_mask(ClassMask(np.zeros((20, 20), np.uint8))), "train")  # of nothing
    summary = statistics.summary() | {"labels": statistics.names()}
    with pytest.raises(DataError) as refused:
        Segment().features(summary)
    assert "--binary-masks" in refused.value.hint


def test_class_numbers_with_a_void_border_are_no_black_and_white_masks():
    statistics = MaskStatistics()
    numbers = np.zeros((20, 20), np.uint8)
    numbers[5:10, 5:10], numbers[4, 4:11] = 1, 255
    statistics.add(encode_mask(ClassMask(numbers)), "train")
    assert statistics.look_binary() is None


def test_colours_of_more_classes_than_a_mask_holds_are_refused():
    listed = "".join(f"class{number} 0 {number // 256} {number % 256}\n" for number in range(300))
    classes = parse_class_list(listed.encode(), "classes.txt")
    png = encode_png(np.full((2, 2, 3), (0, 1, 30), np.uint8))
    with pytest.raises(DataError, match="a mask holds 255"):
        read_mask(png, height=2, width=2, classes=classes, binary=False)
