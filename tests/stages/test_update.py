"""``update``: new rows are learnt, old ones replayed, and a worse model is refused."""

import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import ArtifactError, BudgetMissed, DataError, Interrupted
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.registry import load_task
from aitk.stages.options import TrainingOptions, UpdateOptions
from aitk.stages.training.run_data import data_of
from aitk.stages.update import update
from aitk.stages.updating.rows import Known, latest


@pytest.fixture(scope="module")
def run(good_or_bad, tmp_path_factory):
    """A bag of words that tells "good" from "bad"."""
    from aitk.stages.finetune import finetune

    out = tmp_path_factory.mktemp("update") / "run"
    finetune(
        good_or_bad,
        out,
        domain="nlp",
        options=resolve(TrainingOptions, {"model": "bag", "epochs": 8, "learning_rate": 0.02}),
        settings={"vocabulary_size": 2000, "hidden": 8},
        reporter=Silent(),
    )
    return out


def update_with(run, rows, tmp_path, *, training=None, out="out", resume=False, reporter=None,
                **options):  # fmt: skip
    path = tmp_path / "new.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    training = {"epochs": 6, "learning_rate": 0.02} | (training or {})
    return update(
        run,
        [str(path)],
        tmp_path / out,
        domain="nlp",
        options=resolve(UpdateOptions, options),
        training=resolve(TrainingOptions, training),
        resume=resume,
        reporter=reporter or Silent(),
    )


def test_new_words_are_learnt_without_losing_the_old(run, tmp_path):
    new = [(f"the {'splendid' if n % 2 else 'dreadful'} thing {n}", n % 2) for n in range(80)]
    outcome = update_with(run, new, tmp_path)
    assert outcome.facts["after"]["new"] > outcome.facts["before"]["new"]
    assert outcome.facts["after"]["old"] >= outcome.facts["before"]["old"]
    updated = load_run(tmp_path / "out")
    assert updated.manifest["parent"] == str(run)
    assert "old rows before" in (updated.folder / "report.html").read_text(encoding="utf-8")
    assert updated.manifest["updates"][0]["replayed"] == updated.manifest["updates"][0]["rows"]


def test_an_interrupted_update_goes_on_to_the_same_weights(run, tmp_path, interrupting):
    new = [(f"the {'splendid' if n % 2 else 'dreadful'} thing {n}", n % 2) for n in range(80)]
    update_with(run, new, tmp_path, out="whole")
    with pytest.raises(Interrupted, match="--resume"):
        update_with(run, new, tmp_path, reporter=interrupting(2, 3))
    with pytest.raises(ArtifactError, match="other data or options"):
        update_with(run, new[1:], tmp_path, resume=True)
    update_with(run, new, tmp_path, resume=True)
    models = [load_keras(tmp_path / name / "model.keras") for name in ("whole", "out")]
    weights = zip(*(model.get_weights() for model in models), strict=True)
    assert all(np.array_equal(*pair) for pair in weights)


def test_a_model_that_got_worse_is_refused_unless_told(run, tmp_path):
    wrong = [(f"the {'good' if n % 2 else 'bad'} thing {n}", 1 - n % 2) for n in range(80)]
    # One epoch, so that no better one is kept, of many large steps.
    how = {"replay": 0.0, "training": {"epochs": 1, "batch_size": 2, "learning_rate": 0.3}}
    with pytest.raises(BudgetMissed, match="not updated.*--force"):
        update_with(run, wrong, tmp_path, **how)
    assert not list(tmp_path.glob("out*"))
    update_with(run, wrong, tmp_path, **how, force=True)
    assert (tmp_path / "out").exists()


