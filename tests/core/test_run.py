"""A run folder: whole or absent, and resumable in between."""

import numpy as np
import pytest

from aitk.core.errors import ArtifactError, UsageError
from aitk.core.run import load_run, new_run

MANIFEST = {"task": "toy", "model": "m", "settings": {}, "format": "keras", "data": {}}


def write_run(out, **kwargs):
    with new_run(out, **kwargs) as draft:
        draft.model_path("keras").touch()
        draft.finish(MANIFEST)


def test_a_run_appears_whole(tmp_path):
    write_run(tmp_path / "r")
    assert load_run(tmp_path / "r").task == "toy"
    assert not (tmp_path / "r.part").exists()


def test_a_failed_run_leaves_nothing(tmp_path):
    with pytest.raises(ValueError), new_run(tmp_path / "r"):
        raise ValueError
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_waits_to_be_resumed(tmp_path):
    out = tmp_path / "r"
    with pytest.raises(KeyboardInterrupt), new_run(out) as draft:
        draft.state.mkdir()
        (draft.state / "current").touch()
        raise KeyboardInterrupt
    with pytest.raises(ArtifactError, match="--resume"):
        load_run(out)
    with pytest.raises(UsageError, match="--resume"):
        write_run(out)
    write_run(out, resume=True)
    assert not (out / "state").exists()


def test_resuming_nothing_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="nothing to resume"):
        write_run(tmp_path / "r", resume=True)


def test_a_run_is_not_overwritten_by_accident(tmp_path):
    write_run(tmp_path / "r")
    with pytest.raises(UsageError, match="exists already"):
        write_run(tmp_path / "r")
    write_run(tmp_path / "r", overwrite=True)


def test_damage_is_named(tmp_path):
    write_run(tmp_path / "r")
    (tmp_path / "r" / "model.keras").unlink()
    with pytest.raises(ArtifactError, match="model.keras is missing"):
        load_run(tmp_path / "r")
    (tmp_path / "r" / "run.json").write_text("{")
    with pytest.raises(ArtifactError, match="damaged"):
        load_run(tmp_path / "r")


def test_prepared_data_is_not_taken_for_a_run(tmp_path):
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
    run.add_evaluation("test", {"rows": 2}, [{"score": 1.0}, {"score": 0.0}])
    assert run.metrics["test"] == {"rows": 2}
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
    with pytest.raises(ArtifactError, match="learned.jsonl: is damaged"):
        _ = run.learned


def test_a_run_that_was_never_updated_has_learnt_nothing_more(tmp_path):
    write_run(tmp_path / "r")
    assert load_run(tmp_path / "r").learned == []
