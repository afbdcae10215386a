"""Drawn predictions as PNG files, and as a video for the frames of a video."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from aitk.core.io.files import write_bytes
from aitk.core.io.images import encode_png, read_image
from aitk.core.io.names import fit_name

FRAMES_PER_SECOND = 10.0
#: Frames are named VIDEO#NUMBER.
_FRAME = re.compile(r"(.+)#(\d+)")


class Drawings:
    """A folder of images, each named after its row."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._frames: dict[str, list[Path]] = {}
        self._names: set[str] = set()

    def add(self, name: str, picture: np.ndarray) -> Path:
        """Write an image (height, width, 3) uint8 RGB.

        Args:
            name: name of the row: a file, a member of an archive, ``VIDEO#FRAME``.
        """
        path = self._path(name)
        write_bytes(path, encode_png(picture))
        self._keep(name, path)
        return path

    def take_up(self, name: str) -> None:
        """Count an image drawn by an interrupted process, if it drew this row."""
        path = self._path(name)
        if path.exists():
            self._keep(name, path)

    def finish(self) -> list[Path]:
        """Combine the frames of each video; return the videos."""
        return [
            _write_video(self._folder / f"{_flat(name)}.mp4", paths)
            for name, paths in self._frames.items()
        ]

    def _path(self, name: str) -> Path:
        """The file of the next image with this name."""
        wanted = _flat(name)
        numbered = (f"{wanted}-{number}" for number in itertools.count(2))
        free = next(each for each in itertools.chain([wanted], numbered) if each not in self._names)
        return self._folder / f"{free}.png"

    def _keep(self, name: str, path: Path) -> None:
        self._names.add(path.stem)
        if frame := _FRAME.fullmatch(name):
            self._frames.setdefault(frame[1], []).append(path)


def _flat(name: str) -> str:
    """A name without folders or characters that a file system may refuse."""
    return fit_name(re.sub(r"[^\w.-]+", "_", name).strip("._") or "picture")


def _write_video(path: Path, frames: Iterable[Path]) -> Path:
    import cv2

    pictures = (read_image(frame)[..., ::-1] for frame in frames)  # BGR, as in OpenCV
    first = next(pictures)
    height, width = first.shape[:2]
    part = path.with_suffix(".part.mp4")
    code = cv2.VideoWriter.fourcc(*"mp4v")
    video = cv2.VideoWriter(str(part), code, FRAMES_PER_SECOND, (width, height))
    for picture in itertools.chain([first], pictures):
        video.write(np.ascontiguousarray(picture))
    video.release()
    part.rename(path)
    return path
