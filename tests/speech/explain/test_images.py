"""The picture of what decided: a region's colour, and where it stands."""

import io

import numpy as np
from PIL import Image

from aitk.speech.explain.images import occlusion_png


def region(start_s, low_hz, high_hz, weight):
    end_s = start_s + 0.25
    return {"start_s": start_s, "end_s": end_s, "low_hz": low_hz, "high_hz": high_hz,
            "weight": weight}  # fmt: skip


def drawn(samples, regions):
    """(height, width, 3): the picture without its bar of colours."""
    picture = Image.open(io.BytesIO(occlusion_png(samples, 8000, regions))).convert("RGB")
    pixels = np.asarray(picture).astype(int)
    return pixels[:, : round(0.78 * pixels.shape[1])]


def middle(found):
    """(across, up) as shares of the picture."""
    rows, columns = np.nonzero(found)
    return columns.mean() / found.shape[1], 1 - rows.mean() / found.shape[0]


def test_blue_is_for_and_orange_against_each_at_its_place():
    noise = 0.1 * np.random.default_rng(0).standard_normal(8000)
    regions = [region(0.0, 20.0, 300.0, 0.4), region(0.75, 2500.0, 4000.0, -0.4),
               region(0.5, 300.0, 600.0, 0.001)]  # fmt: skip
    pixels = drawn(noise.astype("float32"), regions)
    red, blue = pixels[..., 0], pixels[..., 2]
    for found, right, above in ((blue > red + 60, False, False), (red > blue + 60, True, True)):
        across, up = middle(found)
        assert (across > 0.6) == right and (up > 0.6) == above
        assert 0.01 < found.mean() < 0.1


def test_a_sound_that_nothing_matters_in_is_grey():
    samples = np.zeros(60, "float32")
    pixels = drawn(samples, [region(0.0, 0.0, 4000.0, 0.0)])
    assert (np.ptp(pixels, axis=-1) == 0).all()
