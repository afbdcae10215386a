"""How long a model takes to predict: the median and the slow end, batch by batch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aitk.core.inference.predictors import Predictor
from aitk.core.runtime import interrupts

WARM_UPS = 3
MEASUREMENTS = 50


@dataclass(frozen=True)
class Latency:
    """Milliseconds a call; ``p95_ms`` is what 95 of 100 calls stay under."""

    median_ms: float
    p95_ms: float


def measure_latency(predictor: Predictor, batches: Sequence[Mapping[str, np.ndarray]]) -> Latency:
    """Time single calls, going round the batches. The first calls, which compile, do not count."""
    taken_ms = []
    for number in range(WARM_UPS + max(MEASUREMENTS, len(batches))):
        interrupts.check()
        started = time.perf_counter()
        predictor(batches[number % len(batches)])
        taken_ms.append((time.perf_counter() - started) * 1e3)
    counted = taken_ms[WARM_UPS:]
    return Latency(float(np.median(counted)), float(np.percentile(counted, 95)))
