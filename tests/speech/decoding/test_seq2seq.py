"""Decoding of seq2seq output: segments, word times, windows of long audio."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from whisper_folder import CONFIG, END, FIRST_TIME, NO_TIMES, PLACES, write_folder

from aitk.core.contract.task import Batch
from aitk.speech.decoding.chunking import RATE_HZ, transcribe
from aitk.speech.decoding.seq2seq import first_steps, read_outputs
from aitk.speech.decoding.seq2seq_assets import Seq2SeqAssets
from aitk.speech.features.tokenizers.whisper import read_hugging_face_tokens

PROMPT = 3


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    folder = write_folder(tmp_path_factory.mktemp("whisper"), weights={})
    tokens = read_hugging_face_tokens(folder, CONFIG)
    return Seq2SeqAssets("whisper", tokens, PLACES, filters=80, language="en", times=True)


def time(seconds: float) -> int:
    return FIRST_TIME + round(seconds / 0.02)


def outputs(assets, *texts, chance=-0.1, silent=0.0, attention=None):
    """Model outputs for these tokens: times as numbers, text as strings."""
    rows = []
    for text in texts:
        tokens = assets.prompt()
        for part in text:
            tokens += assets.tokens.encode(part) if isinstance(part, str) else [time(part)]
        rows.append(tokens + [END] * (PLACES - len(tokens)))
    ids = np.array(rows, np.float32)[:, None]
    chances = np.full(ids.shape, chance, np.float32)
    found = {"token_ids": ids, "log_probabilities": chances}
    found["no_speech"] = np.full(len(rows), silent, np.float32)
    return found if attention is None else found | {"attention": attention}


def read(assets, *text, seconds=3.0, more=False, **given):
    (found,) = read_outputs(
        outputs(assets, text, **given),
        assets,
        prompt_length=PROMPT,
        seconds=[seconds],
        more=[more],
    )
    return found


def test_times_open_and_close_segments(assets):
    found = read(assets, 0.5, "one two", 1.5, 1.6, "three", 2.0)
    assert found.text == "one two three"
    assert found.segments == (
        {"start": 0.5, "end": 1.5, "text": "one two"},
        {"start": 1.6, "end": 2.0, "text": "three"},
    )
    assert found.confidence == pytest.approx(np.exp(-0.1))


def test_without_times_the_sound_is_one_segment(assets):
    assert read(assets, "one").segments == ({"start": 0.0, "end": 3.0, "text": "one"},)


def test_no_segment_ends_after_its_sound(assets):
    assert read(assets, 0.0, "one", 8.0).segments[0]["end"] == 3.0


def test_a_segment_that_was_not_closed_is_left_to_the_next_window(assets):
    found = read(assets, 0.0, "one", 1.5, 1.5, "tw", seconds=30.0, more=True)
    assert found.text == "one"
    assert found.covered_s == pytest.approx(1.5)


def test_a_closed_last_segment_uses_the_window_up(assets):
    assert read(assets, 0.0, "one", 1.5, seconds=30.0, more=True).covered_s == 30.0
    assert read(assets, "one", seconds=30.0, more=True).covered_s == 30.0


@pytest.mark.parametrize(("silent", "chance", "text"), [(0.9, -2.0, ""), (0.9, -0.1, "hm")])
def test_nobody_speaks_where_the_model_is_unsure_as_well(assets, silent, chance, text):
    assert read(assets, "hm", silent=silent, chance=chance).text == text


def test_words_begin_where_the_model_looked(assets):
    looks = np.zeros((1, PLACES, 1500), np.float32)
    text = assets.tokens.encode("a that")  # " a", " ", "th", "a", "t"
    for row, step in enumerate([10, 50, 60, 70, 80, 120], start=PROMPT - 1):
        looks[0, row, step : step + 12] = 1.0
    assert len(text) == 5
    found = read(assets, "a that", attention=looks)
    assert [word["word"] for word in found.words] == ["a", "that"]
    assert found.words[1]["start"] == pytest.approx(1.0, abs=0.1)
    assert found.words[1]["end"] == pytest.approx(2.4, abs=0.1)


@given(arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 7)), elements=st.integers(0, 9)))
def test_the_way_through_is_the_best_of_all(looks):
    tokens, steps = looks.shape
    found = first_steps(looks)
    reached = min(tokens, steps)
    assert found[0] == 0
    assert (np.diff(found[:reached]) >= 1).all()

    def worth(starts):
        edges = [*starts, steps]
        return sum(looks[row, edges[row] : edges[row + 1]].sum() for row in range(reached))

    ways = itertools.combinations(range(1, steps), reached - 1)
    assert worth(found[:reached]) == max(worth([0, *way]) for way in ways)


def test_windows_follow_the_times_that_were_written(assets):
    clip = np.zeros(45 * RATE_HZ, np.float32)
    heard = []

    def predict(inputs):
        heard.append(inputs["token_ids"].tolist())
        first = (0.0, "one", 20.0, 20.0, "tw")  # cut by the window's end
        return outputs(assets, first if len(heard) == 1 else (0.5, "two", 20.0))

    batch = Batch({}, context={"clips": [clip]})
    (found,) = transcribe(batch, predict, assets, beams=1, best=1)
    assert found.text == "one two"
    assert [(each["start"], each["end"]) for each in found.segments] == [(0.0, 20.0), (20.5, 40.0)]
    assert len(heard) == 2
    assert NO_TIMES not in heard[0][0]
