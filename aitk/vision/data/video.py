"""Video frames: every Nth, or the first of each scene."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.io.images import MOST_PIXELS
from aitk.core.io.names import printable
from aitk.core.runtime.silence import capture_stderr
from aitk.vision.data.trees import Folder, Tree

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
#: Bhattacharyya distance of the colour histograms of two frames that indicates a cut.
SCENE_CHANGE = 0.5
MAX_BYTES = 20_000_000_000
_BINS, _THUMBNAIL = 8, 64


def is_video(name: str) -> bool:
    """Whether a file's suffix is that of a video."""
    return name.lower().endswith(VIDEO_SUFFIXES)


def read_frames(
    tree: Tree, name: str, *, every: int, scenes: bool
) -> Iterator[tuple[int, np.ndarray]]:
    """Frames of a video, one at a time, with their numbers from 0.

    Args:
        every: take each Nth frame.
        scenes: take only the first frame of each scene; ``every`` is then ignored.

    Yields:
        The number and (height, width, 3) uint8 RGB, upright.

    Raises:
        DataError: no frame can be read, or the frames are too large.
    """
    if isinstance(tree, Folder):
        yield from _frames(tree.root / name, every=every, scenes=scenes)
        return
    # The decoder reads from a file of its own.
    with tempfile.NamedTemporaryFile(suffix=Path(name).suffix) as file:
        file.write(tree.read(name, max_bytes=MAX_BYTES))
        file.flush()
        yield from _frames(Path(file.name), every=every, scenes=scenes)


def _frames(path: Path, *, every: int, scenes: bool) -> Iterator[tuple[int, np.ndarray]]:
    import cv2

    if printable(str(path)) != str(path):
        raise DataError("has a name that is not UTF-8, which the decoder cannot open: rename it")
    with capture_stderr():
        video = cv2.VideoCapture(str(path))
    try:
        width = video.get(cv2.CAP_PROP_FRAME_WIDTH)
        height = video.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if width * height > MOST_PIXELS:
            raise DataError(f"has frames of {width:.0f} x {height:.0f} pixels")
        number, before = 0, None
        while True:
            with capture_stderr():
                found = video.grab()
            if not found:
                break
            if scenes or number % every == 0:
                with capture_stderr():
                    _, frame = video.retrieve()
                now = _histogram(frame) if scenes else None
                if not scenes or before is None or _distance(before, now) > SCENE_CHANGE:
                    yield number, np.ascontiguousarray(frame[..., ::-1])
                before = now
            number += 1
        if number == 0:
            raise DataError("is not a readable video")
    finally:
        video.release()


def _histogram(frame: np.ndarray) -> np.ndarray:
    """Colour histogram of a frame, (bins,) float32."""
    import cv2

    small = cv2.resize(frame, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    counts = cv2.calcHist([small], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3)
    return counts.ravel() / counts.sum()


def _distance(left: np.ndarray, right: np.ndarray | None) -> float:
    """Bhattacharyya distance in [0, 1] (cv2.HISTCMP_BHATTACHARYYA)."""
    if right is None:
        return 1.0
    return float(np.sqrt(max(0.0, 1.0 - np.sqrt(left * right).sum())))
