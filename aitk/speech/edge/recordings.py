"""Recordings from .wav files. Part of the scripts of bundles; NumPy alone."""

from __future__ import annotations

import wave
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def read_rows(
    name: str, settings: Mapping[str, Any]
) -> Iterator[tuple[int, Mapping[str, Any], Any]]:
    """Number, record and fields of a .wav file, or of all of them in a folder."""
    path = Path(name)
    files = sorted(path.rglob("*.wav")) if path.is_dir() else [path]
    for number, file in enumerate(files, 1):
        try:
            samples = read_wave(file, settings["sample_rate_hz"])
        except (wave.Error, EOFError, ValueError) as error:
            yield number, {"file": str(file)}, str(error)
            continue
        yield number, {"file": str(file)}, {"samples": samples}


def read_wave(path: Path, sample_rate_hz: int) -> np.ndarray:
    """The samples of a PCM file as one channel in [-1, 1], (n,) float32, in steps of 16 bits."""
    with wave.open(str(path)) as file:
        rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
        data = file.readframes(file.getnframes())
    if rate != sample_rate_hz:
        raise ValueError(f"it has {rate} samples per second instead of {sample_rate_hz}")
    if width == 1:
        samples = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    elif width == 2:
        samples = np.frombuffer(data, "<i2").astype(np.float32) / 32768
    elif width == 3:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        samples = (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    else:
        samples = (np.frombuffer(data, "<i4") / 2.0**31).astype(np.float32)
    samples = samples.reshape(-1, channels).mean(axis=1)
    whole = np.clip(np.round(samples.astype(np.float64) * 32768), -32768, 32767)
    return (whole / 32768).astype(np.float32)
