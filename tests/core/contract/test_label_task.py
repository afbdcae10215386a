"""Behaviour shared by all classifiers, with one or any number of labels per row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from aitk.core.contract.capabilities import (
    Calibrates,
    DistillsRows,
    Ensemblable,
    HasBaselines,
    Updatable,
)
from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.label_task import (
    UNSEEN,
    LabelDistillation,
    LabelTask,
    label_values,
    read_label_values,
)
from aitk.core.contract.multi_label import MultiLabelTask
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Example
from aitk.core.metrics.multi_label import tune_thresholds

SUMMARY = {
    "labels": ["a", "b", "c"],
    "label_counts": {"train": {"a": 6, "b": 3, "c": 1}, "test": {"a": 1, "z": 1}},
    "rows": {"train": 10, "test": 2},
}


@dataclass(frozen=True)
class Labels:
    """Assets that are nothing but labels."""

    labels: tuple[str, ...]
    weights: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()


class One(LabelDistillation, LabelTask):
    """A classifier that reads nothing."""


class Several(MultiLabelTask, One):
    """The same with any number of labels."""


for made in (One, Several):  # what is abstract is not tested here
    made.__abstractmethods__ = frozenset()
ONE, SEVERAL = One(), Several()
ABC = Labels(("a", "b", "c"))
LIMITS = Labels(("a", "b", "c"), thresholds=(0.5, 0.2, 0.5))


def test_labels_of_held_out_rows_alone_are_stored_last():
    feature = ONE.label_features(SUMMARY)["label"]
    assert feature.names == ["a", "b", "c", "z"]
    feature = SEVERAL.label_features(SUMMARY)["labels"].feature
    assert feature.names == ["a", "b", "c", "z"]


@pytest.mark.parametrize(("task", "labels"), [(ONE, ["a"]), (ONE, []), (SEVERAL, [])])
def test_too_few_labels_to_distinguish_are_refused(task, labels):
    with pytest.raises(DataError, match="nothing to tell apart"):
        task.label_features({"labels": labels, "label_counts": {"train": {}}})


def test_balanced_weights_give_every_class_the_same_share():
    weights = ONE.learn_labels(SUMMARY, balance=True)["weights"]
    counts = np.array([6, 3, 1])
    assert counts * weights == pytest.approx([10 / 3] * 3)
    assert ONE.learn_labels(SUMMARY, balance=False)["weights"] == ()


def test_balanced_weights_of_several_labels_are_rows_without_per_row_with():
    learned = SEVERAL.learn_labels(SUMMARY, balance=True)
    assert learned["weights"] == pytest.approx([4 / 6, 7 / 3, 9])
    assert learned["thresholds"] == (0.5, 0.5, 0.5)


def test_the_target_is_the_number_of_the_class_and_its_weight():
    assets = Labels(("a", "b"), weights=(1.0, 2.0))
    rows = [{"label": "b"}, {"label": "z"}, {}]
    assert ONE.label_targets(rows, assets) == [
        {"target": 1, "weight": 2.0}, {"target": UNSEEN, "weight": 1.0}, {}
    ]  # fmt: skip


def test_the_target_of_several_labels_counts_those_never_seen_last():
    rows = [{"labels": ["c", "a"]}, {"labels": ["z", "y"]}, {"labels": []}, {}]
    *found, unlabelled = SEVERAL.label_targets(rows, ABC)
    assert [each["target"].tolist() for each in found] == [
        [1, 0, 1, 0], [0, 0, 0, 2], [0, 0, 0, 0]
    ]  # fmt: skip
    assert unlabelled == {}


@pytest.mark.parametrize(("task", "target"), [(ONE, 1), (SEVERAL, np.ones(4, np.float32))])
def test_a_batch_has_targets_where_every_row_has_one(task, target):
    inputs = {"x": np.zeros((2, 1))}
    batch = task.label_batch(inputs, [Example({}, target, 2.0), Example({}, target)])
    assert batch.targets.shape == (2, *np.shape(target))
    assert batch.weights.tolist() == [2, 1]
    assert task.label_batch(inputs, [Example({}, target), Example({})]).targets is None


def test_predictions_and_scores_of_one_label():
    logits = np.log([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]])
    first, _ = ONE.decode(Batch({}), logits, ABC)
    assert first == {"prediction": "a", "probability": 0.7}
    measured = ONE.measure(Batch({}, np.array([0, 0])), logits, ABC)
    assert ONE.score(measured, ABC).metrics["accuracy"].value == 0.5
    odds = ONE.log_odds(logits, 0, ABC)
    assert odds == pytest.approx(np.log([0.7 / 0.3, 0.3 / 0.7]))


def test_predictions_and_scores_of_several_labels():
    logits = np.array([[2.0, -1.0, -3.0], [-2.0, -2.0, -2.0]])  # .88 .27 .05, .12 .12 .12
    first, second = SEVERAL.decode(Batch({}), logits, LIMITS)
    assert (first["prediction"], second["prediction"]) == (["a", "b"], [])
    targets = np.array([[1, 0, 0, 0], [0, 0, 0, 0]], np.float32)
    measured = SEVERAL.measure(Batch({}, targets), logits, LIMITS)
    assert SEVERAL.score(measured, LIMITS).metrics["micro_f1"].value == pytest.approx(2 / 3)
    assert SEVERAL.log_odds(logits, 1, LIMITS).tolist() == [-1, -2]


def test_calibration_gives_each_class_its_threshold():
    assert isinstance(SEVERAL, Calibrates)
    assert not isinstance(ONE, Calibrates)
    truth = np.zeros((40, 3), bool)
    truth[:20] = True
    probabilities = np.where(truth, [0.3, 0.8, 0.06], [0.1, 0.6, 0.02])
    measured = {"target": truth, "probabilities": probabilities}
    tuned = SEVERAL.calibrate(measured, LIMITS).thresholds
    assert tuned == tuple(tune_thresholds(truth, probabilities))
    assert tuned[2] < tuned[0] < tuned[1]


def test_the_explained_class_is_the_best_or_the_one_named():
    logits = np.array([[2.0, -1.0, -3.0]])
    assert ONE.explained(logits, ABC, None)[0] == 0
    index, facts = SEVERAL.explained(logits, LIMITS, "c")
    assert (index, facts["prediction"], facts["explained"]) == (2, ["a", "b"], "c")
    with pytest.raises(UsageError, match="label"):
        ONE.explained(logits, ABC, "nonsense")


def test_rows_with_a_new_label_are_refused_by_an_update():
    items = [
        Row({"label": "a"}, "x.csv", 1),
        Row({"label": "z"}, "x.csv", 2),
        Row({"labels": ["a", "z"]}, "x.csv", 3),
        Row({"labels": []}, "x.csv", 4),
        Refusal("x.csv", 5, "odd"),
    ]
    assets, kept = ONE.extend(iter(items), ABC, [], reading=None)
    found = list(kept)
    assert assets is ABC
    assert [isinstance(item, Refusal) for item in found] == [False, True, True, False, True]
    assert "not seen" in found[2].reason


def test_assets_reload_and_damaged_ones_are_refused():
    assert read_label_values(label_values(LIMITS), where="x") == {
        "labels": LIMITS.labels, "weights": (), "thresholds": LIMITS.thresholds
    }  # fmt: skip
    old = {"labels": ["a", "b"], "weights": []}  # written before there were thresholds
    assert read_label_values(old, where="x")["thresholds"] == ()
    for damaged in (
        {"labels": ["a", "a"], "weights": []},
        {"labels": ["a", "b"], "weights": [1.0]},
        {"labels": ["a", "b"], "weights": [], "thresholds": [0.5]},
    ):
        with pytest.raises(ArtifactError):
            read_label_values(damaged, where="x")


@pytest.mark.parametrize("task", [ONE, SEVERAL])
def test_it_has_the_capabilities_of_a_classifier(task):
    for capability in (Updatable, Ensemblable, HasBaselines, DistillsRows):
        assert isinstance(task, capability)
    assert [each.name for each in task.baselines([{}] * 10, SUMMARY, ABC)]


def test_several_labels_are_not_combined():
    with pytest.raises(UsageError, match="combined"):
        SEVERAL.class_labels(LIMITS)


def test_soft_targets_follow_the_target():
    target = SEVERAL.label_targets([{"labels": ["a"]}], ABC)[0]["target"]
    logits = np.array([1.0, 2.0, 3.0])
    taught = SEVERAL.add_soft_targets(Example({}, target), logits, ABC, teacher=ABC)
    assert taught.target.tolist() == [1, 0, 0, 0, 1, 2, 3]
    assert SEVERAL.distillation_loss(ABC, teacher=ABC).facts["temperature"] == 2
