"""The Python API on a small recommender, which needs no TensorFlow to predict."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

import aitk
from aitk.core.contract.options import PredictOptions, option

LOG = "".join(f"u{user},i{(user + step) % 6},{step}\n" for user in range(12) for step in range(4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    (folder / "log.csv").write_text("user,item,time\n" + LOG)
    (folder / "new.jsonl").write_text('{"user": "u1"}\n{"user": "u2"}\n')
    return folder


@pytest.fixture(scope="module")
def run(folder):
    data = aitk.prepare(
        folder / "log.csv", task="recsys.recommend", out=folder / "data", split="80/10/10"
    )
    return aitk.finetune(data, out=folder / "run", model="popular")


def test_prepare_returns_the_rows(folder, run):
    data = aitk.Data(folder / "data")
    assert data.task == "recsys.recommend"
    assert len(data.rows("train")) == data.splits["train"]


def test_a_run_has_a_description(run):
    assert (run.task, run.model_name) == ("recsys.recommend", "popular")
    assert run.metrics["validation"]["rows"] > 0
    assert "popular" in repr(run)


def test_lists_give_lists_and_iterables_are_read_as_they_are_consumed(run):
    rows = [{"user": "u1"}, {"user": "u2"}]
    found = run.predict(rows, top_k=2)
    assert [row["user"] for row in found] == ["u1", "u2"]
    assert list(run.predict(iter(rows), top_k=2)) == found


def test_rows_files_and_the_command_line_predict_the_same_bytes(run, folder, request):
    lines = "".join(
        json.dumps(row, ensure_ascii=False) + "\n" for row in run.predict(folder / "new.jsonl")
    )
    command = request.getfixturevalue("aitk")
    result = command("recsys", "predict", folder / "run", folder / "new.jsonl")
    assert lines == result.out
    outcome = run.predict_to(folder / "new.jsonl", out=folder / "out.jsonl", overwrite=True)
    assert (folder / "out.jsonl").read_text() == lines
    assert outcome.facts["rows"] == 2


def test_evaluation_reports_progress_to_a_function(run):
    seen = []
    outcome = run.evaluate(resamples=0, progress=seen.append)
    assert outcome.facts["metrics"]
    assert any(isinstance(item, aitk.Progress) for item in seen)


def test_the_seed_of_intervals_is_not_the_seed_of_predictions(run, monkeypatch):
    @dataclass(frozen=True)
    class Sampling(PredictOptions):
        seed: int = option(0, "seed of the random numbers")

    monkeypatch.setattr(type(run._task), "predict_options", Sampling)
    assert run.evaluate(resamples=0, seed=3).facts["metrics"]


def test_rows_are_explained(run):
    (found,) = run.explain([{"user": "u1"}], rows=1)
    assert "prediction" in found


def test_unknown_options_are_refused_with_the_nearest_name(run, folder):
    with pytest.raises(aitk.errors.UsageError, match="Did you mean 'top_k'"):
        run.predict([{"user": "u1"}], topk=3)
    with pytest.raises(aitk.errors.UsageError, match="Did you mean 'epochs'"):
        aitk.finetune(folder / "data", out=folder / "x", epoch=3)


def test_a_missing_run_is_refused_when_it_is_loaded(tmp_path):
    with pytest.raises(aitk.errors.ArtifactError):
        aitk.load(tmp_path / "none")


def test_nothing_prints(run, capfd):
    run.predict([{"user": "u1"}])
    result = capfd.readouterr()
    assert (result.out, result.err) == ("", "")


def test_importing_aitk_is_light(python):
    done = python(
        "import sys, time; start = time.perf_counter(); import aitk\n"
        "aitk.finetune, aitk.load\n"
        "print(sorted({'numpy', 'tensorflow', 'keras', 'typer'} & set(sys.modules)))"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_every_public_name_is_there():
    for name in aitk.__all__:
        assert getattr(aitk, name) is not None
    assert Path(aitk.__file__).with_name("py.typed").exists()
