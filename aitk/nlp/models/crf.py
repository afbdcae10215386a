"""A linear-chain conditional random field over tags (Lafferty et al. 2001; Lample et al. 2016,
section 2.2): its layer, its loss, and its tag marginals. ``decoding.tagging`` has the
search, in NumPy.

A model outputs one array of ``2 + tags + length`` rows of ``tags`` scores: the scores of the first
tag, of the last tag, the transitions (from, to), and then the emissions of the words.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.nlp.features.tag_assets import UNLABELLED

#: Penalty of an illegal transition. Finite, so that its gradient is a number.
FORBIDDEN = -1e4


@keras.saving.register_keras_serializable("aitk.nlp")
class Transitions(keras.layers.Layer):
    """Prepends the transition scores to the emissions of every sentence.

    (batch, length, tags) -> (batch, 2 + tags + length, tags).

    Args:
        learned: if false, scores stay zero: each word is scored independently, and decoding
            excludes illegal sequences.
    """

    #: It stays in float32 in models quantised to integers (``core.compression``).
    answers = True

    def __init__(self, learned: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.learned = learned
        self.supports_masking = True

    def compute_mask(self, *_: Any) -> None:
        return None  # the output no longer has one row per word

    def build(self, emissions_shape: Shape) -> None:
        tags = emissions_shape[-1]
        self.table = self.add_weight(
            shape=(2 + tags, tags), initializer="zeros", trainable=self.learned, name="table"
        )

    def call(self, emissions: Tensor) -> Tensor:
        # ones of shape (batch, 1, 1): a form that every converter supports
        ones = ops.ones_like(emissions[:, :1, :1])
        return ops.concatenate([ones * ops.cast(self.table, emissions.dtype), emissions], axis=1)

    def compute_output_shape(self, emissions_shape: Shape) -> Shape:
        batch, length, tags = emissions_shape
        return batch, None if length is None else 2 + tags + length, tags

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"learned": self.learned}


class CrfLoss(keras.losses.Loss):
    """The negative log likelihood of the correct tags, among the legal sequences of a sentence.

    Targets are (batch, length) tag numbers, negative after the end. The value of a sentence is
    divided by the mean length in the batch, so that the loss is a mean over words.

    Args:
        legal: (2 + tags, tags) 1 where a first tag, a last tag, a transition is legal.
    """

    def __init__(self, legal: np.ndarray, name: str = "crf_loss"):
        super().__init__(name=name)
        self.penalty = ((1 - np.asarray(legal, np.float32)) * FORBIDDEN).astype(np.float32)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # (batch, length), (batch, 2 + tags + length, tags) -> (batch,)
        parts = split_outputs(y_pred, self.penalty)
        tags = ops.cast(y_true, "int32")
        mask = ops.cast(tags >= 0, "float32")
        score = sequence_score(*parts, ops.maximum(tags, 0), mask)
        total = forward(*parts, mask)[1]
        return (total - score) / ops.maximum(ops.mean(ops.sum(mask, axis=1)), 1.0)


class TokenLoss(keras.losses.Loss):
    """Cross-entropy of each word's tag independently, as a mean over words.

    Targets as in ``CrfLoss``; only the emissions of the outputs are used.
    """

    def __init__(self, name: str = "token_loss"):
        super().__init__(name=name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # (batch, length), (batch, 2 + tags + length, tags) -> (batch,)
        tags = ops.cast(y_true, "int32")
        mask = ops.cast(tags >= 0, "float32")
        emissions = ops.cast(y_pred[:, 2 + y_pred.shape[-1] :], "float32")
        losses = ops.sparse_categorical_crossentropy(
            ops.maximum(tags, 0), emissions, from_logits=True
        )
        return ops.sum(losses * mask, axis=1) / ops.maximum(ops.mean(ops.sum(mask, axis=1)), 1.0)


class TagDistillationLoss(keras.losses.Loss):
    """The correct tags and a teacher's marginals (Wang et al. 2020, "Structure-level knowledge
    distillation for multilingual sequence labeling", section 3.2: posterior distillation).

    Targets are (batch, length, 1 + tags): the tag's number, ``UNLABELLED`` for the words of a
    sentence without tags, and the teacher's marginals.

    Args:
        hard: loss of the correct tags.
        share: weight of the teacher in the loss.
        legal: as in ``CrfLoss``; None compares the emissions' softmax instead of marginals.
    """

    def __init__(self, hard: keras.losses.Loss, *, share: float, legal: np.ndarray | None):
        super().__init__(name="tag_distillation")
        self.hard, self.share = hard, share
        self.penalty = None
        if legal is not None:
            self.penalty = ((1 - np.asarray(legal, np.float32)) * FORBIDDEN).astype(np.float32)
        self.facts = {"teacher_share": share}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        tags, wanted = y_true[..., 0], ops.cast(y_true[..., 1:], "float32")
        mask = ops.cast(ops.logical_or(tags >= 0, ops.equal(tags, UNLABELLED)), "float32")
        if self.penalty is None:
            emissions = ops.cast(y_pred[:, 2 + y_pred.shape[-1] :], "float32")
            found = ops.log_softmax(emissions, axis=-1)
        else:
            found = log_marginals(*split_outputs(y_pred, self.penalty), mask)
        soft = -ops.sum(ops.sum(wanted * found, axis=-1) * mask, axis=1)
        soft = soft / ops.maximum(ops.mean(ops.sum(mask, axis=1)), 1.0)
        known = ops.cast(ops.any(tags >= 0, axis=1), "float32")
        return self.share * soft + (1 - self.share) * known * self.hard.call(tags, y_pred)


def split_outputs(outputs: Any, penalty: Any) -> tuple[Any, Any, Any, Any]:
    """First, last, transitions and emissions of a model's outputs, with penalties where illegal.

    All sentences of a batch share the first three: (tags,), (tags,), (tags, tags), then (batch,
    length, tags).
    """
    tags = outputs.shape[-1]
    outputs = ops.cast(outputs, "float32")
    table = outputs[0, : 2 + tags] + ops.convert_to_tensor(penalty)
    return table[0], table[1], table[2:], outputs[:, 2 + tags :]


def sequence_score(
    first: Any, last: Any, transitions: Any, emissions: Any, tags: Any, mask: Any
) -> Tensor:
    """The score of one sequence of tags per sentence: (batch,)."""
    count = emissions.shape[-1]
    hot = ops.one_hot(tags, count) * ops.expand_dims(mask, -1)  # (batch, length, tags)
    score = ops.sum(hot * emissions, axis=(1, 2))
    moved = ops.matmul(hot[:, :-1], transitions) * hot[:, 1:]
    score += ops.sum(moved, axis=(1, 2))
    following = ops.concatenate([mask[:, 1:], ops.zeros_like(mask[:, :1])], axis=1)
    ends = hot * ops.expand_dims(1 - following, -1)  # the last word alone
    return score + ops.sum(hot[:, 0] * first, axis=-1) + ops.sum(ends * last, axis=(1, 2))


def forward(first: Any, last: Any, transitions: Any, emissions: Any, mask: Any) -> tuple[Any, Any]:
    """The forward algorithm (Rabiner 1989, section III-A) in log space.

    Returns:
        (batch, length, tags) log sums over the sequences that end in a tag at a word, constant
        after the end, and (batch,) the log sum over all sequences.
    """
    steps = _steps(emissions, mask)
    start = first + emissions[:, 0]

    def step(state: Any, at: Any) -> tuple[Any, Any]:
        emission, real = at[:, :-1], at[:, -1:]
        moved = ops.expand_dims(state, -1) + transitions  # (batch, from, to)
        new = ops.logsumexp(moved, axis=1) + emission
        state = real * new + (1 - real) * state
        return state, state

    end, rest = ops.scan(step, start, steps[1:])
    states = ops.concatenate([ops.expand_dims(start, 0), rest], axis=0)
    return ops.transpose(states, (1, 0, 2)), ops.logsumexp(end + last, axis=-1)


def log_marginals(first: Any, last: Any, transitions: Any, emissions: Any, mask: Any) -> Any:
    """The logarithm of the probability of each tag at each word: (batch, length, tags)."""
    alphas, total = forward(first, last, transitions, emissions, mask)
    steps = _steps(emissions, mask)
    end = last + ops.zeros_like(emissions[:, 0])

    def step(state: Any, at: Any) -> tuple[Any, Any]:
        emission, real = at[:, :-1], at[:, -1:]  # of the following word
        moved = transitions + ops.expand_dims(emission + state, 1)  # (batch, from, to)
        new = ops.logsumexp(moved, axis=-1)
        state = real * new + (1 - real) * state
        return state, state

    _, rest = ops.scan(step, end, steps[1:], reverse=True)
    betas = ops.concatenate([rest, ops.expand_dims(end, 0)], axis=0)
    return alphas + ops.transpose(betas, (1, 0, 2)) - ops.expand_dims(total, (1, 2))


def _steps(emissions: Any, mask: Any) -> Any:
    """The input of a scan as one array: (length, batch, tags + 1), the mask last.

    Keras 3.15's scan takes several arrays on TensorFlow only where their length is static.
    """
    inside = ops.expand_dims(mask, -1)
    return ops.transpose(ops.concatenate([emissions, inside], axis=-1), (1, 0, 2))
