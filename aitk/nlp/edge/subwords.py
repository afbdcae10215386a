"""A text as the numbers of its subwords: WordPiece, byte-level BPE, whole words or characters.

Reproduces the library ``tokenizers`` for the tokenisers that aitk writes. Part of the scripts of
bundles; standard library and NumPy only.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def token_ids(fields: Mapping[str, Any], settings: Mapping[str, Any]) -> list[int]:
    """The ids of a text, or of a text pair, including special tokens."""
    longest = settings["max_length"]
    first = bare_ids(fields["text"], settings)
    if "pair" not in fields:
        before, after = settings["before"], settings["after"]
        room = max(0, longest - len(before) - len(after))
        return [*before, *first[:room], *after][:longest]
    second = bare_ids(fields["pair"], settings)[:longest]
    before, between, after = (settings["pair"][part] for part in ("before", "between", "after"))
    room = longest - len(before) - len(between) - len(after)
    first = first[: max(0, max(room - len(second), (room + 1) // 2))]
    second = second[: max(0, room - len(first))]
    return [*before, *first, *between, *second, *after][:longest]


def bare_ids(text: str, settings: Mapping[str, Any]) -> list[int]:
    """The ids of a text without the special tokens around it."""
    text = text[: settings["max_length"] * settings["characters_per_token"]]
    ids: list[int] = []
    added = settings["added"]  # special tokens that occur in the text
    found = re.split("(" + "|".join(map(re.escape, added)) + ")", text) if added else [text]
    for part in found:
        if part in added:
            ids.append(added[part])
            continue
        for word in split(normalise(part, settings["normalise"]), settings["split"], settings):
            ids += MODELS[settings["model_kind"]](word, settings)
    return ids


def normalise(text: str, steps: Sequence[Mapping[str, Any]]) -> str:
    """The text after the steps of the tokeniser's normaliser."""
    for step in steps:
        kind = step["type"]
        if kind in ("NFC", "NFD", "NFKC", "NFKD"):
            text = unicodedata.normalize(kind, text)
        elif kind == "Lowercase":
            text = "".join(letter.lower() for letter in text)
        elif kind == "Strip":
            text = text.strip()
        elif kind == "Prepend":
            text = step["prepend"] + text if text else text
        elif kind == "BertNormalizer":
            text = _bert_normalise(text, step)
    return text


def _bert_normalise(text: str, step: Mapping[str, Any]) -> str:
    """Devlin et al. 2019, as in the published code."""
    if step["clean_text"]:
        kept = [
            " " if _is_space(letter) else letter
            for letter in text
            if letter in "\t\n\r" or not (letter in "\0\ufffd" or _category(letter)[0] == "C")
        ]
        text = "".join(kept)
    if step["handle_chinese_chars"]:
        text = "".join(f" {letter} " if _is_chinese(letter) else letter for letter in text)
    if step["strip_accents"]:
        decomposed = unicodedata.normalize("NFD", text)
        text = "".join(letter for letter in decomposed if _category(letter) != "Mn")
    if step["lowercase"]:
        text = "".join(letter.lower() for letter in text)
    return text


def split(
    text: str, steps: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> Sequence[str]:
    """The words of the text, after the steps of the tokeniser's pre-tokeniser."""
    words = [text] if text else []
    for step in steps:
        kind = step["type"]
        if kind == "alone":
            words = [part for word in words for part in _alone(word, settings["alone"])]
        elif kind == "bert":
            words = [part for word in words for part in _at_punctuation(word)]
        elif kind == "longest":
            size = step["characters"]
            words = [word[at : at + size] for word in words for at in range(0, len(word), size)]
        elif kind == "characters":
            words = [letter for word in words for letter in word]
        elif kind == "bytes":
            words = [part for word in words for part in _gpt2_words(word)]
    return words


def _alone(text: str, ranges: Sequence[Sequence[int]]) -> list[str]:
    """Splits off characters of scripts without spaces, with their marks."""
    parts: list[str] = []
    taken = 0
    for at, letter in enumerate(text):
        if at < taken or not _is_in(ord(letter), ranges):
            continue
        end = at + 1
        while end < len(text) and (_category(text[end])[0] == "M" or text[end] == "\ufe0f"):
            end += 1
        parts += [text[taken:at], text[at:end]]
        taken = end
    return [part for part in [*parts, text[taken:]] if part]


def _is_in(code: int, ranges: Sequence[Sequence[int]]) -> bool:
    """Whether a number lies in one of the sorted ranges."""
    low, high = 0, len(ranges)
    while low < high:
        middle = (low + high) // 2
        if code > ranges[middle][1]:
            low = middle + 1
        else:
            high = middle
    return low < len(ranges) and code >= ranges[low][0]


def _at_punctuation(text: str) -> list[str]:
    """Words without spaces; punctuation is separate."""
    parts: list[str] = []
    word = ""
    for letter in text:
        if _is_space(letter):
            parts, word = [*parts, word], ""
        elif _category(letter)[0] == "P" or letter in "$+<=>^`|~":
            parts, word = [*parts, word, letter], ""
        else:
            word += letter
    return [part for part in [*parts, word] if part]


def _is_space(letter: str) -> bool:
    return letter in "\t\n\v\f\r \x85" or _category(letter)[0] == "Z"


def _is_chinese(letter: str) -> bool:
    return _is_in(
        ord(letter),
        (
            *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF)),
            *((0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0x2F800, 0x2FA1F)),
        ),
    )


