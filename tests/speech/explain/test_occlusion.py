"""Muting regions of audio: the muted part, and the unchanged rest."""

from __future__ import annotations

import numpy as np

from aitk.speech.explain.occlusion import BANDS, explain_audio

RATE = 8000


def power_between(samples: np.ndarray, low_hz: float, high_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(spectrum[(hertz >= low_hz) & (hertz < high_hz)].sum())


def test_a_muted_region_is_silent_and_the_others_are_not():
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype("float32")
    heard = []

    def log_odds(clips):
        heard.extend(clips)
        return np.zeros(len(clips))

    found = explain_audio(noise, RATE, log_odds)
    regions = found["regions"]
    assert len(regions) == 20 * BANDS
    region = regions[10 * BANDS + 4]  # the middle of the sound
    muted = heard[1 + 10 * BANDS + 4]
    inside = slice(int(region["start_s"] * RATE) + 100, int(region["end_s"] * RATE) - 100)
    low, high = region["low_hz"] + 80, region["high_hz"] - 80
    before, after = (power_between(x[inside], low, high) for x in (noise, muted))
    assert after < 0.1 * before
    elsewhere = slice(0, int(region["start_s"] * RATE) - 300)
    np.testing.assert_allclose(muted[elsewhere], noise[elsewhere], atol=1e-4)


def test_parts_cover_the_sound_in_order():
    found = explain_audio(np.zeros(4000, "float32"), RATE, lambda clips: np.zeros(len(clips)))
    assert [part["text"] for part in found["parts"]][:2] == ["0.00-0.05 s ", "0.05-0.10 s "]
    assert found["parts"][-1]["text"] == "0.45-0.50 s "
    total = {part["weight"] for part in found["parts"]}
    assert total == {0.0}


def test_a_sound_shorter_than_the_window_can_be_explained():
    found = explain_audio(np.ones(60, "float32"), RATE, lambda clips: np.ones(len(clips)))
    assert len(found["parts"]) == 1
