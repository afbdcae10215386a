"""Training batches of images a second, without a model: aitk's and tf.data's from the same files.

    python bench/image_pipeline.py OUT [--images 4000] [--pixels 224] [--rounds 3]

The images are made: smooth colours with noise, JPEG of quality 90 at 256 x 320 pixels, about the
size of a photograph of ImageNet after its usual shrinking. Both decode, resize to the model's
input and vary each image; tf.data does what is usual there (``decode_jpeg``, ``resize``, a mirrored
half and brightness) with as many calls at once as it likes, aitk what ``vision.classify`` does.
aitk's first pass decodes, resizes and stores; its later ones vary what is stored. Printed: images a
second of the wall clock and of processor time, the median round of each, in turn in one process.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

BATCH = 32
CLASSES = 10


def make_images(folder: Path, count: int) -> list[str]:
    """Write images into a folder for each class."""
    draw = np.random.default_rng(0)
    paths = []
    for at in range(count):
        path = folder / f"class{at % CLASSES}" / f"{at}.jpg"
        paths.append(str(path))
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = draw.integers(0, 255, (8, 10, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (320, 256), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        image += draw.normal(0, 8, image.shape)
        cv2.imwrite(str(path), np.clip(image, 0, 255).astype(np.uint8), [1, 90])
    return paths


def aitk_batches(data: Path, pixels: int) -> Callable[[], Iterator[int]]:
    """A function that makes the batches of an epoch, in the order of training."""
    from aitk.core.artifacts.data import load_data
    from aitk.core.training.batches import Examples, step_rng
    from aitk.vision.tasks.classify import Classify

    task, stored = Classify(), load_data(data)
    settings = task.models["resnet"].settings(image_size=str(pixels))
    rows = stored.rows("train")
    assets = task.learn(rows, stored.summary, settings, note=print)
    examples = Examples(rows, task, assets)
    epochs = iter(range(10**6))

    def epoch() -> Iterator[int]:
        number = next(epochs)
        order = np.random.default_rng(number).permutation(len(examples))
        for step, start in enumerate(range(0, len(order), BATCH)):
            chosen = examples.take(order[start : start + BATCH])
            batch = task.collate(chosen, assets, rng=step_rng(0, number, step))
            yield len(next(iter(batch.inputs.values())))

    return epoch


def tf_batches(paths: list[str], pixels: int) -> Callable[[], Iterator[int]]:
    """The same by tf.data."""
    import tensorflow as tf

    def read(path):
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        image = tf.image.resize(image, (pixels, pixels))
        image = tf.image.random_flip_left_right(image)
        return tf.image.random_brightness(image, 0.1 * 255)

    dataset = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths))
    dataset = dataset.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    return lambda: (len(batch) for batch in dataset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--pixels", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    paths = make_images(given.out / "images", given.images)
    import aitk

    data = given.out / "data"
    if not data.exists():
        aitk.prepare(given.out / "images", task="vision.classify", out=data, split="100/0/0")
    ways = {
        "aitk": aitk_batches(data, given.pixels),
        "tf.data": tf_batches(paths, given.pixels),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(given.rounds + 1):
        for name, epoch in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            images = sum(epoch())
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            found[name].append((images / wall, images / cpu))
    for name, (first, *later) in found.items():
        by_wall, by_cpu = (statistics.median(each) for each in zip(*later, strict=True))
        print(
            f"{name}: {by_wall:,.0f} images/s ({by_cpu:,.0f} a CPU second), "
            f"in the first pass {first[0]:,.0f}"
        )


if __name__ == "__main__":
    main()
