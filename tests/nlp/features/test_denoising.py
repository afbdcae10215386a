"""Spans taken out of texts: how many, and that nothing is lost."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aitk.nlp.features.denoising import draw_spans, infill, split_spans

MASK, SENTINELS = 999, [1000, 1001, 1002]
DRAWS = st.tuples(
    st.integers(0, 60), st.floats(0.05, 0.9), st.floats(1, 6), st.integers(0, 2**31)
)  # fmt: skip


@given(DRAWS)
def test_spans_are_apart_and_hold_their_share(draw):
    length, share, mean, seed = draw
    spans = draw_spans(length, share=share, mean=mean, rng=np.random.default_rng(seed))
    assert all(0 <= start < end <= length for start, end in spans)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(spans))
    taken = sum(end - start for start, end in spans)
    wanted = max(1, round(share * length)) if length else 0
    # A text that is taken out nearly whole has no room for so many spans apart.
    assert taken == wanted or (taken < wanted and share > 0.4)


@given(DRAWS)
def test_the_text_comes_back_from_what_stays_and_what_was_taken(draw):
    length, share, mean, seed = draw
    ids = np.arange(length, dtype=np.int32)
    spans = draw_spans(length, share=share, mean=mean, rng=np.random.default_rng(seed))
    holes = infill(ids, spans, mask_id=MASK).tolist()
    assert holes.count(MASK) == len(spans)
    pieces = [ids[start:end].tolist() for start, end in spans]
    filled = iter(pieces)
    whole = [part for each in holes for part in (next(filled) if each == MASK else [each])]
    assert whole == ids.tolist()

    source, target = split_spans(ids, spans, sentinels=SENTINELS)
    answers: dict[int, list[int]] = {}
    for each in target.tolist():
        if each in SENTINELS:
            answers[each] = []
        else:
            answers[max(answers)].append(each)
    whole = [part for each in source.tolist() for part in answers.get(each, [each])]
    assert whole == ids.tolist()
    assert list(answers) == SENTINELS[: len(spans)]


def test_the_mean_length_is_about_what_was_asked_for():
    rng = np.random.default_rng(0)
    spans = [span for _ in range(300) for span in draw_spans(200, share=0.3, mean=3, rng=rng)]
    assert 2.7 < np.mean([end - start for start, end in spans]) < 3.3
