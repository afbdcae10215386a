"""Constraints on the tokens of a sequence-to-sequence decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rules:
    """Special tokens and suppressed tokens.

    Attributes:
        end: end of text; all later numbers are special tokens or times.
        size: number of decodable tokens; the model may have more outputs.
        max_length: maximum tokens of a text, including its prompt.
        suppressed: never decoded.
        suppressed_first: never decoded as the first token of a text.
        languages: candidates if the prompt has -1 for the language.
        no_times: last prompt token that turns times off; 0 for models without times.
        no_speech: token whose probability at the first position indicates silence; 0 for none.
        alignment: (layer, head) of the decoder attention heads that show token times.
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
        """The token of 0 s; beyond all tokens for models without times."""
        return self.no_times + 1 if self.no_times else self.size


def rules_from(values: Mapping[str, Any]) -> Rules:
    """Restore rules from the JSON of ``dataclasses.asdict``."""

    def tuples(value: Any) -> Any:
        return tuple(map(tuples, value)) if isinstance(value, list | tuple) else value

    return Rules(**{name: tuples(value) for name, value in values.items()})
