"""Ranges of windows: whole windows, of about equally many records."""

import pytest

from aitk.stages.parts.ranges import Range, split_range


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_ranges_are_whole_windows_one_after_the_other(count):
    sizes = [4, 8, 16, 16, 16, 3]
    ranges = split_range(Range(5, sizes, sizes), count)
    assert [size for each in ranges for size in each.sizes] == sizes
    assert len(ranges) == count
    at = 5
    for each in ranges:
        assert each.start == at
        at += each.records
