"""Recording from a microphone with a level meter and an automatic stop on silence."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.targets import check_file
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.progress import Reporter
from aitk.core.io.files import draft_file
from aitk.core.io.values import to_count
from aitk.core.runtime import interrupts
from aitk.core.runtime.environment import DISTRIBUTION
from aitk.speech.data.audio import count_clipped
from aitk.speech.data.options import RecordOptions
from aitk.speech.features.waveform import level_dbfs

BLOCK_S = 0.1
FORMATS = {".wav": "PCM_16", ".flac": "PCM_16", ".ogg": "VORBIS"}
#: Software tag of recordings.
SOFTWARE = "aitk"
#: Speech is this much above the quietest block, and above the floor.
ABOVE_NOISE_DB, LEAST_DBFS = 10.0, -60.0
METER_DBFS, METER_WIDTH = -60.0, 20
#: A device that sends nothing for this long has failed.
DEAD_S = 5.0


def list_devices() -> list[dict[str, Any]]:
    """The recording devices: number, name, channels, rate, and whether it is the default.

    Raises:
        ArtifactError: there is none, or sounddevice or PortAudio is missing.
    """
    sounddevice = _load()
    default = sounddevice.default.device[0]
    devices = [
        {
            "device": number,
            "name": device["name"],
            "channels": device["max_input_channels"],
            "rate_hz": int(device["default_samplerate"]),
            "default": number == default,
        }
        for number, device in enumerate(sounddevice.query_devices())
        if device["max_input_channels"] > 0
    ]
    if not devices:
        raise _no_microphone()
    return devices


def record(
    out: Path, *, options: RecordOptions, overwrite: bool = False, reporter: Reporter
) -> dict[str, Any]:
    """Record from a microphone into a file; Ctrl-C ends the recording and saves it.

    Args:
        out: a .wav, .flac or .ogg file.

    Returns:
        Facts of the recording: file, seconds, rate_hz, level_dbfs, clipped_share, stopped.

    Raises:
        UsageError: the file exists or has another suffix, or the device is unknown.
        ArtifactError: there is no microphone, or it is not accessible.
    """
    if out.suffix.lower() not in FORMATS:
        raise UsageError(
            f"cannot write {out.name!r}", where="--out", hint="Use .wav, .flac or .ogg"
        )
    check_file(out, overwrite=overwrite, is_own=_is_recording)
    with _microphone(options, reporter) as (blocks, rate):
        return save(out, blocks, sample_rate_hz=rate, options=options, reporter=reporter)


def save(
    out: Path,
    blocks: Iterable[np.ndarray],
    *,
    sample_rate_hz: int,
    options: RecordOptions,
    reporter: Reporter,
) -> dict[str, Any]:
    """Write blocks of ``BLOCK_S`` (n,) until a stop condition of the options holds.

    The file appears only when complete. See ``record``.
    """
    import soundfile

    count = clipped = 0
    power = 0.0
    kept = _Stop(options, reporter)
    suffix = out.suffix.lower()
    with draft_file(out) as part:
        with soundfile.SoundFile(
            part,
            "w",
            samplerate=sample_rate_hz,
            channels=1,
            format=suffix[1:].upper(),
            subtype=FORMATS[suffix],
        ) as file:
            file.software = SOFTWARE
            for block in kept.take(blocks):
                file.write(block)
                count += len(block)
                power += float(np.dot(block, block))
                clipped += count_clipped(block)
        if not count:
            raise ArtifactError(
                "nothing was recorded", hint="See: aitk speech record --list-devices"
            )
    level = 10 * np.log10(max(power / count, 1e-12))
    if level < LEAST_DBFS:
        reporter.warn("the recording is silent: is the microphone muted?")
    if clipped:
        reporter.warn(f"{clipped / count:.2%} of it is clipped: turn the microphone down")
    return {
        "file": str(out),
        "seconds": round(count / sample_rate_hz, 2),
        "rate_hz": sample_rate_hz,
        "level_dbfs": round(level, 1),
        "clipped_share": round(clipped / count, 6),
        "stopped": kept.reason,
    }


def _is_recording(path: Path) -> bool:
    """Whether a file has aitk's recording tag."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            return file.software.startswith(SOFTWARE)
    except soundfile.LibsndfileError:
        return False


