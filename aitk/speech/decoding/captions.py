"""Transcripts with times as captions (.srt, .vtt) and as timed words (.ctm)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import UsageError

#: A caption has about two lines on screen and ends at a pause.
LONGEST_CHARACTERS, LONGEST_S, PAUSE_S = 84, 7.0, 0.8
LINE_CHARACTERS = 42
#: Columns that identify the recording, in order of preference.
RECORDING_COLUMNS = ("file", "audio", "audio_path", "audio_file", "path", "wav", "id")


class _Captions:
    """Numbered captions; see ``aitk.core.io.prediction_files.PredictionLines``."""

    needs_columns = False
    opening = ""
    decimal = "."

    def __init__(self) -> None:
        #: Number of captions so far, and their recording.
        self.columns: list[str] = []
        self.left_out: set[str] = set()

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """Format the captions of more rows; rows in error have none."""
        text = "" if self.columns else self.opening
        self.columns = self.columns or ["0", ""]
        for row in rows:
            words = words_of(row)
            if not words:
                continue
            self._refuse_another(recording_of(row))
            for caption in captions_of(words):
                number = int(self.columns[0]) + 1
                text += self._caption(number, caption)
                self.columns[0] = str(number)
        return text

    def tail(self) -> str:
        """Nothing."""
        return ""

    def recognises(self, head: str, names: Sequence[str]) -> bool:
        """Whether the first caption has a number and a time in this format."""
        del names
        time = rf"\d\d+:\d\d:\d\d{re.escape(self.decimal)}\d{{3}}"
        begin = re.escape(self.opening + self._number(1))
        return head == self.opening or bool(re.match(f"{begin}{time} --> {time}\n", head))

    def _caption(self, number: int, words: Sequence[Mapping[str, Any]]) -> str:
        start, end = (self._time(at) for at in (words[0]["start"], words[-1]["end"]))
        return f"{self._number(number)}{start} --> {end}\n{_lines(words)}\n\n"

    def _number(self, number: int) -> str:
        return f"{number}\n"

    def _time(self, seconds: float) -> str:
        ms = round(1000 * seconds)
        minutes, ms = divmod(ms, 60_000)
        hours, minutes = divmod(minutes, 60)
        return f"{hours:02}:{minutes:02}:{ms // 1000:02}{self.decimal}{ms % 1000:03}"

    def _refuse_another(self, recording: str) -> None:
        if self.columns[1] not in ("", recording):
            raise UsageError(
                f"captions cover one recording, but after {self.columns[1]} comes {recording}",
                where="--out",
                hint="Write a .ctm or .jsonl file, or predict one recording at a time",
            )
        self.columns[1] = recording


class SrtLines(_Captions):
    """SubRip captions."""

    decimal = ","


class VttLines(_Captions):
    """WebVTT captions (W3C)."""

    opening = "WEBVTT\n\n"

    def _number(self, number: int) -> str:
        del number  # WebVTT needs no numbers
        return ""

    def _caption(self, number: int, words: Sequence[Mapping[str, Any]]) -> str:
        text = super()._caption(number, words)
        times, _, caption = text.partition("\n")
        caption = caption.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"{times}\n{caption}"


class CtmLines:
    """NIST CTM: lines of recording, channel, start, duration, word, confidence."""

    needs_columns = False

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.left_out: set[str] = set()

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """Format the words of more rows."""
        lines = []
        for row in rows:
            name = "_".join(recording_of(row).split()) or "recording"
            for word in words_of(row):
                start, end = word["start"], word["end"]
                lines.append(
                    f"{name} 1 {start:.3f} {end - start:.3f} {word['word']}"
                    f" {word['confidence']:.4f}\n"
                )
        return "".join(lines)

    def tail(self) -> str:
        """Nothing."""
        return ""

    def recognises(self, head: str, names: Sequence[str]) -> bool:
        """Whether the first line has these six fields with the same decimals."""
        del names
        return bool(re.match(r"\S+ 1 \d+\.\d{3} \d+\.\d{3} \S+ \d\.\d{4}\n", head))


def words_of(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The timed words of a predicted row, from its last field.

    Raises:
        UsageError: the predictions have no word times.
    """
    if "error" in row:
        return []
    for name in reversed(list(row)):
        if name.removeprefix("predicted_").startswith("words") and isinstance(row[name], list):
            return row[name]
    raise UsageError("captions need word times", where="--no-words", hint="Leave it out")


def recording_of(row: Mapping[str, Any]) -> str:
    """The name of a row's recording, without suffix; "" if no column names it."""
    for name in RECORDING_COLUMNS:
        if row.get(name):
            return Path(str(row[name])).stem if name != "id" else str(row[name])
    return ""


def captions_of(words: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Split words into captions: at pauses, and before a caption gets too long to read."""
    captions: list[list[Mapping[str, Any]]] = []
    for word in words:
        current = captions[-1] if captions else None
        if current is None or (
            word["start"] - current[-1]["end"] > PAUSE_S
            or word["end"] - current[0]["start"] > LONGEST_S
            or sum(len(each["word"]) + 1 for each in current) + len(word["word"])
            > LONGEST_CHARACTERS
        ):
            captions.append([])
        captions[-1].append(word)
    return captions


def _lines(words: Sequence[Mapping[str, Any]]) -> str:
    """The text of a caption, on two lines if long."""
    text = " ".join(word["word"] for word in words)
    if len(text) <= LINE_CHARACTERS:
        return text
    blanks = [at for at, letter in enumerate(text) if letter == " "]
    if not blanks:
        return text
    middle = min(blanks, key=lambda at: abs(at - len(text) / 2))
    return f"{text[:middle]}\n{text[middle + 1 :]}"
