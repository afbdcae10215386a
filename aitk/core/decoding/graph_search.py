"""Beam search as one loop inside the graph, so that a saved or exported model decodes by its call.

``beam_search`` runs a step from Python and drops finished rows; here, all shapes are static over
the loop, and finished rows are computed until the last one ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from keras import ops

from aitk.core.layers import Tensor

#: Log-probability of what must not be chosen; finite, as sums with infinities are not numbers.
NEVER = -1e9


class TokenRule(Protocol):
    """What a task knows about its tokens."""

    def allowed(self, logits: Tensor, tokens: Tensor, at: Tensor) -> Tensor:
        """Log-probabilities of the next token, about ``NEVER`` for a token that is not allowed.

        Args:
            logits: (batch, beams, vocabulary) float32.
            tokens: (batch, beams, length) int32: prompts and texts so far, then the end token.
            at: position of the newest token.
        """

    def complete(self, logits: Tensor) -> Tensor:
        """The token (batch, beams) for a place of the prompt that is left to the model."""

    def observe(self, logits: Tensor) -> Tensor:
        """What to keep (batch,) of the logits after the first token."""


class Found(NamedTuple):
    """The hypotheses of each row, by falling mean log-probability per token.

    Attributes:
        token_ids: (batch, beams, length) int32, including prompts.
        log_probabilities: (batch, beams, length) float32, 0 in the prompt and after the end.
        observed: (batch,) float32, see ``TokenRule.observe``.
    """

    token_ids: Tensor
    log_probabilities: Tensor
    observed: Tensor


def search_in_graph(
    step: Callable[[Tensor, Tensor, Sequence[Tensor]], tuple[Tensor, Sequence[Tensor]]],
    cache: Sequence[Tensor],
    prompts: Tensor,
    scores: Tensor,
    *,
    rule: TokenRule,
    end: int,
    length: int,
) -> Found:
    """Beam search over the allowed tokens; with one beam, greedy decoding.

    A finished hypothesis keeps its place, and continues at no cost.

    Args:
        step: the newest tokens (batch, beams), their position and the cache -> float32 logits
            (batch, beams, vocabulary) and the new cache.
        cache: (batch, beams, ...) each, with room for ``length`` tokens.
        prompts: (batch, n) int32, n at least 1; -1 is a place that ``rule.complete`` fills.
        scores: (batch, beams) float32, the initial score of each hypothesis: 0, and ``NEVER`` for
            all but the first.
        end: the token that ends a text.
        length: maximum tokens of a text, including its prompt.
    """
    batch, beams = ops.shape(scores)[0], ops.shape(scores)[1]
    given_length = ops.shape(prompts)[1]
    padded = ops.pad(prompts, [[0, 0], [0, length]], constant_values=end)[:, :length]
    tokens = ops.tile(padded[:, None], (1, beams, 1))
    start = (
        ops.convert_to_tensor(0, "int32"),
        tokens,
        ops.zeros_like(ops.cast(tokens, "float32")),
        scores,
        ops.zeros((batch, beams), "bool"),
        ops.zeros((batch,), "float32"),
        *cache,
    )

    def unfinished(
        at: Tensor, tokens: Tensor, chances: Tensor, scores: Tensor, over: Tensor, *rest: Any
    ) -> Tensor:
        del tokens, chances, scores, rest
        return ops.logical_and(at < length - 1, ops.logical_not(ops.all(over)))

    def extend_all(
        at: Tensor,
        tokens: Tensor,
        chances: Tensor,
        scores: Tensor,
        over: Tensor,
        observed: Tensor,
        *cache: Any,
    ) -> tuple[Tensor, ...]:
        logits, newer = step(ops.take(tokens, at, axis=2), at, cache)
        observed = ops.where(at == 0, rule.observe(logits), observed)
        parents, chosen, chance = _extend(rule.allowed(logits, tokens, at), scores, over, end)
        # Inside the prompt, hypotheses are unchanged and have no cost.
        given = at + 1 < given_length
        parents = ops.where(given, ops.arange(beams)[None], parents)
        here = ops.take(tokens, at + 1, axis=2)
        chosen = ops.where(given, ops.where(here < 0, rule.complete(logits), here), chosen)
        chance = ops.where(given, 0.0, chance)

        def of_parent(array: Tensor) -> Tensor:
            return _take_beams(array, parents)

        over, scores = of_parent(over), of_parent(scores)
        place = ops.arange(length)[None, None] == at + 1
        tokens = ops.where(place, chosen[..., None], of_parent(tokens))
        chances = ops.where(place, chance[..., None], of_parent(chances))
        over = ops.logical_or(over, ops.logical_and(chosen == end, ~given))
        kept = tuple(of_parent(array) for array in newer)
        return (at + 1, tokens, chances, scores + chance, over, observed, *kept)

    found = ops.while_loop(unfinished, extend_all, start)
    _, tokens, chances, scores, _, observed = found[:6]
    counts = ops.sum(ops.cast(chances < 0, "float32"), axis=2)
    order = ops.argsort(-scores / ops.maximum(counts, 1.0), axis=1)
    return Found(_take_beams(tokens, order), _take_beams(chances, order), observed)


def _extend(
    allowed: Tensor, scores: Tensor, over: Tensor, end: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The best continuations among all hypotheses of a row.

    Returns:
        For each new hypothesis (batch, beams): its parent, its token, and the log-probability of
        that token. Finished hypotheses continue with ``end`` at no cost.
    """
    batch, beams = ops.shape(scores)[0], ops.shape(scores)[1]
    vocabulary = allowed.shape[-1]
    ends = ops.where(ops.arange(vocabulary) == end, 0.0, 2 * NEVER)
    chances = ops.where(over[..., None], ends, allowed)
    totals = ops.reshape(scores[..., None] + chances, (batch, beams * vocabulary))
    _, best = ops.top_k(totals, beams)
    parents, chosen = best // vocabulary, best % vocabulary
    flat = ops.reshape(chances, (batch, beams * vocabulary))
    return parents, chosen, ops.take_along_axis(flat, best, axis=1)


def _take_beams(array: Tensor, parents: Tensor) -> Tensor:
    """Reorder (batch, beams, ...) by ``parents`` (batch, beams)."""
    batch, beams = ops.shape(parents)[0], ops.shape(parents)[1]
    rows = ops.reshape(parents + beams * ops.arange(batch)[:, None], (-1,))
    flat = ops.reshape(array, (batch * beams, *ops.shape(array)[2:]))
    return ops.reshape(ops.take(flat, rows, axis=0), ops.shape(array))
