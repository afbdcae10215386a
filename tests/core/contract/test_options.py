"""Options: declared once, resolved strictly."""

import datetime
from dataclasses import dataclass

import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import (
    describe,
    option,
    read_config,
    require_names,
    resolve,
    split_assignments,
    split_list,
)


@dataclass(frozen=True)
class Sample:
    rate: float = option(0.1, "how fast", minimum=0.0)
    mode: str = option("slow", "how", choices=("slow", "fast"))
    limit: int | None = option(None, "how much")
    loud: bool = option(False, "aloud")
    names: list[str] = option([], "who")
    from_: str | None = option(None, "whence")


def test_later_layers_win_and_strings_are_converted():
    options = resolve(Sample, {"rate": "0.5", "limit": "7"}, {"rate": 0.25, "loud": "true"})
    assert (options.rate, options.limit, options.loud) == (0.25, 7, True)


def test_from_is_a_name_people_can_write():
    assert resolve(Sample, {"from": "runs/a"}).from_ == "runs/a"
    assert [item.flag for item in describe(Sample)][-1] == "--from"


def test_a_list_may_be_written_with_commas():
    assert resolve(Sample, {"names": "a,b"}).names == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"raet": 1}, "Did you mean 'rate'"),
        ({"mode": "fats"}, "Did you mean 'fast'"),
        ({"rate": "much"}, "takes a number"),
        ({"rate": -1}, "at least 0"),
        ({"rate": "nan"}, "takes a number"),
        ({"rate": "inf"}, "takes a number"),
        ({"rate": 10**400}, "takes a number"),
        ({"rate": [1]}, "takes a number"),
        ({"limit": float("inf")}, "takes a whole number"),
        ({"limit": "1.5"}, "takes a whole number"),
        ({"loud": "maybe"}, "takes true or false"),
    ],
)
def test_a_wrong_value_is_named(given, words):
    with pytest.raises(UsageError, match=words):
        resolve(Sample, given)


def test_none_is_written_out():
    assert resolve(Sample, {"limit": "3"}, {"limit": "none"}).limit is None


def test_assignments_need_an_equals_sign():
    assert split_assignments(["max-length=5"]) == {"max_length": "5"}
    with pytest.raises(UsageError, match="KEY=VALUE"):
        split_assignments(["length"])


def test_a_config_may_be_toml_or_the_run_of_another(tmp_path):
    toml = tmp_path / "a.toml"
    toml.write_text("rate = 0.5\n[set]\nhidden = 3\n", encoding="utf-8")
    assert read_config(toml) == {"rate": 0.5, "set": {"hidden": 3}}
    run = tmp_path / "run.json"
    run.write_text('{"options": {"rate": 2}, "settings": {"hidden": 3}}', encoding="utf-8")
    assert read_config(run) == {"rate": 2, "set": {"hidden": 3}}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.toml", "rate = = 1", "not valid TOML"),
        ("a.toml", "rate = " + "[" * 5000, "not valid TOML"),
        ("a.json", '{"a":' * 5000 + "1" + "}" * 5000, "not valid JSON"),
        ("a.json", '{"options": [1]}', "not keys and values"),
    ],
)
def test_a_broken_config_is_a_usage_error(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=words):
        read_config(path)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a,b", ["a", "b"]),
        (' a , "b,c" ,d', ["a", "b,c", "d"]),
        ('"say ""hi"", twice"', ['say "hi", twice']),
        ('5" disk,b', ['5" disk', "b"]),
        ("", []),
        ("a,,b,", ["a", "b"]),
    ],
)
def test_commas_separate_entries_outside_of_quotation_marks(text: str, entries: list[str]) -> None:
    assert split_list(text) == entries


def test_a_value_of_a_keyed_entry_may_hold_commas() -> None:
    assert split_list("rate=1,2,epochs=3..9", keyed=True) == ["rate=1,2", "epochs=3..9"]
    assert split_list('"title=a, b=c",year=1990', keyed=True) == ["title=a, b=c", "year=1990"]


def test_a_name_that_does_not_occur_is_an_error_with_the_nearest() -> None:
    require_names(["sp1"], ["sp1", "sp2"], where="--test-speakers", what="speaker")
    with pytest.raises(UsageError, match="sp10"):
        require_names(["sp1O"], ["sp10", "kim"], where="--test-speakers", what="speaker")


@dataclass(frozen=True)
class EveryKind:
    count: int = option(1, "a count")
    share: float = option(0.5, "a share")
    flag: bool = option(False, "a flag")
    name: str | None = option(None, "a name")
    names: list[str] = option([], "names")


ODD = [float("inf"), float("nan"), 10**400, "1" * 400, "1" * 9999, "inf", "nan", [1], {}, [[]]]


@pytest.mark.parametrize("name", ["count", "share", "flag"])
@pytest.mark.parametrize(
    "value", [*ODD, datetime.date(2026, 1, 1)], ids=lambda value: repr(value)[:9]
)
def test_odd_values_are_usage_errors_that_name_the_option(name, value):
    with pytest.raises(UsageError, match=name):
        resolve(EveryKind, {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("count", True), ("share", False), ("name", [1]), ("name", {}), ("names", [["a"]])],
)
def test_values_of_another_kind_are_usage_errors(name, value):
    with pytest.raises(UsageError, match=name):
        resolve(EveryKind, {name: value})


@pytest.mark.parametrize("name", ["deep.json", "deep.toml"])
def test_a_config_that_is_nested_too_deep_is_a_usage_error(tmp_path, name):
    depth = 100_000
    opened, closed = ('{"a":', "}") if name.endswith(".json") else ("[", "]")
    text = opened * depth + "1" + closed * depth
    (tmp_path / name).write_text(text if name.endswith(".json") else f"a = {text}")
    with pytest.raises(UsageError, match=name):
        read_config(tmp_path / name)


@dataclass(frozen=True)
class Searched:
    rate: float = option(0.1, "rate", search="0..0.5")
    mask: bool = option(True, "mask", inherited=False)


def test_settings_declare_search_ranges_and_inheritance():
    rate, mask = describe(Searched)
    assert (rate.search, rate.inherited) == ("0..0.5", True)
    assert (mask.search, mask.inherited) == (None, False)
