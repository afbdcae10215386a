"""Segmentation of a text into words and sentences, in any script."""

from __future__ import annotations

import functools
import re
from typing import Any

#: A sentence ends at its closing punctuation and quotation marks, or at the end of the line.
_SENTENCE = re.compile(r"[^\n]*?(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」』）]*|\n|$)\s*")


def split_words(text: str) -> list[tuple[int, int]]:
    """Positions of the words of a text: runs of letters and digits; other marks are single words.

    Scripts without spaces (Chinese, Japanese, Thai and others) are split into characters. An
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

    from aitk.nlp.features.tokenizers.learning import ALONE

    unspaced = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
    letter = rf"[\p{{L}}\p{{N}}\p{{M}}_&&[^{unspaced}]]"
    possessive = rf"['’][sS](?!{letter})"
    word = rf"{letter}+(?:(?!{possessive})['’]{letter}+)*"
    return Split(Regex(rf"{ALONE}|{possessive}|{word}|[^\s]"), "isolated")


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Positions of the sentences of a text, by punctuation: (start, end) in characters, including
    the spaces after them."""
    return [found.span() for found in _SENTENCE.finditer(text) if found.end() > found.start()]