def _category(letter: str) -> str:
    return unicodedata.category(letter)


def wordpiece(word: str, settings: Mapping[str, Any]) -> list[int]:
    """The longest pieces of a word from its start (Wu et al. 2016)."""
    vocabulary = settings["vocabulary"]
    if len(word) > settings["longest_word"]:
        return [settings["unknown"]]
    ids, start = [], 0
    while start < len(word):
        end = len(word)
        prefix = settings["continuing"] if start else ""
        while end > start and prefix + word[start:end] not in vocabulary:
            end -= 1
        if end == start:
            return [settings["unknown"]]
        ids.append(vocabulary[prefix + word[start:end]])
        start = end
    return ids


def whole_word(word: str, settings: Mapping[str, Any]) -> list[int]:
    """The id of the word, or of the unknown token."""
    return [settings["vocabulary"].get(word, settings["unknown"])]


def byte_pairs(word: str, settings: Mapping[str, Any]) -> list[int]:
    """The bytes of a word, joined pair by pair in the order of the merges (Sennrich et al. 2016;
    Radford et al. 2019)."""
    if "ranks" not in settings:
        ranks = {tuple(pair): rank for rank, pair in enumerate(settings["merges"])}
        settings["ranks"] = ranks  # type: ignore[index]
    ranks, vocabulary = settings["ranks"], settings["vocabulary"]
    parts = [_BYTE_LETTERS[byte] for byte in word.encode()]
    while len(parts) > 1:
        pairs = [ranks.get(pair, len(ranks)) for pair in itertools.pairwise(parts)]
        best = min(pairs)
        if best == len(ranks):
            break
        at = pairs.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return [vocabulary[part] for part in parts if part in vocabulary]


def _byte_letters() -> list[str]:
    """A visible character for every byte, as in GPT-2."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    letters = {byte: chr(byte) for byte in shown}
    letters |= {byte: chr(256 + at) for at, byte in enumerate(hidden)}
    return [letters[byte] for byte in range(256)]


_BYTE_LETTERS = _byte_letters()
#: GPT-2's words over kinds of characters: Letter, Number, Other, space, other White space.
_KINDS = re.compile(r" ?L+| ?N+| ?O+|[ W]+(?![LNO])|[ W]+")
_CONTRACTIONS = re.compile(r"'(?:s|t|re|ve|m|ll|d)")


def _gpt2_words(text: str) -> list[str]:
    kinds = "".join(
        " "
        if letter == " "
        else "W"
        if _is_space(letter)
        else {"L": "L", "N": "N"}.get(_category(letter)[0], "O")
        for letter in text
    )
    words, at = [], 0
    while at < len(text):
        found = _CONTRACTIONS.match(text, at) or _KINDS.match(kinds, at)
        end = found.end() if found else at + 1
        words.append(text[at:end])
        at = end
    return words


MODELS = {"wordpiece": wordpiece, "words": whole_word, "bpe": byte_pairs}


def encode(
    fields: Mapping[str, Any], settings: Mapping[str, Any], tables: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """``token_ids`` and ``padding_mask``, (1, length) int32 each."""
    ids = np.array([token_ids(fields, settings) or [0]], np.int32)
    return {"token_ids": ids, "padding_mask": np.ones_like(ids)}
