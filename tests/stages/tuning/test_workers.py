"""Further processes of a search: one dies, the others end their trials; Ctrl-C saves them."""

import textwrap
import time
from pathlib import Path

import pytest

from aitk.stages.options import TrainingOptions, TuneOptions
from aitk.stages.tuning import workers
from aitk.stages.tuning.workers import Workers

TRIALS = """
    import os, signal, time
    from pathlib import Path
    from aitk.core.runtime import interrupts

    def open_trials(common, *, reporter):
        folder = Path(common["trials"])

        def work(shard):
            if common["settings"] == {"dies": True}:
                os.kill(os.getpid(), signal.SIGKILL)
            while common["settings"] == {"waits": True}:
                (folder / f"{os.getpid()}.started").touch()
                time.sleep(0.01)
                if interrupts.requested():
                    break
            (folder / f"{os.getpid()}.saved").touch()

        return work
"""


@pytest.fixture
def call(tmp_path, monkeypatch):
    (tmp_path / "trials_of_a_test.py").write_text(textwrap.dedent(TRIALS))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(workers, "WORK", "trials_of_a_test:open_trials")
    return {
        "data": "data",
        "domain": "nlp",
        "options": TuneOptions(),
        "training": TrainingOptions(),
        "settings": {},
        "trials": str(tmp_path),
    }


def saved(call):
    return len(list(Path(call["trials"]).glob("*.saved")))


def test_all_of_them_end_their_trials(call):
    warnings = []
    with Workers(call, count=2, warn=warnings.append):
        pass
    assert (saved(call), warnings) == (2, [])


def test_one_that_dies_is_named(call):
    warnings = []
    with Workers(call | {"settings": {"dies": True}}, count=1, warn=warnings.append):
        pass
    assert warnings == ["process 1 ended: SIGKILL"]


def test_an_interrupted_search_lets_them_save(call, tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        Workers(call | {"settings": {"waits": True}}, count=1, warn=pytest.fail),
    ):
        while not list(tmp_path.glob("*.started")):
            time.sleep(0.01)
        raise KeyboardInterrupt
    assert saved(call) == 1
