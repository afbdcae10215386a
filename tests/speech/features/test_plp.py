"""PLP against another way to the same numbers: normal equations and the logarithm of a spectrum."""

import math

import numpy as np
import pytest
from scipy.linalg import solve_toeplitz

from aitk.speech.data.options import FeatureSettings
from aitk.speech.features.plp import bark, equal_loudness, make_bands, masking_curve, solve_levinson
from aitk.speech.features.signal import features, window_of


def naive_frame(samples, rate, order, coefficients):
    """Hermansky's recipe for one frame, with loops and textbook formulas."""
    length = len(samples)
    frame = samples.astype(np.float64) * 32768
    frame = frame - frame.mean()
    frame = np.array([frame[0] - 0.97 * frame[0], *(frame[1:] - 0.97 * frame[:-1])])
    frame *= window_of("povey", length)
    size = 2 ** math.ceil(math.log2(length))
    power = np.abs(np.fft.fft(frame, size)[: size // 2 + 1]) ** 2
    top = 6 * math.asinh(rate / 2 / 600)
    count = math.ceil(top) + 1
    heard = []
    for band in range(count):
        centre = band * top / (count - 1)
        sum_ = 0.0
        for place, value in enumerate(power):
            distance = centre - 6 * math.asinh(place * rate / size / 600)
            if -1.3 <= distance < -0.5:
                sum_ += value * 10 ** (2.5 * (distance + 0.5))
            elif -0.5 <= distance <= 0.5:
                sum_ += value
            elif 0.5 < distance <= 2.5:
                sum_ += value * 10 ** (-1.0 * (distance - 0.5))
        omega = 2 * math.pi * 600 * math.sinh(centre / 6)
        loud = (omega**2 + 56.8e6) * omega**4
        loud /= (omega**2 + 6.3e6) ** 2 * (omega**2 + 0.38e9) * (omega**6 / 9.58e26 + 1)
        heard.append(max(sum_ * loud, 1.1920929e-07) ** (1 / 3))
    heard[0], heard[-1] = heard[1], heard[-2]
    both = np.array(heard + heard[-2:0:-1])
    autocorrelation = np.fft.ifft(both).real[: order + 1]
    predictor = solve_toeplitz(autocorrelation[:order], -autocorrelation[1:])
    gain = autocorrelation[0] + predictor @ autocorrelation[1:]
    model = gain / np.abs(np.fft.fft([1, *predictor], 4096)) ** 2
    # The cepstrum of a power spectrum is twice that of its minimum-phase filter, but for c0.
    cepstrum = np.fft.ifft(np.log(model)).real
    found = np.concatenate([cepstrum[:1], cepstrum[1:coefficients]])
    lifter = 1 + 11 * np.sin(np.pi * np.arange(coefficients) / 22)
    return found * lifter


@pytest.mark.parametrize(("rate", "order"), [(8000, 12), (16000, 12), (16000, 8)])
def test_agrees_with_a_naive_implementation(rate, order):
    rng = np.random.default_rng(5)
    time = np.arange(rate // 4) / rate
    samples = sum(np.sin(2 * np.pi * 130 * n * time) / n for n in range(1, 20)) * 0.1
    samples = (samples + 0.01 * rng.standard_normal(len(time))).astype(np.float32)
    settings = FeatureSettings(
        features="plp", normalise="none", energy=False, lpc_order=order, sample_rate_hz=rate
    )
    found = features(samples, settings)
    length, shift = rate // 40, rate // 100
    for number in (0, 7, len(found) - 1):
        frame = samples[number * shift : number * shift + length]
        expected = naive_frame(frame, rate, order, 13)
        np.testing.assert_allclose(found[number], expected, atol=2e-3)


def test_levinson_solves_the_normal_equations():
    rng = np.random.default_rng(0)
    sequences = np.stack([np.correlate(x, x, "full")[63:73] for x in rng.standard_normal((5, 64))])
    predictors, errors = solve_levinson(sequences)
    for sequence, predictor, error in zip(sequences, predictors, errors, strict=True):
        np.testing.assert_allclose(predictor, solve_toeplitz(sequence[:-1], -sequence[1:]))
        assert error == pytest.approx(sequence[0] + predictor @ sequence[1:])


def test_the_ear_hears_best_between_3_and_5_khz():
    hertz = np.arange(50, 8000, 10)
    assert 3000 < hertz[np.argmax(equal_loudness(hertz))] < 5000


def test_bands_are_about_one_bark_apart_and_masks_lean_upwards():
    assert bark(0) == 0
    assert bark(1000) == pytest.approx(7.7, abs=0.1)
    assert make_bands(sample_rate_hz=8000, fft_size=256).weights.shape == (17, 129)
    np.testing.assert_allclose(
        masking_curve(np.array([-2, -0.5, 0, 0.5, 1.5, 3])), [0, 1, 1, 1, 0.1, 0]
    )
