"""Image and audio descriptors without a model: similar ones are close, damaged ones reported."""

import cv2
import numpy as np
import pytest
import soundfile

from aitk.core.contract.errors import DataError
from aitk.core.contract.progress import Silent
from aitk.recsys.features.descriptors import (
    COEFFICIENTS,
    COLOUR_BINS,
    THUMBNAIL,
    describe_audio,
    describe_files,
    describe_image,
)


def picture(path, colour, seed=0, size=(32, 32)):
    """A PNG of one colour (RGB) with noise."""
    noise = np.random.default_rng(seed).integers(-25, 26, (*size, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    cv2.imwrite(str(path), pixels[..., ::-1])
    return path


def tone(path, hertz, *, rate=16_000, seconds=1.0, channels=1):
    time = np.arange(int(rate * seconds)) / rate
    wave = sum(np.sin(2 * np.pi * hertz * n * time) / n for n in range(1, 6)) / 4
    soundfile.write(path, np.repeat(wave[:, None], channels, axis=1), rate)
    return path


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_images_of_one_colour_are_more_alike_than_others(tmp_path):
    red, red_too, green = (
        describe_image(picture(tmp_path / f"{seed}.png", colour, seed))
        for seed, colour in enumerate([(200, 40, 40), (190, 50, 45), (40, 180, 60)])
    )
    assert cosine(red, red_too) > 0.9
    assert cosine(red, green) < 0.3


def test_a_image_says_where_it_is_light(tmp_path):
    pixels = np.zeros((200, 100), np.uint8)
    pixels[:100] = 255
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    grey = describe_image(tmp_path / "a.png")[COLOUR_BINS**3 :].reshape(THUMBNAIL, THUMBNAIL)
    assert (grey[: THUMBNAIL // 2 - 1] > 0).all()
    assert (grey[THUMBNAIL // 2 + 1 :] < 0).all()


def test_size_hardly_matters(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    pixels = cv2.resize(pixels, (60, 40), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    large = cv2.resize(pixels, (960, 640), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(tmp_path / "b.png"), large)
    assert cosine(*(describe_image(tmp_path / name) for name in ("a.png", "b.png"))) > 0.98


def test_a_image_one_pixel_wide_has_a_description(tmp_path):
    described = describe_image(picture(tmp_path / "a.png", (9, 9, 9), size=(3000, 1)))
    assert np.isfinite(described).all()


def test_sounds_of_one_timbre_are_nearer_than_others(tmp_path):
    low, low_too, high = (
        describe_audio(tone(tmp_path / f"{hertz}.wav", hertz)) for hertz in (200, 210, 1500)
    )
    assert low.shape == (2 * COEFFICIENTS,)
    assert np.linalg.norm(low - low_too) < np.linalg.norm(low - high) / 3


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_rate_channels_and_format_hardly_matter(tmp_path, name):
    plain = describe_audio(tone(tmp_path / "plain.wav", 300))
    other = describe_audio(tone(tmp_path / name, 300, rate=44_100, channels=2))
    apart = describe_audio(tone(tmp_path / "apart.wav", 900))
    assert np.linalg.norm(plain - other) < np.linalg.norm(plain - apart) / 3


def test_coefficients_agree_with_a_plain_transform(tmp_path):
    # One second of silence: every band is log(1e-6), which only the first coefficient sees.
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    described = describe_audio(tmp_path / "a.wav")
    assert described[0] == pytest.approx(np.log(1e-6) * np.sqrt(40) / 10, rel=1e-5)
    assert np.abs(described[1:]).max() < 1e-4


def test_filters_peak_at_their_centres_and_add_up():
    from aitk.recsys.features.descriptors import _mel_filters

    filters = _mel_filters()
    peaks = filters.argmax(axis=1)
    assert (np.diff(peaks) >= 0).all()
    inside = slice(peaks[0] + 1, peaks[-1])
    np.testing.assert_allclose(filters.sum(axis=0)[inside], 1, atol=1e-5)


def test_only_the_first_minute_is_heard(tmp_path):
    rate = 8_000
    wave = np.zeros(rate * 61)
    wave[rate * 60 :] = 0.5
    soundfile.write(tmp_path / "long.wav", wave, rate)
    soundfile.write(tmp_path / "short.wav", wave[: rate * 60], rate)
    np.testing.assert_array_equal(
        describe_audio(tmp_path / "long.wav"), describe_audio(tmp_path / "short.wav")
    )


def test_broken_files_are_reported_of_and_their_rows_are_zero(tmp_path):
    good = str(picture(tmp_path / "good.png", (200, 0, 0)))
    (tmp_path / "broken.png").write_bytes(b"hello")
    paths = [None, good, str(tmp_path / "broken.png"), str(tmp_path / "missing.png")]
    described, refused = describe_files(paths, "picture", reporter=Silent())
    assert described.shape == (4, COLOUR_BINS**3 + THUMBNAIL**2)
    assert described.dtype == np.float32
    assert described.any(axis=1).tolist() == [False, True, False, False]
    assert refused == [
        (paths[2], "is not a JPEG, PNG, WebP, GIF, BMP or TIFF image"),
        (paths[3], "no such file"),
    ]


@pytest.mark.parametrize("content", [b"", b"RIFF\0\0\0\0WAVE", b"hello", b"fLaC" + bytes(40)])
def test_what_is_no_sound_is_refused(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    described, refused = describe_files([str(tmp_path / "a.wav")], "audio", reporter=Silent())
    assert not described.any()
    assert len(refused) == 1


@pytest.mark.parametrize("rate", [1, 2_000_003])
def test_a_rate_that_no_sound_has_is_refused(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), rate)
    with pytest.raises(DataError, match=f"sample rate of {rate} Hz"):
        describe_audio(tmp_path / "a.wav")


def test_a_sound_of_a_few_samples_has_a_description(tmp_path):
    assert np.isfinite(describe_audio(tone(tmp_path / "a.wav", 400, seconds=0.001))).all()