def test_a_label_of_enough_new_rows_is_learned(run, tmp_path):
    new = [(f"the splendid thing {n}", "1") for n in range(20)]
    new += [(f"purple elephants {n}", "animal") for n in range(40)] + [("odd", "misspelt")]
    update_with(run, new, tmp_path, max_drop=0.5)
    old, grown = load_keras(run / "model.keras"), load_keras(tmp_path / "out" / "model.keras")
    assert (old.output.shape[-1], grown.output.shape[-1]) == (2, 3)
    import aitk

    (found,) = aitk.load(tmp_path / "out").predict([{"text": "purple elephants 99"}])
    assert found["prediction"] == "animal"


def test_a_better_version_becomes_the_current_one(run, tmp_path):
    new = [(f"the {'splendid' if n % 2 else 'dreadful'} thing {n}", n % 2) for n in range(80)]
    wrong = [(f"the {'good' if n % 2 else 'bad'} thing {n}", 1 - n % 2) for n in range(80)]
    outcome = update_with(run, new, tmp_path, keep_if_better=True, anchor="ewc")
    assert outcome.facts["current"] and load_run(tmp_path / "out" / "current").folder.is_dir()
    assert (tmp_path / "out" / "current").readlink().name == "v1"
    # One epoch, so that no better one is kept, of many large steps.
    steps = {"epochs": 1, "batch_size": 2, "learning_rate": 0.3}
    worse = update_with(
        tmp_path / "out", wrong, tmp_path, keep_if_better=True, replay=0.0, training=steps
    )
    assert not worse.facts["current"]
    assert (tmp_path / "out" / "current").readlink().name == "v1"
    assert load_run(tmp_path / "out" / "v2").manifest["parent"] == str(tmp_path / "out" / "v1")


def test_a_stream_is_scored_before_it_is_learned_and_goes_on_where_it_stopped(run, tmp_path):
    path, out = tmp_path / "stream.csv", tmp_path / "live"
    lines = [f"the {'splendid' if n % 2 else 'dreadful'} thing {n},{n % 2}\n" for n in range(120)]

    def follow():
        return update(
            run if not out.exists() else out,
            [str(path)],
            out,
            domain="nlp",
            options=resolve(UpdateOptions, {"follow": True, "every": 40, "idle": 0.0}),
            training=resolve(TrainingOptions, {"epochs": 4, "learning_rate": 0.02}),
            reporter=Silent(),
        )

    path.write_text("text,label\n" + "".join(lines[:80]))
    first = follow()
    assert [line["version"] for line in first.table] == ["v1", "v2"]
    assert first.table[0]["accuracy before"] < first.table[1]["accuracy before"]
    with path.open("a") as file:
        file.writelines(lines[80:])
    second = follow()
    assert [line["rows"] for line in second.table] == [40, 40, 40]
    assert len(load_run(out / "current").learned) == sum(
        update["rows"] for update in load_run(out / "current").manifest["updates"]
    )
    assert "Forgetting and gain" in (out / "stream.html").read_text()


def test_rows_without_a_known_label_are_no_update(run, tmp_path):
    with pytest.raises(DataError, match="no usable new rows"):
        update_with(run, [("something", "other")] * 3, tmp_path)


def update_log(run, lines, tmp_path, write_log, *, out="out", training=None, **options):
    return update(
        run,
        [str(write_log(tmp_path / f"{out}.csv", lines))],
        tmp_path / out,
        domain="recsys",
        options=resolve(UpdateOptions, {"force": True} | options),
        training=resolve(TrainingOptions, {"epochs": 1} | (training or {})),
        reporter=Silent(),
    )


