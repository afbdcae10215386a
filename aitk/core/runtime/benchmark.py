"""What a machine does in a second (matrices, disk, decoding), and what stages cost with it."""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.runtime import interrupts

SIDE = 1024  # of the square matrices
LEAST_S = 0.5  # of a measurement
FILE_BYTES = 128 * 2**20
IMAGE_SIDE, AUDIO_S, AUDIO_RATE = 224, 10, 16_000
#: What networks reach of the rate at which large matrices are multiplied: about a third.
REACHED = 1 / 3


@dataclass(frozen=True)
class Measured:
    """One rate of the machine.

    Attributes:
        what: was measured.
        rate: in ``unit``; None where it cannot be measured.
        why_not: in that case.
    """

    what: str
    rate: float | None
    unit: str
    why_not: str = ""


def measure_machine(folder: Path, *, note: Callable[[str], None]) -> dict[str, Measured]:
    """Measure everything, a few seconds in all; TensorFlow must be ready to be imported.

    Args:
        folder: on the disk that is measured.
    """
    note("multiplying matrices")
    found = {kind: _multiply(kind) for kind in ("float32", "bfloat16", "int8")}
    note(f"writing and reading {FILE_BYTES >> 20} MB")
    found |= _disk(folder)
    note("decoding images and audio")
    return found | {"images": _images(), "audio": _audio()}


def stage_costs(measured: dict[str, Measured]) -> list[dict[str, Any]]:
    """What stages take for usual amounts of data, worked out from the rates.

    A training step of a network costs three times its prediction (forward, and backward twice);
    the multiply-adds are those of the models named.
    """
    flops = measured["float32"].rate
    images, audio, read = (measured[name].rate for name in ("images", "audio", "read"))
    cores = os.cpu_count() or 1
    rows = []

    def add(stage: str, what: str, seconds: float | None) -> None:
        rows.append({"stage": stage, "for": what, "about": _duration(seconds)})

    def computed(giga: float) -> float | None:
        return None if not flops else giga / (flops * REACHED)

    def both(*parts: float | None) -> float | None:
        return None if None in parts else sum(part for part in parts if part is not None)

    decode = None if not images else 10_000 / images / cores
    listen = None if not audio else 3_600 * 10 / audio / cores
    # Multiply-adds of one row, twice that many operations, in units of 1e9 operations.
    cnn, minilm = 2 * 0.027, 2 * 10.6e6 * 32 / 1e9
    add("prepare", "10,000 images of 224 x 224 (1 GB)", both(decode, read and 1e9 / 1e6 / read))
    add("prepare", "10 hours of audio (1.2 GB)", both(listen, read and 1.2e9 / 1e6 / read))
    add("finetune", "10,000 images of 32 x 32, cnn, 30 epochs", computed(3 * 30 * 10_000 * cnn))
    add("finetune", "10,000 texts of 32 tokens, MiniLM, 3 epochs", computed(9e4 * minilm))
    add("evaluate, predict", "10,000 texts of 32 tokens, MiniLM", computed(1e4 * minilm))
    add("compress", "int8 of MiniLM, scored on 1,000 rows", both(60.0, computed(2_000 * minilm)))
    add("tune", "10 trials of MiniLM as above", computed(10 * 9e4 * minilm))
    add("update", "1,000 new texts and as many old ones, MiniLM", computed(3 * 3 * 2_000 * minilm))
    add("explain", "20 texts of 32 words, MiniLM", computed(20 * 33 * minilm))
    return rows


def _multiply(kind: str) -> Measured:
    """Billions of operations a second of a product of square matrices."""
    import tensorflow as tf

    unit = "G operations/s"
    rng = np.random.default_rng(0)
    try:
        if kind == "int8":
            a, b = (tf.constant(rng.integers(-8, 8, (SIDE, SIDE)), tf.int8) for _ in range(2))
            product = tf.function(lambda: tf.linalg.matmul(a, b, output_type=tf.int32))
        else:
            a, b = (tf.cast(rng.normal(size=(SIDE, SIDE)), kind) for _ in range(2))
            product = tf.function(lambda: tf.linalg.matmul(a, b))
        np.asarray(product())
    except (tf.errors.OpError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0][:80]
        return Measured(f"matrices of {kind}", None, unit, f"not here: {reason}")
    rate = _per_second(lambda: np.asarray(product()))
    return Measured(f"matrices of {kind}", rate * 2 * SIDE**3 / 1e9, unit)


def _disk(folder: Path) -> dict[str, Measured]:
    """Megabytes a second, written through to the disk, and read without the system's cache."""
    block = os.urandom(2**20)
    unit = "MB/s"
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix="aitk-doctor-") as file:
            started = time.perf_counter()
            for _ in range(FILE_BYTES // len(block)):
                file.write(block)
                interrupts.check()
            file.flush()
            os.fsync(file.fileno())
            written = time.perf_counter() - started
            if hasattr(os, "posix_fadvise"):  # not on macOS, where the cache may answer
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            file.seek(0)
            started = time.perf_counter()
            while file.read(2**20):
                interrupts.check()
            read = time.perf_counter() - started
    except OSError as error:
        reason = f"cannot write here ({error.strerror})"
        return {name: Measured(f"disk, {name}", None, unit, reason) for name in ("write", "read")}
    return {
        "write": Measured("disk, write", FILE_BYTES / 1e6 / written, unit),
        "read": Measured("disk, read", FILE_BYTES / 1e6 / read, unit),
    }


def _images() -> Measured:
    import cv2

    what = f"JPEG of {IMAGE_SIDE} x {IMAGE_SIDE}, one core"
    smooth = cv2.resize(
        np.random.default_rng(0).integers(0, 255, (28, 28, 3), np.uint8), (IMAGE_SIDE, IMAGE_SIDE)
    )
    encoded = cv2.imencode(".jpg", smooth)[1]
    rate = _per_second(lambda: cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return Measured(what, rate, "images/s")


def _audio() -> Measured:
    import soundfile

    rng = np.random.default_rng(0)
    tone = np.sin(np.arange(AUDIO_S * AUDIO_RATE) / 20) / 2 + rng.normal(
        0, 0.01, AUDIO_S * AUDIO_RATE
    )
    file = io.BytesIO()
    soundfile.write(file, tone, AUDIO_RATE, format="FLAC")

    def decode() -> None:
        file.seek(0)
        soundfile.read(file, dtype="float32")

    return Measured("FLAC of 16 kHz, one core", AUDIO_S * _per_second(decode), "s of audio/s")


def _per_second(run: Callable[[], object]) -> float:
    """How often something runs in a second."""
    run()
    count, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < LEAST_S:
        run()
        count += 1
        interrupts.check()
    return count / passed


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "not known"
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
