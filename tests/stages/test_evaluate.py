"""Evaluating a run on its own rows, on other prepared data, and on a raw file."""

import json
import shutil

import pytest

from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.stages.evaluate import evaluate
from aitk.stages.options import EvaluateOptions

ROWS = [("yes yes", "yes"), ("no", "no"), ("yes", "no"), ("no no no", "yes")]
QUICK = EvaluateOptions(resamples=50)


@pytest.fixture
def run(write_data, write_run):
    return write_run("run", write_data("data", train=ROWS, validation=ROWS[:2], test=ROWS), [1, 1])


def test_the_test_split_is_scored_with_intervals(run, heard):
    outcome = evaluate(run, options=QUICK, domain="toy", reporter=heard)
    assert outcome.table[0]["metric"] == "accuracy"
    assert outcome.table[0]["value"] == 0.5
    assert outcome.table[0]["low"] < 0.5 < outcome.table[0]["high"]
    assert outcome.facts["evaluation"] == "test"
    assert outcome.exit_code == 0


def test_the_most_confident_mistake_comes_first(run, heard):
    worst = evaluate(run, options=QUICK, reporter=heard).facts["worst"]
    assert [row["text"] for row in worst] == ["no no no", "yes"]
    assert worst[0]["label"] == "yes"
    assert worst[0]["prediction"] == "no"


def test_every_row_is_kept_in_order_for_comparisons(run, heard):
    evaluate(run, options=QUICK, reporter=heard)
    rows = load_run(run).evaluation_rows("test")
    assert [row["score"] for row in rows] == [1, 1, 0, 0]
    assert [row["fields"]["text"] for row in rows] == [text for text, _ in ROWS]
    assert len({row["key"] for row in rows}) == 4


def test_the_runs_report_card_and_metrics_are_refreshed(run, heard):
    evaluate(run, options=QUICK, reporter=heard)
    assert load_run(run).metrics["test"]["metrics"]["accuracy"]["value"] == 0.5
    assert "no no no" in (run / "report.html").read_text()
    assert "| accuracy | 0.5000 |" in (run / "README.md").read_text()
    assert json.loads((run / "run.json").read_text())["model"] == "counts"


def test_baselines_are_reported_with_the_score(run, heard):
    outcome = evaluate(run, options=QUICK, reporter=heard)
    told = "accuracy 0.5000, baseline 0.5000 (majority class)"
    assert outcome.facts["comparison"] == told
    assert load_run(run).metrics["test"]["baselines"][0]["gain"]["value"] == 0
    assert told in (run / "report.html").read_text()
    assert told in (run / "README.md").read_text()


def test_a_run_below_a_baseline_is_warned_of(write_data, write_run, heard):
    train = [("no", "no"), ("yes", "yes"), ("no no", "no")]
    test = [("yes", "no")] * 20
    run = write_run("run", write_data("data", train=train, test=test), [1, 1])
    evaluate(run, options=QUICK, reporter=heard)
    assert any(
        "worse than that of the baseline 'majority class'" in each for each in heard.warnings
    )
    assert "majority class" in load_run(run).metrics["test"]["warnings"][-1]


def test_baselines_are_learned_once_for_the_same_rows(run, heard, monkeypatch):
    first = evaluate(run, options=QUICK, reporter=heard).facts["comparison"]
    monkeypatch.setattr("aitk.stages.evaluate.score_baselines", None)
    assert evaluate(run, options=QUICK, reporter=heard).facts["comparison"] == first


def test_without_the_training_data_there_are_no_baselines_and_this_is_reported(
    write_data, write_run, heard
):
    run = write_run("run", write_data("data", train=ROWS, test=ROWS), [1, 1])
    other = write_data("other", fingerprint="f2", test=ROWS)
    shutil.rmtree(load_run(run).data)
    outcome = evaluate(run, options=EvaluateOptions(resamples=50, data=str(other)), reporter=heard)
    assert "comparison" not in outcome.facts
    assert "no baselines: the training data is missing or has changed" in heard.notes


