"""The generated data of the benchmarks: reproducible, and built as documented."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[3] / "bench"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_made_log_is_the_same_for_the_same_seed() -> None:
    made = script("recsys_made")
    lines = list(made.made_lines(40, 60, 400, seed=3))
    assert lines == list(made.made_lines(40, 60, 400, seed=3))
    assert lines != list(made.made_lines(40, 60, 400, seed=4))


def test_a_made_log_has_all_users_no_doubles_and_time_in_order() -> None:
    log = [line.split(",") for line in script("recsys_made").made_lines(40, 60, 400, seed=0)]
    assert abs(len(log) - 400) < 40
    assert len({user for user, _, _ in log}) == 40
    assert max(Counter((user, item) for user, item, _ in log).values()) == 1
    for user in ("u1", "u40"):
        times = [int(time) for own, _, time in log if own == user]
        assert len(times) >= 5
        assert times == sorted(times)


@pytest.fixture(scope="module")
def multimodal(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("multimodal")
    made = script("recsys_multimodal")
    with pytest.MonkeyPatch.context() as patch:
        output: list[str] = []
        patch.setattr(made, "print", output.append, raising=False)
        patch.setattr(sys, "argv", ["", str(folder), "--users", "60", "--items", "360"])
        made.main()
    return folder, json.loads(output[0])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_only_image_and_text_together_tell_the_taste(multimodal) -> None:
    best = multimodal[1]["best_recall_at_10"]
    assert best["both"] > 2 * best["sum"] > 2 * max(best["picture"], best["text"])


def test_cold_items_are_in_no_training_row(multimodal) -> None:
    folder, facts = multimodal
    train, test = (
        {row["item"] for row in rows(folder / f"log/{part}.csv")} for part in ("train", "test")
    )
    cold = test - train
    assert len(cold) > 20
    assert len(rows(folder / "items.csv")) == facts["items"] == 360


def test_every_item_has_its_picture(multimodal) -> None:
    import cv2

    folder = multimodal[0]
    for row in rows(folder / "items.csv"):
        assert cv2.imread(str(folder / row["picture"])).shape == (32, 32, 3)
