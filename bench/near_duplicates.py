"""How many held-out images are called near-duplicates of another split, and how alike they are.

    python bench/near_duplicates.py [FOLDER]

Takes scikit-learn's handwritten digits, of which none is a copy of another, drawn at 28 pixels; or
the images of a folder. A fifth is held out by lot.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from aitk.core.io.images import read_image
from aitk.vision.data.quality.near_duplicates import (
    MIN_CORRELATION,
    SmallCopies,
    find_pairs,
    image_hash,
)

HELD_OUT = 0.2


def digits() -> list[np.ndarray]:
    """1,797 digits (28, 28) uint8."""
    from sklearn.datasets import load_digits

    images = (load_digits().images * (255 / 16)).astype(np.uint8)
    return [cv2.resize(each, (28, 28), interpolation=cv2.INTER_CUBIC) for each in images]


def images(folder: Path) -> list[np.ndarray]:
    """The JPEG and PNG files below a folder, in grey."""
    names = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
    return [cv2.cvtColor(read_image(name), cv2.COLOR_RGB2GRAY) for name in names]


def main() -> None:
    """Print what the hash alone says, and what remains of it."""
    found = images(Path(sys.argv[1])) if len(sys.argv) > 1 else digits()
    splits = (np.random.default_rng(0).random(len(found)) < HELD_OUT).astype(int)
    copies = SmallCopies()
    for each in found:
        copies.add(each)
    pairs = find_pairs(np.stack([image_hash(each) for each in found]), splits)
    alike = copies.correlations(pairs)
    for name, kept in (("hash alone", pairs), ("compared", pairs[alike >= MIN_CORRELATION])):
        held = np.unique(np.where(splits[kept[:, 0]] == 1, kept[:, 0], kept[:, 1]))
        share = len(held) / max(1, splits.sum())
        print(f"{name}: {len(kept)} pairs, {share:.1%} of {splits.sum()} held-out images")
    if len(alike):
        print(f"correlations: median {np.median(alike):.3f}, largest {alike.max():.3f}")


if __name__ == "__main__":
    main()
