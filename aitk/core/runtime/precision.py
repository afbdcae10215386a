"""Whether this CPU trains faster in bfloat16: its instructions, and a short measurement."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

#: Flags of the processor: AVX-512 and AMX on x86, the extension of the same name on ARM.
INSTRUCTIONS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
CPUINFO = Path("/proc/cpuinfo")
#: Starting weights from this size on are of a network whose matrices outweigh the casts.
LARGE_BYTES = 20 * 2**20
#: Required ratio of float32's time to bfloat16's, for products as in a small transformer: without
#: hardware support it is below 1, with it about 2, so that repeated measurements agree.
MIN_RATIO = 1.3
ROWS, INNER, COLUMNS = 1024, 384, 1536
ROUNDS = 12


def resolve_precision(precision: str, *, source: str | None) -> str:
    """The arithmetic that ``auto`` stands for on CPUs; other values are returned unchanged.

    Args:
        source: weights to start from. Without any, or with small ones, the answer is float32 on
            CPUs: networks made from scratch are small there, and casts cost more than they save.
    """
    import keras

    if precision != "auto" or keras.backend.backend() != "tensorflow":
        return precision
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return precision
    fast = source is not None and is_large(source) and has_instructions()
    return "bfloat16" if fast and speed_ratio() >= MIN_RATIO else "float32"


def is_emulated(precision: str) -> bool:
    """Whether such arithmetic is bfloat16 on a CPU that has no instructions for it."""
    import keras

    if precision != "bfloat16" or keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return False
    return CPUINFO.exists() and not has_instructions()


def is_large(source: str) -> bool:
    """Whether the files of a source have ``LARGE_BYTES`` together; presets by name do."""
    path = Path(source)
    if not os.path.exists(path):
        return True
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files) >= LARGE_BYTES


def has_instructions(cpuinfo: Path = CPUINFO) -> bool:
    """Whether the processor has instructions for bfloat16; False where the system does not say."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    lines = (line.partition(":") for line in text.splitlines())
    return any(
        name.strip() in ("flags", "Features") and not INSTRUCTIONS.isdisjoint(flags.split())
        for name, _, flags in lines
    )


def speed_ratio() -> float:
    """How many times faster a product of matrices is in bfloat16, casts from float32 included.

    The two take turns, and the best time of each counts: other processes slow down both.
    """
    import tensorflow as tf

    left, right = tf.random.normal((ROWS, INNER)), tf.random.normal((INNER, COLUMNS))

    def product(dtype: Any) -> Any:
        return tf.matmul(tf.cast(left, dtype), tf.cast(right, dtype))

    best: dict[Any, float] = {}
    for _ in range(ROUNDS):
        for dtype in (tf.float32, tf.bfloat16):
            started = time.perf_counter()
            product(dtype).numpy()
            taken = time.perf_counter() - started
            best[dtype] = min(taken, best.get(dtype, taken))
    return best[tf.float32] / best[tf.bfloat16]
