"""``doctor``: check this machine, and suggest fixes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aitk import __version__
from aitk import registry as tasks
from aitk.core.contract.entry_points import all_plugins
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.runtime import environment
from aitk.core.runtime.energy import Energy
from aitk.core.runtime.startup import start_keras

GPU_COMMAND = f"pip install '{environment.DISTRIBUTION}[gpu]'"
LITTLE_MEMORY_GIB = 2.0
LITTLE_DISK_GIB = 5.0


def doctor(*, benchmark: bool = False, reporter: Reporter) -> Outcome:
    """Check packages, devices, memory and disk.

    The exit code is 4 if a required package is missing.

    Args:
        benchmark: measure the machine instead of listing packages.
    """
    packages = environment.packages()
    machine = environment.machine(Path.cwd())
    reporter.note("looking for devices with TensorFlow")
    devices = environment.devices()
    required = [package for package in packages if package.problem and not package.extra]
    problems = [f"{package.name}{package.wanted} is {package.problem}" for package in required]
    if not packages:
        problems.append("aitk is not installed, so its requirements are unknown: pip install -e .")
    elif "error" in devices:
        problems.append(devices["error"])
    command = " ".join(f"'{package.name}{package.wanted}'" for package in required)
    advice = [f"pip install {command}"] if required else []
    for low, what, unit in (
        (LITTLE_MEMORY_GIB, "memory_available_gib", "memory"),
        (LITTLE_DISK_GIB, "disk_free_gib", "disk space"),
    ):
        if machine[what] is not None and machine[what] < low:
            reporter.warn(f"only {machine[what]} GiB of {unit} left")
    rows = [
        {
            "package": package.name,
            "installed": package.installed or "-",
            "wanted": package.wanted,
            "for": f"extra {package.extra}" if package.extra else "aitk",
            "state": package.problem or "ok",
            "to get it": _how_to_get(package),
        }
        for package in packages
    ]
    for error in tasks.plugin_errors():
        reporter.warn(error.line)
    gpus = [f"{gpu['name']} ({gpu['compute_capability']})" for gpu in devices["gpus"]]
    if benchmark and not required and "error" not in devices:
        measured, rows = _measure(reporter)
    else:
        measured = {}
    return Outcome(
        facts={
            "aitk": __version__,
            **machine,
            "gpu": ", ".join(gpus) or f"none found; for an NVIDIA card: {GPU_COMMAND}",
            "gpus": devices["gpus"],
            "plug-ins": _plugins(),
            "energy": energy.why_not if not (energy := Energy()).readable else "readable (RAPL)",
            **measured,
            "problems": problems,
            "advice": advice,
        },
        table=rows,
        broken="; ".join([*problems, *advice]) or None,
    )


def _measure(reporter: Reporter) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The rates of the machine as facts, and what stages cost with them as a table."""
    from aitk.core.runtime.benchmark import measure_machine, stage_costs

    start_keras(reporter)
    measured = measure_machine(Path.cwd(), note=reporter.status)
    described = {
        each.what: each.why_not if each.rate is None else f"{each.rate:,.0f} {each.unit}"
        for each in measured.values()
    }
    rates = {name: each.rate for name, each in measured.items()}
    return {**described, "rates": rates}, stage_costs(measured)


def _plugins() -> list[dict[str, str]]:
    """The tasks and models of other packages, with their problems, if any."""
    problems = {error.plugin: error.what for error in tasks.plugin_errors()}
    return [
        {
            "package": f"{plugin.package} {plugin.version}",
            plugin.kind: plugin.name,
            "state": problems.get(plugin, "ok"),
        }
        for plugin in all_plugins()
    ]


def _how_to_get(package: environment.Package) -> str:
    if package.problem is None:
        return ""
    if package.extra:
        return f"pip install '{environment.DISTRIBUTION}[{package.extra}]'"
    return f"pip install '{package.name}{package.wanted}'"
