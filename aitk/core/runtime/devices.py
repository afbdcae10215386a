"""Prepares the machine for training: seed, arithmetic, memory, number of GPUs."""

from __future__ import annotations

import contextlib
from typing import Any

from aitk.core.contract.errors import UsageError
from aitk.core.distributed.gang import current_rank

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def set_up_training(*, seed: int, precision: str, devices: int | None) -> Any:
    """Set all seeds, the arithmetic and the devices.

    Args:
        precision: ``auto`` is bfloat16 on GPUs that support it, else float32.
        devices: number of GPUs to use; None for all.

    Returns:
        A context for building and training the model: all visible GPUs mirrored, those of the other
        ranks too where ``TF_CONFIG`` names some, or nothing.

    Raises:
        UsageError: more devices are requested than available.
    """
    import keras

    if keras.backend.backend() == "jax":
        _join_ranks()
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() != "tensorflow":
        if devices not in (None, 1):
            raise UsageError("several devices need the TensorFlow backend", where="--devices")
        keras.config.set_dtype_policy(POLICIES[precision if precision != "auto" else "float32"])
        return contextlib.nullcontext()

    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if devices is not None and devices > max(1, len(gpus)):
        raise UsageError(f"{devices} asked for, {len(gpus)} GPUs found", where="--devices")
    if gpus:
        for gpu in gpus:
            with contextlib.suppress(RuntimeError):  # already in use by this process
                tf.config.experimental.set_memory_growth(gpu, True)
    else:
        # Deterministic reductions let a resumed run end bit-identical. On GPUs some operations have
        # no deterministic form and would stop the training.
        tf.config.experimental.enable_op_determinism()
    if precision == "auto":
        precision = "bfloat16" if gpus and all(map(_computes_bfloat16, gpus)) else "float32"
    keras.config.set_dtype_policy(POLICIES[precision])
    if current_rank() is not None:
        return tf.distribute.MultiWorkerMirroredStrategy().scope()
    used = len(gpus) if devices is None else devices
    if used > 1:
        return tf.distribute.MirroredStrategy([f"GPU:{index}" for index in range(used)]).scope()
    return contextlib.nullcontext()


def _join_ranks() -> None:
    """Connect this process with the other ranks, if there are any, before JAX has computed."""
    import jax

    rank = current_rank()
    if rank is None or jax.distributed.is_initialized():
        return
    # XLA's own collectives on CPUs are those of one process.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(rank.first_address, rank.total, rank.index)


def _computes_bfloat16(gpu: Any) -> bool:
    """Whether the GPU supports bfloat16 in hardware (NVIDIA Ampere, 8.0, and later)."""
    import tensorflow as tf

    details = tf.config.experimental.get_device_details(gpu)
    return details.get("compute_capability", (0, 0)) >= (8, 0)
