"""CNN: convolutions over time and frequency with max pooling (Sainath and Parada 2015).

"Convolutional Neural Networks for Small-footprint Keyword Spotting".
"""

from __future__ import annotations

import keras

from aitk.speech.models.inputs import speech_inputs
from aitk.speech.models.planes import OverFrequency, convolve_plane, maxima
from aitk.speech.tasks.settings import CnnSettings

TIMES_CHANNELS = (1, 2, 2, 3, 4)
WINDOWS = (5, 3, 3, 3, 3)  # frames and filters
HALVINGS = 3  # the first convolutions, each followed by 2 x 2 max pooling


def build_backbone(settings: CnnSettings, dimensions: int) -> keras.Model:
    """Features (batch, frames, dimensions) -> (batch, ceil(frames / 8), 8 * channels)."""
    inputs = speech_inputs(dimensions)
    mask = inputs["padding_mask"]
    x = keras.layers.Reshape((-1, dimensions, 1), name="one_channel")(inputs["features"])
    for index, (times, window) in enumerate(zip(TIMES_CHANNELS, WINDOWS, strict=True)):
        name = f"block_{index}"
        x = convolve_plane(x, mask, settings.channels * times, window=window, name=name)
        if index < HALVINGS:
            x, mask = maxima(x, mask, steps=2, filters=2, name=name)
            x = keras.layers.SpatialDropout2D(settings.channel_dropout, name=f"{name}_drop")(x)
    x = OverFrequency(name="over_frequency")(x)
    return keras.Model(inputs, x, name="backbone")
