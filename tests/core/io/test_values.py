"""Values of user files are converted, or refused in one way."""

import json
import math

import pytest

from aitk.core.io.values import (
    MAX_DEPTH,
    dump_json,
    parse_json,
    plain_value,
    to_count,
    to_number,
    to_time,
)


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e400", "-1e999", "9" * 320 + ".5"])
def test_a_number_that_no_float_holds_is_missing(text):
    assert parse_json(f'{{"a": [{text}]}}') == {"a": [None]}


@pytest.mark.parametrize("text", ["1e30", "-2.5", "1e-400", '"1e400"', "9" * 400])
def test_other_numbers_and_strings_stay(text):
    assert parse_json(text) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1),
        "9" * 5000,
        r'"\ud800"',
        b"\xff",
        "[1",
    ],
)
def test_hostile_json_is_a_value_error(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_brackets_in_strings_nest_nothing():
    text = json.dumps(["[{" * 500, '"[' * 500, "\\[" * 500])
    assert parse_json(text) == json.loads(text)
    assert parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)


def test_what_is_written_reads_back_anywhere():
    written = dump_json({"score": math.inf, "rows": (1.5, math.nan), "file": "caf\udce9.csv"})
    assert json.loads(written) == {"score": None, "rows": [1.5, None], "file": r"caf\xe9.csv"}
    written.encode()


def test_values_of_typed_columns_become_json():
    assert plain_value({1: (b"a\xff", math.nan, 3 + 4j)}) == {"1": ["a�", None, "(3+4j)"]}


@pytest.mark.parametrize(
    "cell", ["nan", "inf", "-Infinity", "9" * 400, 10**400, "1_000", "1" * 2000, None, [1], {}, ""]
)
def test_what_is_no_finite_number_is_refused(cell):
    with pytest.raises(ValueError):
        to_number(cell)


def test_times_are_seconds_or_iso_dates_of_any_precision():
    assert to_time(1_700_000_000_000) == to_time("1700000000") == 1.7e9
    assert to_time("2023-11-14 22:13:20.000000001+00:00") == 1.7e9
    for cell in ("9999999-01-01", "0001-01-01", "-5", 1e300, "1" * 400, "x" * 10_000_000):
        with pytest.raises(ValueError):
            to_time(cell)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("12", 12),
        (" 0 ", 0),
        ("٣", 3),
        ("²", None),
        ("-1", None),
        ("1.0", None),
        ("9" * 5000, None),
    ],
)
def test_a_count_is_digits_that_fit_into_64_bits(text, count):
    assert to_count(text) == count
