"""Prefix beam search over the steps of a recogniser, with a language model over words.

Hannun et al. 2014, "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional
Recurrent DNNs": a hypothesis separates the paths that end in a blank from the others. Here,
hypotheses with the same text and the same last unit are merged, regardless of their units.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from aitk.speech.data.transcripts import Lexicon
from aitk.speech.features.tokenizers.units import BLANK, WORD, Units

NEVER = -math.inf


class LanguageModel(Protocol):
    """Scores words in sequence; scores are natural log-probabilities.

    The state after some words may be of any hashable type.
    """

    def start(self) -> Any: ...

    def score(self, state: Any, word: str) -> tuple[float, Any]: ...

    def end(self, state: Any) -> float: ...


@runtime_checkable
class SlowLanguageModel(Protocol):
    """A language model that scores many words faster in one call."""

    def prepare(self, queries: Iterable[tuple[Any, str | None]]) -> None:
        """Announce the states and words that are scored next; None marks the end."""


@dataclass(frozen=True)
class SearchOptions:
    """Search limits and biases.

    Attributes:
        beams: hypotheses kept per step.
        min_log_probability: units below this at a step are skipped, except the best one.
        language_weight: weight of the language model (alpha).
        word_bonus: added per word, since a language model prefers few words (beta).
        hot_words: word -> bonus when recognised; applied partly to its prefixes, so that the word
            is not pruned early.
    """

    beams: int = 16
    min_log_probability: float = -7.0
    language_weight: float = 0.5
    word_bonus: float = 0.5
    hot_words: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One search result.

    Attributes:
        text: its words, with blanks between.
        score: combined acoustic and language score; only differences are meaningful.
        units: unit numbers of its most likely path, for alignment.
    """

    text: str
    score: float
    units: tuple[int, ...]


def beam_search(
    log_probabilities: np.ndarray,
    units: Units,
    *,
    options: SearchOptions = SearchOptions(),
    model: LanguageModel | None = None,
    lexicon: Lexicon | None = None,
    best: int = 1,
) -> list[Hypothesis]:
    """Search for the most likely texts.

    Args:
        log_probabilities: (steps, units) natural logarithms.
        units: the meaning of the columns.
        model: scores completed words, and the end of the text.
        lexicon: the only allowed words; phones need it to become words.
        best: number of results.

    Returns:
        Up to ``best`` different texts, best first; none if the lexicon rules out all.
    """
    search = _Search(units, options, model, lexicon)
    beams = [search.first()]
    for step in np.asarray(log_probabilities, np.float64):
        tried = np.flatnonzero(step >= options.min_log_probability)
        if not len(tried):
            tried = np.array([step.argmax()])
        beams = search.advance(beams, step, tried.tolist())
    return search.finish(beams, best)


@dataclass(slots=True)
class _Beam:
    """A hypothesis: complete words, and the spelling of the current one."""

    words: tuple[str, ...]
    spelling: str
    last: int
    state: Hashable
    language: float  # scores of the complete words
    units: tuple[int, ...]
    blank: float = NEVER  # paths that end in a blank
    no_blank: float = NEVER
    credit: float = 0.0  # bonus of a hot word in progress

    @property
    def acoustic(self) -> float:
        return _add(self.blank, self.no_blank)

    @property
    def total(self) -> float:
        return self.acoustic + self.language + self.credit


