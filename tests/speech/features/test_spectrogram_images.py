"""Spectrogram images: a valid PNG that shows the audio in time and frequency."""

import io

import numpy as np
import pytest
from PIL import Image

from aitk.speech.features.spectrogram_images import (
    HEIGHT,
    WIDEST,
    colour_png,
    palette,
    spectrogram_png,
)


def pixels(png):
    """(height, width, 3)"""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_colours_come_back_and_grow_lighter():
    shares = np.array([[0.0, 0.5], [1.0, 0.25]])
    found = pixels(colour_png(shares))
    np.testing.assert_array_equal(found, palette()[[[0, 128], [255, 64]]])
    light = palette() @ [0.299, 0.587, 0.114]
    assert (np.diff(light) > -1).all()


def test_a_high_tone_that_follows_a_low_one_stands_right_and_above():
    time = np.arange(8000) / 8000
    tones = [0.3 * np.sin(2 * np.pi * hertz * time) for hertz in (200, 3000)]
    light = pixels(spectrogram_png(np.concatenate(tones).astype(np.float32), 8000)).sum(axis=2)
    height, width = light.shape
    assert width == 200
    assert light[:, 50].argmax() > 0.8 * height
    assert light[:, 150].argmax() < 0.2 * height


@pytest.mark.parametrize("samples", [0, 10, 80, 800_000])
def test_any_length_gives_a_image_of_bounded_size(samples):
    found = pixels(spectrogram_png(np.zeros(samples, np.float32), 16000))
    assert found.shape[0] == HEIGHT
    assert 1 <= found.shape[1] <= WIDEST
