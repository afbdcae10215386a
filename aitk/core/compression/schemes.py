"""Number formats for stored models, and the selection among them by their cost in quality.

``int8`` is a sequence of schemes, tried from the smallest and fastest to the most exact, until one
shows no loss on the validation rows. The other names are single schemes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.task import Task
from aitk.core.metrics.statistics import Drop

#: Storage and arithmetic of each scheme. The affected layers are counted in the file itself.
SCHEMES: Mapping[str, str] = {
    "none": "float32",
    "weights": "int8 weights in groups, float32 arithmetic",
    "int4": "int4 kernels and int8 tables in groups, float32 arithmetic",
    "static": "int8 weights and activations, calibrated on training rows",
    "dynamic": "int8 weights; activations quantised on the fly, or left in float",
    "int16": "int8 weights and int16 activations, calibrated on training rows",
    "float16": "float16 weights, float32 arithmetic",
}
#: Schemes with activation ranges.
CALIBRATED = frozenset({"static", "int16"})
#: File format -> the schemes tried for ``--quantize int8``.
LADDERS: Mapping[str, tuple[str, ...]] = {
    "keras-quantized": ("weights",),
    "litert": ("static", "dynamic", "int16", "float16"),
    "onnx": ("static", "dynamic", "float16"),
}
#: One point of a metric between 0 and 1, and one percent of any other.
POINT = 0.01


@dataclass(frozen=True)
class Attempt:
    """A scheme that was tried.

    Attributes:
        scheme: its name in ``SCHEMES``.
        arithmetic: layers per number format, counted; "" without a file.
        size: file size in bytes.
        drop: loss in the main metric on the selection rows; None without a file.
        refused: why the scheme does not suit the model; "" if it does.
    """

    scheme: str
    arithmetic: str = ""
    size: int = 0
    drop: Drop | None = None
    refused: str = ""

    def line(self, *, budget: float, chosen: bool) -> dict[str, Any]:
        """Its line in the table of attempts."""
        verdict = self.refused
        if self.drop is not None:
            verdict = "over the budget" if self.drop.value > budget else "within the budget"
            verdict += ", a significant loss" if self.drop.sure else ""
        return {
            "scheme": self.scheme,
            "MB": round(self.size / 1e6, 3) if self.size else None,
            "drop": None if self.drop is None else round(self.drop.value, 4),
            "drop_low": None if self.drop is None else _rounded(self.drop.low),
            "drop_high": None if self.drop is None else _rounded(self.drop.high),
            "result": verdict + (": selected" if chosen else ""),
        }


def schemes_of(format: str, quantize: str) -> tuple[str, ...]:
    """The schemes of ``--quantize`` in a run format, in the order they are tried."""
    return LADDERS[format] if quantize == "int8" else (quantize,)


def default_budget(task: Task, value: float) -> float:
    """The default loss in the main metric that is accepted.

    Args:
        value: the metric of the float model.
    """
    return POINT if task.metric.is_rate else POINT * abs(value)


def choose(attempts: Iterable[Attempt], *, budget: float) -> tuple[Attempt, list[Attempt]]:
    """Try schemes until one is within the budget without a significant loss.

    Args:
        attempts: computed lazily, as far as needed.
        budget: maximum accepted drop.

    Returns:
        The selected scheme, and all that were tried. If every scheme has a significant loss, the
        one with the smallest loss, within the budget if possible.

    Raises:
        ArtifactError: none could be converted and run.
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
