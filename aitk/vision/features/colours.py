"""Brightness, contrast, saturation and hue in one pass: all four are linear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aitk.vision.features.augment_settings import AugmentSettings

#: Luma weights of red, green and blue (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114])
# RGB to luma and two chroma axes (NTSC's YIQ).
_TO_YIQ = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


@dataclass(frozen=True)
class Colours:
    """A colour transformation: ``linear`` in RGB, plus a share of the mean luma."""

    linear: np.ndarray  # (count, 3, 3)
    mean_share: np.ndarray  # (count,)


def draw_colours(count: int, settings: AugmentSettings, rng: np.random.Generator) -> Colours | None:
    """Draw colour transformations for ``count`` images; None if the settings change nothing."""
    ranges = (settings.brightness, settings.contrast, settings.saturation, settings.hue)
    if not any(ranges):
        return None
    brightness, contrast, saturation, turn = (rng.uniform(-1, 1, (count, 4)) * ranges).T
    grey = np.tile(LUMA, (3, 1))
    saturated = np.eye(3) + saturation[:, None, None] * (np.eye(3) - grey)
    linear = _turned_hues(2 * np.pi * turn) @ saturated  # greys are unchanged
    factor = (1 + brightness) * (1 + contrast)
    return Colours(factor[:, None, None] * linear, -(1 + brightness) * contrast)


def jitter_colours(image: np.ndarray, linear: np.ndarray, mean_share: float) -> np.ndarray:
    """Apply a colour transformation to an image (h, w, 3)."""
    import cv2

    change = np.empty((3, 4))
    change[:, :3] = linear
    change[:, 3] = mean_share * np.dot(cv2.mean(image)[:3], LUMA)
    return cv2.transform(image, change)


def _turned_hues(turns: np.ndarray) -> np.ndarray:
    """(n, 3, 3) rotations about the grey axis by angles (n,) in radians, at constant luma."""
    cosine, sine = np.cos(turns), np.sin(turns)
    turned = np.zeros((len(turns), 3, 3))
    turned[:, 0, 0] = 1
    turned[:, 1, 1] = turned[:, 2, 2] = cosine
    turned[:, 1, 2], turned[:, 2, 1] = -sine, sine
    return _FROM_YIQ @ turned @ _TO_YIQ
