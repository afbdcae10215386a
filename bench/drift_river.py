"""Detections of ``core.metrics.drift`` and of river on the same streams.

    python bench/drift_river.py record     # where river is installed: prints river's detections
    python bench/drift_river.py            # where aitk is: compares with the recorded ones

The recorded ones are those of tests/core/metrics/test_drift.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

RECORD = Path(__file__).parent.parent / "tests/core/metrics/drift_river.json"


def streams() -> dict[str, np.ndarray]:
    """Errors of a classifier, a number that drifts slowly, one that jumps, one that stays."""
    rng = np.random.default_rng(7)
    errors = np.concatenate([rng.random(1000) < share for share in (0.1, 0.5, 0.12)])
    slow = rng.normal(np.linspace(0, 3, 3000), 1.0)
    jumps = np.concatenate([rng.normal(mean, 0.5, 700) for mean in (0, 2, 2.2, -1, -1, 4)])
    return {
        "errors": errors.astype(float),
        "slow": slow,
        "jumps": jumps,
        "none": rng.random(5000),
        "rare": (rng.random(4000) < np.repeat([0.01, 0.05], 2000)).astype(float),
    }


def settings() -> dict[str, tuple[str, dict[str, float]]]:
    return {
        "adwin": ("adwin", {}),
        "adwin-careful": ("adwin", {"delta": 1e-5, "clock": 8}),
        "page-hinkley": ("page-hinkley", {}),
        "page-hinkley-10": ("page-hinkley", {"threshold": 10.0}),
    }


def rivers() -> dict[str, dict[str, list[int]]]:
    from river import drift

    kinds = {"adwin": drift.ADWIN, "page-hinkley": drift.PageHinkley}
    found: dict[str, dict[str, list[int]]] = {}
    for name, (kind, given) in settings().items():
        found[name] = {}
        for stream, values in streams().items():
            detector = kinds[kind](**given)
            found[name][stream] = []
            for place, value in enumerate(values):
                detector.update(value)
                if detector.drift_detected:
                    found[name][stream].append(place)
    return found


def ours() -> dict[str, dict[str, list[int]]]:
    from aitk.core.metrics.drift import Adwin, PageHinkley

    kinds = {"adwin": Adwin, "page-hinkley": PageHinkley}
    found: dict[str, dict[str, list[int]]] = {}
    for name, (kind, given) in settings().items():
        found[name] = {}
        for stream, values in streams().items():
            detector = kinds[kind](**given)
            found[name][stream] = [p for p, value in enumerate(values) if detector.update(value)]
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["record"]:
        RECORD.write_text(json.dumps(rivers(), indent=1) + "\n")
    recorded = json.loads(RECORD.read_text())
    compared = recorded if sys.argv[1:] == ["record"] else ours()
    for name, by_stream in compared.items():
        for stream, places in by_stream.items():
            same = "" if places == recorded[name][stream] else f"  river: {recorded[name][stream]}"
            print(f"{name:16} {stream:8} {places}{same}")
