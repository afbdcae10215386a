"""Masking as the BERT paper has it: 15% of the tokens; 80/10/10; never a special one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aitk.nlp.features.masking import choose_tokens, hide_tokens, own_rng

MASK = 4
ORDINARY = np.arange(5, 105)


def draw(word_ids, *, share=0.15, whole_words=False, seed=0):
    word_ids = np.array(word_ids)
    return choose_tokens(
        np.zeros_like(word_ids),
        word_ids,
        share=share,
        whole_words=whole_words,
        rng=np.random.default_rng(seed),
    )


def test_fifteen_in_a_hundred_are_drawn():
    assert len(draw([-1, *range(100), -1])) == 15


def test_one_is_drawn_from_the_shortest_text():
    assert draw([-1, 0, -1]).tolist() == [1]


def test_nothing_is_drawn_where_only_special_tokens_are():
    assert draw([-1, -1]).tolist() == []


@given(
    words=st.lists(st.integers(1, 4), min_size=1, max_size=20),
    share=st.floats(0.01, 0.9),
    seed=st.integers(0, 99),
)
def test_whole_words_are_hidden_whole(words, share, seed):
    word_ids = [-1, *np.repeat(np.arange(len(words)), words).tolist(), -1]
    drawn = draw(word_ids, share=share, whole_words=True, seed=seed)
    hidden = {word_ids[position] for position in drawn}
    assert -1 not in hidden
    assert len(drawn) == sum(words[word] for word in hidden)
    assert len(drawn) >= round(share * sum(words))


def test_eight_of_ten_become_masks_one_stays_and_one_is_any_token():
    token_ids = np.full(20_000, 7)
    positions = np.arange(20_000)
    hidden = hide_tokens(
        token_ids, positions, mask_id=MASK, ordinary=ORDINARY, rng=np.random.default_rng(0)
    )
    assert abs((hidden == MASK).mean() - 0.8) < 0.01
    assert abs((hidden == 7).mean() - 0.1 - 0.1 / 100) < 0.01
    others = hidden[(hidden != MASK) & (hidden != 7)]
    assert set(others) == set(ORDINARY) - {7}
    assert (token_ids == 7).all()  # the caller's array is as it was


def test_a_text_has_a_generator_of_its_own():
    one, other = np.array([1, 2, 3]), np.array([1, 2, 4])
    assert own_rng(one).random() == own_rng(one.astype(np.int64)).random()
    assert own_rng(one).random() != own_rng(other).random()
