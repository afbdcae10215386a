"""Take parts of an archive of images, a folder a class, that share what is held out.

    python bench/vision_subsets.py cifar10-train.zip FOLDER

Of each class the last 500 files are held out. FOLDER gets ``all.zip`` (the other files),
``2000.zip`` (the first 200 of each of ten classes) and ``450.zip`` (the first 45), each with
``train/CLASS/...`` and the same ``test/CLASS/...``.
"""

from __future__ import annotations

import argparse
import zipfile
from collections import defaultdict
from pathlib import Path

HELD_OUT = 500
#: Archive -> training files of each class.
PARTS: dict[str, int | None] = {"all": None, "2000": 200, "450": 45}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive")
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(asked.archive) as source:
        classes: dict[str, list[str]] = defaultdict(list)
        for name in sorted(source.namelist()):
            if not name.endswith("/"):
                classes[name.split("/")[-2]].append(name)
        for part, most in PARTS.items():
            with zipfile.ZipFile(asked.folder / f"{part}.zip", "w") as target:
                for label, names in classes.items():
                    splits = {"train": names[:-HELD_OUT][:most], "test": names[-HELD_OUT:]}
                    for split, chosen in splits.items():
                        for name in chosen:
                            target.writestr(f"{split}/{label}/{Path(name).name}", source.read(name))
            print(asked.folder / f"{part}.zip")


if __name__ == "__main__":
    main()
