"""Sounds made for tests."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile


def _load_beside(name):
    """Let tests import modules of their folder, independent of their own names."""
    path = Path(__file__).parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


_load_beside("whisper_folder")


@pytest.fixture
def voice():
    """Make audio like syllables, (n,) float32: a tone of varying loudness."""

    def make(seconds=0.5, rate=8000, hertz=300.0, level=0.3):
        time = np.arange(round(seconds * rate)) / rate
        swell = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * time)
        return (level * swell * np.sin(2 * np.pi * hertz * time)).astype(np.float32)

    return make


@pytest.fixture
def save_sound(tmp_path, voice):
    """Write audio below the test's folder, each name its own pitch; return its path."""

    def save(name, samples=None, rate=8000, **more):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if samples is None:
            samples = voice(hertz=200 + sum(name.encode()) % 700)
        soundfile.write(path, samples, rate, **more)
        return path

    return save
