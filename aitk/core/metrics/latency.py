"""Latency of a model's predictions: median and 95th percentile per batch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aitk.core.inference.predictors import Predictor
from aitk.core.runtime import interrupts

WARM_UPS = 3
MEASUREMENTS = 50
#: Slow models are timed for about this long, but for at least this many calls.
LONGEST_S, FEWEST = 20.0, 5


@dataclass(frozen=True)
class Latency:
    """Milliseconds per call; ``p95_ms`` is the 95th percentile."""

    median_ms: float
    p95_ms: float


def measure_latency(predictor: Predictor, batches: Sequence[Mapping[str, np.ndarray]]) -> Latency:
    """Time single calls, cycling through the batches in random order. The first calls, which
    compile, are excluded."""
    order = np.random.default_rng(0).permutation(len(batches))
    taken_ms: list[float] = []
    began = time.perf_counter()
    for number in range(WARM_UPS + max(MEASUREMENTS, len(batches))):
        interrupts.check()
        started = time.perf_counter()
        if number >= WARM_UPS + FEWEST and started - began > LONGEST_S:
            break
        predictor(batches[order[number % len(batches)]])
        taken_ms.append((time.perf_counter() - started) * 1e3)
    counted = taken_ms[WARM_UPS:]
    return Latency(float(np.median(counted)), float(np.percentile(counted, 95)))
