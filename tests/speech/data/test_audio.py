"""Sound files: read by content, at any rate, and refused with a reason."""

import io
import struct
import warnings

import numpy as np
import pytest
import soundfile

from aitk.core.contract.errors import DataError
from aitk.speech.data.audio import (
    content_key,
    count_clipped,
    decode_audio,
    encode_audio,
    inspect_audio,
    read_audio,
    stream_audio,
)

RATE = 8000


def tone(seconds=0.5, rate=RATE, hertz=440.0, level=0.3):
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


def file_of(samples, rate=RATE, *, format="WAV", subtype=None):
    """The bytes of an audio file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


@pytest.fixture
def save(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize(
    ("format", "subtype", "error"),
    [
        ("WAV", "PCM_16", 1e-4), ("WAV", "FLOAT", 1e-6), ("WAV", "PCM_24", 1e-5),
        ("FLAC", "PCM_16", 1e-4), ("OGG", "VORBIS", 0.05), ("OGG", "OPUS", 0.1),
        ("MP3", "MPEG_LAYER_III", 0.1), ("AIFF", "PCM_16", 1e-4),
    ],
)  # fmt: skip
def test_reads_every_format_by_its_content(save, format, subtype, error):
    path = save("sound.wav", file_of(tone(), format=format, subtype=subtype))
    clip = read_audio(path, sample_rate_hz=RATE)
    assert (clip.source_rate_hz, clip.channels, clip.seconds) == (RATE, 1, 0.5)
    inner = slice(800, -800)  # lossy formats blur the ends
    assert np.abs(clip.samples - tone())[inner].max() < error


def test_a_raw_ending_does_not_matter_either(save):
    path = save("sound.raw", file_of(tone()))
    assert read_audio(path, sample_rate_hz=RATE).seconds == 0.5


def test_192_khz_stereo_becomes_one_channel_at_16_khz():
    left, right = tone(rate=192000), 0 * tone(rate=192000)
    content = file_of(np.stack([left, right], axis=1), 192000)
    mixed = read_audio(content, sample_rate_hz=16000)
    assert (mixed.source_rate_hz, mixed.channels, len(mixed.samples)) == (192000, 2, 8000)
    np.testing.assert_allclose(mixed.samples[500:-500], tone(rate=16000)[500:-500] / 2, atol=1e-3)
    picked = read_audio(content, sample_rate_hz=16000, channel="1")
    np.testing.assert_allclose(picked.samples[500:-500], tone(rate=16000)[500:-500], atol=1e-3)
    with pytest.raises(DataError, match="no channel 3, only 2"):
        read_audio(content, sample_rate_hz=16000, channel="3")


def test_a_cut_is_that_part_of_the_whole():
    content = file_of(tone(2.0, hertz=3.0), subtype="FLOAT")
    cut = read_audio(content, sample_rate_hz=RATE, start_s=0.5, end_s=1.25)
    np.testing.assert_allclose(cut.samples, tone(2.0, hertz=3.0)[4000:10000])
    rounded = read_audio(content, sample_rate_hz=RATE, start_s=1.5, end_s=2.3)
    assert rounded.seconds == 0.5


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        ({"start_s": 3.0}, "begins at 3 s, but the recording ends at 2.00 s"),
        ({"start_s": 1.0, "end_s": 4.0}, "ends at 4 s"),
        ({"start_s": 1.0, "end_s": 1.0}, "cannot be cut"),
        ({"max_s": 1.0}, "lasts 2.0 s, over the limit of 1 s"),
    ],
)
def test_cuts_that_are_not_there_are_refused(cut, words):
    with pytest.raises(DataError, match=words):
        read_audio(file_of(tone(2.0)), sample_rate_hz=RATE, **cut)


def lying_wav(promised):
    """A WAV file whose data chunk promises other than the 100 samples that it has."""
    data = np.zeros(100, "<i2").tobytes()
    format = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    size = struct.pack("<I", promised)
    return b"RIFF" + size + b"WAVEfmt \x10\0\0\0" + format + b"data" + size + data


def test_a_header_that_promises_more_is_refused_before_memory_is_taken():
    with pytest.raises(DataError, match="is truncated: its header declares more"):
        read_audio(lying_wav(1_500_000_000), sample_rate_hz=RATE)


def test_a_header_written_to_a_pipe_promises_everything_and_is_read():
    assert len(read_audio(lying_wav(0x7FFFF000), sample_rate_hz=RATE).samples) == 100


@pytest.mark.parametrize(
    ("format", "kept"), [("FLAC", 0.5), ("MP3", 0.5), ("WAV", 0.9), ("OGG", 0.5)]
)
def test_files_cut_short_are_refused(save, format, kept):
    whole = file_of(0.1 * np.random.default_rng(0).standard_normal(RATE * 3), format=format)
    path = save("sound", whole[: int(len(whole) * kept)])
    with pytest.raises(DataError, match="truncated|damaged|cannot be read|empty") as error:
        read_audio(path, sample_rate_hz=RATE)
    assert str(path) in error.value.line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (file_of(tone())[:20], "cannot be read as audio"),
        (file_of(tone())[:44], "truncated"),
        (file_of(tone()[:0]), "the recording is empty"),
        (b"id,text\n1,hello\n" * 100, "cannot be read as audio"),
        (file_of(np.array([0, 0.1, np.nan, 0]), subtype="FLOAT"), "not numbers"),
        (file_of(np.array([0, 0.1, np.inf, 0]), subtype="FLOAT"), "not numbers"),
        (file_of(tone() * 32768, subtype="FLOAT"), "reach 9,830, but full scale is 1"),
        (file_of(np.zeros((100, 40))), "has 40 channels"),
    ],
)
def test_what_is_no_sound_is_refused(save, content, words):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=words):
            read_audio(save("sound.wav", content), sample_rate_hz=RATE)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_audio(tmp_path / "a.wav", sample_rate_hz=RATE)
    with pytest.raises(DataError, match="is a folder"):
        read_audio(tmp_path, sample_rate_hz=RATE)


def test_streaming_gives_the_same_samples_in_blocks():
    content = file_of(np.random.default_rng(0).uniform(-0.5, 0.5, 3 * 11025), 11025)
    whole = read_audio(content, sample_rate_hz=RATE).samples
    blocks = list(stream_audio(content, sample_rate_hz=RATE, block_s=0.37))
    assert len(blocks) > 5
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-4)


def test_info_without_reading(save):
    info = inspect_audio(save("a.flac", file_of(tone(2.0), format="FLAC")))
    assert (info.sample_rate_hz, info.channels, info.seconds) == (RATE, 1, 2.0)


def test_a_stored_sound_is_restored():
    samples = tone()
    again, rate = decode_audio(encode_audio(samples, RATE))
    assert rate == RATE
    assert np.abs(again - samples).max() <= 0.5 / 32768 + 1e-9
    clipped, _ = decode_audio(encode_audio(np.array([1.7, -1.7, 0.5]), RATE))
    np.testing.assert_allclose(clipped, [32767 / 32768, -1, 0.5])


def test_equal_samples_have_equal_keys_and_others_not():
    stored = encode_audio(tone(), RATE)
    assert content_key(stored) == content_key(encode_audio(tone(), RATE))
    assert content_key(stored) != content_key(encode_audio(tone(level=0.31), RATE))
    assert len(content_key(stored)) == 32
    with pytest.raises(DataError, match="not a FLAC"):
        content_key(file_of(tone()))
    with pytest.raises(DataError, match="damaged"):
        decode_audio(stored[:60])


def test_clipped_samples_stand_in_runs():
    assert count_clipped(np.array([0.1, 1.0, 0.1, -1.0, -1.0, -1.0, 0.0])) == 3
    assert count_clipped(np.array([[1.0, 0.0], [1.0, 1.0]])) == 2
    assert count_clipped(tone()) == 0
    loud = np.clip(tone(level=2.0), -1, 1)
    clip = read_audio(file_of(loud), sample_rate_hz=RATE)
    assert clip.clipped == pytest.approx(2 / 3, abs=0.05)


def test_a_cut_of_an_mp3_is_exact_and_says_nothing(save, capfd):
    samples = 0.1 * np.random.default_rng(0).standard_normal(RATE * 5)
    path = save("a.mp3", file_of(samples, format="MP3"))
    whole = read_audio(path, sample_rate_hz=RATE).samples
    cut = read_audio(path, sample_rate_hz=RATE, start_s=2.0, end_s=3.0).samples
    np.testing.assert_allclose(cut, whole[2 * RATE : 3 * RATE], atol=1e-3)
    assert capfd.readouterr().err == ""
