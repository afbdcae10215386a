"""Spoken digits by synthetic voices, to train with beside the recordings of few speakers.

    python bench/digit_voices.py OUT [--cut-silence]

Writes DIGIT_VOICE_NUMBER.wav: every digit six times, at other paces and pitches. Needs of Debian
``espeak-ng``, ``flite``, and of its contrib and non-free parts ``mbrola``, the voices that
``apt-cache search '^mbrola-'`` lists, and ``libttspico-utils``. A MBROLA voice is made of one
person's recordings; most were made for other languages, and speak English here with the accent
that this gives. Those are left out of which a network trained on recordings and on all voices
understood less than nine digits in ten: their languages lack the sounds.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PACES_AND_PITCHES = ((110, 45), (130, 60), (150, 30), (170, 50), (190, 70), (215, 40))
ENGLISH = ("en1", "us1", "us2", "us3")
MISHEARD = (
    "ar1", "ar2", "cn1", "cz1", "cz2", "de8", "ee1", "es3", "es4", "hb1", "hb2", "it1", "it2",
    "jp1", "jp2", "jp3", "lt2", "ma1", "nl1", "nz1", "tl1", "tr1", "tr2",
)  # fmt: skip
FLITE_VOICES = ("kal16", "awb", "rms", "slt")
FLITE_STRETCHES = (0.7, 0.85, 1.0, 1.15, 1.3, 1.5)
PICO_LANGUAGES = ("en-US", "en-GB")
PICO_PACES_AND_PITCHES = ((85, 100), (95, 75), (100, 85), (100, 115), (115, 95), (130, 105))
MBROLA = Path("/usr/share/mbrola")
FRAME_S = 0.01
MOST_BELOW_PEAK_DB, MARGIN_FRAMES = 50.0, 2  # of a word, and around it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--cut-silence", action="store_true", help="leave 20 ms around a word")
    told = parser.parse_args()
    out = told.out
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "espeak-ng-data"
        shutil.copytree(espeak_data(), data)
        voices = [add_english_voice(data, name) for name in mbrola_voices(data)]
        environment = os.environ | {"ESPEAK_DATA_PATH": scratch}
        commands = [
            ["espeak-ng", "-v", f"mb/{file}", "-s", str(pace), "-p", str(pitch), "-w",
             str(out / f"{digit}_mb{name}_{number}.wav"), word]
            for name, file in voices
            for digit, word in enumerate(DIGITS)
            for number, (pace, pitch) in enumerate(PACES_AND_PITCHES)
        ]  # fmt: skip
        commands += [
            ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "-t", word, "-o",
             str(out / f"{digit}_fl{voice}_{number}.wav")]
            for voice in FLITE_VOICES
            for digit, word in enumerate(DIGITS)
            for number, stretch in enumerate(FLITE_STRETCHES)
        ]  # fmt: skip
        commands += [
            ["pico2wave", "-l", language, "-w",
             str(out / f"{digit}_pico{language.replace('-', '')}_{number}.wav"),
             f'<speed level="{pace}"><pitch level="{pitch}">{word}</pitch></speed>']
            for language in PICO_LANGUAGES
            for digit, word in enumerate(DIGITS)
            for number, (pace, pitch) in enumerate(PICO_PACES_AND_PITCHES)
        ]  # fmt: skip
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda command: run(command, environment), commands))
    said = drop_silent(out)
    if told.cut_silence:
        for path in out.glob("*.wav"):
            cut_silence(path)
    count = len(voices) + len(FLITE_VOICES) + len(PICO_LANGUAGES)
    print(f"{said} sounds of {count} voices in {out}")


def espeak_data() -> Path:
    """Where espeak-ng keeps its voices."""
    told = subprocess.run(
        ["espeak-ng", "--version"], capture_output=True, text=True, check=True
    ).stdout
    return Path(told.rsplit("Data at: ", 1)[1].strip())


def mbrola_voices(data: Path) -> list[str]:
    """The names of the MBROLA voices that are there, and that espeak-ng knows to drive."""
    known = {path.name.removeprefix("mb-") for path in (data / "voices" / "mb").iterdir()}
    return sorted(name for name in known - set(MISHEARD) if (MBROLA / name / name).is_file())


def add_english_voice(data: Path, name: str) -> tuple[str, str]:
    """The name of a voice, and the file of its English, which is written where there is none."""
    folder = data / "voices" / "mb"
    own = folder / f"mb-{name}"
    english = own if name in ENGLISH else folder / f"mb-{name}-en"
    if not english.exists():
        told = own.read_text("utf-8", errors="replace")
        database = re.search(r"^mbrola .*$", told, re.M).group()
        pitch = re.search(r"^pitch .*$", told, re.M)
        lines = [f"name en-mb-{name}", "language en 10", "dictrules 1", "voicing 70", database]
        english.write_text("\n".join([*lines, pitch.group() if pitch else "pitch 82 117", ""]))
    return name, english.name


def drop_silent(folder: Path) -> int:
    """Delete what holds no sound, as of a voice that lacks one of the word's: how many stay."""
    paths = sorted(folder.glob("*.wav"))
    silent = [path for path in paths if np.abs(soundfile.read(path)[0]).max() < 0.01]
    for path in silent:
        path.unlink()
    return len(paths) - len(silent)


def cut_silence(path: Path) -> None:
    """Cut off what comes before a word and after it, but the margin."""
    samples, sample_rate_hz = soundfile.read(path)
    step = int(FRAME_S * sample_rate_hz)
    frames = samples[: len(samples) // step * step].reshape(-1, step)
    levels_db = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    said = np.flatnonzero(levels_db > levels_db.max() - MOST_BELOW_PEAK_DB)
    first = max(0, said[0] - MARGIN_FRAMES) * step
    last = (said[-1] + 1 + MARGIN_FRAMES) * step
    soundfile.write(path, samples[first:last], sample_rate_hz)


def run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, check=True, capture_output=True, env=environment)


if __name__ == "__main__":
    main()
