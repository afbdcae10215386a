"""What ``--precision auto`` stands for on CPUs."""

import pytest

from aitk.core.runtime import precision
from aitk.core.runtime.precision import (
    LARGE_BYTES,
    has_instructions,
    is_emulated,
    is_large,
    resolve_precision,
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16", True),
        ("flags\t\t: fpu amx_bf16 amx_tile", True),
        ("Features\t: fp asimd bf16", True),
        ("flags\t\t: fpu avx512f avx2", False),
        ("model name\t: bf16", False),
    ],
)
def test_instructions_are_read_from_the_flags(tmp_path, line, expected):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    assert has_instructions(tmp_path / "cpuinfo") is expected


def test_a_system_without_the_file_has_none(tmp_path):
    assert not has_instructions(tmp_path / "missing")


def test_the_size_of_a_source_counts(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"x")
    assert not is_large(str(tmp_path))
    with (tmp_path / "model.bin").open("r+b") as file:
        file.truncate(LARGE_BYTES)
    assert is_large(str(tmp_path)) and is_large(str(tmp_path / "model.bin"))
    assert is_large("bert_tiny_en_uncased")  # a preset, not a path


@pytest.mark.parametrize(
    ("has", "ratio", "source", "expected"),
    [
        (True, 2.0, "a_preset", "bfloat16"),
        (True, 1.1, "a_preset", "float32"),
        (False, 2.0, "a_preset", "float32"),
        (True, 2.0, None, "float32"),
    ],
)
def test_auto_is_bfloat16_where_it_is_measured_to_be_faster(
    monkeypatch, has, ratio, source, expected
):
    monkeypatch.setattr(precision, "has_instructions", lambda: has)
    monkeypatch.setattr(precision, "speed_ratio", lambda: ratio)
    assert resolve_precision("auto", source=source) == expected
    assert resolve_precision("float16", source=source) == "float16"


@pytest.mark.parametrize(
    ("chosen", "known", "has", "expected"),
    [
        ("bfloat16", True, False, True),
        ("bfloat16", True, True, False),
        ("bfloat16", False, False, False),  # a system that does not name its instructions
        ("float32", True, False, False),
    ],
)
def test_bfloat16_without_instructions_is_emulated(
    monkeypatch, tmp_path, chosen, known, has, expected
):
    monkeypatch.setattr(precision, "CPUINFO", tmp_path if known else tmp_path / "missing")
    monkeypatch.setattr(precision, "has_instructions", lambda: has)
    assert is_emulated(chosen) is expected
