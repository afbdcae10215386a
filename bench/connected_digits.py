"""Make utterances of connected digits out of recordings of single ones, one speaker held out.

    python bench/connected_digits.py FSDD OUT

FSDD is a folder of recordings named DIGIT_SPEAKER_NUMBER.wav, as the Free Spoken Digit Dataset has
them. An utterance is 3 to 7 of them by one speaker, with pauses between and coloured noise over
all. Written are

    train.csv, validation.csv, test.csv   audio, text, speaker; digits drawn at random
    phone_test.csv                        the same speaker as test.csv reads phone numbers
    phone.txt, phone.arpa                 other phone numbers of that kind, and a trigram of them

With --voices training has as many utterances again, of synthetic voices. Validation is of the
recorded speakers of training, in recordings that training does not have; test is of the speaker
held out. A phone number is zero, one of ten area codes of two digits, and four digits. The same
seed and recordings give the same samples.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from aitk.speech.decoding.ngram import train_ngram, write_arpa
from aitk.speech.features.augment import coloured_noise, with_noise
from aitk.speech.features.voice_activity import speech_bounds
from aitk.speech.features.waveform import resampled

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
AREAS = ("61", "62", "30", "40", "89", "69", "21", "22", "34", "35")
NUMBERS = 2000  # phone numbers to learn a language model of
VALIDATION_RECORDINGS = 5  # of each digit and speaker: the first, as in the data set's own split
PAUSE_S, EDGE_S = (0.03, 0.35), (0.1, 0.3)
NOISE_DB = (12.0, 30.0)
NAME = re.compile(r"(\d)_(\w+?)_(\d+)\.wav")

#: Speaker -> digit -> recordings, in the order of their numbers.
Recordings = dict[str, list[list[np.ndarray]]]


def main() -> None:
    """Read the recordings, write the utterances."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recordings", type=Path, metavar="FSDD")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--voices", type=Path, help="what bench/digit_voices.py wrote")
    parser.add_argument("--test-speaker", default="jackson")
    parser.add_argument("--train", type=int, default=1600, help="utterances")
    parser.add_argument("--validation", type=int, default=120, help="utterances")
    parser.add_argument("--test", type=int, default=200, help="utterances of each kind")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    recordings, rate = read_recordings(told.recordings)
    voices = read_recordings(told.voices, rate)[0] if told.voices else {}
    voices = {name: digits for name, digits in voices.items() if all(digits)}
    if told.test_speaker not in recordings:
        parser.error(f"no speaker {told.test_speaker}, but {', '.join(recordings)}")
    others = [name for name in recordings if name != told.test_speaker]
    early, late = slice(0, VALIDATION_RECORDINGS), slice(VALIDATION_RECORDINGS, None)
    every = slice(None)
    splits: list[tuple[str, int, Sequence[str], slice, Callable]] = [
        ("train", told.train, others, late, any_digits),
        ("validation", told.validation, others, early, any_digits),
        ("test", told.test, [told.test_speaker], every, any_digits),
        ("phone_test", told.test, [told.test_speaker], every, phone_number),
    ]
    if voices:
        splits.append(("train", told.train, list(voices), every, any_digits))
    manifests: dict[str, list[tuple[str, str, str]]] = {}
    for place, (name, count, speakers, which, draw) in enumerate(splits):
        random = np.random.default_rng([told.seed, place])
        rows = manifests.setdefault(name, [])
        for number in range(count):
            speaker = speakers[number % len(speakers)]
            digits = draw(random)
            own = (recordings | voices)[speaker]
            samples = join([own[digit][which] for digit in digits], rate, random)
            audio = Path(name) / f"{len(rows):05}.flac"
            (told.out / audio).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(told.out / audio, samples, rate, subtype="PCM_16")
            rows.append((str(audio), spoken(digits), speaker))
    for name, rows in manifests.items():
        write_manifest(told.out / f"{name}.csv", rows)
    random = np.random.default_rng([told.seed, NUMBERS])
    numbers = [spoken(phone_number(random)) for _ in range(NUMBERS)]
    (told.out / "phone.txt").write_text("\n".join(numbers) + "\n", encoding="utf-8")
    write_arpa(train_ngram(map(str.split, numbers), order=3), told.out / "phone.arpa")


def read_recordings(folder: Path, wanted_hz: int | None = None) -> tuple[Recordings, int]:
    """All recordings, and the rate in hertz that they have, or (synthetic voices) are brought to,
    the silence cut off that synthesisers put around a word."""
    found: dict[str, list[dict[int, np.ndarray]]] = {}
    rate = 0
    for path in sorted(folder.glob("*.wav")):
        name = NAME.fullmatch(path.name)
        if name is None:
            continue
        samples, rate = soundfile.read(path, dtype="float32")
        if wanted_hz:
            samples, rate = resampled(samples, rate, wanted_hz), wanted_hz
            samples = samples[slice(*speech_bounds(samples, rate))]
        digits = found.setdefault(name[2], [{} for _ in DIGITS])
        digits[int(name[1])][int(name[3])] = samples
    if not found:
        raise SystemExit(f"{folder} holds no DIGIT_SPEAKER_NUMBER.wav")
    ordered = {
        speaker: [[each[number] for number in sorted(each)] for each in digits]
        for speaker, digits in sorted(found.items())
    }
    return ordered, rate


def any_digits(random: np.random.Generator) -> list[int]:
    """3 to 7 digits, each as likely as the others."""
    return random.integers(10, size=random.integers(3, 8)).tolist()


def phone_number(random: np.random.Generator) -> list[int]:
    """Zero, an area code, four digits."""
    area = AREAS[random.integers(len(AREAS))]
    return [0, *map(int, area), *random.integers(10, size=4).tolist()]


def spoken(digits: Sequence[int]) -> str:
    """Digits as words."""
    return " ".join(DIGITS[digit] for digit in digits)


def join(
    choices: Sequence[Sequence[np.ndarray]], rate: int, random: np.random.Generator
) -> np.ndarray:
    """One recording of each digit after the other, with pauses and noise: (n,) float32."""
    parts = [silence(EDGE_S, rate, random)]
    for recordings in choices:
        parts.append(recordings[random.integers(len(recordings))])
        parts.append(silence(PAUSE_S, rate, random))
    parts.append(silence(EDGE_S, rate, random))
    samples = np.concatenate(parts)
    samples *= random.uniform(0.3, 0.9) / np.abs(samples).max()
    noise = coloured_noise(len(samples), slope=random.uniform(0.0, 2.0), rng=random)
    return with_noise(samples, noise, ratio_db=random.uniform(*NOISE_DB))


def silence(seconds: tuple[float, float], rate: int, random: np.random.Generator) -> np.ndarray:
    """Nothing, for a time between two bounds."""
    return np.zeros(round(random.uniform(*seconds) * rate), np.float32)


def write_manifest(path: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    """Write audio, text and speaker of each utterance."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("audio", "text", "speaker"))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
