"""SIGKILL at random moments of `aitk nlp update --keep-if-better`: is the old version current?

    python bench/update_kills.py OUT [--kills 50]

On the sample rows of messages. First one update is run to its end, to know how long it takes. Then
every update is killed at a random moment before that; after each kill `current` must point to a
whole run that predicts: the old version, or, where the kill came after the rename, the new one. The
files of the old version must have the same bytes as before. At last an update is run to its end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import aitk
from aitk.core.artifacts.run import load_run

SAMPLES = Path(__file__).parent.parent / "sample_data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    data = aitk.prepare(
        SAMPLES / "messages.csv", task="nlp.classify", label_column="intent",
        out=told.out / "data", overwrite=True,
    )  # fmt: skip
    run = aitk.finetune(data, out=told.out / "run", model="bag", epochs=3, overwrite=True)
    versions, new = told.out / "versions", SAMPLES / "messages_update.csv"
    update = ["-m", "aitk", "nlp", "update", "--keep-if-better", "--force", "--epochs", "2"]

    def command(start: Path) -> list[str]:
        return [
            sys.executable,
            *update,
            str(start),
            str(new),
            "--out",
            str(versions),
            "--quiet",
            "--overwrite",
        ]

    started = time.monotonic()
    subprocess.run(command(run.folder), check=True)
    whole_s = time.monotonic() - started
    draw, moved, left = random.Random(0), 0, 0
    for number in range(told.kills):
        before = (versions / "current").readlink().name
        digest = digest_of(versions / before)
        process = subprocess.Popen(command(versions), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        time.sleep(draw.uniform(0, whole_s))
        process.send_signal(signal.SIGKILL)
        process.wait()
        after = (versions / "current").readlink().name
        moved += after != before
        left += bool(list(versions.glob("v*.part")))
        assert digest_of(versions / before) == digest
        found = load_run(versions / "current")
        assert found.model_path.is_file() and (found.folder / "metrics.json").is_file()
        if number % 10 == 0:
            (prediction,) = aitk.load(versions / "current").predict([{"text": "my parcel is late"}])
            assert prediction["prediction"]
        assert after == before or int(after[1:]) > int(before[1:])
    subprocess.run(command(versions), check=True)
    result = {
        "kills": told.kills,
        "seconds_of_an_update": round(whole_s, 1),
        "after_the_rename": moved,
        "drafts_left": left,
        "current": (versions / "current").readlink().name,
    }
    print(json.dumps(result, indent=2))


def digest_of(folder: Path) -> str:
    """Of the names and bytes of all files."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        found.update(str(path.relative_to(folder)).encode())
        found.update(path.read_bytes() if path.is_file() else b"")
    return found.hexdigest()


if __name__ == "__main__":
    main()
