"""The best answers over windows against an exhaustive search."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.nlp.decoding.answers import CANDIDATES, WindowScores, best_answers


def window(seed, tokens, first=0):
    rng = np.random.default_rng(seed)
    return WindowScores(rng.normal(size=(tokens, 2)), none=float(rng.normal()), first=first)


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 5))
def test_the_best_span_is_that_of_all_spans(seed, tokens, longest):
    made = window(seed, tokens, first=3)
    found = best_answers([made], max_answer=longest)
    spans = {
        (3 + start, 3 + end): made.scores[start, 0] + made.scores[end, 1]
        for start in range(tokens)
        for end in range(start, min(tokens, start + longest))
    }
    ordered = sorted(spans, key=lambda span: (-spans[span], span))[:CANDIDATES]
    assert found.spans == ordered
    assert found.scores == pytest.approx([spans[span] for span in ordered])
    assert found.none == made.none


def test_a_span_in_two_windows_counts_once_and_none_is_the_lowest():
    first = WindowScores(np.array([[0, 0], [9, 9]]), none=5.0, first=0)
    second = WindowScores(np.array([[7, 7], [1, 8]]), none=-1.0, first=1)
    found = best_answers([first, second], max_answer=2)
    assert found.spans[0] == (1, 1) and found.scores[0] == 18
    assert len(set(found.spans)) == len(found.spans)
    assert found.margin == -1.0 - 18


def test_probabilities_add_up_with_that_of_no_answer():
    found = best_answers([window(1, 4)], max_answer=4)
    shares, none = found.probabilities(no_answer=True)
    assert shares.sum() + none == pytest.approx(1) and none > 0
    assert found.probabilities(no_answer=False)[1] == 0
    empty = best_answers([WindowScores(np.zeros((0, 2)), 0.0, 0)], max_answer=3)
    assert empty.spans == [] and empty.probabilities(no_answer=False)[1] == 1.0
