"""Some hostile inputs, always the same; ``make fuzz`` takes an hour."""

import os

import pytest
from run import search

SECONDS = float(os.environ.get("FUZZ_SECONDS", "20"))


@pytest.mark.slow
def test_hostile_inputs_end_in_one_line_and_leave_nothing_behind():
    harness, found = search(seconds=SECONDS, runs={}, rounds=20)
    assert not found.found
    assert harness.ends
