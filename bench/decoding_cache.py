"""Time of continuing prompts with and without the cache of a decoder, for each format.

    python bench/decoding_cache.py FOLDER

Writes runs of a GPT trained for one epoch to FOLDER.
"""

import sys
import time
from pathlib import Path

import aitk
from aitk.core.artifacts.opening import open_assets, open_model
from aitk.core.artifacts.run import load_run
from aitk.core.inference.prediction import decode_rows
from aitk.nlp.data.options import GenerationOptions
from aitk.nlp.tasks.generate import Generate

PROMPTS, TOKENS = 8, 100


def seconds(folder: Path, *, cached: bool) -> float:
    """The time of the second of two identical calls."""
    run, task = load_run(folder), Generate()
    assets = open_assets(task, run)
    model = open_model(task, run, assets)
    predict = model if cached else (lambda inputs: model(inputs))
    rows = [{"text": f"the {word} is"} for word in "abcdefgh"]
    for _ in range(2):
        start = time.perf_counter()
        list(
            decode_rows(
                rows, task, assets, predict, batch_size=PROMPTS, top_k=1,
                options=GenerationOptions(tokens=TOKENS, stop=None),
            )
        )  # fmt: skip
    return time.perf_counter() - start


def main(folder: Path) -> None:
    data = aitk.prepare("sample_data/handbook.txt", task="nlp.generate", out=folder / "data")
    aitk.finetune(data, out=folder / "keras", model="gpt", epochs=1, settings={"size": "small"})
    for format in ("litert", "onnx"):
        aitk.compress(folder / "keras", out=folder / format, format=format)
    for format in ("keras", "litert", "onnx"):
        times = [seconds(folder / format, cached=cached) for cached in (False, True)]
        size = load_run(folder / format).model_bytes() / 1e6
        print(f"{format}: {times[0]:.2f} s without, {times[1]:.2f} s with; {size:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
