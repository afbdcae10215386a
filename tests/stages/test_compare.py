"""Comparing runs reports whether a difference is significant."""

import json

import pytest

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.stages.compare import compare
from aitk.stages.evaluate import evaluate
from aitk.stages.options import EvaluateOptions

ROWS = [(f"yes row{index}", "yes") for index in range(20)]
ROWS += [(f"no row{index}", "no") for index in range(20)]


@pytest.fixture
def runs(write_data, write_run, heard):
    data = write_data("data", train=ROWS, test=ROWS)

    def make(**weights):
        folders = []
        for name, value in weights.items():
            folders.append(write_run(name, data, value))
            evaluate(folders[-1], options=EvaluateOptions(resamples=0), reporter=heard)
        return folders

    return make


def test_a_real_difference_is_called_so(runs, heard):
    # "blind" knows only the word "yes": it is right by chance on the rest, "seer" always.
    outcome = compare(runs(blind=[-1, 1], seer=[1, 1]), reporter=heard)
    comparison = outcome.facts["comparisons"][0]
    assert comparison["difference"] == 0.5
    assert comparison["real"]
    assert comparison["low"] > 0
    assert "seer is better than" in outcome.facts["verdict"]
    assert "by 50.00 points" in outcome.facts["verdict"]
    assert [row["accuracy"] for row in outcome.table] == [0.5, 1.0]


def test_a_worse_run_is_called_worse(runs, heard):
    outcome = compare(runs(seer=[1, 1], blind=[-1, 1]), reporter=heard)
    assert "blind is worse than" in outcome.facts["verdict"]


def test_equal_runs_show_no_difference(runs, heard):
    outcome = compare(runs(one=[1, 1], two=[2, 2]), reporter=heard)
    assert not outcome.facts["comparisons"][0]["real"]
    assert "no significant difference in accuracy" in outcome.facts["verdict"]


def test_each_run_is_compared_with_the_first(runs, heard):
    outcome = compare(runs(a=[1, 1], b=[-1, 1], c=[1, 1]), reporter=heard)
    assert [item["difference"] for item in outcome.facts["comparisons"]] == [-0.5, 0.0]


def test_the_order_of_the_rows_does_not_matter(runs, write_data, write_run, heard):
    (first,) = runs(first=[1, 1])
    turned = write_data("turned", train=ROWS, test=ROWS[::-1], fingerprint="f2")
    second = write_run("second", turned, [-1, 1])
    evaluate(second, options=EvaluateOptions(resamples=0), reporter=heard)
    assert compare([first, second], reporter=heard).facts["comparisons"][0]["difference"] == -0.5
    assert any("different prepared data" in note for note in heard.notes)


def test_different_rows_are_refused(runs, write_data, write_run, heard):
    (first,) = runs(first=[1, 1])
    second = write_run("second", write_data("small", train=ROWS, test=ROWS[:10]), [1, 1])
    evaluate(second, options=EvaluateOptions(resamples=0), reporter=heard)
    with pytest.raises(ArtifactError, match="10 test rows, of which 10 also occur among the 40"):
        compare([first, second], reporter=heard)


def test_a_run_that_was_not_evaluated_is_refused(runs, write_data, write_run, heard):
    (first,) = runs(first=[1, 1])
    second = write_run("second", write_data("more", test=ROWS), [1, 1])
    with pytest.raises(ArtifactError, match=r"no evaluation on 'test'.*evaluate"):
        compare([first, second], reporter=heard)


def test_one_run_cannot_be_compared(runs, heard):
    with pytest.raises(UsageError, match="two or more"):
        compare(runs(only=[1, 1]), reporter=heard)


def test_without_test_rows_the_validation_rows_are_compared(write_data, write_run, heard):
    data = write_data("data", train=ROWS, validation=ROWS)
    folders = [write_run(name, data, value) for name, value in {"a": [1, 1], "b": [-1, 1]}.items()]
    for folder in folders:
        evaluate(folder, options=EvaluateOptions(resamples=0), reporter=heard)
    assert compare(folders, reporter=heard).facts["evaluation"] == "validation"


def test_evaluations_with_different_predict_options_are_warned_of(runs, heard):
    one, two = runs(one=[1, 1], two=[1, 1])
    evaluate(
        two,
        options=EvaluateOptions(resamples=0),
        predict_options={"contrary": True},
        reporter=heard,
    )
    told = compare([one, two], reporter=heard).facts["predicted_with"]
    assert told == f"{one} with the default options; {two} with contrary"
    assert any("used different options" in warning for warning in heard.warnings)


def test_equal_predict_options_are_no_reason_to_warn(runs, heard):
    folders = runs(one=[1, 1], two=[1, 1])
    assert "predicted_with" not in compare(folders, reporter=heard).facts
    for run in folders:
        evaluate(run, options=EvaluateOptions(), predict_options={"contrary": True}, reporter=heard)
    heard.warnings.clear()  # of evaluate: such a run is worse than the majority class
    assert compare(folders, reporter=heard).facts["predicted_with"] == "contrary"
    assert not heard.warnings


def test_scores_of_another_protocol_are_refused(runs, heard):
    folders = runs(one=[1, 1], two=[1, 1])
    path = folders[1] / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["test"]["details"]["protocol"] = "one cut in time"
    path.write_text(json.dumps(metrics))
    with pytest.raises(ArtifactError, match=r"another protocol \(one cut in time\) than .*one"):
        compare(folders, reporter=heard)


def test_the_protocol_of_both_is_reported(runs, heard):
    folders = runs(one=[1, 1], two=[1, 1])
    for folder in folders:
        path = folder / "metrics.json"
        metrics = json.loads(path.read_text())
        metrics["test"]["details"]["protocol"] = "one cut in time"
        path.write_text(json.dumps(metrics))
    assert compare(folders, reporter=heard).facts["protocol"] == "one cut in time"
