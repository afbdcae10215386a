"""Where the words and the sentences of a text are, in any script."""

from __future__ import annotations

import functools
import re
from typing import Any

#: A sentence ends with its marks and closing quotation marks, or with the line.
_SENTENCE = re.compile(r"[^\n]*?(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」』）]*|\n|$)\s*")


def split_words(text: str) -> list[tuple[int, int]]:
    """Where the words of a text are: runs of letters and digits, and every other mark alone.

    Scripts without spaces (Chinese, Japanese, Thai and their like) are taken by character. An
    apostrophe inside a word belongs to it, an English 's is a word of its own.

    >>> [text[a:b] for text in ["Ann's don't, 东京"] for a, b in split_words(text)]
    ['Ann', "'s", "don't", ',', '东', '京']
    """
    pieces = _splitter().pre_tokenize_str(text)
    return [span for piece, span in pieces if not piece.isspace() and piece]


@functools.cache
def _splitter() -> Any:
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    from aitk.nlp.features.tokenizers import ALONE

    unspaced = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
    letter = rf"[\p{{L}}\p{{N}}\p{{M}}_&&[^{unspaced}]]"
    possessive = rf"['’][sS](?!{letter})"
    word = rf"{letter}+(?:(?!{possessive})['’]{letter}+)*"
    return Split(Regex(rf"{ALONE}|{possessive}|{word}|[^\s]"), "isolated")


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Where the sentences of a text lie, by their marks: (start, end) in characters, spaces after
    them included."""
    return [found.span() for found in _SENTENCE.finditer(text) if found.end() > found.start()]
