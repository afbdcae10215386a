"""Continuation of prompts token by token, greedily or by sampling, over any ``Decoder``."""

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
    """Continue each prompt by up to ``tokens`` tokens, or until it is finished.

    The rows of a batch are processed in parallel: while a longer prompt is still being read, its
    own tokens are used instead of new ones. Finished rows are dropped. The model reads at most
    ``max_length`` tokens: the last ones of a longer prompt; when the window is full, its second
    half is read again as a new start.

    Args:
        prompts: token ids, at least one each.
        choose: index of the prompt, logits (vocabulary,) and the tokens so far -> the next token.
        is_over: index of the prompt and its new tokens -> whether it is finished.

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
    """Choose a token for every row whose prompt has been read.

    Returns:
        The unfinished rows, and their indices among ``rows`` if some are dropped.
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
