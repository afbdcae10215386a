"""TensorBoard events of a training, for ``tensorboard --logdir RUN``."""

from __future__ import annotations

from pathlib import Path


class Events:
    """Scalars by step, in one file per process."""

    def __init__(self, folder: Path):
        import tensorflow as tf

        self._summary = tf.summary
        self._writer = tf.summary.create_file_writer(str(folder))

    def write(self, step: int, values: dict[str, float]) -> None:
        with self._writer.as_default(step=step):
            for name, value in values.items():
                self._summary.scalar(name, value)
        self._writer.flush()