class _Search:
    """State common to all steps of one search."""

    def __init__(
        self,
        units: Units,
        options: SearchOptions,
        model: LanguageModel | None,
        lexicon: Lexicon | None,
    ):
        self.units, self.options, self.model, self.lexicon = units, options, model, lexicon
        self.phones = units.kind == "phone"
        hot = options.hot_words or {}
        self.hot = dict(hot)
        self.hot_beginnings: dict[str, float] = {}
        for word, bonus in hot.items():
            for end in range(1, len(word) + 1):
                part = bonus * end / len(word)
                known = self.hot_beginnings.get(word[:end], NEVER)
                self.hot_beginnings[word[:end]] = max(part, known)
        self._scores: dict[tuple[Hashable, str], tuple[float, Hashable]] = {}
        self.slow = model if isinstance(model, SlowLanguageModel) else None

    def first(self) -> _Beam:
        state = self.model.start() if self.model else None
        return _Beam((), "", BLANK, state, 0.0, (), blank=0.0)

    def advance(self, beams: list[_Beam], step: np.ndarray, tried: list[int]) -> list[_Beam]:
        """Advance all hypotheses by one step; return the best."""
        if self.slow and (
            self.phones or any(self.units.symbols[unit].startswith(WORD) for unit in tried)
        ):
            self._prepare(self.slow, beams)
        after: dict[tuple, _Beam] = {}
        chances = {unit: float(step[unit]) for unit in tried}
        for beam in beams:
            acoustic = beam.acoustic
            for unit, chance in chances.items():
                if unit == BLANK:
                    stay = self._same(after, beam)
                    stay.blank = _add(stay.blank, acoustic + chance)
                elif unit == beam.last:
                    stay = self._same(after, beam)
                    stay.no_blank = _add(stay.no_blank, beam.no_blank + chance)
                    # The same unit again requires a blank in between.
                    self._grow(after, beam, unit, beam.blank + chance)
                else:
                    self._grow(after, beam, unit, acoustic + chance)
        kept = sorted(after.values(), key=lambda beam: -beam.total)
        return kept[: self.options.beams]

    def finish(self, beams: list[_Beam], best: int) -> list[Hypothesis]:
        """Complete the last words and merge equal texts."""
        results: dict[str, list[tuple[float, float, tuple[int, ...]]]] = {}
        if self.slow:
            self._prepare(self.slow, beams)
        completed = [(beam, done) for beam in beams for done in self._completed(beam)]
        if self.slow:
            self.slow.prepare((done.state, None) for _, done in completed)
        for beam, done in completed:
            language = done.language
            if self.model:
                language += self.options.language_weight * self.model.end(done.state)
            text = " ".join(done.words)
            results.setdefault(text, []).append((beam.acoustic, language, beam.units))
        found = []
        for text, ways in results.items():
            likeliest = max(ways, key=lambda way: way[0] + way[1])
            acoustic = _sum(way[0] for way in ways)
            found.append(Hypothesis(text, acoustic + likeliest[1], likeliest[2]))
        found = [each for each in found if each.score > NEVER]
        return sorted(found, key=lambda each: (-each.score, each.text))[:best]

    def _same(self, after: dict[tuple, _Beam], beam: _Beam) -> _Beam:
        """Extend a hypothesis by a step that adds no unit."""
        key = (beam.words, beam.spelling, beam.last)
        known = after.get(key)
        if known is None:
            known = after[key] = _Beam(
                beam.words, beam.spelling, beam.last, beam.state, beam.language, beam.units,
                credit=beam.credit,
            )  # fmt: skip
        return known

    def _grow(self, after: dict[tuple, _Beam], beam: _Beam, unit: int, chance: float) -> None:
        """Extend a hypothesis by a unit in every way that the lexicon allows."""
        if chance == NEVER:
            return
        symbol = self.units.symbols[unit]
        grown: list[tuple[_Beam, str]] = []
        if self.phones:
            grown.append((beam, f"{beam.spelling}{symbol} "))
            if beam.spelling and self.lexicon:
                grown += [(done, f"{symbol} ") for done in self._completed(beam)]
        elif symbol.startswith(WORD):
            grown += [(done, symbol[len(WORD) :]) for done in self._completed(beam)]
        else:
            grown.append((beam, beam.spelling + symbol))
        for base, spelling in grown:
            if self.lexicon and spelling not in self.lexicon.beginnings:
                continue
            key = (base.words, spelling, unit)
            known = after.get(key)
            if known is None:
                credit = self.hot_beginnings.get(spelling, 0.0) if self.hot else 0.0
                known = after[key] = _Beam(
                    base.words, spelling, unit, base.state, base.language, (*beam.units, unit),
                    credit=credit,
                )  # fmt: skip
            elif chance > known.acoustic:
                known.units = (*beam.units, unit)
            known.no_blank = _add(known.no_blank, chance)

    def _completed(self, beam: _Beam) -> list[_Beam]:
        """Complete the current word: one hypothesis per word with this spelling."""
        if not beam.spelling:
            return [beam]
        return [self._with_words(beam, words) for words in self._spelled(beam.spelling)]

    def _spelled(self, spelling: str) -> list[tuple[str, ...]]:
        """The words of a spelling; without a lexicon, each phone is its own word."""
        if self.lexicon:
            return [(word,) for word in self.lexicon.words.get(spelling, ())]
        return [tuple(spelling.split())] if self.phones else [(spelling,)]

    def _prepare(self, slow: SlowLanguageModel, beams: list[_Beam]) -> None:
        """Announce to a slow language model the words that may be completed next."""
        slow.prepare(
            (beam.state, words[0])
            for beam in beams
            if beam.spelling
            for words in self._spelled(beam.spelling)
            if (beam.state, words[0]) not in self._scores
        )

    def _with_words(self, beam: _Beam, words: tuple[str, ...]) -> _Beam:
        language, state = beam.language, beam.state
        for word in words:
            score, state = self._word_score(state, word)
            language += score
        return _Beam((*beam.words, *words), "", beam.last, state, language, beam.units)

    def _word_score(self, state: Hashable, word: str) -> tuple[float, Hashable]:
        known = self._scores.get((state, word))
        if known is None:
            score, after = 0.0, state
            if self.model:
                own, after = self.model.score(state, word)
                score = self.options.language_weight * own + self.options.word_bonus
            known = self._scores[state, word] = (score + self.hot.get(word, 0.0), after)
        return known


def _add(one: float, other: float) -> float:
    """Logarithm of the sum of two numbers given as logarithms."""
    if one < other:
        one, other = other, one
    return one if other == NEVER else one + math.log1p(math.exp(other - one))


def _sum(values: Iterable[float]) -> float:
    total = NEVER
    for value in values:
        total = _add(total, value)
    return total
