"""Transcripts: one normalised form, set by the options."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.privacy.redaction import Redactor
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


def test_tags_of_personal_data_stay_whole_among_normalised_words():
    reading = TranscribedAudioReading(redact=["email", "phone"])
    redactor = Redactor(reading)
    text = "Write to Ann.B@shop.org, or call +49 30 901820!"
    assert clean_transcript(text, reading, redactor) == "write to [EMAIL] or call [PHONE]"
    assert redactor.take_counts() == {"email": 1, "phone": 1}
