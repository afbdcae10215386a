"""On a terminal epochs grow in one table, results are tables, and files are links."""

from __future__ import annotations

import io
import re

import pytest

from aitk.cli.terminal import Terminal


class Screen(io.StringIO):
    """A terminal that keeps what was written to it."""

    def isatty(self) -> bool:
        return True

    def plain(self) -> str:
        """The output without colours, links and cursor movements."""
        return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|\]8;.*?\x1b\\\\)", "", self.getvalue())


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Screen()


def test_the_table_of_epochs_stays_with_the_best_one_marked(screen) -> None:
    talk = Terminal(screen)
    talk.epoch({"epoch": 1, "loss": 0.5, "accuracy": 0.8}, best=1, epochs=2)
    talk.epoch({"epoch": 2, "loss": 0.4, "accuracy": 0.7}, best=1, epochs=2)
    talk.close()
    final = screen.plain().split("epoch")[-1]
    rows = [line.split() for line in final.splitlines() if "0." in line]
    assert rows == [["1", "0.5000", "0.8000", "best"], ["2", "0.4000", "0.7000"]]


def test_a_second_training_begins_a_table_of_its_own(screen) -> None:
    talk = Terminal(screen)
    for epoch in (1, 2, 1):
        talk.epoch({"epoch": epoch, "loss": 0.5}, best=1, epochs=2)
    talk.close()
    final = screen.plain().split("epoch")[-1]
    assert sum("0.5000" in line for line in final.splitlines()) == 1


def test_a_file_that_is_there_is_a_link(screen, tmp_path) -> None:
    report = tmp_path / "report.html"
    report.touch()
    Terminal(screen).result({"report": str(report), "task": "nlp.classify"}, [])
    assert report.as_uri() in screen.getvalue()
    assert screen.getvalue().count("\x1b]8;") == 2  # one link, its beginning and its end


def test_a_wide_table_is_wrapped_and_loses_nothing(screen) -> None:
    words = [f"word{number}" for number in range(40)]
    Terminal(screen).result({}, [{"task": "a", "models": " ".join(words)}])
    lines = screen.plain().splitlines()
    assert max(map(len, lines)) <= 80
    assert [word for word in words if word not in screen.plain()] == []


def test_no_color_is_respected(screen, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    talk = Terminal(screen)
    talk.warn("act on this")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", screen.getvalue())


def test_what_a_terminal_would_obey_is_shown_escaped(screen) -> None:
    Terminal(screen).result({}, [{"label": "a\x1b]0;owned\x07"}])
    assert "\x1b]0;" not in screen.getvalue()
