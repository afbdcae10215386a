"""What is said in a sound, written in one way."""

from __future__ import annotations

import re
import unicodedata

from aitk.speech.data.options import TranscribedAudioReading

# An apostrophe between letters belongs to its word: don't, l'eau.
_APOSTROPHE = re.compile(r"(?<=\w)['’ʼ](?=\w)")
_KEPT = "\ue000"  # stands for such an apostrophe while punctuation is dropped; itself in no text


def clean_transcript(text: str, reading: TranscribedAudioReading) -> str:
    """A transcript as ``reading`` says, with single spaces; it may be empty then."""
    if reading.unicode_form != "none":
        text = unicodedata.normalize(reading.unicode_form, text)  # type: ignore[arg-type]
    if reading.lowercase:
        text = text.lower()
    if reading.strip_punctuation:
        text = _APOSTROPHE.sub(_KEPT, text.replace(_KEPT, " "))
        text = "".join(
            " " if unicodedata.category(character)[0] in "PS" else character for character in text
        ).replace(_KEPT, "'")
    return " ".join(text.split())
