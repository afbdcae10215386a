"""Questions and contexts as windows."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import UsageError
from aitk.nlp.features.passages import (
    FORBIDDEN,
    QaAssets,
    answer_tokens,
    check_room,
    cut,
    encode_passages,
    first_context_token,
    load_qa_assets,
    pick_window,
    span_targets,
    windows_of,
)
from aitk.nlp.features.tokenizers.learning import train_tokenizer

CONTEXT = "Ann lives in Porto and Tom lives in Leeds"
ROW = {"question": "where is Tom", "context": CONTEXT}
SETTINGS = SimpleNamespace(tokenizer="word", vocabulary_size=300, lowercase=True)


@pytest.fixture(scope="module")
def assets():
    tokenizer = train_tokenizer([CONTEXT, "where is Tom"], SETTINGS)
    return QaAssets(tokenizer, max_length=10, overlap=2, max_question=3, max_answer=4)


def test_windows_share_tokens_and_cover_the_context(assets):
    (inputs,) = encode_passages([ROW], assets)
    assert len(inputs["context_ids"]) == 9
    # 10 tokens less three special ones and three of the question
    assert windows_of(inputs, assets) == [(0, 4), (2, 6), (4, 8), (6, 9)]


def test_a_window_is_framed_as_the_tokeniser_frames_two_texts(assets):
    (inputs,) = encode_passages([ROW], assets)
    ids = cut(inputs, (0, 4), assets)
    assert assets.tokenizer.engine.encode("where is Tom", "Ann lives in Porto").ids == list(ids)
    first = first_context_token(inputs, assets)
    assert list(ids[first : first + 4]) == list(inputs["context_ids"][:4])


def test_targets_mark_the_prediction_or_the_first_token():
    targets = span_targets(9, (2, 6), 4, (3, 4))
    assert targets[:, 0].tolist() == [0, FORBIDDEN, FORBIDDEN, FORBIDDEN, 0, 1, 0, 0, FORBIDDEN]
    assert targets[:, 1].tolist() == [0, FORBIDDEN, FORBIDDEN, FORBIDDEN, 0, 0, 1, 0, FORBIDDEN]
    for answer in (None, (1, 3), (5, 6)):  # none, or cut by the window
        assert span_targets(9, (2, 6), 4, answer)[0].tolist() == [1, 1]


@given(st.integers(0, 8), st.integers(1, 3))
def test_the_tokens_of_a_prediction_hold_it(start, length):
    tokenizer = train_tokenizer([CONTEXT], SETTINGS)
    ((_, offsets),) = tokenizer.encode_offsets([CONTEXT])
    words = CONTEXT.split()
    text = " ".join(words[start : start + length])
    place = len(" ".join([*words[:start], ""]))
    first, last = answer_tokens(offsets, place, text)
    assert CONTEXT[offsets[first][0] : offsets[last][1]] == text


def test_training_mostly_draws_a_window_with_the_prediction():
    windows = [(0, 4), (2, 6), (4, 8)]
    drawn = [pick_window(windows, (4, 5), np.random.default_rng(seed)) for seed in range(200)]
    assert set(drawn) == {0, 1, 2} and drawn.count(0) < 40
    assert {pick_window(windows, None, np.random.default_rng(seed)) for seed in range(50)} == {
        0,
        1,
        2,
    }


def test_a_question_that_leaves_no_room_is_refused(assets):
    with pytest.raises(UsageError, match="max_length"):
        check_room(QaAssets(assets.tokenizer, 10, overlap=2, max_question=6, max_answer=4))


def test_assets_come_back_from_their_folder(assets, tmp_path):
    assets.with_threshold(1.5).save(tmp_path)
    again = load_qa_assets(tmp_path)
    assert again.threshold == 1.5 and again.max_question == 3
    assert again.pair_frame == assets.pair_frame
