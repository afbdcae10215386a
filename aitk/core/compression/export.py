"""Conversion of a Keras model to another format, in a separate process.

Converters are native code: they may crash (a recurrent loop in full int8 does), and their memory is
only released when their process ends.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import signal
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aitk.core.compression.arithmetic import describe_arithmetic
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.runtime import interrupts
from aitk.core.runtime.environment import DISTRIBUTION
from aitk.core.runtime.forking import Ended, ForkServer

#: File format -> its values of ``--quantize``; see ``schemes``.
FORMATS = {
    "keras": ("none", "int8", "weights", "int4"),
    "litert": ("none", "int8", "static", "dynamic", "int16", "float16"),
    "onnx": ("none", "int8", "static", "dynamic", "float16"),
    "saved_model": ("none",),
}

#: The process that converts: ``compress`` starts it early, for its imports take seconds.
converter = ForkServer("aitk.core.compression.convert")


@dataclass(frozen=True)
class Exported:
    """The result of a conversion.

    Attributes:
        scheme: number format used.
        arithmetic: layers per number format, counted in the file.
        refused: unsuitable schemes -> reason.
    """

    scheme: str
    arithmetic: str
    refused: Mapping[str, str]


def choose_format(format: str | None, quantize: str) -> str:
    """The run format to write: by default LiteRT for quantised weights, Keras for those that only
    it can store.

    LiteRT's int8 was as small as ONNX Runtime's and faster with every architecture here, for one
    row and for 32; compare ``compress --format litert`` and ``--format onnx`` for a run.

    Raises:
        UsageError: the format cannot store such weights, or its packages are missing.
    """
    format = format or ("litert" if quantize in FORMATS["litert"][1:] else "keras")
    if quantize not in FORMATS[format]:
        able = [name for name, kinds in FORMATS.items() if quantize in kinds]
        raise UsageError(
            f"{format} cannot store {quantize} weights",
            where="--format",
            hint=f"Use {' or '.join(able)}",
        )
    if format == "onnx":
        _check_onnx()
    return "keras-quantized" if format == "keras" and quantize != "none" else format


def export_model(
    source: Path,
    target: Path,
    *,
    format: str,
    schemes: Sequence[str] = ("none",),
    calibration: Iterable[Mapping[str, np.ndarray]] = (),
) -> Exported:
    """Convert the ``.keras`` file ``source`` to ``target``, with the first suitable scheme.

    Args:
        format: a run format other than ``keras``.
        schemes: names in ``core.compression.schemes.SCHEMES``, in order of preference.
        calibration: batches of inputs of equal shape, for activation ranges. Each is written to
            disk before the next one is computed.

    Raises:
        OSError: the disk is full.
        ArtifactError: no scheme suits the model, or the converter crashes.
    """
    with tempfile.TemporaryDirectory(prefix="aitk-export-") as name:
        folder = Path(name)
        for number, batch in enumerate(calibration):
            np.savez(folder / f"batch-{number:05}.npz", **batch)  # type: ignore[arg-type]
        job = {
            "source": str(source.resolve()),
            "target": str(target.resolve()),
            "format": format,
            "schemes": list(schemes),
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        with interrupts.waiting():
            ended = converter.run(folder)
        interrupts.check()
        if ended.code:
            _raise_if_full(_reason(ended))
            raise ArtifactError(
                f"cannot be converted to {format} ({_reason(ended)})",
                where=str(source),
                hint="Try another --format or --quantize",
            )
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return Exported(
        result["scheme"],
        describe_arithmetic(result["scheme"], result["layers"]),
        result["refused"],
    )


def _check_onnx() -> None:
    """Check for the converter, which only the extra installs; prediction does not need it."""
    missing = [name for name in ("onnx", "tf2onnx") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"writing ONNX files needs {' and '.join(missing)}",
            where="--format",
            hint=f"pip install '{DISTRIBUTION}[onnx]'",
        )


def _raise_if_full(reason: str) -> None:
    """Raise the error of a full disk, which is not a fault of the model or format."""
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        if os.strerror(code) in reason:
            raise OSError(code, os.strerror(code))


def _reason(ended: Ended) -> str:
    if ended.code < 0:
        return f"the converter crashed: {signal.Signals(-ended.code).name}"
    lines = [line.strip() for line in ended.errors.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"exit code {ended.code}"
