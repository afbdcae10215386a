"""How long a model waits for its batches."""

import pytest

from aitk.core.training import feeding
from aitk.core.training.feeding import Waiting


@pytest.fixture
def clock(monkeypatch):
    """A clock that shows what it is set to."""
    shown = {"now": 0.0}
    monkeypatch.setattr(feeding.time, "monotonic", lambda: shown["now"])
    return shown


def told(clock, *, made, done):
    waiting = Waiting()
    for moment in made:
        clock["now"] = moment
        waiting.batch_is_made()
    for moment in done:
        clock["now"] = moment
        waiting.step_is_done()
    return waiting


def test_batches_that_are_ready_are_not_waited_for(clock):
    assert told(clock, made=[0, 1, 2], done=[10, 20, 30]).share == 0


def test_late_batches_are_waited_for_from_the_end_of_the_step_before(clock):
    # Steps of 1 s; the second and third batch come 3 s after the step before them.
    assert told(clock, made=[0, 4, 8], done=[1, 5, 9]).share == pytest.approx(6 / 8)


def test_one_step_prints_nothing(clock):
    assert told(clock, made=[5], done=[6]).share == 0
