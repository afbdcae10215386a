"""Speed-up from one process to two, one processor each, and what a killed worker costs.

    python bench/scaling.py make FOLDER      rows, prepared data and runs, once
    python bench/scaling.py measure FOLDER   the table, on a quiet machine with two processors
    python bench/scaling.py rates FOLDER     what every part repeats, and what join does by itself

Every measured command is a process of its own that is bound to its processors. A worker (in
training a rank) is killed once, after a share of the time that the undisturbed command took.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import wave
from pathlib import Path

import numpy as np

ROWS, PREDICTED_ROWS, TRAINED_ROWS, RECORDINGS = 40_000, 24_000, 4_000, 300
WORDS = 40
KILL_AT = 0.6
AITK = [sys.executable, "-m", "aitk"]
TRAINING = "--model cnn --epochs 2 --batch-size 256 --set dropout=0 --set max_length=128".split()


def make(folder: Path) -> None:
    """Rows of made words with labels, and a run to predict with."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(2, 9))) for _ in range(5000)]

    def write(name: str, rows: int, labelled: bool) -> None:
        with (folder / name).open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"][: 1 + labelled])
            for _ in range(rows):
                label = draw.randrange(4)
                text = " ".join([*draw.choices(words, k=WORDS), words[label]])
                writer.writerow([text, f"class {label}"][: 1 + labelled])

    for number in range(RECORDINGS):
        place = folder / "recordings" / f"word {number % 4}" / f"{number}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        loud = np.random.default_rng(number).normal(0, 3000, 4 * 44_100).astype("<i2")
        with wave.open(str(place), "wb") as file:
            file.setparams((1, 2, 44_100, len(loud), "NONE", ""))
            file.writeframes(loud.tobytes())
    write("rows.csv", ROWS, True)
    write("small.csv", TRAINED_ROWS, True)
    write("new.csv", PREDICTED_ROWS, False)
    prepare = [*AITK, "nlp", "prepare", "small.csv", "--task", "classify", "--out", "small"]
    subprocess.run([*prepare, "--overwrite", "--quiet"], cwd=folder, check=True)
    finetune = [*AITK, "nlp", "finetune", "small", "--out", "run", "--model", "transformer"]
    subprocess.run([*finetune, "--epochs", "1", "--overwrite", "--quiet"], cwd=folder, check=True)


def measure(folder: Path) -> None:
    """Print the table."""
    commands = {
        "prepare texts": (["nlp", "prepare", "rows.csv", "--task", "classify"], "--workers"),
        "prepare audio": (["speech", "prepare", "recordings", "--task", "keywords"], "--workers"),
        "predict": (["nlp", "predict", "run", "new.csv"], "--workers"),
        "training": (["nlp", "finetune", "small", *TRAINING], "--ranks"),
    }
    chosen = sys.argv[3:] or list(commands)
    print("| command | one process | two | speed-up | two, one killed | result |")
    print("|---|---|---|---|---|---|")
    for name in chosen:
        command, several = commands[name]
        suffix = ".jsonl" if name == "predict" else ""
        outs = [f"{name.replace(' ', '-')}-{kind}{suffix}" for kind in ("one", "two", "killed")]
        for out in outs:
            shutil.rmtree(folder / out, ignore_errors=True)
            (folder / out).unlink(missing_ok=True) if suffix else None
        more = ["--save-minutes", "0.05"] if name == "training" else []
        one = timed([*command, *more, "--out", outs[0]], folder, cpus={0})
        two = timed([*command, *more, "--out", outs[1], several, "2"], folder, cpus={0, 1})
        killed = timed(
            [*command, *more, "--out", outs[2], several, "2"],
            folder,
            cpus={0, 1},
            kill_after=KILL_AT * two,
        )
        same = all(result(folder / outs[0]) == result(folder / out) for out in outs[1:])
        if name == "training":
            same = max(distance(folder / outs[0], folder / out) for out in outs[1:]) < 1e-5
        print(
            f"| {name} | {one:.1f} s | {two:.1f} s | {one / two:.2f} | {killed:.1f} s |"
            f" {'the same' if same else 'ANOTHER'} |",
            flush=True,
        )


def rates(folder: Path) -> None:
    """Print how fast rows are counted, and how fast parts are joined, by one processor."""
    for left in [*folder.glob("parts*"), *folder.glob("audio*")]:
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    predict = ["nlp", "predict", "run", "new.csv", "--out", "parts.jsonl", "--part"]
    listen = ["speech", "prepare", "recordings", "--task", "keywords", "--out", "audio", "--part"]
    start = timed(["nlp", "predict", "--help"], folder, cpus={0})
    empty = timed([*predict, "2/100000"], folder, cpus={0})  # no window is so small
    print(f"counting: {PREDICTED_ROWS / (empty - start):,.0f} rows/s")
    for number in (1, 2):
        timed([*predict, f"{number}/2"], folder, cpus={0, 1})
        timed([*listen, f"{number}/2"], folder, cpus={0, 1})
    parts = [path.name for path in sorted(folder.glob("parts.jsonl.*-of-2"))]
    joined = timed(["join", *parts, "--out", "parts.jsonl"], folder, cpus={0})
    print(f"joining predictions: {PREDICTED_ROWS / (joined - start):,.0f} rows/s")
    parts = [path.name for path in sorted(folder.glob("audio.*-of-2"))]
    size = sum((folder / part / "rows.jsonl").stat().st_size for part in parts)
    joined = timed(["join", *parts, "--out", "audio"], folder, cpus={0})
    hours = RECORDINGS * 4 / 3600
    print(
        f"joining audio: {hours / (joined - start) * 3600:,.0f} hours an hour,"
        f" {size / hours / 1e6:,.0f} MB of parts an hour"
    )


def timed(
    arguments: list[str], folder: Path, *, cpus: set[int], kill_after: float | None = None
) -> float:
    """Seconds that a command takes on these processors."""
    started = time.monotonic()
    process = subprocess.Popen(
        [*AITK, *arguments, "--quiet"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )
    if kill_after is not None:
        threading.Timer(kill_after, kill_a_child, [process.pid]).start()
    if process.wait() not in (0, 6):
        raise SystemExit(f"{arguments} ended with {process.returncode}")
    return time.monotonic() - started


def kill_a_child(parent: int) -> None:
    """Kill the last process that another has started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    print(f"<!-- killed {children[-1:]} -->", flush=True)
    if children:
        os.kill(int(children[-1]), signal.SIGKILL)


def result(out: Path) -> object:
    """What must not depend on how many processes there were."""
    if out.is_file():
        return out.read_bytes()
    if (out / "dataset.json").is_file():
        manifest = json.loads((out / "dataset.json").read_text())
        return {name: value for name, value in manifest.items() if name != "wall_s"}
    return None


def distance(first: Path, second: Path) -> float:
    """The largest difference of two runs' weights."""
    import aitk

    pairs = zip(*(aitk.load(run).model.get_weights() for run in (first, second)), strict=True)
    return max(float(abs(a - b).max()) for a, b in pairs)


if __name__ == "__main__":
    {"make": make, "measure": measure, "rates": rates}[sys.argv[1]](Path(sys.argv[2]))
