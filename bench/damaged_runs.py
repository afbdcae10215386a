"""Change the files of a run one at a time, and count what ``predict`` and the report say to it.

    python bench/damaged_runs.py RUN INPUT [EVERY]

Of all changes every EVERY-th is tried (default 1). A run that was compressed to ONNX or LiteRT
needs no TensorFlow. Whatever is no answer and not exit code 4 is printed.
"""

from __future__ import annotations

import collections
import itertools
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import AitkError
from aitk.core.contract.progress import Silent
from aitk.stages.evaluate import refresh_pages
from aitk.stages.options import PredictOptions
from aitk.stages.predict import predict
from tests.stages.damage import changes, damaged_copy


def main(run: Path, rows: str, every: int = 1) -> None:
    """Try the changes and print the counts by exit code, 0 where there was an answer."""
    domain = load_run(run).task.partition(".")[0]
    codes: collections.Counter[int] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for change in itertools.islice(changes(run), 0, None, every):
            copy = damaged_copy(run, Path(folder) / "run", change)
            code, said = _exit_code(copy, rows, domain)
            codes[code] += 1
            if code not in (0, 4):
                print(f"{code}: {change[0]}: {said}")
    print(dict(codes))


def _exit_code(run: Path, rows: str, domain: str) -> tuple[int, str]:
    try:
        predict(
            run,
            [rows],
            out="-",
            domain=domain,
            options=PredictOptions(),
            write=lambda text: None,
            reporter=Silent(),
        )
        refresh_pages(load_run(run))
    except AitkError as error:
        return error.exit_code, error.line
    except Exception as error:  # noqa: BLE001 - a bug is what is looked for
        return 1, repr(error)
    return 0, ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
