"""Run lengths of masks, against pycocotools."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aitk.core.contract.errors import DataError
from aitk.vision.data.formats.run_lengths import decode_runs, encode_runs


@given(hnp.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_there_and_back_and_as_pycocotools_has_it(mask):
    coded = encode_runs(mask)
    height, width = mask.shape
    np.testing.assert_array_equal(decode_runs(coded, height=height, width=width), mask)
    import pycocotools.mask as coco_masks

    theirs = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert theirs["counts"].decode() == coded["counts"]


def test_long_runs_take_several_characters():
    mask = np.zeros((1000, 900), bool)
    mask[:, 450] = True
    np.testing.assert_array_equal(decode_runs(encode_runs(mask), height=1000, width=900), mask)


@pytest.mark.parametrize(
    "coded",
    [
        {"size": [2, 3], "counts": [1, 1, 1]},
        {"size": [3, 2], "counts": [6]},
        {"size": [2, 3], "counts": [7, -1]},
        {"size": [2, 3], "counts": "P"},
        {"size": [2, 3], "counts": "ÿ"},
        {"size": [2, 3], "counts": {"a": 1}},
        {},
    ],
)
def test_what_is_no_such_mask_is_refused(coded):
    with pytest.raises(DataError, match="has a mask"):
        decode_runs(coded, height=2, width=3)


def test_a_run_length_without_end_is_refused_at_once():
    counts = "o" * 1_000_000 + "0"
    with pytest.raises(DataError, match="over 35 bits"):
        decode_runs({"size": [2, 3], "counts": counts}, height=2, width=3)
