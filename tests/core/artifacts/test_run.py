"""A run folder: what it holds, and damage that is named."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from aitk.core.artifacts.run import PNG, Run, check_trusted, load_run, read_figure
from aitk.core.artifacts.run_draft import new_run
from aitk.core.contract.errors import ArtifactError
from aitk.core.inference.predictors import open_predictor

MANIFEST = {
    "task": "toy",
    "model": "m",
    "settings": {},
    "options": {},
    "format": "keras",
    "data": {"folder": "data", "fingerprint": "f", "reading": {}},
}
RESULT = {"rows": 2, "metrics": {"accuracy": {"value": 0.5}}}


def write_run(out, **kwargs):
    with new_run(out, **kwargs) as draft:
        draft.model_path("keras").touch()
        draft.finish(MANIFEST)


def test_damage_is_named(tmp_path):
    write_run(tmp_path / "r")
    (tmp_path / "r" / "model.keras").unlink()
    with pytest.raises(ArtifactError, match="model.keras is missing"):
        load_run(tmp_path / "r")
    (tmp_path / "r" / "run.json").write_text("{")
    with pytest.raises(ArtifactError, match="damaged"):
        load_run(tmp_path / "r")


def test_prepared_data_is_not_a_run(tmp_path):
    (tmp_path / "dataset.json").touch()
    with pytest.raises(ArtifactError, match="prepared data, not a run"):
        load_run(tmp_path)


def test_a_run_of_another_domain_is_refused(tmp_path):
    write_run(tmp_path / "r")
    assert load_run(tmp_path / "r", domain="toy").task == "toy"
    with pytest.raises(ArtifactError, match="run of toy, not of nlp"):
        load_run(tmp_path / "r", domain="nlp")


def test_evaluations_are_kept_by_name(tmp_path):
    write_run(tmp_path / "r")
    run = load_run(tmp_path / "r")
    rows = [{"key": "a", "score": 1.0}, {"key": "b", "score": 0.0}]
    run.add_evaluation("test", RESULT, rows)
    assert run.metrics["test"] == RESULT
    assert [row["score"] for row in run.evaluation_rows("test")] == [1.0, 0.0]
    with pytest.raises(ArtifactError, match="no evaluation"):
        run.evaluation_rows("other")


def test_what_an_update_has_learnt_is_kept_in_order(tmp_path):
    with new_run(tmp_path / "r") as draft:
        draft.model_path("keras").touch()
        draft.write_learned([{"user": "ü", "items": np.array([1, 2])}, {"user": "b", "items": []}])
        draft.finish(MANIFEST)
    run = load_run(tmp_path / "r")
    first, second = run.learned
    assert (first["user"], first["items"].tolist()) == ("ü", [1, 2])
    assert second == {"user": "b", "items": []}
    (run.folder / "learned.jsonl").write_text('{"user": "ü"}\n{"us')
    with pytest.raises(ArtifactError, match="learned.jsonl:2: is damaged"):
        _ = run.learned


def test_a_run_that_was_never_updated_has_learnt_nothing_more(tmp_path):
    write_run(tmp_path / "r")
    assert load_run(tmp_path / "r").learned == []


def damage(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("task", 3, "task: expected a text, not 3"),
        ("data", "x", "data: expected an object, not 'x'"),
        ("data", {}, "data lacks folder, fingerprint, reading"),
        ("version", "1", "version: expected a whole number from 0"),
        ("version", 10**20, "a number is too large"),
        ("settings", [], "settings: expected an object"),
        ("format", "pickle", "unknown model format 'pickle'"),
        ("updates", [{"rows": -1}], r"updates\[0\].rows: expected a whole number from 0, not -1"),
        ("data", {"folder": float("inf")}, "data.folder: expected a text, not None"),
        ("task", "\ud800", "surrogate"),
    ],
)
def test_a_manifest_of_odd_values_is_damage_that_names_the_key(tmp_path, key, value, named):
    write_run(tmp_path / "r")
    path = tmp_path / "r" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ArtifactError, match=named):
        load_run(tmp_path / "r")


@pytest.mark.parametrize("folder", ["gone", "\0", "x" * 5000])
def test_data_that_cannot_be_there_is_not_there(tmp_path, folder):
    assert Run(tmp_path, {"data": {"folder": folder}}).data is None


@pytest.mark.parametrize(
    "text", ["epoch,loss\n1,x", "epoch,loss\n1,2,3", "loss\n1", "epoch,loss\n1,inf", "epoch\n\0"]
)
def test_a_damaged_history_is_named(tmp_path, text):
    damage(tmp_path, "history.csv", text)
    with pytest.raises(ArtifactError, match=r"history\.csv"):
        _ = Run(tmp_path, {}).history


@pytest.mark.parametrize(
    "line", ["[]", "{", '{"key": 1, "score": 0}', '{"key": "a", "score": NaN}']
)
def test_a_damaged_evaluation_is_named_with_its_line(tmp_path, line):
    (tmp_path / "evaluations").mkdir()
    damage(tmp_path, "evaluations/test.jsonl", '{"key": "a", "score": 1}\n' + line)
    with pytest.raises(ArtifactError, match=r"test\.jsonl:2"):
        Run(tmp_path, {}).evaluation_rows("test")


@pytest.mark.parametrize(
    "line", ['{"$array": 1}', '{"$bytes": "x"}', '{"$array": ["O", [1], ""]}', "[" * 9999, "3"]
)
def test_damaged_learned_rows_are_named_with_their_line(tmp_path, line):
    damage(tmp_path, "learned.jsonl", line)
    with pytest.raises(ArtifactError, match=r"learned\.jsonl:1"):
        _ = Run(tmp_path, {}).learned


def test_images_are_read_inside_the_run_only(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "own.png").write_bytes(PNG + b"own")
    (tmp_path / "secret.png").write_bytes(PNG + b"secret")
    (run / "link.png").symlink_to(tmp_path / "secret.png")
    assert read_figure(run, "own.png") == PNG + b"own"
    outside = ["../secret.png", str(tmp_path / "secret.png"), "link.png", "\0", "x" * 5000, "."]
    assert [read_figure(run, name) for name in outside] == [None] * 6


def test_a_model_that_is_a_program_is_opened_only_where_it_is_trusted(tmp_path):
    with new_run(tmp_path / "r") as draft:
        draft.model_path("saved_model").mkdir()
        draft.finish(MANIFEST | {"format": "saved_model"})
    with pytest.raises(ArtifactError, match="--trust"):
        load_run(tmp_path / "r", trust=False)
    with pytest.raises(ArtifactError, match="--trust"):
        open_predictor(load_run(tmp_path / "r"))
    check_trusted(load_run(tmp_path / "r", trust=True))


def test_an_evaluation_may_have_a_long_name(tmp_path):
    write_run(tmp_path / "r")
    run = load_run(tmp_path / "r")
    for name in ("x" * 255, "x" * 254 + "y"):
        run.add_evaluation(name, RESULT, [{"key": name, "score": 1.0}])
        assert [row["key"] for row in run.evaluation_rows(name)] == [name]


def test_evaluations_that_end_at_once_are_all_kept(tmp_path, python):
    write_run(tmp_path / "r")
    program = (
        "import sys; from aitk.core.artifacts.run import load_run; run = load_run(sys.argv[1])\n"
        "RESULT = {'rows': 2, 'metrics': {}}\n"
        "for n in range(20):\n    run.add_evaluation(sys.argv[2] + str(n), RESULT, [])"
    )
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda name: python(program, tmp_path / "r", name), "ab"))
    assert [each.stderr for each in done] == ["", ""]
    assert len(load_run(tmp_path / "r").metrics) == 40


def test_a_pipe_in_place_of_the_model_is_a_missing_one(tmp_path):
    write_run(tmp_path / "r")
    (tmp_path / "r/model.keras").unlink()
    os.mkfifo(tmp_path / "r/model.keras")
    with pytest.raises(ArtifactError, match="model.keras is missing"):
        load_run(tmp_path / "r")
