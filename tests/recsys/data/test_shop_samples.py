"""The sample log: its script still makes it, and it holds what the tasks need to be shown."""

from __future__ import annotations

import csv
import runpy
import shutil
import sys

import numpy as np
import pytest

from aitk.core.runtime.samples import sample_folder

FOLDER = sample_folder()
NAMES = sorted(path.name for path in FOLDER.glob("shop_*"))


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def users_and_items(log: list[dict[str, str]]) -> tuple[dict[str, int], dict[str, int]]:
    users = {user: row for row, user in enumerate(sorted({row["user"] for row in log}))}
    items = {item: row for row, item in enumerate(sorted({row["item"] for row in log}))}
    return users, items


@pytest.fixture(scope="module")
def events() -> list[dict[str, str]]:
    return rows("shop_events.csv")


def test_the_script_makes_the_same_bytes_again(tmp_path, monkeypatch) -> None:
    for name in ("make_shop.py", "goods.py"):
        shutil.copy(FOLDER / name, tmp_path / name)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    runpy.run_path(str(tmp_path / "make_shop.py"), run_name="__main__")
    sys.modules.pop("goods", None)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".py") == NAMES
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_the_files_are_small() -> None:
    assert sum((FOLDER / name).stat().st_size for name in NAMES) < 250_000


def test_the_log_is_in_order_and_nobody_has_a_thing_twice(events) -> None:
    times = [int(row["time"]) for row in events]
    assert times == sorted(times)
    pairs = [(row["user"], row["item"]) for row in events]
    assert len(pairs) == len(set(pairs))


def test_every_item_is_in_the_catalogue_and_two_were_never_sold(events) -> None:
    catalogue = {row["item"] for row in rows("shop_items.csv")}
    sold = {row["item"] for row in events}
    assert sold < catalogue
    assert len(catalogue - sold) == 2


def test_the_update_brings_new_users_and_items(events) -> None:
    update = rows("shop_events_update.csv")
    catalogue = {row["item"] for row in rows("shop_items.csv")}
    assert len({row["item"] for row in update} - catalogue) == 3
    new = {row["user"] for row in update} - {row["user"] for row in events}
    assert len(new) == 15
    assert min(int(row["time"]) for row in update) > max(int(row["time"]) for row in events)


def test_a_query_names_a_user_or_a_history(events) -> None:
    users, items = users_and_items(events)
    for row in rows("shop_events_new.csv"):
        assert bool(row["user"]) != bool(row["history"])
        assert not row["user"] or row["user"] in users
        assert set(row["history"].split()) <= set(items)


def test_taste_tells_more_than_popularity(events) -> None:
    users, items = users_and_items(events)
    matrix = np.zeros((len(users), len(items)))
    last = {}
    for row in events:
        matrix[users[row["user"]], items[row["item"]]] = 1.0
        last[users[row["user"]]] = items[row["item"]]
    user, target = np.array(list(last.items())).T
    matrix[user, target] = 0.0
    inverse = np.linalg.inv(matrix.T @ matrix + 50.0 * np.eye(len(items)))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)

    def recall_at_10(scores: np.ndarray) -> float:
        left = np.where(matrix > 0, -np.inf, scores)
        rank = (left[user] > left[user, target][:, None]).sum(axis=1)
        return float((rank < 10).mean())

    popular = np.broadcast_to(matrix.sum(axis=0), matrix.shape)
    assert recall_at_10(matrix @ weights) > 3 * recall_at_10(popular)


def test_user_and_item_explain_ratings_better_than_the_mean() -> None:
    log = rows("shop_ratings.csv")
    users, items = users_and_items(log)
    user = np.array([users[row["user"]] for row in log])
    item = np.array([items[row["item"]] for row in log])
    rating = np.array([float(row["rating"]) for row in log])
    hidden = np.arange(len(log)) % 5 == 0
    shown = ~hidden
    mean = rating[shown].mean()
    of_user, of_item = np.zeros(len(users)), np.zeros(len(items))
    for _ in range(5):
        for effect, own, other in (
            (of_item, item, of_user[user]),
            (of_user, user, of_item[item]),
        ):
            left = np.where(shown, rating - mean - other, 0.0)
            counts = np.bincount(own, shown, minlength=len(effect))
            effect[:] = np.bincount(own, left, minlength=len(effect)) / (counts + 3.0)
    guess = mean + of_user[user] + of_item[item]

    def rmse(guess: np.ndarray) -> float:
        return float(np.sqrt(np.mean((guess - rating)[hidden] ** 2)))

    assert rmse(guess) < 0.93 * rmse(np.full(len(log), mean))
