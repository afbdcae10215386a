"""Write the sample sounds: a voice menu's keywords and short requests, spoken by espeak-ng.

Run ``python sample_data/make_speech.py`` to write the files again (Debian: apt-get install
espeak-ng; written with its version 1.51, and other versions may sound a little different).
Nobody was recorded. A .flac file holds many sounds one after another, 8 kHz and 8 bits, and the
.csv file beside it says where each begins and ends.

    commands.csv         id, audio, start, end, label, speaker
    commands_new.csv     id, audio, start, end               (to predict: two other speakers)
    commands_update.csv  as commands.csv, of new speakers    (to update with)
    requests.csv         id, audio, start, end, text, speaker
    requests_new.csv     id, audio, start, end               (to predict)
    requests_update.csv  as requests.csv, of new speakers    (to update with)
    voices.csv           id, audio, start, end               (both, to pretrain on)
"""

from __future__ import annotations

import csv
import io
import random
import subprocess
from pathlib import Path

import numpy as np
import soundfile
import soxr

HERE = Path(__file__).parent
RATE_HZ = 8000
PEAK = 0.3
PAUSE_S = 0.1
QUIET = 0.01  # espeak-ng's silence around a word is cut off below this share of its peak

KEYWORDS = ("yes", "no", "stop", "help", "agent", "bill", "order", "repeat", "cancel", "back")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ASKED = ("call", "pay bill", "cancel order", "repeat", "order")

# Speaker -> espeak-ng's voice, and its usual pitch (0 to 99) and speed (words a minute).
SPEAKERS = {
    "ada": ("en-us+f2", 60, 180),
    "ben": ("en-gb+m3", 40, 190),
    "cleo": ("en-gb-scotland+f4", 55, 185),
    "dan": ("en-us+m1", 30, 175),
    "eve": ("en-029+f3", 65, 195),
    "finn": ("en-gb-x-rp+m7", 45, 185),
}
NEW_SPEAKERS = {"gus": ("en-us+m4", 38, 185), "hana": ("en-gb+f5", 58, 180)}
LATER_SPEAKERS = {"ines": ("en-gb-x-gbclan+f1", 62, 185), "jon": ("en-us+m6", 48, 180)}


class Recording:
    """Sounds one after another in one file, and the list of where each is."""

    def __init__(self, name: str, seed: int):
        self.name = name
        self.random = random.Random(seed)
        self.sounds: list[np.ndarray] = []
        self.rows: list[dict[str, str]] = []
        self.at = 0

    def say(self, words: str, speaker: str, voice: tuple[str, int, int], **told: str) -> None:
        """Add one sound, a little different from what the speaker said before."""
        name, pitch, speed = voice
        sound = speak(
            words,
            name,
            pitch=pitch + self.random.randint(-6, 6),
            speed=round(speed * self.random.uniform(0.9, 1.15)),
        )
        sound *= self.random.uniform(0.6, 1.0)
        end = self.at + len(sound)
        self.rows.append(
            {
                "id": f"{self.name[0]}{self.name.partition('_')[2][:1]}{len(self.rows) + 1:03}",
                "audio": f"{self.name}.flac",
                "start": f"{self.at / RATE_HZ:.4f}",
                "end": f"{end / RATE_HZ:.4f}",
                **told,
                "speaker": speaker,
            }
        )
        self.sounds += [sound, np.zeros(round(PAUSE_S * RATE_HZ), np.float32)]
        self.at = end + len(self.sounds[-1])

    def write(self, *columns: str) -> None:
        """Write the sounds, and of their rows these columns."""
        samples = np.concatenate(self.sounds)
        soundfile.write(
            HERE / f"{self.name}.flac", samples, RATE_HZ, format="FLAC", subtype="PCM_S8"
        )
        write_csv(self.name, self.rows, columns)


def speak(text: str, voice: str, *, pitch: int, speed: int) -> np.ndarray:
    """What espeak-ng says, (n,) float32 at 8 kHz, without the silence around it."""
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(speed), "--stdout", text]
    done = subprocess.run(command, capture_output=True, check=True)
    samples, rate = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    samples = soxr.resample(samples, rate, RATE_HZ)
    samples *= PEAK / np.abs(samples).max()
    loud = np.flatnonzero(np.abs(samples) > QUIET * PEAK)
    return samples[loud[0] : loud[-1] + 1]


def add_commands(
    recording: Recording, speakers: dict[str, tuple[str, int, int]], times: int
) -> None:
    """Every speaker says every keyword so many times, in a mixed order."""
    said = [(word, speaker) for speaker in speakers for word in KEYWORDS * times]
    recording.random.shuffle(said)
    for word, speaker in said:
        recording.say(word, speaker, speakers[speaker], label=word)


def add_requests(
    recording: Recording, speakers: dict[str, tuple[str, int, int]], count: int
) -> None:
    """Requests with numbers of two to four digits, the speakers in turn."""
    for number in range(count):
        speaker = list(speakers)[number % len(speakers)]
        digits = recording.random.choices(DIGITS, k=recording.random.randint(2, 4))
        text = " ".join((recording.random.choice(ASKED), *digits))
        recording.say(text, speaker, speakers[speaker], text=text)


def write_csv(name: str, rows: list[dict[str, str]], columns: tuple[str, ...]) -> None:
    """Write these columns of rows."""
    with (HERE / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Write all files."""
    place = ("id", "audio", "start", "end")
    recordings = {
        name: Recording(name, seed)
        for seed, name in enumerate(
            ("commands", "commands_new", "commands_update",
             "requests", "requests_new", "requests_update")
        )
    }  # fmt: skip
    add_commands(recordings["commands"], SPEAKERS, times=2)
    add_commands(recordings["commands_new"], NEW_SPEAKERS, times=1)
    add_commands(recordings["commands_update"], LATER_SPEAKERS, times=1)
    add_requests(recordings["requests"], SPEAKERS, count=36)
    add_requests(recordings["requests_new"], NEW_SPEAKERS, count=6)
    add_requests(recordings["requests_update"], LATER_SPEAKERS, count=8)
    for name, recording in recordings.items():
        known = "label" if name.startswith("commands") else "text"
        recording.write(*place, *(() if name.endswith("_new") else (known, "speaker")))
    heard = [*recordings["commands"].rows, *recordings["requests"].rows]
    write_csv("voices", heard, place)


if __name__ == "__main__":
    main()
