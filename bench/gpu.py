"""Steps a second of one model by one engine; see bench/gpu.sh, which calls this.

    KERAS_BACKEND=jax   python bench/gpu.py measure minilm jax train
    KERAS_BACKEND=torch python bench/gpu.py measure minilm torch predict
                        python bench/gpu.py measure minilm plain train     the same in plain torch
                        python bench/gpu.py table FOLDER                   what was measured

The Keras models are those that aitk's tasks build (`gpu_keras.py`); the same layers in plain torch
are in `gpu_torch.py`. Both print their parameters, which agree. bfloat16: `mixed_bfloat16`, torch
autocast; AdamW. The loss is cross-entropy, of `yolo` the squared error of its raw rows: assigning
boxes to rows, CTC and sampling are no part of the measurement. No dropout.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

#: Rows a batch and the sizes that both engines build.
SIZES: dict[str, dict[str, int]] = {
    "minilm": {"rows": 128, "length": 128, "vocabulary": 30522, "hidden": 384, "layers": 6},
    "whisper": {"rows": 16, "length": 128, "vocabulary": 51864, "hidden": 384, "layers": 4},
    "resnet": {"rows": 256, "side": 224, "filters": 64, "blocks": 3, "classes": 1000},
    "vit": {"rows": 128, "side": 224, "patch": 16, "hidden": 384, "layers": 12, "classes": 1000},
    "yolo": {"rows": 32, "side": 512, "filters": 32, "blocks": 2, "width": 128, "classes": 80},
    "conformer": {"rows": 32, "frames": 1600, "hidden": 256, "layers": 16, "units": 1024},
    "sasrec": {"rows": 128, "length": 200, "items": 10_000, "hidden": 128, "layers": 2},
    "gpt": {"rows": 16, "length": 512, "vocabulary": 50257, "hidden": 768, "layers": 12},
}
#: What `--tiny` takes less of: it checks that everything runs.
TINY = {
    "rows": 2, "length": 16, "vocabulary": 100, "hidden": 24, "layers": 2, "side": 64,
    "filters": 8, "blocks": 1, "classes": 5, "width": 16, "frames": 64, "units": 20, "items": 50,
}  # fmt: skip
HEADS = {"minilm": 12, "whisper": 6, "vit": 6, "conformer": 4, "sasrec": 2, "gpt": 12}
#: Whisper reads half a minute.
FRAMES, FILTERS = 3000, 80
#: Columns of a raw row of `yolo` before those of the classes: four distributions.
BOX_COLUMNS = 4 * 16


def size_of(name: str, *, tiny: bool) -> dict[str, int]:
    """The sizes of a model, with its attention heads."""
    size = dict(SIZES[name])
    if tiny:
        size |= {key: TINY[key] for key in size if key in TINY}
    return size | ({"heads": HEADS[name]} if name in HEADS else {})


def made(name: str, size: dict[str, int]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs and targets of one batch. Images are channels last."""
    draw, rows = np.random.default_rng(0), size["rows"]

    def numbers(most: int, *shape: int) -> np.ndarray:
        return draw.integers(1, most, (rows, *shape)).astype(np.int32)

    if name in ("minilm", "gpt"):
        ids = numbers(size["vocabulary"], size["length"])
        return {"token_ids": ids}, numbers(2) - 1 if name == "minilm" else ids
    if name == "sasrec":
        ids = numbers(size["items"], size["length"])
        return {"history": ids}, ids - 1
    if name == "whisper":
        features = draw.normal(size=(rows, FRAMES, FILTERS)).astype(np.float32)
        ids = numbers(size["vocabulary"], size["length"])
        return {"features": features, "token_ids": ids}, ids
    if name == "conformer":
        features = draw.normal(size=(rows, size["frames"], FILTERS)).astype(np.float32)
        return {"features": features}, numbers(size["units"], -(-size["frames"] // 4))
    side = size["side"]
    images = draw.integers(0, 256, (rows, side, side, 3)).astype(np.uint8)
    if name == "yolo":
        places = sum((side // stride) ** 2 for stride in (8, 16, 32))
        shape = (rows, places, BOX_COLUMNS + size["classes"])
        return {"image": images}, draw.normal(size=shape).astype(np.float32)
    return {"image": images}, numbers(size["classes"])


def measure(name: str, engine: str, mode: str, *, device: str, tiny: bool) -> dict[str, Any]:
    """Measure one model."""
    size = size_of(name, tiny=tiny)
    inputs, targets = made(name, size)
    if engine == "plain":
        from gpu_torch import step_of

        step, parameters = step_of(name, size, inputs, targets, mode=mode, device=device)
    else:
        from gpu_keras import step_of as keras_step_of

        step, parameters = keras_step_of(name, size, inputs, targets, mode=mode)
    warm_up, steps = (1, 2) if tiny else (10, 100)
    for _ in range(warm_up):
        step()
    started = time.perf_counter()
    for _ in range(steps):
        last = step()
    assert np.isfinite(float(last)), "the last step is not finite"  # waits for the card
    seconds = time.perf_counter() - started
    return {
        "model": name,
        "engine": engine,
        "mode": mode,
        "device": device,
        "parameters": parameters,
        "steps_per_s": round(steps / seconds, 3),
        "rows_per_s": round(steps * size["rows"] / seconds, 1),
    }


def table(folder: Path) -> None:
    """Print ratios of steps a second to plain torch, and how busy the card was."""
    found = {
        tuple(path.stem.split("-")): json.loads(path.read_text())
        for path in sorted(folder.glob("*-*-*.json"))
    }
    print("| model | mode | engine | parameters | steps/s | to plain torch | card busy, % |")
    print("|---" * 7 + "|")
    for (name, engine, mode), row in found.items():
        base = found.get((name, "plain", mode))
        ratio = f"{row['steps_per_s'] / base['steps_per_s']:.2f}" if base else "-"
        watched = folder / f"{name}-{engine}-{mode}.busy"
        lines = watched.read_text().splitlines() if watched.exists() else []
        busy = [float(line.split(",")[0]) for line in lines if line.strip()]
        mean = f"{np.mean(busy[len(busy) // 2 :]):.0f}" if busy else "-"
        print(
            f"| {name} | {mode} | {engine} | {row['parameters']:,} | {row['steps_per_s']}"
            f" | {ratio} | {mean} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    measured = commands.add_parser("measure")
    measured.add_argument("model", choices=SIZES)
    measured.add_argument("engine", choices=("jax", "torch", "tensorflow", "plain"))
    measured.add_argument("mode", choices=("train", "predict"))
    measured.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    measured.add_argument("--tiny", action="store_true")
    commands.add_parser("table").add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.command == "table":
        table(given.folder)
        return
    found = measure(given.model, given.engine, given.mode, device=given.device, tiny=given.tiny)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
