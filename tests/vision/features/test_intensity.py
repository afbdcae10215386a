"""Images of more than 8 bits: their intensity range, and its report."""

import cv2
import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.io.images import decode_image
from aitk.vision.data.options import ClassifyImages
from aitk.vision.data.reading import read_images
from aitk.vision.data.reading_counts import PAGES, ReadingCounts
from aitk.vision.features.intensity import IntensityRange, parse_range


def deep(low, high, kind=np.uint16, suffix=".png"):
    values = np.linspace(low, high, 20 * 30).reshape(20, 30).astype(kind)
    return cv2.imencode(suffix, values)[1].tobytes()


def read(path, **told):
    counts = ReadingCounts()
    rows = list(
        read_images(
            [str(path)],
            ClassifyImages(**told),
            annotation_kinds={"label"},
            labelled=True,
            note=print,
            counts=counts,
        )
    )
    return rows, {finding.check: finding for finding in counts.findings()}


def levels(row):
    image = decode_image(row.fields["image"], "")
    return int(image.min()), int(image.max())


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_low_range_is_warned_of_with_the_option_that_mends_it(save, tmp_path, suffix):
    save(f"in/cat/1{suffix}", deep(300, 4000, suffix=suffix))
    (row,), found = read(tmp_path / "in")
    assert levels(row) == (1, 15)
    assert found["intensity"].grade == "warning"
    assert "--intensity-range 0-4095" in found["intensity"].message


@pytest.mark.parametrize(
    ("told", "expected"), [("0-4095", (19, 249)), ("300-4000", (0, 255)), ("auto", (0, 255))]
)
def test_options_set_black_and_white(save, tmp_path, told, expected):
    save("in/cat/1.png", deep(300, 4000)), save("in/cat/2.tif", deep(300, 4000, suffix=".tif"))
    rows, found = read(tmp_path / "in", intensity_range=told)
    assert [levels(row) for row in rows] == [expected, expected]
    assert found["intensity"].grade == "ok"


def test_a_full_range_is_no_fault(save, tmp_path):
    save("in/cat/1.png", deep(8000, 60_000))
    (row,), found = read(tmp_path / "in")
    assert levels(row) == (31, 234)
    assert found["intensity"].grade == "ok"


def test_decimal_numbers_need_a_range(save, tmp_path):
    save("in/cat/1.tif", deep(0.1, 0.9, np.float32, ".tif"))
    (bad,), _ = read(tmp_path / "in")
    assert "--intensity-range LO-HI" in bad.reason
    (row,), _ = read(tmp_path / "in", intensity_range="0-1")
    assert levels(row) == (26, 230)


def test_a_range_of_other_values_is_warned_of(save, tmp_path):
    save("in/cat/1.png", deep(300, 4000))
    _, found = read(tmp_path / "in", intensity_range="5000-9000")
    assert found["intensity"].grade == "warning"


def test_the_first_of_several_pages_is_used_and_counted(save, tmp_path):
    pages = [np.full((20, 30, 3), level, np.uint8) for level in (50, 200)]
    save("in/cat/1.tif", cv2.imencodemulti(".tif", pages)[1].tobytes())
    (row,), found = read(tmp_path / "in")
    assert levels(row) == (50, 50)
    assert found[PAGES.check].details["count"] == 1


def test_ranges_are_read_with_signs_and_decimals():
    assert parse_range("-1000-3000") == IntensityRange((-1000, 3000))
    assert parse_range("0:0.5") == IntensityRange((0, 0.5))
    for text in ("4095", "5-5", "9-1", "0-1e999", "low-high"):
        with pytest.raises(UsageError, match="cannot read"):
            parse_range(text)
