"""m4a, aac and the audio of videos are read like any other audio, and nothing else is opened."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from aitk.core.contract.errors import DataError
from aitk.speech.data.audio import inspect_audio, read_audio, stream_audio

RATE = 16_000


def write_tone(path: Path, *, format: str | None = None, channels: int = 1) -> Path:
    """One second of 440 Hz as AAC, in the container of the file's extension."""
    import av

    layout = "stereo" if channels == 2 else "mono"
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.stack([tone] * channels), "fltp", layout)
    frame.rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    with av.open(str(path), "w", format=format) as container:
        stream = container.add_stream("aac", rate=RATE)
        stream.layout = layout
        fifo = av.AudioFifo()
        fifo.write(frame)
        while (part := fifo.read(1024, partial=True)) is not None:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "format", "channels"), [("a.m4a", None, 1), ("a.aac", "adts", 1), ("a.mkv", None, 2)]
)
def test_a_tone_comes_back_with_its_rate_channels_and_pitch(tmp_path, name, format, channels):
    path = write_tone(tmp_path / name, format=format, channels=channels)
    info = inspect_audio(path)
    assert (info.sample_rate_hz, info.channels) == (RATE, channels)
    assert info.seconds == pytest.approx(1.0, abs=0.1)
    samples = read_audio(path, sample_rate_hz=RATE).samples
    pitch_hz = np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples)
    assert pitch_hz == pytest.approx(440, abs=1)


def test_a_cut_and_blocks_are_the_same_samples_as_the_whole(tmp_path):
    path = write_tone(tmp_path / "a.m4a")
    whole = read_audio(path, sample_rate_hz=RATE).samples
    cut = read_audio(path, sample_rate_hz=RATE, start_s=0.5, end_s=0.9).samples
    assert np.array_equal(cut, whole[RATE // 2 : RATE // 2 + len(cut)])
    blocks = list(stream_audio(path.read_bytes(), sample_rate_hz=RATE, block_s=0.1))
    assert len(blocks) > 5
    assert np.array_equal(np.concatenate(blocks), whole)


@pytest.mark.parametrize(
    "listing", ["#EXTM3U\n#EXTINF:1,\n{}\n", "ffconcat version 1.0\nfile {}\n"]
)
def test_a_list_of_addresses_is_not_followed(tmp_path, listing):
    path = write_tone(tmp_path / "a.m4a")
    listed = tmp_path / "list.m4a"
    listed.write_text(listing.format(path))
    with pytest.raises(DataError, match="cannot be read as audio"):
        read_audio(listed, sample_rate_hz=RATE)


@pytest.mark.parametrize(("name", "format"), [("a.aac", "adts"), ("a.m4a", None)])
def test_a_file_that_is_cut_short_is_refused(tmp_path, name, format):
    path = write_tone(tmp_path / name, format=format)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match="cannot be read as audio|is damaged"):
        read_audio(path, sample_rate_hz=RATE)


def test_a_video_without_sound_reports_it(tmp_path):
    import av

    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match="has no audio"):
        inspect_audio(path)
