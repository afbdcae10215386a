"""The number formats a model can be stored in, and the choice among them by what each costs.

``int8`` names a ladder: its schemes are tried from the smallest and fastest to the most exact,
until one loses nothing that the validation rows can show. The other names are one scheme each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.task import Task
from aitk.core.metrics.statistics import Drop

#: What a scheme stores and computes. How many layers it reached is counted in the file itself.
SCHEMES: Mapping[str, str] = {
    "none": "float32",
    "static": "int8 weights and activations, whose ranges are calibrated on training rows",
    "dynamic": "int8 weights; activations quantised on the fly, or left in float",
    "int16": "int8 weights and int16 activations, whose ranges are calibrated on training rows",
    "float16": "float16 weights, float32 arithmetic",
}
#: Schemes whose activations need ranges.
CALIBRATED = frozenset({"static", "int16"})
#: Format of the file -> the schemes that ``--quantize int8`` goes through.
LADDERS: Mapping[str, tuple[str, ...]] = {
    "keras-quantized": ("dynamic",),
    "litert": ("static", "dynamic", "int16", "float16"),
    "onnx": ("static", "dynamic", "float16"),
}
#: One point of a metric that runs from 0 to 1, and one percent of any other.
POINT = 0.01


@dataclass(frozen=True)
class Attempt:
    """A scheme that was tried.

    Attributes:
        scheme: its name in ``SCHEMES``.
        arithmetic: what the file computes in which format, counted; "" where there is no file.
        size: bytes of the file.
        drop: how much worse the main metric is on the rows that choose; None where there is no
            file.
        refused: why the scheme does not suit the model; "" where it does.
    """

    scheme: str
    arithmetic: str = ""
    size: int = 0
    drop: Drop | None = None
    refused: str = ""

    def line(self, *, budget: float, chosen: bool) -> dict[str, Any]:
        """Its line of the table of what was tried."""
        verdict = self.refused
        if self.drop is not None:
            verdict = "over the budget" if self.drop.value > budget else "within the budget"
            verdict += ", a real loss" if self.drop.sure else ""
        return {
            "scheme": self.scheme,
            "MB": round(self.size / 1e6, 3) if self.size else None,
            "drop": None if self.drop is None else round(self.drop.value, 4),
            "drop_low": None if self.drop is None else _rounded(self.drop.low),
            "drop_high": None if self.drop is None else _rounded(self.drop.high),
            "result": verdict + (": kept" if chosen else ""),
        }


def schemes_of(format: str, quantize: str) -> tuple[str, ...]:
    """The schemes that ``--quantize`` stands for in a run format, in the order they are tried."""
    return LADDERS[format] if quantize == "int8" else (quantize,)


def default_budget(task: Task, value: float) -> float:
    """How much of its main metric a model may lose by default.

    Args:
        value: the metric of the float model.
    """
    return POINT if task.metric.is_rate else POINT * abs(value)


def choose(attempts: Iterable[Attempt], *, budget: float) -> tuple[Attempt, list[Attempt]]:
    """Try schemes until one is within the budget and shows no real loss.

    Args:
        attempts: made one by one, only as far as needed.
        budget: the largest drop that is accepted.

    Returns:
        The scheme to keep, and all that were tried. Where every one loses something real, it is
        the one that loses least, among those within the budget if there are any.

    Raises:
        ArtifactError: none could be made and run.
    """
    tried = []
    for attempt in attempts:
        tried.append(attempt)
        if attempt.drop is not None and attempt.drop.value <= budget and not attempt.drop.sure:
            return attempt, tried
    scored = [(attempt.drop.value, place) for place, attempt in enumerate(tried) if attempt.drop]
    if not scored:
        raise ArtifactError(
            "cannot be quantised: "
            + "; ".join(f"{attempt.scheme}: {attempt.refused}" for attempt in tried)
        )
    return tried[min(scored)[1]], tried


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
