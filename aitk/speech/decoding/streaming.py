"""Streaming inference of a causal recogniser.

Every step depends on a bounded left context, so each new chunk is run together with that context
and only its new steps are used: the outputs equal those of the whole recording, in any model
format, and the only state is frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

#: Inputs by name to logits (batch, steps, units).
Predict = Callable[[Mapping[str, np.ndarray]], np.ndarray]


class Stream:
    """One recording, fed frame by frame.

    Args:
        predict: the model function.
        frames_per_step: frames per output step.
        chunk_frames: frames per chunk; a multiple of ``frames_per_step``.
        context_frames: frames of left context that its steps depend on.
    """

    def __init__(
        self, predict: Predict, *, frames_per_step: int, chunk_frames: int, context_frames: int
    ):
        self._predict, self._per_step = predict, frames_per_step
        self._chunk, self._context = chunk_frames, context_frames
        self._frames: np.ndarray | None = None  # (frames, d), starting at frame ``_begin``
        self._begin = 0
        self._done = 0  # frames whose steps were returned

    def feed(self, features: np.ndarray) -> np.ndarray:
        """Add frames (n, d); return the logits (steps, units) of every chunk now complete."""
        held = self._frames
        self._frames = features if held is None else np.concatenate([held, features])
        complete = (self._begin + len(self._frames)) // self._chunk * self._chunk
        return self._run_to(complete)

    def finish(self) -> np.ndarray:
        """The logits of the remaining frames at the end of the recording."""
        return self._run_to(self._begin + (0 if self._frames is None else len(self._frames)))

    def _run_to(self, end: int) -> np.ndarray:
        """The logits of the steps from the last output up to frame ``end``."""
        if self._frames is None or end <= self._done:
            return np.zeros((0, 0), np.float32)
        part = self._frames[None, : end - self._begin]
        inputs = {"features": part, "padding_mask": np.ones(part.shape[:2], np.int32)}
        logits = np.asarray(self._predict(inputs))[0]
        fresh = logits[(self._done - self._begin) // self._per_step :]
        self._done = end
        # A window starts at a chunk boundary; otherwise attention would split its chunks
        # differently.
        begin = max(0, end - self._context) // self._chunk * self._chunk
        self._frames, self._begin = self._frames[begin - self._begin :], begin
        return fresh
