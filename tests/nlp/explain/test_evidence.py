"""Sentences and words of a question are weighed by what their absence costs an answer."""

import numpy as np
import pytest

from aitk.nlp.explain.evidence import attribute_answer

CONTEXT = "Rain fell. The king, an old man, died in 1381. He had a dog."


def probability(rows, starts):
    """Half needs the word "when", the other half the king, and the answer is where it is said."""
    values = []
    for row, start in zip(rows, starts, strict=True):
        assert row["context"][start:].startswith("1381")
        values.append(0.5 * ("when" in row["question"]) + 0.5 * ("king" in row["context"]))
    return np.array(values)


def test_the_sentence_and_the_word_that_matter_have_the_weight():
    start = CONTEXT.index("1381")
    fields = {"question": "when did he die", "context": CONTEXT}
    found = attribute_answer(fields, start, start + 4, probability)
    weights = {part["text"].strip(): part["weight"] for part in found["parts"] if part["weight"]}
    assert weights == {"when": 0.5, "The king, an old man, died in 1381.": 0.5}
    assert found["faithfulness"]["named"] == pytest.approx(1.0)
    assert found["faithfulness"]["insertion"] > found["faithfulness"]["insertion_random"]
