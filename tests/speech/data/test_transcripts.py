"""Transcripts: one normalised form, set by the options."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.speech.data.options import TranscribedAudioReading
from aitk.speech.data.transcripts import clean_transcript


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("  Hello,  World! ", {}, "hello world"),
        ("Don't 'quote' me", {}, "don't quote me"),
        ("l’eau d'ici — vite", {}, "l'eau d'ici vite"),
        ("re-enter", {}, "re enter"),
        ("Hello, World", {"lowercase": False, "strip_punctuation": False}, "Hello, World"),
        ("cafe\u0301", {}, "café"),
        ("ｈｉ", {"unicode_form": "NFKC"}, "hi"),
        ("你好，世界。", {}, "你好 世界"),
        ("...", {}, ""),
    ],
)
def test_transcripts(text, options, expected):
    assert clean_transcript(text, TranscribedAudioReading(**options)) == expected


@given(st.text())
def test_cleaning_twice_changes_nothing_more(text):
    reading = TranscribedAudioReading()
    once = clean_transcript(text, reading)
    assert clean_transcript(once, reading) == once