def test_evaluating_twice_gives_the_same_bytes(run, heard):
    evaluate(run, options=QUICK, reporter=heard)
    first = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    evaluate(run, options=QUICK, reporter=heard)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == first


def test_scored_predict_options_change_the_scores_and_are_recorded(run, heard):
    outcome = evaluate(run, options=QUICK, predict_options={"contrary": True}, reporter=heard)
    assert outcome.table[0]["value"] == 0.5
    assert [row["prediction"] for row in outcome.facts["worst"]] == ["no", "yes"]
    assert outcome.facts["predicted_with"] == "contrary"
    assert load_run(run).metrics["test"]["predict_options"] == {"contrary": True}
    assert "Predicted with contrary." in (run / "report.html").read_text()
    assert "Predicted with contrary." in (run / "README.md").read_text()


def test_a_file_that_an_option_names_is_recorded_with_its_digest(run, tmp_path, heard):
    (tmp_path / "note.txt").write_text("x")
    chosen = {"note": str(tmp_path / "note.txt")}
    outcome = evaluate(run, options=QUICK, predict_options=chosen, reporter=heard)
    assert outcome.facts["predicted_with"] == f"note {tmp_path}/note.txt (sha256 2d711642b726b044)"


def test_defaults_that_are_spelled_out_change_nothing(run, heard):
    evaluate(run, options=QUICK, reporter=heard)
    first = (run / "metrics.json").read_bytes()
    evaluate(run, options=QUICK, predict_options={"contrary": False}, reporter=heard)
    assert (run / "metrics.json").read_bytes() == first


@pytest.mark.parametrize("name", ["loud", "nonsense"])
def test_what_changes_no_score_is_refused(run, heard, name):
    with pytest.raises(UsageError, match=rf"--{name}: does not change the scores of toy\.words"):
        evaluate(run, options=QUICK, predict_options={name: True}, reporter=heard)


def test_validation_rows_replace_missing_test_rows(write_data, write_run, heard):
    run = write_run("run", write_data("data", train=ROWS, validation=ROWS[:2]), [1, 1])
    outcome = evaluate(run, options=QUICK, reporter=heard)
    assert outcome.facts["evaluation"] == "validation"
    assert any("no test rows" in note for note in heard.notes)
    assert any("also selected the best epoch" in warning for warning in heard.warnings)


def test_other_prepared_data_has_an_evaluation_of_its_own(run, write_data, heard):
    other = write_data("other", train=ROWS, test=ROWS[:2], fingerprint="f2")
    outcome = evaluate(run, options=EvaluateOptions(data=str(other)), reporter=heard)
    assert outcome.facts["evaluation"] == "other/test"
    assert outcome.table[0]["value"] == 1.0
    assert not heard.warnings


def test_a_raw_file_is_read_as_the_training_data_was(write_data, write_run, tmp_path, heard):
    data = write_data("data", train=ROWS)
    described = {"folder": str(data), "fingerprint": "f1", "reading": {"lower": True}, "rows": {}}
    run = write_run("run", data, [1, 1], data=described)
    file = tmp_path / "new.csv"
    file.write_text("yes,YES\nno,NO no\nbroken\n")
    outcome = evaluate(run, options=EvaluateOptions(data=str(file)), reporter=heard)
    assert outcome.facts["evaluation"] == "new.csv"
    assert outcome.table[0]["value"] == 1.0
    assert outcome.refused == 1
    assert any("new.csv:3: no label" in warning for warning in heard.warnings)


def test_a_label_unseen_in_training_is_wrong_and_reported(write_data, write_run, heard):
    data = write_data("data", train=ROWS, test=[*ROWS[:2], ("yes", "maybe")])
    outcome = evaluate(write_run("run", data, [1, 1]), options=QUICK, reporter=heard)
    assert outcome.table[0]["value"] == pytest.approx(2 / 3)
    assert any("1 rows have a label unseen" in warning for warning in heard.warnings)


