"""Compare a bundle with ``aitk predict`` in a bare virtual environment.

    python bench/edge.py RUN INPUT [RUN INPUT ...]

Each RUN is bundled (``compress --bundle``), a virtual environment gets its requirements.txt and
nothing else, and both predict the rows of INPUT. Printed are the rows, how many differ, the largest
difference of a number, and the median milliseconds a row that the script reports. Exits with 1 if
a prediction differs by more than rounding.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LIMIT = 1e-3


def main(pairs: list[str]) -> int:
    """Compare every run with its bundle."""
    failed = False
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        folder = Path(name)
        for number, (run, source) in enumerate(zip(pairs[::2], pairs[1::2], strict=True)):
            failed |= not compare(run, source, folder / str(number))
    return int(failed)


def compare(run: str, source: str, folder: Path) -> bool:
    """Print one line; whether the predictions agree."""
    folder.mkdir()
    manifest = json.loads((Path(run) / "run.json").read_text(encoding="utf-8"))
    domain = manifest["task"].partition(".")[0]
    bundle, bare, due = folder / "bundle", folder / "bare.jsonl", folder / "aitk.jsonl"
    aitk = [sys.executable, "-m", "aitk", domain]
    call([*aitk, "compress", run, "--bundle", "--out", bundle, "--quiet"])
    call([*aitk, "predict", run, source, "--out", due, "--quiet"])
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    call([python, "-m", "pip", "install", "-q", "-r", bundle / "requirements.txt"])
    told = call([python, bundle / "predict.py", source, "--out", bare, "--time"])
    found, wanted = (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in (bare, due)
    )
    gaps = [
        max(differences({key: own[key] for key in own if key in other}, other), default=0.0)
        for own, other in zip(found, wanted, strict=True)
    ]
    different = sum(gap > LIMIT for gap in gaps)
    size = sum(path.stat().st_size for path in bundle.iterdir())
    print(
        f"{manifest['task']} {manifest['model']}: {len(gaps)} rows, {different} differ, largest"
        f" difference {max(gaps):.2g}; {size / 1e6:.2f} MB; {told.strip().splitlines()[-1]}"
    )
    return not different


def differences(found: Any, due: Any) -> Iterator[float]:
    """How far numbers lie apart; infinity for anything else that differs."""
    if isinstance(due, bool | str) or due is None:
        yield 0.0 if found == due else float("inf")
    elif isinstance(due, int | float):
        yield abs(found - due) / max(1.0, abs(due))
    elif isinstance(due, dict):
        for key in found:
            yield from differences(found[key], due[key])
    else:
        yield 0.0 if len(found) == len(due) else float("inf")
        for pair in zip(found, due, strict=False):
            yield from differences(*pair)


def call(command: list[Any]) -> str:
    """Run a command; what it wrote to stderr."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stderr


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
