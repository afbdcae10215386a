"""JSON of artifacts is bounded, and its shape is checked at the door."""

import pytest

from aitk.core.contract.errors import ArtifactError
from aitk.core.io.json_files import Count, check_shape, parse_line, read_json

SHAPE = {
    "name": str,
    "size": Count,
    "share?": float,
    "labels": [str],
    "more?": {str: int | None},
    "score?": ({"x": int}, None),
}
GOOD = {"name": "a", "size": 0, "share": 1, "labels": ["x"], "more": {"y": None}, "other": []}


def test_what_has_the_shape_passes():
    check_shape(GOOD, SHAPE, where="f")
    check_shape({"name": "a", "size": 1, "labels": []}, SHAPE, where="f")
    check_shape(GOOD | {"score": None}, SHAPE, where="f")
    check_shape(GOOD | {"score": {"x": 1}}, SHAPE, where="f")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": 10**20}, "f: size: expected a whole number from 0"),
        ({"share": 10**400}, "f: share: expected a number"),
        ({"name": None}, "f: name: expected a text, not None"),
        ({"size": True}, "f: size: expected a whole number from 0, not True"),
        ({"share": "1"}, "f: share: expected a number, not '1'"),
        ({"labels": ["x", 2]}, r"f: labels\[1\]: expected a text, not 2"),
        ({"share": None}, "f: share: expected a number, not None"),
        ({"score": {"x": "1"}}, "f: score.x: expected a whole number, not '1'"),
        ({"labels": "x"}, "f: labels: expected a list, not 'x'"),
        ({"more": {"y": 1.5}}, "f: more.y: expected a whole number or null, not 1.5"),
    ],
)
def test_what_has_not_is_named_by_its_key(changed, message):
    with pytest.raises(ArtifactError, match=message):
        check_shape(GOOD | changed, SHAPE, where="f")


def test_a_missing_key_is_named():
    with pytest.raises(ArtifactError, match="f: lacks size, labels"):
        check_shape({"name": "a"}, SHAPE, where="f")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1" + "0" * 400 + "]",
        "9" * 9999,
        "[" * 101 + "]" * 101,
        "[" * 10**6,
        '"\\ud800"',
    ],
)
def test_values_beyond_reason_are_damage(text):
    with pytest.raises(ArtifactError, match="^f: is"):
        parse_line(text, where="f")


@pytest.mark.parametrize("content", [b"\xff", b"[]", b"{}" + b" " * 100])
def test_a_file_that_is_no_object_is_damage(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a\.json"):
        read_json(tmp_path / "a.json", largest_bytes=99)


def test_a_missing_file_is_a_missing_artifact(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_json(tmp_path / "a.json")
