"""Decoding of joint CTC/attention models: rescoring with the attention decoder.

The logits of decoder positions come first, then those of the steps (``models.joint``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from aitk.speech.decoding.beam_search import Hypothesis
from aitk.speech.decoding.ctc import log_softmax
from aitk.speech.features.tokenizers.units import BLANK

#: Inputs by name to logits (batch, length + steps, units).
Predict = Callable[[Mapping[str, np.ndarray]], np.ndarray]


def decoder_inputs(texts: Sequence[Sequence[int]]) -> np.ndarray:
    """``target_ids`` (batch, longest + 1) int32 of known texts: 0, units, zero padding."""
    ids = np.full((len(texts), 1 + max(map(len, texts), default=0)), BLANK, np.int32)
    for row, units in enumerate(texts):
        ids[row, 1 : 1 + len(units)] = units
    return ids


def text_log_probabilities(
    decoder_logits: np.ndarray, texts: Sequence[Sequence[int]]
) -> np.ndarray:
    """The decoder's log-probability of each text, including its end: (batch,).

    Args:
        decoder_logits: (batch, length or more, units), for ``decoder_inputs(texts)``.
    """
    scores = log_softmax(decoder_logits)
    return np.array(
        [
            scores[row, np.arange(len(units) + 1), [*units, BLANK]].sum()
            for row, units in enumerate(texts)
        ]
    )


def rescore(
    found: Sequence[Hypothesis],
    inputs: Mapping[str, np.ndarray],
    predict: Predict,
    *,
    ctc_weight: float,
) -> list[Hypothesis]:
    """Reorder the results of a CTC beam search by the scores of both heads.

    Watanabe et al. 2017, section III.C.1: attention scores are added to those of the search.

    Args:
        found: results for one recording.
        inputs: ``features`` and ``padding_mask`` of that recording, as a batch of one row.
        ctc_weight: weight of the search scores; the decoder's scores get the rest.
    """
    if not found:
        return []
    texts = [each.units for each in found]
    ids = decoder_inputs(texts)
    many = {name: np.repeat(array, len(found), axis=0) for name, array in inputs.items()}
    logits = np.asarray(predict(many | {"target_ids": ids}))
    by_attention = text_log_probabilities(logits, texts)
    both = [
        dataclasses.replace(each, score=ctc_weight * each.score + (1 - ctc_weight) * float(score))
        for each, score in zip(found, by_attention, strict=True)
    ]
    return sorted(both, key=lambda each: (-each.score, each.text))
