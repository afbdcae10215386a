"""What a decoder that writes token by token may write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rules:
    """Numbers of tokens with a meaning, and those that are never written.

    Attributes:
        end: ends a text; every later number is special or a time.
        size: tokens that may be written: the model may have more.
        max_length: tokens of a text, its prompt included.
        suppressed: never written.
        suppressed_first: not the first of a text.
        languages: of which the model chooses where the prompt holds -1.
        no_times: the last token of a prompt after which no times are written; 0 where the model
            knows no times.
        no_speech: whose probability at the first place says that nobody speaks; 0 for none.
        alignment: (layer, head) of the decoder whose attention shows when a token is spoken.
    """

    end: int
    size: int
    max_length: int
    suppressed: tuple[int, ...] = ()
    suppressed_first: tuple[int, ...] = ()
    languages: tuple[int, ...] = ()
    no_times: int = 0
    no_speech: int = 0
    alignment: tuple[tuple[int, int], ...] = ()

    @property
    def first_time(self) -> int:
        """The token of 0 s; beyond all tokens where the model knows no times."""
        return self.no_times + 1 if self.no_times else self.size


def rules_from(values: Mapping[str, Any]) -> Rules:
    """What ``dataclasses.asdict`` made of rules and JSON of that."""

    def tuples(value: Any) -> Any:
        return tuple(map(tuples, value)) if isinstance(value, list | tuple) else value

    return Rules(**{name: tuples(value) for name, value in values.items()})
