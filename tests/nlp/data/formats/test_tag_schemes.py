"""Tags of words as spans and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.nlp.data.formats.tag_schemes import find_scheme, is_plain, spans_of, tags_of

SPANS = [(0, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC")]


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("iob", "I-PER I-PER B-PER O I-LOC"),
        ("iob2", "B-PER I-PER B-PER O B-LOC"),
        ("bilou", "B-PER L-PER U-PER O U-LOC"),
        ("bilou", "B-PER E-PER S-PER O S-LOC"),
    ],
)
def test_every_scheme_gives_the_same_spans(scheme, tags):
    tags = tags.split()
    assert find_scheme([tags]) == scheme
    assert spans_of(tags, scheme) == (SPANS, None)
    assert tags_of(SPANS, 5) == "B-PER I-PER B-PER O B-LOC".split()


def test_parts_of_speech_are_no_spans():
    assert find_scheme([["NOUN", "VERB"]]) == "plain"
    assert is_plain(["NOUN", "O"]) and not is_plain(["O", "B-X", "I-X"])
    assert spans_of(["NOUN", "VERB"], "plain")[0] == [(0, 1, "NOUN"), (1, 2, "VERB")]


@pytest.mark.parametrize(
    ("scheme", "tags", "place"),
    [
        ("iob2", "O I-PER", 1),
        ("iob2", "B-LOC I-PER", 1),
        ("iob2", "B-PER X-PER", 1),
        ("iob2", "B-PER U-PER", 1),
        ("iob2", "B-", 0),
        ("bilou", "B-PER O", 1),
        ("bilou", "O L-PER", 1),
        ("bilou", "O B-PER", 1),
    ],
)
def test_illegal_tags_are_found_at_their_place(scheme, tags, place):
    _, illegal = spans_of(tags.split(), scheme)
    assert illegal is not None and illegal[0] == place


@given(st.lists(st.tuples(st.sampled_from(["", "A", "B"]), st.integers(1, 3)), max_size=6))
def test_spans_come_back_from_their_tags(runs):
    spans, at = [], 0
    for label, length in runs:
        if label:
            spans.append((at, at + length, label))
        at += length
    assert spans_of(tags_of(spans, at), "iob2") == (spans, None)
