"""Detectors of change find the same changes as river, which recorded its own in a file."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from aitk.core.metrics.drift import Adwin, PageHinkley

BENCH = Path(__file__).parents[3] / "bench" / "drift_river.py"


def test_the_changes_are_those_that_river_detects():
    recorded = json.loads((Path(__file__).parent / "drift_river.json").read_text())
    assert any(recorded["adwin"].values()) and any(recorded["page-hinkley"].values())
    assert runpy.run_path(str(BENCH))["ours"]() == recorded


@pytest.mark.parametrize("detector", [Adwin(), PageHinkley()])
def test_a_stream_that_stays_the_same_has_no_change(detector):
    assert not any(detector.update(0.5) for _ in range(2000))


def test_the_window_knows_its_mean_and_variance():
    values = np.random.default_rng(3).normal(5, 2, 700)
    window = Adwin(delta=1e-9)
    for value in values:
        assert not window.update(value)
    assert window.width == 700
    assert window.mean == pytest.approx(values.mean())
    assert window.variance == pytest.approx(values.var())
    assert len(window._rows) < 10  # O(log n) memory
