"""A study: several processes, one of them killed, lose no trial and train none twice."""

import collections
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aitk.core.contract.errors import ArtifactError
from aitk.stages.tuning.space import Choice, Range
from aitk.stages.tuning.study import COMPLETE, FAILED, PRUNED, Plan, Study


def plan(**more):
    space = {"x": Range(0.0, 1.0, log=False)}
    given = {
        "spaces": {"one": space},
        "defaults": {"one": {"x": 0.5}},
        "sampler": "tpe",
        "pruner": "asha",
        "seed": 0,
        "trials": 6,
        "minutes": None,
        "higher_is_better": True,
        "identity": "same",
    }
    return Plan(**given | more)


def run_all(study, score):
    while True:
        with study.claim() as claim:
            if claim is None:
                return
            study.finish(claim, COMPLETE, score(claim), {})


def test_the_defaults_of_every_model_come_first(tmp_path):
    spaces = {"a": {"x": Range(0.0, 1.0, log=False)}, "b": {}, "c": {"y": Choice((1, 2))}}
    defaults = {"a": {"x": 0.25}, "b": {}, "c": {"y": 2}}
    study = Study(tmp_path, plan(spaces=spaces, defaults=defaults, trials=9))
    run_all(study, lambda claim: 0.1 * claim.number)
    rows = study.rows()
    assert [(row["model"], row["parameters"]) for row in rows[:3]] == list(defaults.items())
    # What has nothing to search is tried once.
    assert [row["model"] for row in rows].count("b") == 1
    assert len(rows) == 9


def test_equal_seeds_propose_equal_trials_also_after_an_interruption(tmp_path):
    def study(name):
        (tmp_path / name).mkdir(exist_ok=True)
        return Study(tmp_path / name, plan(trials=8))

    run_all(study("whole"), lambda claim: -abs(claim.parameters["x"] - 0.3))
    for _ in range(3):  # a process that claims a trial and ends, a trial that is finished
        with study("cut").claim():
            pass
        again = study("cut")
        with again.claim() as claim:
            again.finish(claim, COMPLETE, -abs(claim.parameters["x"] - 0.3), {})
    run_all(study("cut"), lambda claim: -abs(claim.parameters["x"] - 0.3))
    assert study("cut").rows() == study("whole").rows()


def test_another_study_is_not_gone_on_with(tmp_path):
    Study(tmp_path, plan())
    with pytest.raises(ArtifactError, match="other data or options"):
        Study(tmp_path, plan(identity="other"))


def test_minutes_end_a_study(tmp_path):
    study = Study(tmp_path, plan(trials=None, minutes=1.0))
    study.start_clock()
    with study.claim() as claim:
        assert 0.9 < claim.minutes <= 1.0
        study.finish(claim, COMPLETE, 0.5, {})
    study._study.set_user_attr("clock", {"seconds": 61.0, "since": None})
    with study.claim() as claim:
        assert claim is None


def test_halving_gives_up_the_worse_but_never_the_defaults(tmp_path):
    study = Study(tmp_path, plan(trials=7))
    states = []
    while True:
        with study.claim() as claim:
            if claim is None:
                break
            score = 1.0 - 0.1 * claim.number  # each is worse than those before it
            given_up = any(study.report(claim, score, percent) for percent in (25, 50, 75, 100))
            study.finish(claim, PRUNED if given_up else COMPLETE, score, {})
            states.append(PRUNED if given_up else COMPLETE)
    assert states[0] == COMPLETE and set(states[3:]) == {PRUNED}


def test_failed_trials_count_and_are_reported(tmp_path):
    study = Study(tmp_path, plan(trials=2))
    with study.claim() as claim:
        study.finish(claim, FAILED, None, {"reason": "out of memory"})
    run_all(study, lambda claim: 0.5)
    assert [row["state"] for row in study.rows()] == [FAILED, COMPLETE]
    assert study.rows()[0]["reason"] == "out of memory"


WORKER = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_study import plan
from aitk.stages.tuning.study import COMPLETE, Study
study = Study(Path(sys.argv[1]), plan(trials=12))
print("ready", flush=True)
while True:
    with study.claim() as claim:
        if claim is None:
            break
        with open(Path(sys.argv[1]) / "trained.txt", "a") as file:
            file.write(f"begin {claim.number}\\n")
        time.sleep(0.15)
        study.finish(claim, COMPLETE, claim.parameters["x"], {"by": os.getpid()})
        with open(Path(sys.argv[1]) / "trained.txt", "a") as file:
            file.write(f"end {claim.number}\\n")
"""


def test_of_two_processes_one_is_killed_and_no_trial_is_lost_or_doubled(tmp_path):
    Study(tmp_path, plan(trials=12))
    command = [sys.executable, "-c", WORKER, tmp_path, Path(__file__).parent]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    for worker in workers:
        assert worker.stdout.readline() == b"ready\n"
    time.sleep(0.35)
    os.kill(workers[0].pid, signal.SIGKILL)
    workers[0].wait()
    assert workers[1].wait(timeout=60) == 0
    rows = Study(tmp_path, plan(trials=12)).rows()
    assert [row["trial"] for row in rows] == list(range(12))
    assert {row["state"] for row in rows} == {COMPLETE}
    lines = (tmp_path / "trained.txt").read_text().split("\n")
    ended = collections.Counter(line for line in lines if line.startswith("end"))
    begun = collections.Counter(line for line in lines if line.startswith("begin"))
    assert set(ended.values()) == {1}
    assert sum(begun.values()) <= 13  # the trial of the killed process was begun again
    for worker in workers:
        worker.stdout.close()
