"""Numbers are rounded by one rule in every display."""

from __future__ import annotations

import pytest

from aitk.cli import cells


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.98765, "0.9877"),
        (12.3456, "12.35"),
        (1234.5678, "1234.6"),
        (1_234_567.8, "1234568"),
        (0.00001234, "1.2e-05"),
        (0.0, "0.0000"),
        (float("nan"), "nan"),
        (640, "640"),
        (True, "yes"),
        (None, ""),
        (["a", 1], "a, 1"),
        ("two\nlines", "two lines"),
    ],
)
def test_a_value_takes_one_short_line(value, shown) -> None:
    assert cells.cell(value) == shown


def test_the_numbers_of_a_column_have_equally_many_decimals() -> None:
    loss, seconds, name = cells.columns(
        [{"loss": 12.5, "seconds": 0.123, "name": "a"}, {"loss": 0.25, "seconds": 9, "name": "b"}]
    )
    assert (loss.cells, loss.numeric) == (["12.50", "0.25"], True)
    assert seconds.cells == ["0.1", "9"]
    assert not name.numeric


def test_a_metric_has_the_decimals_of_its_own_scale() -> None:
    _, value, low = cells.columns(
        [
            {"metric": "perplexity_per_word", "value": 1461.21, "low": 1190.0},
            {"metric": "bits_per_character", "value": 1.9112, "low": 1.8561},
        ]
    )
    assert value.cells == ["1461.2", "1.9112"]
    assert low.cells == ["1190.0", "1.8561"]


@pytest.mark.parametrize(("seconds", "shown"), [(65, "1:05"), (7200, "2:00:00"), (0.4, "0:00")])
def test_durations_read_as_a_clock(seconds, shown) -> None:
    assert cells.clock(seconds) == shown
