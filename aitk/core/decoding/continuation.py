"""Continuing texts token by token, greedily or by sampling, over any ``Decoder``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from aitk.core.decoding.incremental import Decoder, room_for


def continue_texts(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    *,
    tokens: int,
    max_length: int,
    choose: Callable[[int, np.ndarray, Sequence[int]], int],
    is_over: Callable[[int, Sequence[int]], bool],
) -> list[list[int]]:
    """Continue each prompt until it is over, or ``tokens`` new ones.

    Rows of one batch are read side by side: where a prompt is longer than another, its own tokens
    are read instead of new ones. A row that is over is dropped. The model reads at most
    ``max_length`` tokens: of a longer prompt the last ones, and when they are full it reads the
    last half of them anew and goes on.

    Args:
        prompts: token ids, each at least one.
        choose: number of the prompt, logits (vocabulary,) and the tokens so far -> the next token.
        is_over: number of the prompt and its new tokens -> whether it is over.

    Returns:
        The new ids of each prompt.
    """
    new: list[list[int]] = [[] for _ in prompts]
    begun = max(1, max_length - min(tokens, max_length // 2))
    texts = [list(prompt)[-begun:] for prompt in prompts]
    rows = list(range(len(prompts)))
    while rows:
        place = min(len(texts[row]) for row in rows)
        most = max(len(texts[row]) + tokens - len(new[row]) for row in rows)
        length = room_for(min(max_length, most))
        state = decoder.start({}, rows=len(rows), length=length)
        read = np.array([texts[row][:place] for row in rows], np.int32)
        logits, state = decoder.advance(state, read)
        while True:
            rows, kept = _add_tokens(
                decoder, logits, place, rows, texts, new, tokens, choose=choose, is_over=is_over
            )
            if not rows or place == max_length:
                break
            if kept is not None:
                state = decoder.take(state, kept)
            column = np.array([[texts[row][place]] for row in rows], np.int32)
            logits, state = decoder.advance(state, column)
            place += 1
        for row in rows:  # the window is full
            texts[row] = texts[row][-max(1, max_length // 2) :]
    return new


def _add_tokens(
    decoder: Decoder,
    logits: object,
    place: int,
    rows: list[int],
    texts: list[list[int]],
    new: list[list[int]],
    tokens: int,
    *,
    choose: Callable[[int, np.ndarray, Sequence[int]], int],
    is_over: Callable[[int, Sequence[int]], bool],
) -> tuple[list[int], np.ndarray | None]:
    """Choose a token for every row that has read its prompt.

    Returns:
        The rows that go on, and their places among ``rows`` if some do not.
    """
    waiting = [at for at, row in enumerate(rows) if len(texts[row]) == place]
    if not waiting:
        return rows, None
    scores = decoder.to_numpy(logits)
    over = set()
    for at in waiting:
        row = rows[at]
        token = choose(row, scores[at], texts[row])
        texts[row].append(token)
        new[row].append(token)
        if len(new[row]) == tokens or is_over(row, new[row]):
            over.add(at)
    if not over:
        return rows, None
    kept = [at for at in range(len(rows)) if at not in over]
    return [rows[at] for at in kept], np.array(kept, np.int64)
