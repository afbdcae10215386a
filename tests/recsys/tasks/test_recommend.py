"""The tasks on a log: keys of rows, what is stored, losses, and the protocol in words."""

import pytest

from aitk.core.contract.capabilities import Grouped, HasBaselines, Updatable
from aitk.core.contract.model_spec import TrainedModel
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.contract.rows import Refusal
from aitk.recsys.data.options import RateReading, RecommendReading
from aitk.recsys.features.batching import TRAINING_BATCHES
from aitk.recsys.tasks.masked_items import MaskedItems
from aitk.recsys.tasks.rate import Rate
from aitk.recsys.tasks.recommend import Recommend

TASK = Recommend()
HELD_OUT = {"user": "ann", "items": [1, 2], "targets": [3]}


def test_a_training_row_is_its_user():
    assert TASK.key({"user": "ann", "items": [1], "targets": []}) == "ann"
    assert TASK.key({"user": "ann", "item": "a"}) == "ann"


@pytest.mark.parametrize(
    "change",
    [{"user": "bob"}, {"items": [2, 1]}, {"items": [1]}, {"targets": [4]}, {"targets": []}],
)
def test_held_out_rows_are_alike_only_if_the_same_is_asked(change):
    assert TASK.key(HELD_OUT) == TASK.key(HELD_OUT | {"ratings": [5.0, 5.0]})
    assert TASK.key(HELD_OUT) != TASK.key(HELD_OUT | change)


def test_what_is_looked_at_is_not_taken_for_what_is_asked():
    one = {"user": "ann", "items": [1, 2], "targets": [3]}
    other = {"user": "ann", "items": [1], "targets": [2, 3]}
    assert TASK.key(one) != TASK.key(other)


def ignore(sentence):
    """Take a note and forget it."""


@pytest.fixture
def group(tmp_path):
    """Write events to a file and group them with a task: the grouped log and its rows."""

    def group_events(task, reading, *lines):
        path = tmp_path / "log.csv"
        path.write_text("\n".join(["user,item,rating,time", *lines, *EVENTS]) + "\n")
        log = task.group(
            [str(path)],
            reading,
            shares={"train": 0.8, "validation": 0.1, "test": 0.1},
            seed=0,
            tables=tmp_path,
            embed=None,
            note=ignore,
            reporter=Silent(),
        )
        return log, list(log)

    return group_events


EVENTS = [f"{user},{item},{1 + (place + len(user)) % 5},{place}"
          for user in ("ann", "bo") for place, item in enumerate("abcd")]  # fmt: skip


def test_events_become_a_row_a_user_and_split_and_refusals_pass(group):
    _, (first, *rows) = group(TASK, RecommendReading(), "eve,a,nonsense,5")
    assert isinstance(first, Refusal) and first.line == 2
    made = [(row.split, row.fields["user"], list(row.fields["items"]), list(row.fields["targets"]))
            for row in rows]  # fmt: skip
    assert made == [
        ("train", "ann", [0, 1], []),
        ("train", "bo", [0, 1], []),
        ("validation", "ann", [0, 1], [2]),
        ("validation", "bo", [0, 1], [2]),
        ("test", "ann", [0, 1, 2], [3]),
        ("test", "bo", [0, 1, 2], [3]),
    ]
    assert len({TASK.key(row.fields) for row in rows}) == 6


def test_the_assets_know_the_catalogue_the_users_and_the_sampling(group, tmp_path):
    reading = resolve(RecommendReading, {"sampled_negatives": 50})
    log, rows = group(TASK, reading)
    summary = log.summary()
    assert summary["protocol"].endswith(
        "sampled_* among 50 random items: not comparable with the others"
    )
    train = [row.fields for row in rows if row.split == "train"]
    settings = TASK.models["sasrec"].settings(max_length=9)
    assets = TASK.learn(train, summary, settings, tables=tmp_path, note=ignore)
    assert (assets.items, assets.users) == (["a", "b", "c", "d"], ("ann", "bo"))
    assert assets.counts.tolist() == [2, 2, 0, 0]  # training events alone
    assert assets.histories.of("ann")[0].tolist() == [0, 1, 2, 3]  # all there is
    assert (assets.sampled_negatives, assets.max_length, assets.batches) == (50, 9, "next")
    assert not assets.rated


def test_ratings_are_learned_by_their_task_alone(group, tmp_path):
    _, rows = group(Rate(), RateReading(protocol="leave-one-out"))
    train = [row.fields for row in rows if row.split == "train"]
    assets = Rate().learn(
        train, {}, Rate.models["average"].settings(), tables=tmp_path, note=ignore
    )
    assert assets.rated
    assert assets.rating_range == (3, 5)  # of training: ann 4 5, bo 3 4
    assert assets.rating_mean == 4
    assert assets.rating_deviation == pytest.approx(0.5**0.5)


def test_every_model_that_is_trained_says_how():
    for task in (Recommend, MaskedItems, Rate):
        for spec in task.models.values():
            if isinstance(spec, TrainedModel):
                assert spec.batches in TRAINING_BATCHES


@pytest.mark.parametrize("task", [Recommend(), MaskedItems(), Rate()])
def test_the_tasks_group_their_rows_and_take_in_new_ones(task):
    assert isinstance(task, Grouped)
    assert isinstance(task, Updatable)
    assert isinstance(task, HasBaselines)
