"""Epsilon of aitk's accountants next to dp-accounting and opacus.

    python -m venv peers && peers/bin/pip install dp-accounting scipy
    peers/bin/pip install --no-deps opacus
    PYTHONPATH=. peers/bin/python bench/accountants.py

Opacus is read from its files: importing the package would need torch, which its formulas do not.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
import types
from pathlib import Path

import dp_accounting
from dp_accounting import pld, rdp

from aitk.core.privacy.prv import prv_epsilon
from aitk.core.privacy.rdp import rdp_epsilon

CASES = [
    # sampling rate, noise multiplier, steps, delta
    (0.01, 1.0, 1_000, 1e-5),
    (0.01, 1.1, 10_000, 1e-5),
    (256 / 60_000, 0.8, 3_516, 1e-5),
    (64 / 6_920, 0.7, 1_090, 1e-5),
    (0.02, 4.0, 5_000, 1e-6),
    (0.1, 2.0, 500, 1e-5),
    (0.001, 0.6, 20_000, 1e-6),
    (1.0, 10.0, 100, 1e-5),
    (0.05, 0.5, 40, 1e-5),
]


def opacus_accountants() -> types.ModuleType:
    """Opacus' accountants without the rest of the package."""
    spec = importlib.util.find_spec("opacus")
    assert spec is not None and spec.submodule_search_locations is not None
    root = Path(spec.submodule_search_locations[0])
    for name in ("opacus", "opacus.accountants", "opacus.accountants.analysis"):
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    optimizers = types.ModuleType("opacus.optimizers")  # named in a signature
    optimizers.DPOptimizer = object  # type: ignore[attr-defined]
    sys.modules["opacus.optimizers"] = optimizers
    found = types.ModuleType("found")
    found.PRVAccountant = importlib.import_module("opacus.accountants.prv").PRVAccountant  # type: ignore[attr-defined]
    found.RDPAccountant = importlib.import_module("opacus.accountants.rdp").RDPAccountant  # type: ignore[attr-defined]
    return found


def main() -> None:
    opacus = opacus_accountants()
    for rate, noise, steps, delta in CASES:
        event = dp_accounting.SelfComposedDpEvent(
            dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise)), steps
        )
        started = time.perf_counter()
        own = {
            "rdp": rdp_epsilon(rate=rate, noise=noise, steps=steps, delta=delta),
            "prv": prv_epsilon(rate=rate, noise=noise, steps=steps, delta=delta),
        }
        seconds = time.perf_counter() - started
        google = {
            "rdp": rdp.RdpAccountant().compose(event).get_epsilon(delta),
            "pld": pld.PLDAccountant(value_discretization_interval=1e-4)
            .compose(event)
            .get_epsilon(delta),
        }
        meta = {}
        for name, kind in (("rdp", opacus.RDPAccountant), ("prv", opacus.PRVAccountant)):
            accountant = kind()
            accountant.history = [(noise, rate, steps)]
            try:
                meta[name] = float(accountant.get_epsilon(delta=delta))
            except (ValueError, RuntimeError, OverflowError) as error:
                meta[name] = f"{type(error).__name__}: {error}"
        print(
            json.dumps(
                {
                    "rate": round(rate, 6), "noise": noise, "steps": steps, "delta": delta,
                    "aitk": own, "dp_accounting": google, "opacus": meta,
                    "seconds": round(seconds, 2),
                }
            ),
            flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