def expected_ease(rows, items, l2=5.0):
    """EASE in three lines, from rows of item numbers."""
    x = np.zeros((len(rows), items))
    for number, row in enumerate(rows):
        x[number, row] = 1
    inverse = np.linalg.inv(x.T @ x + l2 * np.eye(items))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def test_a_computed_model_is_computed_again_from_all_rows(ease_run, tmp_path, write_log):
    new = [f"n{n},{item},5,{1_800_000_000 + n}" for n in range(10) for item in ("p0", "new")]
    outcome = update_log(ease_run, new, tmp_path, write_log)
    first, task = load_run(tmp_path / "out"), load_task("recsys.recommend")
    assert outcome.facts["rows"] == len(first.learned) == 10
    assert outcome.facts["replayed"] == 0
    rows = [row["items"] for row in data_of(task, first).rows("train")]
    rows += [row["items"] for row in first.learned]
    (weights,) = load_keras(first.model_path).get_layer("backbone").get_weights()
    assert weights == pytest.approx(expected_ease(rows, 13), abs=1e-4)

    # Once more: users and items of the first update are known, and its rows are not lost.
    again = [f"n{n},p1,5,{1_900_000_000 + n}" for n in range(10)] + ["n0,p0,5,1900000000"]
    outcome = update_log(tmp_path / "out", again, tmp_path, write_log, out="second")
    assert outcome.refused == 1
    second = load_run(tmp_path / "second")
    assert second.learned[:10] == first.learned
    assert len(second.manifest["updates"]) == 2
    latest = {row["user"]: row["items"] for row in second.learned}
    assert len(latest) == 10
    rows = [row["items"] for row in data_of(task, second).rows("train")] + list(latest.values())
    (weights,) = load_keras(second.model_path).get_layer("backbone").get_weights()
    assert weights == pytest.approx(expected_ease(rows, 13), abs=1e-4)


def test_independent_rows_are_all_there_is_to_compute_from():
    class Independent:
        """Rows are split one by one."""

    class Dependent:
        def group(self, sources, reading, **how):
            raise NotImplementedError

        def check_tables(self, tables, assets):
            raise NotImplementedError

        def key(self, fields):
            return fields["user"]

    class Prepared(list):
        def take(self, indices):
            return [self[index] for index in indices]

    old = Prepared([{"user": "a", "n": 1}, {"user": "b", "n": 2}])
    every = Known(old, [{"user": "a", "n": 3}])
    assert [row["n"] for row in latest(Independent(), every)] == [1, 2, 3]
    assert [row["n"] for row in latest(Dependent(), every)] == [3, 2]


def test_a_trained_model_grows_and_keeps_what_it_knew(choices, train_log, tmp_path, write_log):
    run = train_log(choices, tmp_path / "run", model="bpr", settings={"factors": 2})
    new = [f"n{n},{item},5,{1_800_000_000 + n}" for n in range(10) for item in ("p0", "new")]
    outcome = update_log(run, new, tmp_path, write_log, training={"learning_rate": 0.0})
    question = {"user": np.array([3], np.int32), "history": np.array([[1, 2, 3]], np.int32)}
    before, after = (
        np.asarray(load_keras(load_run(folder).model_path)(question))
        for folder in (run, tmp_path / "out")
    )
    assert (before.shape, after.shape) == ((1, 12), (1, 13))
    assert after[:, :12] == pytest.approx(before, abs=1e-5)
    assert outcome.facts["replayed"] == outcome.facts["rows"] == 10
    assert load_run(tmp_path / "out").manifest["updates"][0]["before"].keys() == {"old", "new"}


def test_new_items_are_rated_before_they_are_known(prepare_log, train_log, tmp_path, write_log):
    run = train_log(prepare_log("rate"), tmp_path / "run", model="average")
    new = [f"n{n},{item},5,{1_800_000_000 + n}" for n in range(10) for item in ("p0", "new")]
    outcome = update_log(run, new, tmp_path, write_log)
    assert outcome.facts["after"]["new"] < outcome.facts["before"]["new"]  # an error


def test_what_the_first_log_left_out_is_refused(prepare_log, train_log, tmp_path, write_log):
    data = prepare_log("recommend", min_rating=2.0)
    run = train_log(data, tmp_path / "run", model="popular")
    outcome = update_log(run, ["u0,new,1,1800000000", "u1,new,5,1800000000"], tmp_path, write_log)
    assert outcome.refused == 1
    assert [row["user"] for row in load_run(tmp_path / "out").learned] == ["u1"]
