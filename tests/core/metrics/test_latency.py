"""Latency: what is timed, and how long at most."""

import time

import numpy as np
import pytest

from aitk.core.metrics import latency


@pytest.mark.parametrize(("longest_s", "calls"), [(60.0, 3 + 12), (0.0, 3 + 5)])
def test_every_batch_is_timed_but_a_slow_model_only_for_a_while(monkeypatch, longest_s, calls):
    monkeypatch.setattr(latency, "MEASUREMENTS", 4)
    monkeypatch.setattr(latency, "LONGEST_S", longest_s)
    seen = []

    def predict(batch):
        seen.append(int(batch["x"][0]))
        time.sleep(0.05 if len(seen) <= latency.WARM_UPS else 0.001)

    found = latency.measure_latency(predict, [{"x": np.array([at])} for at in range(12)])
    assert len(seen) == calls
    assert 1 <= found.median_ms < 50  # the slow first calls do not count
    assert found.median_ms <= found.p95_ms
    if longest_s:
        assert set(seen) == set(range(12))
    else:
        assert seen[:8] != sorted(seen[:8])  # short and long ones alike
