"""The learning rate as a plain function of the step."""

from __future__ import annotations

import math


def learning_rate_at(step: int, *, total: int, peak: float, warmup: float, schedule: str) -> float:
    """The rate of one step: linear warm-up from near 0, then linear, cosine or no decay to 0.

    Args:
        step: step number, from 0.
        total: total number of steps.
        warmup: share of warm-up steps.
        schedule: ``linear``, ``cosine`` or ``constant``.
    """
    rising = round(total * warmup)
    if step < rising:
        return peak * (step + 1) / (rising + 1)
    if schedule == "constant":
        return peak
    left = 1 - (step - rising) / max(1, total - rising)
    if schedule == "linear":
        return peak * left
    return peak * (1 - math.cos(math.pi * left)) / 2
