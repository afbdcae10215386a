"""Information about this machine: versions, processors, memory, disk, missing packages."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from aitk.core.runtime import interrupts
from aitk.core.runtime.child import python_command, python_environment

DISTRIBUTION = "aitk-toolkit"
GIB = 1024**3
DEVICES_TIMEOUT_S = 120

# TensorFlow is queried in a separate process: starting it costs seconds and all GPU memory.
_ASK_DEVICES = """
import json, sys
import tensorflow as tf
found = []
for gpu in tf.config.list_physical_devices("GPU"):
    details = tf.config.experimental.get_device_details(gpu)
    found.append({
        "name": details.get("device_name", gpu.name),
        "compute_capability": ".".join(map(str, details.get("compute_capability", ()))),
    })
json.dump({"gpus": found, "built_with_cuda": tf.test.is_built_with_cuda()}, sys.stdout)
"""


@dataclass(frozen=True)
class Package:
    """A distribution declared by aitk.

    Attributes:
        extra: the extra that installs it, or None for a requirement.
        problem: the fault, in words.
    """

    name: str
    wanted: str
    installed: str | None
    extra: str | None
    problem: str | None


def packages() -> list[Package]:
    """Every distribution that aitk needs or can use, with the installed version.

    The list comes from aitk's own metadata, so that it is maintained in one place.
    """
    try:
        declared = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    found = []
    for line in declared:
        requirement, _, marker = (part.strip() for part in line.partition(";"))
        match = re.fullmatch(r"([\w.-]+)\s*([^[]*)", requirement)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)
        # Packages for development and comparisons are not reported as missing; a name with extras
        # (tensorflow[and-cuda]) represents others, whose presence the devices show.
        if match and not (extra and extra.group(1) in ("dev", "bench")):
            found.append(_package(*match.groups(), extra=extra.group(1) if extra else None))
    return sorted(found, key=lambda package: (package.extra or "", package.name))


def devices() -> dict[str, Any]:
    """The GPUs that TensorFlow can use, or the reason for failure: key ``error``."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"} | python_environment()
    try:
        with interrupts.waiting():
            asked = subprocess.run(
                python_command("-c", _ASK_DEVICES),
                capture_output=True,
                text=True,
                timeout=DEVICES_TIMEOUT_S,
                env=environment,
                check=False,
            )
        if asked.returncode == 0:
            return json.loads(asked.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        return {"gpus": [], "error": f"TensorFlow did not respond ({error})"}
    last = (asked.stderr.strip().splitlines() or [f"exit status {asked.returncode}"])[-1]
    return {"gpus": [], "error": f"TensorFlow does not start: {last}"}


def machine(folder: Path) -> dict[str, Any]:
    """Processor, memory and the disk below ``folder``, in GiB."""
    total, available = _memory_bytes()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": usable_cpus(),
        "memory_gib": _gib(total),
        "memory_available_gib": _gib(available),
        "disk_free_gib": _gib(shutil.disk_usage(folder).free),
    }


def usable_cpus() -> int:
    """The number of CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _package(name: str, wanted: str, *, extra: str | None) -> Package:
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Package(name, wanted, None, extra, "missing")
    lowest = re.search(r">=\s*([\d.]+)", wanted)
    old = lowest is not None and _numbers(installed) < _numbers(lowest.group(1))
    return Package(name, wanted, installed, extra, "too old" if old else None)


def _numbers(version: str) -> tuple[int, ...]:
    """The release numbers of a version, without trailing zeros."""
    numbers = [int(part) for part in re.match(r"[\d.]*", version)[0].split(".") if part]  # type: ignore[index]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _memory_bytes() -> tuple[int | None, int | None]:
    """Total and free memory of the machine, on Linux."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None, None
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
    return kib["MemTotal"] * 1024, kib.get("MemAvailable", 0) * 1024


def _gib(amount: int | None) -> float | None:
    return None if amount is None else round(amount / GIB, 1)
