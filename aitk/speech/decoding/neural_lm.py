"""A neural language model of texts, such as a run of ``nlp.generate``, scoring word by word.

A word's probability is the ratio between those of the text with it and without it, for any units
of the model ("shallow fusion", Gulcehre et al. 2015).
"""

from __future__ import annotations

from collections.abc import Iterable

from aitk.core.inference.text_scores import TextScorer

#: Words of context: about half a minute of speech, and within the limits of most models.
CONTEXT_WORDS = 60
#: Size of the probability cache, which bounds memory.
KEPT_SCORES = 200_000

State = tuple[str, ...]


class TextLanguageModel:
    """See ``beam_search.LanguageModel``; prepared queries are computed at once.

    Args:
        scorer: computes the probabilities of texts.
    """

    def __init__(self, scorer: TextScorer):
        self._scorer = scorer
        self._begun: dict[State, float] = {}
        self._ended: dict[State, float] = {}

    def start(self) -> State:
        """The state before the first word."""
        return ()

    def score(self, state: State, word: str) -> tuple[float, State]:
        """The natural log-probability of a word, and the state after it."""
        self.prepare([(state, word)])
        longer = (*state, word)
        return self._begun[longer] - self._begun[state], longer[-CONTEXT_WORDS:]

    def end(self, state: State) -> float:
        """The natural log-probability that the text ends here."""
        self.prepare([(state, None)])
        return self._ended[state] - self._begun[state]

    def prepare(self, queries: Iterable[tuple[State, str | None]]) -> None:
        """Compute the scores of words after states in one call; None marks the end."""
        if len(self._begun) + len(self._ended) > KEPT_SCORES:
            self._begun.clear()
            self._ended.clear()
        begun: dict[State, None] = {}
        ended: dict[State, None] = {}
        for state, word in queries:
            begun[state] = None
            if word is None:
                ended[state] = None
            else:
                begun[*state, word] = None
        for known, wanted, end in ((self._begun, begun, False), (self._ended, ended, True)):
            new = [words for words in wanted if words not in known]
            if new:
                scores = self._scorer([" ".join(words) for words in new], ended=end)
                known.update(zip(new, scores.tolist(), strict=True))
