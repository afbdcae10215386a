"""Sampling the continuation of a text, token by token. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from aitk.core.metrics.classification import log_softmax
from aitk.nlp.features.batching import pad_tokens

#: Texts grow by so many tokens before their arrays get longer: fewer shapes, fewer of them traced.
LENGTH_STEP = 16

#: Inputs by name to logits of the next tokens (batch, length, vocabulary).
Predict = Callable[[Mapping[str, np.ndarray]], np.ndarray]


def pad_in_steps(
    texts: Sequence[Sequence[int] | np.ndarray], max_length: int
) -> dict[str, np.ndarray]:
    """The inputs of texts of up to ``max_length`` tokens, padded to one of few lengths."""
    longest = max(map(len, texts))
    return pad_tokens(texts, pad_to=min(max_length, -(-longest // LENGTH_STEP) * LENGTH_STEP))


def choose_token(
    logits: np.ndarray, *, temperature: float, top_p: float, rng: np.random.Generator
) -> int:
    """Draw the next token from its nucleus (Holtzman et al. 2020, "The Curious Case of Neural Text
    Degeneration").

    Args:
        logits: (vocabulary,).
        temperature: they are divided by it; 0 is the likeliest token.
        top_p: the nucleus holds the likeliest tokens, as few as have this share together.
    """
    if temperature == 0:
        return int(logits.argmax())
    probabilities = np.exp(log_softmax(np.asarray(logits, np.float64) / temperature))
    order = np.argsort(-probabilities, kind="stable")
    before = np.cumsum(probabilities[order]) - probabilities[order]
    nucleus = order[before < top_p]
    share = probabilities[nucleus] / probabilities[nucleus].sum()
    return int(rng.choice(nucleus, p=share))


def continue_texts(
    prompts: Sequence[Sequence[int]],
    predict: Predict,
    *,
    tokens: int,
    max_length: int,
    end_id: int,
    never: Sequence[int],
    choose: Callable[[int, np.ndarray], int],
) -> list[list[int]]:
    """Continue each prompt until its end token or ``tokens`` new ones.

    Of a text longer than ``max_length`` the last tokens are read.

    Args:
        prompts: token ids, each at least one.
        never: ids that are never generated.
        choose: number of the prompt and logits (vocabulary,) -> the next token.

    Returns:
        The new ids of each prompt, the last being ``end_id`` where it ended by itself.
    """
    new: list[list[int]] = [[] for _ in prompts]
    unfinished = list(range(len(prompts)))
    for _ in range(tokens):
        read = [[*prompts[row], *new[row]][-max_length:] for row in unfinished]
        logits = np.array(predict(pad_in_steps(read, max_length)))
        for place, row in enumerate(unfinished):
            own = logits[place, len(read[place]) - 1]
            own[never] = -np.inf
            new[row].append(choose(row, own))
        unfinished = [row for row in unfinished if new[row][-1] != end_id]
        if not unfinished:
            break
    return new
