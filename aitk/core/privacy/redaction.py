"""Replacement of personal data in texts by tags: ``[EMAIL]``, ``[PHONE]``, ``[NAME]``."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.privacy.options import ALL, NAMED, SHAPED, Redaction

if TYPE_CHECKING:
    from aitk.core.privacy.shapes import Span

#: Entity labels of spaCy's pipelines (OntoNotes and WikiNER).
_ENTITIES = {
    "PERSON": "name", "PER": "name", "PRS": "name",
    "GPE": "place", "LOC": "place", "FAC": "place",
}  # fmt: skip


@dataclass(frozen=True)
class Redacted:
    """A text without its personal data.

    Attributes:
        text: the text with tags.
        spans: replaced spans, (start, end) in the original, in order.
        kinds: kind of each span.
    """

    text: str
    spans: Sequence[Span] = ()
    kinds: Sequence[str] = ()

    def moved(self, place: int, *, end: bool = False) -> int:
        """The new position of a character; replaced characters map to their tag.

        Args:
            end: the position is the end of a span, which then includes the whole tag.
        """
        index = bisect_right([start for start, _ in self.spans], place - end) - 1
        shift = sum(
            len(tag_of(kind)) - (stop - start)
            for (start, stop), kind in zip(self.spans[:index], self.kinds[:index], strict=True)
        )
        if index < 0:
            return place
        start, stop = self.spans[index]
        size = len(tag_of(self.kinds[index]))
        if place - end < stop:
            return start + shift + (size if end else 0)
        return place + shift + size - (stop - start)


class Redactor:
    """Replaces personal data and counts it. Each reading of files has its own instance.

    Args:
        options: what to replace.

    Raises:
        UsageError: the options are contradictory, or an unknown country.
        ArtifactError: the spaCy pipeline is not installed.
    """

    def __init__(self, options: Redaction):
        # Its expressions take a tenth of a second to compile, and few readings redact.
        from aitk.core.privacy.shapes import finders, known_countries

        wanted = set(options.redact)
        if ALL in wanted:
            wanted |= {*SHAPED, *(NAMED if options.redact_pipeline else ())}
        named = sorted(wanted.intersection(NAMED))
        if named and not options.redact_pipeline:
            raise UsageError(
                f"{' and '.join(named)} need a spaCy pipeline", where="--redact",
                hint="Name one with --redact-pipeline, such as en_core_web_sm",
            )  # fmt: skip
        if options.redact_pipeline and not named:
            raise UsageError(
                "finds names and places only where --redact asks for them",
                where="--redact-pipeline",
                hint="Give --redact all, or --redact name,place",
            )
        countries = [country.upper() for country in options.redact_countries]
        if "phone" in wanted:
            for country in countries:
                if country not in known_countries():
                    raise UsageError(
                        f"unknown country {country!r}", where="--redact-countries",
                        hint="Give two-letter codes, such as US,DE,CN",
                    )  # fmt: skip
        found = finders(countries)
        self._finders = {kind: found[kind] for kind in SHAPED if kind in wanted}
        self._entities = _entity_finder(options.redact_pipeline, named) if named else None
        self._counts: Counter[str] = Counter()

    def __call__(self, text: str) -> str:
        return self.redact(text).text

    def redact(self, text: str) -> Redacted:
        """The text with a tag in place of each match; of overlapping matches the first kind
        wins."""
        taken: list[tuple[int, int, str]] = []
        for kind, find in self._finders.items():
            _take(taken, ((start, end, kind) for start, end in find(text)))
        if self._entities is not None:
            _take(taken, self._entities(text))
        if not taken:
            return Redacted(text)
        taken.sort()
        pieces, at = [], 0
        for start, end, kind in taken:
            pieces += [text[at:start], tag_of(kind)]
            at = end
            self._counts[kind] += 1
        return Redacted(
            "".join([*pieces, text[at:]]),
            [(start, end) for start, end, _ in taken],
            [kind for _, _, kind in taken],
        )

    def take_counts(self) -> Mapping[str, int]:
        """The number of replacements per kind since the last call."""
        counts, self._counts = dict(self._counts), Counter()
        return counts


def redactor_of(reading: Any) -> Redactor | None:
    """The redactor for reading options; None without redaction.

    Raises:
        UsageError, ArtifactError: see ``Redactor``.
    """
    if not isinstance(reading, Redaction):
        return None
    if not reading.redact:
        if reading.redact_pipeline:
            raise UsageError(
                "does nothing without --redact", where="--redact-pipeline", hint="Add --redact all"
            )
        return None
    return Redactor(reading)


def with_counts(
    items: Iterable[Row | Refusal], redactor: Redactor | None
) -> Iterator[Row | Refusal]:
    """The items, each row with its replacements since the previous row."""
    if redactor is None:
        yield from items
        return
    for item in items:
        counts = redactor.take_counts()  # those of refusals are dropped
        yield replace(item, redacted=counts) if isinstance(item, Row) and counts else item


def tag_of(kind: str) -> str:
    """The replacement of a match: ``[EMAIL]``."""
    return f"[{kind.upper()}]"


def _take(taken: list[tuple[int, int, str]], found: Iterable[tuple[int, int, str]]) -> None:
    """Add matches that overlap none of the existing ones, longest first."""
    for start, end, kind in sorted(found, key=lambda each: each[0] - each[1]):
        if all(end <= other[0] or other[1] <= start for other in taken):
            taken.append((start, end, kind))


def _entity_finder(
    name: str | None, kinds: Sequence[str]
) -> Callable[[str], Iterator[tuple[int, int, str]]]:
    import spacy

    try:
        pipeline = spacy.load(str(name))
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"no spaCy pipeline {name!r} is installed", where="--redact-pipeline",
            hint=f"python -m spacy download {name}",
        ) from error  # fmt: skip
    if not {"ner", "entity_ruler", "span_ruler"}.intersection(pipeline.pipe_names):
        raise UsageError(
            f"the pipeline {name!r} finds no entities", where="--redact-pipeline",
            hint=f"It has: {', '.join(pipeline.pipe_names) or 'nothing'}",
        )  # fmt: skip

    def find(text: str) -> Iterator[tuple[int, int, str]]:
        for entity in pipeline(text).ents:
            kind = _ENTITIES.get(entity.label_)
            if kind is not None and kind in kinds:
                yield entity.start_char, entity.end_char, kind

    return find
