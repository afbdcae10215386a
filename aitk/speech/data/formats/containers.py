"""Audio in containers that libsndfile does not support: m4a, aac, wma, amr, and videos.

FFmpeg decodes them through PyAV. It gets an open file instead of a path, and only the formats
listed here: others include playlists whose addresses it would fetch.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from aitk.core.contract.errors import DataError

#: File suffixes searched for in a folder.
SUFFIXES = (
    ".m4a", ".m4b", ".aac", ".mp4", ".mov", ".3gp", ".wma", ".wmv", ".mkv", ".mka", ".webm", ".avi",
    ".amr", ".ac3", ".mpg", ".mpeg", ".ts", ".flv", ".wv", ".ape", ".tta",
)  # fmt: skip
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,aac,asf,matroska,webm,avi,amr,amrnb,amrwb,ac3,eac3,mpeg,mpegts,flv,wv,ape,"
    "tta"
)


class ContainerAudio:
    """The first audio stream of a file, with the reading interface of ``SoundFile``.

    Attributes:
        samplerate: samples per second.
        channels: number of channels.
        frames: samples per channel. Headers round or omit it, so the first access counts them in
            one pass over the file.
    """

    format = "FFMPEG"
    extra_info = ""

    def __init__(self, opened: BinaryIO, *, where: str):
        self._file, self._where = opened, where
        self._container: Any = None
        self._frames: int | None = None
        self._pending: list[np.ndarray] = []
        self._ready = 0
        self._rewind()
        context = self._stream.codec_context
        self.samplerate, self.channels = context.sample_rate, context.channels

    @property
    def frames(self) -> int:
        if self._frames is None:
            self._frames = sum(block.shape[1] for block in self._decoded())
            self._rewind()
        return self._frames

    def seek(self, frame: int) -> None:
        """Seek to a sample, by decoding up to it from the start."""
        self._rewind()
        while frame > 0 and (block := self.read(min(frame, self.samplerate * 10))).size:
            frame -= len(block)

    def read(self, frames: int, *, dtype: str = "float32", always_2d: bool = True) -> np.ndarray:
        """The next samples, (n, channels) float32; fewer at the end."""
        del dtype, always_2d
        while self._ready < frames and (block := next(self._blocks, None)) is not None:
            self._pending.append(block)
            self._ready += block.shape[1]
        if not self._pending:
            return np.zeros((0, self.channels), np.float32)
        samples = np.concatenate(self._pending, axis=1)
        self._pending = [samples[:, frames:]] if samples.shape[1] > frames else []
        self._ready = max(0, samples.shape[1] - frames)
        return np.ascontiguousarray(samples[:, :frames].T)

    def close(self) -> None:
        """Close the container and its file."""
        if self._container is not None:
            self._container.close()
        self._file.close()

    def __enter__(self) -> ContainerAudio:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _rewind(self) -> None:
        """Reopen the container: not every format supports seeking back."""
        import av

        if self._container is not None:
            self._container.close()
        self._file.seek(0)
        options = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
        self._container = av.open(self._file, container_options=options)
        if not self._container.streams.audio:
            raise DataError("has no audio", where=self._where)
        self._stream = self._container.streams.audio[0]
        self._blocks = self._decoded()
        self._pending, self._ready = [], 0

    def _decoded(self) -> Iterator[np.ndarray]:
        """Decoded samples, (channels, n) float32 at full scale 1."""
        import av

        context = self._stream.codec_context
        try:
            resampler = av.AudioResampler("fltp", layout=context.layout, rate=context.sample_rate)
            for frame in self._container.decode(self._stream):
                for part in resampler.resample(frame):
                    yield part.to_ndarray()
            for part in resampler.resample(None):
                yield part.to_ndarray()
        except (av.FFmpegError, ValueError) as error:
            raise DataError(f"is damaged ({_reason(error)})", where=self._where) from error


def open_container(source: Path | bytes, *, where: str) -> ContainerAudio | None:
    """Open a container by its content; None if FFmpeg does not support it.

    Raises:
        DataError: the container has no audio.
    """
    import av

    opened: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    try:
        return ContainerAudio(opened, where=where)
    except (av.FFmpegError, ValueError):
        opened.close()
        return None
    except DataError:
        opened.close()
        raise


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
