"""``prepare``: splits that stay, refusals that are counted, nothing half written."""

import json

import pytest

from aitk.core.artifacts.data import load_data
from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.nlp.data.options import ClassifyReading
from aitk.stages.options import PrepareOptions
from aitk.stages.prepare import hash_position, parse_shares, prepare


@pytest.fixture
def run_prepare(tmp_path):
    def run(files, *, reading=None, out="data", **options):
        sources = []
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            sources.append(str(path))
        outcome = prepare(
            sources,
            tmp_path / out,
            task="nlp.classify",
            options=resolve(PrepareOptions, options),
            reading=resolve(ClassifyReading, reading or {}),
            reporter=Silent(),
        )
        return outcome, load_data(tmp_path / out)

    return run


def table(count, start=0):
    lines = [
        f"message number {n},{'good' if n % 2 else 'bad'}" for n in range(start, start + count)
    ]
    return "text,label\n" + "\n".join(lines) + "\n"


def texts(data, split):
    return {row["text"] for row in data.rows(split)}


@pytest.mark.parametrize("text", ["80/20", "50/50/10", "a/b/c", "0/0/0", "110/-20/10"])
def test_shares_must_add_up(text):
    with pytest.raises(UsageError, match="80/10/10"):
        parse_shares(text)


def test_rows_may_be_prepared_for_nothing_but_to_score_a_model(run_prepare):
    for name in ("rows.csv", "test.csv"):
        outcome, data = run_prepare({name: table(20)}, out=f"of-{name}", split="0/0/100")
        assert data.splits == {"test": 20}
        assert data.summary["labels"] == ["bad", "good"]
        assert outcome.next.startswith("aitk nlp evaluate RUN --data")
    grades = {finding["check"]: finding["grade"] for finding in data.manifest["findings"]}
    assert grades["classes"] == grades["unseen labels"] == "skipped"
    with pytest.raises(DataError, match="0/0/100"):
        run_prepare({"test.csv": table(20)}, out="alone")


@pytest.mark.parametrize("second", ["a.csv", "./a.csv", "link.csv"])
def test_a_file_that_is_given_twice_is_an_error(tmp_path, second):
    (tmp_path / "a.csv").write_text(table(20))
    (tmp_path / "link.csv").symlink_to("a.csv")
    with pytest.raises(UsageError, match="given twice"):
        prepare(
            [f"{tmp_path}/a.csv", f"{tmp_path}/{second}"],
            tmp_path / "data",
            task="nlp.classify",
            options=PrepareOptions(),
            reading=ClassifyReading(),
            reporter=Silent(),
        )


def test_the_hash_is_even_and_depends_on_the_seed():
    positions = [hash_position(str(n), 0) for n in range(2000)]
    assert 0.75 < sum(position < 0.8 for position in positions) / 2000 < 0.85
    assert hash_position("a", 0) != hash_position("a", 1)


def test_adding_rows_moves_none(run_prepare):
    _, few = run_prepare({"a.csv": table(200)}, out="few")
    _, more = run_prepare({"a.csv": table(300)}, out="more")
    for split in ("train", "validation", "test"):
        assert texts(few, split) <= texts(more, split)


def test_splits_named_by_files_are_kept(run_prepare):
    _, data = run_prepare({"train.csv": table(20), "dev.csv": table(4, 20)})
    assert data.splits == {"train": 20, "validation": 4}


def test_the_only_held_out_rows_are_divided_into_validation_and_test(run_prepare):
    files = {"train.csv": table(20), "val.csv": table(60, 20)}
    _, data = run_prepare(files)
    assert data.splits["train"] == 20
    assert data.splits["validation"] + data.splits["test"] == 60
    assert 15 < data.splits["test"] < 45
    assert "divided into validation and test" in data.manifest["split_rule"]


def test_the_only_held_out_rows_are_kept_where_the_user_reports_it(run_prepare):
    files = {"train.csv": table(20), "val.csv": table(60, 20)}
    _, data = run_prepare(files, held_out="keep")
    assert data.splits == {"train": 20, "validation": 60}


def test_validation_is_cut_from_train_where_only_a_test_file_exists(run_prepare):
    _, data = run_prepare({"train.csv": table(200), "test.csv": table(6, 200)})
    assert data.splits["test"] == 6
    assert data.splits["train"] + data.splits["validation"] == 200
    assert 5 < data.splits["validation"] < 50


def test_refused_rows_are_recorded_and_counted(run_prepare, tmp_path):
    outcome, _ = run_prepare({"a.csv": table(50) + ",good\nfine,\n"})
    lines = (tmp_path / "data" / "rejects.jsonl").read_text().splitlines()
    assert outcome.refused == len(lines) == 2
    assert [json.loads(line)["line"] for line in lines] == [52, 53]


def test_too_many_refusals_leave_nothing(run_prepare, tmp_path):
    with pytest.raises(DataError, match="max-errors"):
        run_prepare({"a.csv": table(50) + ",good\nfine,\n"}, max_errors=1)
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "data.part").exists()


def test_one_class_is_refused(run_prepare):
    with pytest.raises(DataError, match="nothing to tell apart"):
        run_prepare({"a.csv": "text,label\n" + "".join(f"row {n},x\n" for n in range(20))})


def test_a_label_only_held_out_rows_have_is_kept_but_not_learnt(run_prepare):
    _, data = run_prepare(
        {"train.csv": table(20), "test.csv": "text,label\nodd one,strange\nfine one,good\n"}
    )
    assert data.summary["labels"] == ["bad", "good"]
    assert {row["label"] for row in data.rows("test")} == {"strange", "good"}


def test_rows_of_a_log_are_split_as_arranged_with_tables_next_to_them(choices):
    data = load_data(choices)
    assert data.splits == {"train": 24, "validation": 24, "test": 24}
    assert data.manifest["split_rule"].startswith("leave-one-out by time")
    row = data.rows("test")[0]
    assert row["user"] == "u0"
    assert [len(row[name]) for name in ("items", "targets", "seen")] == [4, 1, 0]
    assert {path.name for path in data.tables.iterdir()} == {
        "items.parquet", "users.parquet", "histories.parquet",
    }  # fmt: skip
    assert not (choices / "spool").exists()


def test_the_same_log_in_another_protocol_is_other_data(choices, prepare_log):
    other = load_data(prepare_log("recommend", protocol="ratio"))
    assert other.manifest["split_rule"].startswith("a random part of each user's events")
    assert other.fingerprint != load_data(choices).fingerprint


def test_a_log_that_cannot_be_learned_from_leaves_nothing(prepare_log, tmp_path_factory):
    before = set(tmp_path_factory.getbasetemp().glob("log[0-9]*/data*"))
    with pytest.raises(DataError, match="all ratings are 3"):
        prepare_log("rate", lines=["a,x,3,1", "a,y,3,2", "b,x,3,3", "b,y,3,4"])
    assert set(tmp_path_factory.getbasetemp().glob("log[0-9]*/data*")) == before
