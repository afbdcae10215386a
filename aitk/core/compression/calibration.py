"""Calibration batches for activation ranges, and checks of which models tolerate ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from aitk.core.compression.graphs import LOOPS, float32_layers, freeze, operations_of, trace
from aitk.core.compression.schemes import CALIBRATED

Inputs = Mapping[str, np.ndarray]
#: Batches of one shape that can be iterated several times.
Batches: TypeAlias = "Calibration | Sequence[Inputs]"


class Unsuitable(Exception):
    """The scheme does not suit the model; the message gives the reason."""


class Calibration:
    """Calibration batches for activation ranges; only one is in memory at a time."""

    def __init__(self, folder: Path):
        self._paths = sorted(folder.glob("batch-*.npz"))

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[Inputs]:
        for path in self._paths:
            with np.load(path, allow_pickle=False) as batch:
                yield dict(batch)


def check_suits(model: Any, scheme: str, calibration: Batches) -> None:
    """Refuse calibrated activations for models where measurements showed that they are slower and
    wrong (attention), crash the converter (loops) or gain nothing (no convolution).

    Raises:
        Unsuitable: the scheme is refused.
    """
    if scheme not in CALIBRATED:
        return
    if not len(calibration):
        raise Unsuitable("there are no rows to calibrate it on")
    operations = operations_of(freeze(trace(model)), apart_from=float32_layers(model))
    if any(operation.startswith(LOOPS) for operation in operations):
        raise Unsuitable("a recurrent loop cannot be calibrated")
    if "Softmax" in operations:
        raise Unsuitable("attention loses too much accuracy")
    if not {"Conv2D", "DepthwiseConv2dNative"} & operations:
        raise Unsuitable("it gains nothing without convolutions")
