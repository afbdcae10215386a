"""A run being written: whole or absent, and resumable in between."""

import pytest

from aitk.core.artifacts.run import load_run
from aitk.core.artifacts.run_draft import new_run
from aitk.core.contract.errors import ArtifactError, UsageError

MANIFEST = {
    "task": "toy",
    "model": "m",
    "settings": {},
    "options": {},
    "format": "keras",
    "data": {"folder": "data", "fingerprint": "f", "reading": {}},
}


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


def test_a_run_in_training_is_not_reported_as_interrupted(tmp_path):
    out = tmp_path / "r"
    with pytest.raises(KeyboardInterrupt), new_run(out) as draft:
        draft.state.mkdir()
        (draft.state / "training.npz").touch()
        with pytest.raises(ArtifactError, match="being written by process .*: wait"):
            load_run(out)
        raise KeyboardInterrupt


def test_resuming_nothing_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="nothing to resume"):
        write_run(tmp_path / "r", resume=True)


def test_a_run_is_not_overwritten_by_accident(tmp_path):
    write_run(tmp_path / "r")
    with pytest.raises(UsageError, match="exists already"):
        write_run(tmp_path / "r")
    write_run(tmp_path / "r", overwrite=True)
