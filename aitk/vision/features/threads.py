"""Parallel image processing: OpenCV releases the GIL while it computes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aitk.core.runtime.environment import usable_cpus

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_THREADS = 16
#: Smaller images take OpenCV too little time for threads to pay off.
MIN_PIXELS = 8_000


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], *, pixels: int
) -> list[Result]:
    """Apply a function to each item, in order; in threads if images of ``pixels`` are large."""
    _keep_images_whole()
    threads = min(MAX_THREADS, usable_cpus())
    if pixels < MIN_PIXELS or len(items) < 2 or threads < 2:
        return [function(item) for item in items]
    size = -(-len(items) // (2 * threads))
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    found = _pool(threads).map(lambda part: [function(item) for item in part], parts)
    return [result for part in found for result in part]


@functools.cache
def _keep_images_whole() -> None:
    import cv2

    # OpenCV would split each image among threads of its own, which contend with each other while
    # training keeps the processors busy.
    cv2.setNumThreads(1)


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="images")