class _Stop:
    """Passes blocks on and shows their level, until a stop condition holds."""

    def __init__(self, options: RecordOptions, reporter: Reporter):
        self._options, self._reporter = options, reporter
        self.reason = "the device stopped sending"

    def take(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        options = self._options
        quietest, loudest = 0.0, -np.inf
        silent = 0
        try:
            for number, block in enumerate(blocks, 1):
                if interrupts.requested():
                    interrupts.acknowledge()
                    self.reason = "Ctrl-C"
                    return
                level = level_dbfs(block)
                yield block
                quietest, loudest = min(quietest, level), max(loudest, level)
                threshold = max(quietest + ABOVE_NOISE_DB, LEAST_DBFS)
                silent = 0 if level >= threshold else silent + 1
                self._show(number, level)
                had_sound = options.stop_after > 0 and loudest >= threshold
                if had_sound and silent * BLOCK_S >= options.stop_after - 1e-9:
                    self.reason = f"{options.stop_after:g} s of silence"
                    return
                if number * BLOCK_S >= options.seconds - 1e-9:
                    self.reason = f"--seconds {options.seconds:g}"
                    return
        except KeyboardInterrupt:
            self.reason = "Ctrl-C"

    def _show(self, number: int, level: float) -> None:
        share = float(np.clip(1 - level / METER_DBFS, 0, 1))
        full = round(share * METER_WIDTH)
        meter = "#" * full + "-" * (METER_WIDTH - full)
        total = round(self._options.seconds)
        done = min(int(number * BLOCK_S), total - 1)
        self._reporter.update("recording", done, total, f"[{meter}] {level:.0f} dBFS")


@contextlib.contextmanager
def _microphone(
    options: RecordOptions, reporter: Reporter
) -> Iterator[tuple[Iterator[np.ndarray], int]]:
    """The blocks of a device, and its sample rate."""
    sounddevice = _load()
    named = options.device or ""
    number = to_count(named)
    device = options.device if number is None else number
    try:
        found = sounddevice.query_devices(device, "input")
    except ValueError as error:
        hint = "See: aitk speech record --list-devices"
        raise UsageError(str(error), where="--device", hint=hint) from error
    except sounddevice.PortAudioError as error:
        raise _no_microphone() from error
    rate = options.sample_rate_hz
    try:
        sounddevice.check_input_settings(device=device, channels=1, samplerate=rate)
    except sounddevice.PortAudioError:
        rate = int(found["default_samplerate"])
        reporter.note(f"{found['name']} does not support {options.sample_rate_hz} Hz: using {rate}")
    waiting: queue.Queue[np.ndarray] = queue.Queue()

    def receive(block: np.ndarray, count: int, time: Any, status: Any) -> None:
        del count, time, status
        waiting.put(block[:, 0].copy())

    def blocks() -> Iterator[np.ndarray]:
        with contextlib.suppress(queue.Empty):
            while True:
                yield waiting.get(timeout=DEAD_S)

    reporter.note(f"recording from {found['name']}; Ctrl-C stops")
    try:
        with sounddevice.InputStream(
            device=device,
            channels=1,
            samplerate=rate,
            dtype="float32",
            blocksize=round(BLOCK_S * rate),
            callback=receive,
        ):
            yield blocks(), rate
    except sounddevice.PortAudioError as error:
        raise ArtifactError(f"the microphone cannot be used ({error})") from error


def _no_microphone() -> ArtifactError:
    hint = "Connect one, or use an audio file with prepare and predict"
    return ArtifactError("no microphone was found", hint=hint)


def _load() -> Any:
    """The sounddevice package, which locates PortAudio on import."""
    try:
        import sounddevice
    except ImportError as error:
        raise ArtifactError(
            "recording needs the package sounddevice",
            hint=f"pip install '{DISTRIBUTION}[mic]'",
        ) from error
    except OSError as error:
        raise ArtifactError(
            "recording needs the library PortAudio",
            hint="On Debian and Ubuntu: apt-get install libportaudio2",
        ) from error
    return sounddevice
