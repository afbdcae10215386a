"""Peak memory of every stage, for one task of each domain, on some rows and on ten times as many.

    python bench/peak_memory.py OUT [DOMAIN...] [--rows 1,10]

The data is made: random words, tones, coloured shapes, a log of `recsys_made.py`. Each stage is a
process of its own; the peak is that of its largest process, in MB. Memory that does not grow with
the data shows as a ratio near 1. Prints a row of a table as soon as each stage has ended.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import subprocess
import sys
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
LABELS = ("one", "two", "three", "four")


def made_texts(out: Path, scale: int) -> Path:
    """20,000 texts of 30 words, of which one tells the label."""
    draw = np.random.default_rng(0)
    words = [f"w{number:x}" for number in range(20_000)]
    path = out / "texts.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(20_000 * scale):
            label = LABELS[draw.integers(len(LABELS))]
            chosen = [words[at] for at in (20_000 * draw.random(30) ** 3).astype(int)]
            writer.writerow([" ".join([*chosen, f"is{label}"]), label])
    return path


def made_sounds(out: Path, scale: int) -> Path:
    """500 recordings of one second at 8 kHz: a tone for each label, in noise."""
    draw = np.random.default_rng(0)
    times = np.arange(8000) / 8000
    folder = out / "sounds"
    for at in range(500 * scale):
        label = LABELS[at % len(LABELS)]
        path = folder / label / f"{at}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = np.sin(2 * np.pi * 300 * (1 + at % len(LABELS)) * times)
        samples = (8000 * (tone + 0.3 * draw.normal(size=8000)) / 2).astype("<i2")
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
    return folder


def made_images(out: Path, scale: int) -> Path:
    """500 images of 96 x 96 pixels: a bright quarter for each label, in noise."""
    from PIL import Image

    draw = np.random.default_rng(0)
    path = out / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for at in range(500 * scale):
            pixels = draw.integers(0, 128, (96, 96, 3), np.uint8)
            down, right = divmod(at % len(LABELS), 2)
            pixels[48 * down :, 48 * right :][:48, :48] += 127
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "JPEG")
            archive.writestr(f"{LABELS[at % len(LABELS)]}/{at}.jpg", content.getvalue())
    return path


def made_log(out: Path, scale: int) -> Path:
    """100,000 events of 1,000 users and 2,000 items; more users, not more items."""
    path = out / "log.csv"
    sizes = ["--users", 1000 * scale, "--items", 2000, "--events", 100_000 * scale]
    command = [sys.executable, HERE / "recsys_made.py", path, *sizes]
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)
    return path


#: Domain -> what makes its data, and the options of `prepare`, `finetune` and `compress`.
TASKS: dict[str, tuple[Callable[[Path, int], Path], list[str], list[str], list[str]]] = {
    "nlp": (made_texts, ["--task", "classify"], [], ["--quantize", "dynamic"]),
    "speech": (made_sounds, ["--task", "keywords"], [], ["--quantize", "int8"]),
    "vision": (made_images, ["--task", "classify"], [], ["--quantize", "int8"]),
    "recsys": (made_log, ["--task", "recommend"], ["--model", "item-knn"], ["--quantize", "int8"]),
}  # fmt: skip


def measure(out: Path, domain: str, scale: int) -> dict[str, float]:
    """Stage -> peak in MB; NaN where it failed."""
    make, prepared, trained, compressed = TASKS[domain]
    out.mkdir(parents=True, exist_ok=True)
    source = make(out, scale)
    data, run, small = out / "data", out / "run", out / "small"
    epochs = [] if domain == "recsys" else ["--epochs", "1"]
    rows = data if domain == "recsys" else source
    stages: dict[str, list[object]] = {
        "prepare": [source, *prepared, "--out", data],
        "finetune": [data, *trained, *epochs, "--out", run],
        "evaluate": [run, "--resamples", "200"],
        "compress": [run, *compressed, "--out", small],
        "predict": [run, rows, "--out", out / "predictions.jsonl"],
        "predict, compressed": [small, rows, "--out", out / "small.jsonl"],
    }
    return {
        stage: peak_mb(domain, stage.partition(",")[0], *given, log=out / "log")
        for stage, given in stages.items()
    }


def peak_mb(*command: object, log: Path) -> float:
    """The peak of the largest process of a command; NaN where it failed."""
    with log.open("a", encoding="utf-8") as file:
        overwrite = [] if command[1] == "evaluate" else ["--overwrite"]
        words = [sys.executable, "-m", "aitk", *map(str, command), "--quiet", *overwrite]
        process = subprocess.Popen(words, stdout=file, stderr=file)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_maxrss / 1024 if process.returncode == 0 else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("domains", nargs="*", default=list(TASKS), metavar="DOMAIN")
    parser.add_argument("--rows", default="1,10", help="multiples of the rows")
    given = parser.parse_args()
    scales = [int(scale) for scale in given.rows.split(",")]
    print("| domain | stage | " + " | ".join(f"{scale} x, MB" for scale in scales) + " | ratio |")
    print("|---" * (len(scales) + 3) + "|")
    for domain in given.domains:
        found = [measure(given.out / f"{domain}-{scale}", domain, scale) for scale in scales]
        for stage in found[0]:
            peaks = [peaks[stage] for peaks in found]
            cells = " | ".join(f"{peak:,.0f}" for peak in peaks)
            print(f"| {domain} | {stage} | {cells} | {peaks[-1] / peaks[0]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
