"""Whisper on read sentences: word errors from two kinds of source, speed, times, fine-tuning.

    python bench/whisper.py SOUNDS SOURCE [SOURCE ...]

SOUNDS is a folder with a file ``transcription``, a line ``<s> words </s> (name)`` for each
``name.wav``: that of Debian's package pocketsphinx-testdata has five sentences of LibriVox. Each
SOURCE is a Whisper for English as a Keras Hub preset or a Hugging Face folder. The first is also
trained for 20 steps on those sentences, to show that its loss falls.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aitk.speech.data.audio import inspect_audio
from aitk.speech.data.options import TranscribedAudioReading
from aitk.speech.data.transcripts import clean_transcript
from aitk.speech.metrics.wer import score_transcripts

STEPS = 20
#: Abbreviations that Whisper writes and the transcripts spell.
SPELLED = {"mr": "mister", "mrs": "missis", "dr": "doctor"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sounds", type=Path)
    parser.add_argument("sources", type=Path, nargs="+")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aitk-whisper-") as name:
        folder = Path(name)
        rows = read_rows(given.sounds.resolve())
        manifest = folder / "sentences.csv"
        with manifest.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerows([("audio", "text"), *rows])
        aitk("prepare", manifest, "--task", "asr", "--outside", "--split", "100/0/0",
             "--out", folder / "data")  # fmt: skip
        texts = []
        for number, source in enumerate(given.sources):
            run = folder / f"run{number}"
            aitk("finetune", folder / "data", "--from", source, "--epochs", 0, "--out", run)
            texts.append(transcribe(run, manifest, rows, str(source)))
        print("all sources write the same:", all(each == texts[0] for each in texts))
        fine_tune(folder, given.sources[0], len(rows))


def read_rows(sounds: Path) -> list[tuple[str, str]]:
    """(file, text) of every sentence."""
    lines = (sounds / "transcription").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"<s>\s*(.*?)\s*</s>\s*\((.+)\)\s*", line) for line in lines]
    return [(str(sounds / f"{each[2]}.wav"), each[1]) for each in found if each]


def transcribe(run: Path, manifest: Path, rows: list[tuple[str, str]], source: str) -> list[str]:
    """Predict the sentences once; print word errors, times and speed. Returns the texts."""
    out = run.with_suffix(".jsonl")
    wall_s, cpu_s = aitk("predict", run, manifest, "--out", out)
    answers = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    heard = [answer["predicted_text"] for answer in answers]
    metrics, _, _ = score_transcripts([plain(text) for _, text in rows], list(map(plain, heard)))
    lengths = [inspect_audio(file).seconds for file, _ in rows]
    print(f"\n{source}: WER {metrics['wer'].value:.4f}, CER {metrics['cer'].value:.4f}")
    for answer, text, seconds in zip(answers, heard, lengths, strict=True):
        words = answer["words"]
        print(f"  {words[0]['start']:.2f} to {words[-1]['end']:.2f} of {seconds:.2f} s: {text}")
    whole = sum(lengths)
    print(
        f"  {whole:.1f} s of sound in {wall_s:.1f} s, {cpu_s:.1f} s of CPU, the start of Python and"
        f" TensorFlow included; real-time factor {wall_s / whole:.2f}, of CPU {cpu_s / whole:.2f}"
        f" (load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs)"
    )
    return heard


def fine_tune(folder: Path, source: Path, rows: int) -> None:
    """Train some steps; print the loss of each epoch."""
    run = folder / "taught"
    wall_s, _ = aitk("finetune", folder / "data", "--from", source, "--out", run, "--batch-size", 1,
                     "--epochs", -(-STEPS // rows))  # fmt: skip
    with (run / "history.csv").open(newline="", encoding="utf-8") as file:
        losses = [float(line["loss"]) for line in csv.DictReader(file)]
    print(f"\nfine-tuning, {len(losses) * rows} steps in {wall_s:.0f} s, loss by epoch:",
          ", ".join(f"{loss:.4f}" for loss in losses))  # fmt: skip


def plain(text: str) -> str:
    """Without case and punctuation, abbreviations spelled."""
    words = clean_transcript(text, TranscribedAudioReading()).split()
    return " ".join(SPELLED.get(word, word) for word in words)


def aitk(stage: str, *arguments: object) -> tuple[float, float]:
    """Run a command of ``aitk speech``; returns the seconds it took, and those of CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    command = [sys.executable, "-m", "aitk", "speech", stage, *map(str, arguments), "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began, used


if __name__ == "__main__":
    main()
