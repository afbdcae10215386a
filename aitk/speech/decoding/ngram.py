"""N-gram language models: modified Kneser-Ney (Chen and Goodman 1999, section 3), ARPA files.

Interpolated at every order, down to the uniform distribution over the vocabulary. Counts of lower
orders are numbers of distinct preceding words, except at the start of a sentence.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.io.values import quoted, to_number

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0  # log10 probability of impossible events in ARPA files
#: Discounts for orders with too few n-grams to estimate their own.
USUAL_DISCOUNTS = (0.5, 1.0, 1.5)
LN_10 = math.log(10)
_COUNT = re.compile(r"[0-9]{1,18}")

Gram = tuple[str, ...]
#: The preceding words, latest last, up to the order of the model.
State = tuple[str, ...]


@dataclass(frozen=True)
class NgramModel:
    """A back-off language model over words.

    Attributes:
        orders: for each order, n-gram -> (log10 probability, log10 back-off weight).
    """

    orders: tuple[Mapping[Gram, tuple[float, float]], ...]

    @property
    def order(self) -> int:
        return len(self.orders)

    @property
    def vocabulary(self) -> set[str]:
        """All known words, without the marks of start, end and unknown words."""
        return {gram[0] for gram in self.orders[0]} - {START, END, UNKNOWN}

    def start(self) -> State:
        """The state before the first word of a sentence."""
        return (START,) if self.order > 1 else ()

    def score(self, state: State, word: str) -> tuple[float, State]:
        """The natural log-probability of a word, and the state after it."""
        if (word,) not in self.orders[0]:
            word = UNKNOWN
        score = 0.0
        context = state
        while True:
            found = self.orders[len(context)].get((*context, word))
            if found is not None:
                score += found[0]
                break
            if not context:
                score += NEVER  # the file has no <unk> either
                break
            held = self.orders[len(context) - 1].get(context)
            score += held[1] if held is not None else 0.0
            context = context[1:]
        after = (*state, word)[-(self.order - 1) :] if self.order > 1 else ()
        while after and after not in self.orders[len(after) - 1]:
            after = after[1:]  # unseen contexts are dropped
        return score * LN_10, after

    def end(self, state: State) -> float:
        """The natural log-probability that the sentence ends here."""
        return self.score(state, END)[0]

    def sentence_score(self, words: Sequence[str]) -> float:
        """The natural log-probability of a whole sentence, including its end."""
        state, total = self.start(), 0.0
        for word in words:
            score, state = self.score(state, word)
            total += score
        return total + self.end(state)


def perplexity(model: NgramModel, sentences: Iterable[Sequence[str]]) -> dict[str, Any]:
    """Perplexity of a model on sentences.

    Returns:
        ``perplexity`` per word, including sentence ends; ``perplexity_known`` without unknown
        words; counts of ``words``, ``sentences`` and ``unknown``.

    Raises:
        DataError: there are no sentences.
    """
    total = known_total = 0.0
    words = unknown = count = 0
    vocabulary = model.vocabulary
    for sentence in sentences:
        count += 1
        state = model.start()
        for word in [*sentence, END]:
            score, state = model.score(state, word)
            total += score
            words += 1
            if word == END or word in vocabulary:
                known_total += score
            else:
                unknown += 1
    if not count:
        raise DataError("there are no sentences to evaluate the language model on")
    return {
        "perplexity": math.exp(-total / words),
        "perplexity_known": math.exp(-known_total / max(1, words - unknown)),
        "words": words - count,
        "sentences": count,
        "unknown": unknown,
    }


def train_ngram(
    sentences: Iterable[Sequence[str]], *, order: int = 3, vocabulary: Iterable[str] = ()
) -> NgramModel:
    """Estimate a model by interpolated modified Kneser-Ney smoothing.

    Args:
        sentences: sequences of words; the marks ``<s>``, ``</s>`` and ``<unk>`` must not occur.
        order: length of the longest n-gram.
        vocabulary: additional known words that no sentence contains.

    Raises:
        DataError: there are no words, or a mark occurs as a word.
        UsageError: the order is below 1.
    """
    if order < 1:
        raise UsageError(f"a language model of order {order}", hint="The order must be 1 or more")
    raw: list[Counter[Gram]] = [Counter() for _ in range(order)]
    for sentence in sentences:
        for word in sentence:
            if word in (START, END, UNKNOWN):
                raise DataError(f"the word {word!r} is a reserved mark of language models")
        marked = (START, *sentence, END)
        for size in range(1, order + 1):
            raw[size - 1].update(marked[at : at + size] for at in range(len(marked) - size + 1))
    if len(raw[0]) <= 2:
        raise DataError("there are no words to train a language model on")
    counts = _adjusted(raw)
    discounts = [_discounts(each) for each in counts]
    words = {gram[0] for gram in counts[0]} | set(vocabulary) | {UNKNOWN}
    words.discard(START)
    weights = [_backoffs(each, d) for each, d in zip(counts, discounts, strict=True)]
    totals = [_context_totals(each) for each in counts]
    chances: list[dict[Gram, float]] = []
    for size in range(1, order + 1):
        grams: Iterable[Gram] = counts[size - 1] if size > 1 else ((word,) for word in words)
        chance = {}
        for gram in grams:
            context = gram[:-1]
            count = counts[size - 1].get(gram, 0)
            kept = max(0.0, count - _discount(count, discounts[size - 1]))
            lower = chances[-1][gram[1:]] if size > 1 else 1 / len(words)
            share = weights[size - 1].get(context, 1.0)
            chance[gram] = kept / max(totals[size - 1].get(context, 0), 1) + share * lower
        chances.append(chance)
    orders = []
    for size, chance in enumerate(chances, 1):
        backoff = weights[size] if size < order else {}
        table = {
            gram: (math.log10(p), _log10(backoff.get(gram, 1.0))) for gram, p in chance.items()
        }
        if size == 1:
            table[(START,)] = (NEVER, _log10(backoff.get((START,), 1.0)))
        orders.append(table)
    return NgramModel(tuple(orders))


def write_arpa(model: NgramModel, path: Path) -> None:
    """Write a model as an ARPA file, compressed if its name ends in ``.gz``."""
    with _opened(path, "wt") as file:
        file.write("\\data\\\n")
        for size, table in enumerate(model.orders, 1):
            file.write(f"ngram {size}={len(table)}\n")
        for size, table in enumerate(model.orders, 1):
            file.write(f"\n\\{size}-grams:\n")
            for gram in sorted(table):
                chance, backoff = table[gram]
                line = f"{chance:.7f}\t{' '.join(gram)}"
                file.write(f"{line}\t{backoff:.7f}\n" if size < model.order else f"{line}\n")
        file.write("\n\\end\\\n")


def read_arpa(path: Path) -> NgramModel:
    """Read an ARPA file, plain or ``.gz``.

    Raises:
        DataError: the file is missing or malformed; the line is named.
    """
    if not path.is_file():
        raise DataError("no such file", where=str(path))
    expected: list[int] = []
    orders: list[dict[Gram, tuple[float, float]]] = []
    part = ""
    for number, line in _lines(path):
        where = f"{path}:{number}"
        if line == "\\end\\":
            part = line
            break
        if line.startswith("\\"):
            part = line
            if part != "\\data\\":
                orders.append({})
                if part != f"\\{len(orders)}-grams:":
                    reason = f"{quoted(part)} is misplaced in an ARPA file"
                    raise DataError(reason, where=where)
        elif part == "\\data\\":
            size, _, count = line.removeprefix("ngram").partition("=")
            if not (size.strip().isdecimal() and _COUNT.fullmatch(count.strip())):
                raise DataError(f"cannot read {quoted(line)}", where=where)
            expected.append(int(count))
        elif part:
            gram, values = _entry(line, len(orders), where)
            orders[-1][gram] = values
    if part != "\\end\\" or [len(table) for table in orders] != expected or not orders:
        raise DataError(
            "is not a complete ARPA file", where=str(path), hint="It needs counts and \\end\\"
        )
    return NgramModel(tuple(orders))


def _entry(line: str, size: int, where: str) -> tuple[Gram, tuple[float, float]]:
    fields = line.split()
    if len(fields) not in (size + 1, size + 2):
        raise DataError(f"{len(fields)} fields in a line of {size}-grams", where=where)
    try:
        chance = to_number(fields[0])
        backoff = to_number(fields[size + 1]) if len(fields) == size + 2 else 0.0
    except ValueError as error:
        raise DataError(f"one of its numbers {error}", where=where) from error
    return tuple(fields[1 : size + 1]), (chance, backoff)


def _adjusted(raw: Sequence[Counter[Gram]]) -> list[dict[Gram, int]]:
    """Counts of the highest order; below it, numbers of distinct preceding words.

    Nothing precedes the start of a sentence, so n-grams there keep their own counts.
    """
    counts: list[dict[Gram, int]] = [dict(raw[-1])]
    for size in range(len(raw) - 1, 0, -1):
        lower: Counter[Gram] = Counter()
        for gram in raw[size]:
            lower[gram[1:]] += 1
        for gram, count in raw[size - 1].items():
            if gram[0] == START:
                lower[gram] = count
        counts.insert(0, dict(lower))
    counts[0].pop((START,), None)  # it is never predicted
    return counts


def _discounts(counts: Mapping[Gram, int]) -> tuple[float, float, float]:
    """Discounts of the counts 1, 2, and 3 or more (Chen and Goodman 1999, equation 26)."""
    often = Counter(count for count in counts.values() if count <= 4)
    if any(often[times] == 0 for times in (1, 2, 3, 4)):
        return USUAL_DISCOUNTS
    y = often[1] / (often[1] + 2 * often[2])
    found = tuple(times - (times + 1) * y * often[times + 1] / often[times] for times in (1, 2, 3))
    return found if min(found) > 0 else USUAL_DISCOUNTS  # type: ignore[return-value]


def _discount(count: int, discounts: tuple[float, float, float]) -> float:
    return discounts[min(count, 3) - 1] if count else 0.0


def _context_totals(counts: Mapping[Gram, int]) -> dict[Gram, int]:
    totals: dict[Gram, int] = {}
    for gram, count in counts.items():
        totals[gram[:-1]] = totals.get(gram[:-1], 0) + count
    return totals


def _backoffs(
    counts: Mapping[Gram, int], discounts: tuple[float, float, float]
) -> dict[Gram, float]:
    """For each context, the probability mass left to the lower order."""
    taken: dict[Gram, float] = {}
    for gram, count in counts.items():
        # A discount above the count removes at most the count.
        off = min(count, _discount(count, discounts))
        taken[gram[:-1]] = taken.get(gram[:-1], 0.0) + off
    totals = _context_totals(counts)
    return {context: off / totals[context] for context, off in taken.items()}


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else NEVER


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Non-blank lines, with their numbers."""
    try:
        with _opened(path, "rt") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.strip()
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"cannot be read ({error})", where=str(path)) from error


def _opened(path: Path, mode: str) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, mode, encoding="utf-8")  # type: ignore[return-value]
    return path.open(mode, encoding="utf-8")  # type: ignore[return-value]
