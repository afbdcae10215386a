"""The rules on the tokens of a transcript, over the scores of a decoding step."""

from __future__ import annotations

from keras import ops

from aitk.core.decoding.graph_search import NEVER
from aitk.core.layers import Tensor
from aitk.speech.decoding.token_rules import Rules

#: Latest start of the first segment: 1 s (50 steps), or there is none.
LATEST_FIRST_TIME = 50


class TranscriptRule:
    """The ``TokenRule`` of a batch of prompts.

    Radford et al. 2023, section 2.3, and the rules of its reference: times open and close every
    segment and never decrease, and a time is decoded if all times together are likelier than every
    other token.

    Args:
        prompts: (batch, n) int32.
    """

    def __init__(self, rules: Rules, prompts: Tensor):
        self._rules, self._prompts = rules, prompts

    def allowed(self, logits: Tensor, tokens: Tensor, at: Tensor) -> Tensor:
        rules = self._rules
        written = at + 1 - ops.shape(self._prompts)[1]  # tokens of the text so far
        numbers = ops.arange(logits.shape[-1])
        never = _marks(rules.suppressed, logits.shape[-1])
        never |= _marks(rules.suppressed_first, logits.shape[-1]) & (written == 0)
        never |= numbers >= rules.size
        banned = ops.broadcast_to(never, ops.shape(logits))
        is_time = numbers >= rules.first_time
        if not rules.no_times:
            return ops.log_softmax(ops.where(banned, NEVER, logits))
        banned |= numbers == rules.no_times
        times = (self._prompts[:, -1] != rules.no_times)[:, None, None]
        newest = ops.take(tokens, at, axis=2)[..., None]
        before = ops.take(tokens, ops.maximum(at - 1, 0), axis=2)[..., None]
        # Times never decrease, and every other token has a smaller number.
        latest = ops.maximum(ops.max(tokens, axis=2, keepdims=True), rules.first_time - 1)
        after_time = (written > 0) & (newest >= rules.first_time)
        after_two = after_time & ((written < 2) | (before >= rules.first_time))
        opened = after_time & ~after_two  # a segment was closed, and the next one is not open yet
        timed = after_two & is_time
        timed |= opened & (numbers < rules.end)
        timed |= is_time & (numbers < latest + ops.cast(~opened, "int32"))
        first = written == 0
        timed |= first & (~is_time | (numbers > rules.first_time + LATEST_FIRST_TIME))
        banned |= ops.where(times, timed, is_time)
        chances = ops.log_softmax(ops.where(banned, NEVER, logits))
        any_time = ops.logsumexp(ops.where(is_time, chances, NEVER), axis=-1, keepdims=True)
        best_other = ops.max(ops.where(is_time, NEVER, chances), axis=-1, keepdims=True)
        banned |= times & (any_time > best_other) & ~is_time
        return ops.log_softmax(ops.where(banned, NEVER, logits))

    def complete(self, logits: Tensor) -> Tensor:
        """The likeliest supported language of each hypothesis."""
        if not self._rules.languages:
            return ops.full(ops.shape(logits)[:2], self._rules.end, "int32")
        known = ops.convert_to_tensor(self._rules.languages, "int32")
        return ops.take(known, ops.argmax(ops.take(logits, known, axis=2), axis=2))

    def observe(self, logits: Tensor) -> Tensor:
        """The probability of silence."""
        chances = ops.softmax(logits[:, 0])
        return chances[:, self._rules.no_speech] if self._rules.no_speech else chances[:, 0] * 0


def _marks(numbers: tuple[int, ...], size: int) -> Tensor:
    """(size,) bool, true at the given numbers."""
    marks = [False] * size
    for number in numbers:
        marks[number] = True
    return ops.convert_to_tensor(marks, "bool")
