"""Recording: it ends at silence, shows the level, and reports missing parts."""

import os
import signal
import sys
import types

import numpy as np
import pytest
import soundfile

from aitk import registry as tasks
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.progress import Silent
from aitk.core.runtime import interrupts
from aitk.speech.data.options import RecordOptions
from aitk.speech.data.recording import list_devices, record, save

RATE = 8000


class Told(Silent):
    """Records notes."""

    def __init__(self):
        self.said, self.levels = [], []

    def note(self, text):
        self.said.append(text)

    warn = note

    def update(self, what, done, total, detail=""):
        self.levels.append(detail)


def blocks(*levels):
    """0.1 s of noise at each level."""
    rng = np.random.default_rng(0)
    return [(level * rng.standard_normal(RATE // 10)).astype(np.float32) for level in levels]


def saved(path, heard, reporter=None, **options):
    return save(
        path,
        iter(heard),
        sample_rate_hz=RATE,
        options=RecordOptions(**options),
        reporter=reporter or Told(),
    )


def test_stops_after_a_silence_once_something_was_heard(tmp_path):
    quiet, loud = [0.001] * 10, [0.1] * 8
    facts = saved(tmp_path / "a.wav", blocks(*quiet * 3, *loud, *quiet * 5), stop_after=1.0)
    assert facts["stopped"] == "1 s of silence"
    assert facts["seconds"] == pytest.approx(3 + 0.8 + 1)
    samples, rate = soundfile.read(tmp_path / "a.wav")
    assert (len(samples), rate) == (facts["seconds"] * RATE, RATE)


def test_speech_without_a_pause_continues_until_its_longest(tmp_path):
    facts = saved(tmp_path / "a.flac", blocks(*[0.1] * 40), seconds=2.0)
    assert (facts["stopped"], facts["seconds"]) == ("--seconds 2", 2.0)


def test_silence_alone_never_stops_where_that_is_requested(tmp_path):
    heard = blocks(*[0.1] * 5, *[0.001] * 60)
    facts = saved(tmp_path / "a.ogg", heard, stop_after=0.0)
    assert (facts["stopped"], facts["seconds"]) == ("the device stopped sending", 6.5)


def test_ctrl_c_ends_a_recording_and_keeps_it(tmp_path):
    def interrupted():
        yield from blocks(0.1, 0.1, 0.1)
        os.kill(os.getpid(), signal.SIGINT)
        yield from blocks(0.1, 0.1)

    with interrupts.listening():
        facts = saved(tmp_path / "a.wav", interrupted())
        assert not interrupts.requested()  # it was the regular end
    assert (facts["stopped"], facts["seconds"]) == ("Ctrl-C", 0.3)
    assert soundfile.info(tmp_path / "a.wav").frames == 2400


def test_a_second_ctrl_c_keeps_what_a_silent_device_gave(tmp_path):
    def interrupted():
        yield from blocks(0.1, 0.1, 0.1)
        raise KeyboardInterrupt

    assert saved(tmp_path / "a.wav", interrupted())["seconds"] == 0.3


def test_the_meter_shows_the_level(tmp_path):
    told = Told()
    saved(tmp_path / "a.wav", blocks(0.001, 0.5), told)
    assert told.levels == ["[" + "-" * 20 + "] -60 dBFS", "[" + "#" * 18 + "-" * 2 + "] -6 dBFS"]


def test_silent_and_clipped_recordings_are_reported(tmp_path):
    told = Told()
    saved(tmp_path / "a.wav", blocks(0.0, 0.0), told)
    saved(tmp_path / "b.wav", [np.ones(800, np.float32)], told)
    assert "is the microphone muted" in told.said[0]
    assert "100.00% of it is clipped" in told.said[1]


def test_nothing_recorded_leaves_nothing(tmp_path):
    with pytest.raises(ArtifactError, match="nothing was recorded"):
        saved(tmp_path / "a.wav", [])
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_written_are_refused_first(tmp_path):
    with pytest.raises(UsageError, match=r"cannot write 'a.mp4'"):
        record(tmp_path / "a.mp4", options=RecordOptions(), reporter=Told())
    (tmp_path / "a.wav").touch()
    with pytest.raises(UsageError, match="exists already"):
        record(tmp_path / "a.wav", options=RecordOptions(), reporter=Told())


class PortAudioError(Exception):
    pass


@pytest.fixture
def sounddevice(monkeypatch):
    """A sounddevice package with one microphone, at 8 kHz only, that hears 0.3 s."""
    module = types.ModuleType("sounddevice")
    microphone = {"name": "Headset", "max_input_channels": 2, "default_samplerate": 8000.0}
    speaker = {"name": "Speaker", "max_input_channels": 0, "default_samplerate": 48000.0}

    class InputStream:
        def __init__(self, *, callback, blocksize, **settings):
            self._callback, self._blocksize = callback, blocksize

        def __enter__(self):
            for block in blocks(0.1, 0.1, 0.1):
                assert len(block) == self._blocksize
                self._callback(block[:, None], len(block), None, None)

        def __exit__(self, *error):
            return None

    def query(device=None, kind=None):
        if kind is None:
            return [speaker, microphone]
        if device == "nobody":
            raise ValueError("No input device matching 'nobody'")
        return microphone

    def check(*, samplerate, **settings):
        if samplerate != 8000:
            raise PortAudioError("Invalid sample rate")

    module.default = types.SimpleNamespace(device=[1, 0])
    module.query_devices, module.check_input_settings = query, check
    module.InputStream, module.PortAudioError = InputStream, PortAudioError
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_devices_that_can_record_are_listed(sounddevice):
    assert list_devices() == [
        {"device": 1, "name": "Headset", "channels": 2, "rate_hz": 8000, "default": True}
    ]


def test_records_at_the_rate_that_the_device_has(sounddevice, tmp_path):
    told = Told()
    facts = record(tmp_path / "a.wav", options=RecordOptions(seconds=0.3), reporter=told)
    assert (facts["rate_hz"], facts["seconds"]) == (8000, 0.3)
    assert told.said == [
        "Headset does not support 16000 Hz: using 8000",
        "recording from Headset; Ctrl-C stops",
    ]


def test_unknown_devices_and_machines_without_a_microphone(sounddevice, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="No input device matching 'nobody'"):
        record(tmp_path / "a.wav", options=RecordOptions(device="nobody"), reporter=Told())

    def nothing(device=None, kind=None):
        if kind is None:
            return []
        raise PortAudioError("Error querying device -1")

    monkeypatch.setattr(sounddevice, "query_devices", nothing)
    with pytest.raises(ArtifactError, match="no microphone was found"):
        record(tmp_path / "a.wav", options=RecordOptions(), reporter=Told())
    with pytest.raises(ArtifactError, match="no microphone was found"):
        list_devices()


def test_what_is_missing_is_said_with_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ArtifactError, match=r"pip install 'aitk-toolkit\[mic\]'"):
        list_devices()


def test_the_command(aitk, sounddevice, tmp_path, monkeypatch):
    monkeypatch.setitem(tasks.DOMAINS, "speech", "speech: sounds")
    assert "record" in aitk("speech", "--help").out
    assert "record" not in aitk("nlp", "--help").out
    assert "Headset" in aitk("speech", "record", "--list-devices").err
    result = aitk("speech", "record", "--out", tmp_path / "a.wav", "--seconds", "0.3", "--json")
    assert result.code == 2  # at least half a second
    assert aitk("speech", "record").code == 2
    assert "      aitk speech record --out request.wav" in aitk("speech", "record", "--help").out