def test_data_changed_since_training_is_reported(write_data, write_run, heard):
    run = write_run("run", write_data("data", train=ROWS, test=ROWS, fingerprint="new"), [1, 1])
    evaluate(run, options=QUICK, reporter=heard)
    assert any("has changed since training" in warning for warning in heard.warnings)


def test_data_of_another_task_is_refused(run, write_data, heard):
    other = write_data("other", task="toy.tags", test=ROWS)
    with pytest.raises(ArtifactError, match=r"toy\.tags rows, but the run's task is toy\.words"):
        evaluate(run, options=EvaluateOptions(data=str(other)), reporter=heard)


def test_a_run_of_another_domain_is_refused(run, heard):
    with pytest.raises(ArtifactError, match=r"a run of toy\.words, not of speech"):
        evaluate(run, options=QUICK, domain="speech", reporter=heard)


def test_data_that_is_gone_is_reported(run, heard):
    shutil.rmtree(load_run(run).data)
    with pytest.raises(ArtifactError, match="is missing"):
        evaluate(run, options=QUICK, reporter=heard)


@pytest.mark.parametrize("content", [None, "", "broken\n"])
def test_a_file_without_rows_is_refused(run, tmp_path, heard, content):
    file = tmp_path / "new.csv"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DataError):
        evaluate(run, options=EvaluateOptions(data=str(file)), reporter=heard)


def evaluate_log(run, **options):
    return evaluate(
        run,
        options=resolve(EvaluateOptions, {"resamples": 0} | options),
        domain="recsys",
        reporter=Silent(),
    )


def test_events_are_grouped_into_rows_before_they_are_scored(ease_run, tmp_path):
    (tmp_path / "log.csv").write_text("user,item\nu1,q0\n")
    with pytest.raises(UsageError, match="prepare .*log.csv --task recommend --out DATA"):
        evaluate_log(ease_run, data=str(tmp_path / "log.csv"))


def test_rows_of_another_catalogue_are_not_scored(ease_run, prepare_log):
    other = prepare_log("recommend", lines=log_lines("q0", "p0", "q1", "p1"))
    with pytest.raises(ArtifactError, match="item numbers differ from those of the model"):
        evaluate_log(ease_run, data=str(other))


def log_lines(*items):
    return [f"u{n},{item},3,{place}" for n in range(3) for place, item in enumerate(items)]


def test_the_reported_protocol_is_that_of_the_rows(ease_run, prepare_log):
    assert evaluate_log(ease_run).facts["protocol"].startswith("leave-one-out")
    other = prepare_log("recommend", protocol="ratio", split="60/20/20")
    facts = evaluate_log(ease_run, data=str(other)).facts
    assert facts["protocol"].startswith("a random part")
    run = load_run(ease_run)
    assert run.metrics[facts["evaluation"]]["details"]["protocol"] == facts["protocol"]


def test_sampled_metrics_are_reported_if_the_data_requests_them(prepare_log, train_log, tmp_path):
    data = prepare_log("recommend", sampled_negatives=4)
    facts = evaluate_log(train_log(data, tmp_path / "run", model="popular")).facts
    assert "among 4 random items: not comparable" in facts["protocol"]
    assert list(facts["metrics"])[-2:] == ["sampled_ndcg@10", "sampled_hit_rate@10"]


def test_own_data_prepared_again_from_another_log_is_noticed(prepare_log, train_log, tmp_path):
    run = train_log(prepare_log("recommend"), tmp_path / "run", model="popular")
    other = prepare_log("recommend", lines=log_lines("q0", "p0", "q1", "p1"))
    manifest = json.loads((run / "run.json").read_text())
    manifest["data"]["folder"] = str(other)
    (run / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="item numbers differ"):
        evaluate_log(run)
