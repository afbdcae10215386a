"""Data on stdout, talk on stderr, progress in plain lines where there is no terminal."""

from __future__ import annotations

import json

import pytest

from aitk.cli import plain
from aitk.cli.output import Output
from aitk.core.contract.errors import UsageError
from aitk.core.contract.outcome import Outcome

SCORES = Outcome(
    facts={"run": "runs/a", "metrics": {"accuracy": 0.5}},
    table=[
        {"metric": "accuracy", "value": 0.98765, "low": None},
        {"metric": "准确率", "value": 1, "low": 0.5},
    ],
    next="aitk nlp compress runs/a",
)


def test_a_result_is_talk(capsys) -> None:
    Output().show(SCORES)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "run: runs/a",
        "metric     value     low",
        "accuracy  0.9877",
        "准确率         1  0.5000",
        "next: aitk nlp compress runs/a",
    ]


def test_counts_are_shown_in_one_line(capsys) -> None:
    Output().show(Outcome(facts={"rows": {"train": 1800, "test": 20}}))
    assert capsys.readouterr().err == "rows: 1,800 train, 20 test\n"


def test_the_result_of_an_information_command_is_data(capsys) -> None:
    Output(is_data=True).show(Outcome(facts={"aitk": "0.1.0"}))
    assert capsys.readouterr() == ("aitk: 0.1.0\n", "")


def test_json_holds_the_facts_the_table_and_the_exit_code(capsys) -> None:
    Output(as_json=True).show(Outcome(facts={"n": 1}, table=[{"a": "é"}], missed="too slow"))
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told == {"n": 1, "table": [{"a": "é"}], "missed": "too slow", "exit_code": 7}
    assert err == "warning: too slow\n"


def test_quiet_prints_only_explanations_of_an_exit_code(capsys) -> None:
    quiet = Output(quiet=True)
    quiet.note("a")
    quiet.warn("b")
    assert list(quiet.track([1, 2], "c")) == [1, 2]
    quiet.show(SCORES)
    assert capsys.readouterr() == ("", "")


def test_plain_progress_shows_count_rate_and_remaining_time(capsys, monkeypatch) -> None:
    now = iter(range(0, 1000, 6))
    monkeypatch.setattr(plain.time, "monotonic", lambda: float(next(now)))
    talk = Output()
    talk.update("training", 10, 100, "loss 0.5")
    talk.close()
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("training: 10/100 (10%), ")
    assert first.endswith(" left, loss 0.5")


def test_an_epoch_is_a_line_that_marks_the_best(capsys) -> None:
    talk = Output()
    talk.epoch({"epoch": 1, "loss": 0.5, "accuracy": 0.75, "seconds": 3.21}, best=1, epochs=9)
    talk.epoch({"epoch": 2, "loss": 0.4, "accuracy": 0.70, "seconds": 6.4}, best=1, epochs=9)
    assert capsys.readouterr().err.splitlines() == [
        "epoch 1/9: loss 0.5000, accuracy 0.7500, seconds 3.2 (best so far)",
        "epoch 2/9: loss 0.4000, accuracy 0.7000, seconds 6.4",
    ]


def test_quick_work_needs_no_line(capsys) -> None:
    assert list(Output().track(range(3), "reading")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_track_ends_its_progress_when_the_work_fails(capsys, monkeypatch) -> None:
    monkeypatch.setattr(plain, "PROGRESS_EVERY_S", 0.0)
    talk = Output()

    def broken():
        yield 1
        raise ValueError

    with pytest.raises(ValueError):
        list(talk.track(broken(), "reading"))
    talk.note("after")
    assert capsys.readouterr().err.splitlines()[-1] == "after"


def test_a_reader_that_leaves_ends_the_command_quietly(python) -> None:
    """Like ``aitk ... | head -1``: no traceback, no second error when Python ends."""
    done = python(
        "import os, sys; from aitk.cli.output import Output\n"
        "from aitk.core.contract.errors import *\n"
        "reading, writing = os.pipe(); os.dup2(writing, 1); os.close(reading)\n"
        "try:\n    Output().write('row\\n')\n"
        "except Interrupted as error:\n    sys.exit(error.exit_code)"
    )
    assert done.returncode == 130
    assert done.stderr == ""


def test_what_a_terminal_would_obey_is_shown_escaped(capsys) -> None:
    talk = Output()
    talk.note("label a\x1b]0;owned\x07\nb")
    talk.warn("c\x9b2J")
    talk.show(Outcome(facts={}, table=[{"name\x1b": "d\u202e"}]))
    talk.fail(UsageError("no such file", where="e\x1b[1m"))
    assert capsys.readouterr().err.splitlines() == [
        "label a\\u001b]0;owned\\u0007\\u000ab",
        "warning: c\\u009b2J",
        "name\\u001b",
        "d\\u202e",
        "aitk: e\\u001b[1m: no such file",
    ]


def test_data_in_a_pipe_is_exactly_what_was_written(capsys) -> None:
    Output().write("a\x1b\n")
    assert capsys.readouterr().out == "a\x1b\n"


def test_a_full_stdout_ends_with_one_line_and_two(python) -> None:
    done = python(
        "import sys; from aitk.cli.main import main; sys.stdout = open('/dev/full', 'w')\n"
        "sys.exit(main(['tasks', '--json']))"
    )
    assert done.returncode == 2
    assert done.stderr == "aitk: stdout: cannot be written to (No space left on device)\n"


def test_a_full_stderr_stops_no_work(python) -> None:
    done = python(
        "import sys; from aitk.cli.output import Output; sys.stderr = open('/dev/full', 'w')\n"
        "Output().note('a'); Output().write('row')"
    )
    assert (done.returncode, done.stdout) == (0, "row")
