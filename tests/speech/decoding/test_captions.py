"""Captions and word times of prediction rows."""

from __future__ import annotations

import pytest

from aitk.core.contract.errors import UsageError
from aitk.speech.decoding.captions import CtmLines, SrtLines, VttLines, captions_of


def word(text: str, start: float, end: float, confidence: float = 0.9) -> dict:
    return {"word": text, "start": start, "end": end, "confidence": confidence}


ROWS = [
    {
        "file": "calls/monday.wav",
        "text": "call me",
        "words": [word("call", 0.5, 0.8), word("me", 0.85, 1.0)],
    },
    {"line": 2, "error": "is damaged"},
    {"file": "calls/monday.wav", "text": "<now>", "words": [word("<now>", 3661.25, 3662.0, 0.5)]},
]


def test_srt_numbers_its_captions_through():
    assert SrtLines().format(ROWS) == (
        "1\n00:00:00,500 --> 00:00:01,000\ncall me\n\n2\n01:01:01,250 --> 01:01:02,000\n<now>\n\n"
    )


def test_a_resumed_srt_continues_with_the_next_number():
    first, second = SrtLines(), SrtLines()
    whole = SrtLines().format(ROWS)
    begun = first.format(ROWS[:1])
    second.columns = first.columns
    assert begun + second.format(ROWS[1:]) == whole


def test_vtt_begins_with_its_name_once_and_escapes_signs():
    lines = VttLines()
    text = lines.format(ROWS[:1]) + lines.format(ROWS[1:]) + lines.tail()
    assert text == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.000\ncall me\n\n"
        "01:01:01.250 --> 01:01:02.000\n&lt;now&gt;\n\n"
    )


def test_captions_of_a_second_recording_are_refused():
    other = dict(ROWS[0], file="calls/tuesday.wav")
    with pytest.raises(UsageError, match="after monday comes tuesday"):
        SrtLines().format([ROWS[0], other])


def test_ctm_has_a_word_a_line():
    assert CtmLines().format(ROWS) == (
        "monday 1 0.500 0.300 call 0.9000\n"
        "monday 1 0.850 0.150 me 0.9000\n"
        "monday 1 3661.250 0.750 <now> 0.5000\n"
    )


def test_a_column_of_the_users_own_is_not_taken_for_the_prediction():
    row = {
        "id": "a b",
        "words": "two of them",
        "text": "x",
        "predicted_words": [word("yes", 0.0, 0.5)],
    }
    assert CtmLines().format([row]) == "a_b 1 0.000 0.500 yes 0.9000\n"


def test_captions_need_words():
    with pytest.raises(UsageError, match="--no-words"):
        SrtLines().format([{"file": "a.wav", "text": "call me"}])


def test_a_caption_ends_at_a_pause_and_before_it_gets_long():
    paused = [word("a", 0.0, 0.2), word("b", 0.3, 0.4), word("c", 1.5, 1.6)]
    assert [len(each) for each in captions_of(paused)] == [2, 1]
    steady = [word("abcdefghi", at / 2, at / 2 + 0.5) for at in range(40)]
    for caption in captions_of(steady):
        assert caption[-1]["end"] - caption[0]["start"] <= 7
        assert sum(len(each["word"]) + 1 for each in caption) - 1 <= 84


def test_long_captions_have_two_lines():
    words = [word("abcdefgh", at / 10, at / 10 + 0.1) for at in range(6)]
    text = SrtLines().format([{"words": words}])
    assert text.splitlines()[2:4] == ["abcdefgh abcdefgh abcdefgh"] * 2
