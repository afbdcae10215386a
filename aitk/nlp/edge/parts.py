"""The bundle of a text classifier: its tokeniser as plain values."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aitk.core.edge.parts import BundleParts, cannot_bundle, check_reading
from aitk.nlp.data.columns import TEXT_COLUMNS
from aitk.nlp.data.options import ClassifyReading
from aitk.nlp.features.assets import TextAssets
from aitk.nlp.features.tokenizers.hashing import CHARACTERS_PER_WORD, HashedNgrams
from aitk.nlp.features.tokenizers.learning import ALONE, LONGEST_WORD
from aitk.nlp.features.tokenizers.subwords import CHARACTERS_PER_TOKEN, SubwordTokenizer
from aitk.nlp.features.word_table import WORD_PATTERN

#: Reading options that the script follows, or that concern only labels.
KEPT = (
    *("unicode_form", "lowercase", "label_column", "keep_na"),
    *("label_separator", "label_columns"),
)
_NORMALIZERS = ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "Prepend", "BertNormalizer")
_MODELS = {"WordPiece": "wordpiece", "WordLevel": "words", "BPE": "bpe"}


def text_parts(assets: TextAssets, reading: ClassifyReading) -> BundleParts:
    """The script and the settings of a text classifier.

    Raises:
        UsageError: a small script cannot include the tokeniser or the cleaning.
    """
    check_reading(reading, KEPT)
    if reading.text_column and len(reading.text_column) > 1:
        raise cannot_bundle("a text of several columns", hint="Join them in the data")
    given = [name.casefold() for name in reading.text_column or ()]
    settings = {
        "labels": list(assets.labels),
        "thresholds": list(assets.thresholds),
        "max_length": assets.max_length,
        "text_columns": [*given, *TEXT_COLUMNS],
        "pair_column": reading.pair_column,
        "unicode_form": reading.unicode_form,
        "lowercase_texts": reading.lowercase,
    }
    tokenizer = assets.tokenizer
    if isinstance(tokenizer, HashedNgrams):
        own, module = _hashed(tokenizer), "aitk.nlp.edge.hashed"
    elif isinstance(tokenizer, SubwordTokenizer):
        own, module = _subwords(tokenizer), "aitk.nlp.edge.subwords"
    else:
        raise cannot_bundle("this tokeniser")
    return BundleParts(
        modules=(
            *("aitk.nlp.edge.texts", module),
            *("aitk.core.edge.labels", "aitk.nlp.edge.classify"),
        ),
        settings=settings | own,
        reads="a `.txt` file of texts, one per line, or a `.csv`, `.tsv` or `.jsonl` file"
        f" with a column `{(given or TEXT_COLUMNS)[0]}`, in UTF-8",
        example="texts.txt",
    )


def _hashed(tokenizer: HashedNgrams) -> dict[str, Any]:
    return {
        "buckets": tokenizer.buckets,
        "ngrams": tokenizer.ngrams,
        "character_ngrams": tokenizer.character_ngrams,
        "lowercase": tokenizer.lowercase,
        "word_pattern": WORD_PATTERN,
        "characters_per_word": CHARACTERS_PER_WORD,
    }


def _subwords(tokenizer: SubwordTokenizer) -> dict[str, Any]:
    saved = json.loads(tokenizer.engine.to_str())
    model = saved["model"]
    if model["type"] not in _MODELS:
        raise cannot_bundle(
            f"a tokeniser of the kind {model['type']}",
            hint="WordPiece, BPE, words, characters and hashed n-grams are supported",
        )
    before, after = tokenizer.frame
    pair = tokenizer.pair_frame
    steps = _split_steps(saved["pre_tokenizer"])
    settings: dict[str, Any] = {
        "model_kind": _MODELS[model["type"]],
        "vocabulary": model["vocab"],
        "unknown": model["vocab"].get(model.get("unk_token")),
        "normalise": [_normalizer(step) for step in _sequence(saved["normalizer"], "normalizers")],
        "split": steps,
        "added": {
            token["content"]: token["id"] for token in saved["added_tokens"] if token["special"]
        },
        "before": before,
        "after": after,
        "pair": {"before": pair.before, "between": pair.between, "after": pair.after},
        "characters_per_token": CHARACTERS_PER_TOKEN,
    }
    if any(step["type"] == "alone" for step in steps):
        settings["alone"] = _ranges_alone()
    if model["type"] == "WordPiece":
        settings |= {
            "continuing": model["continuing_subword_prefix"],
            "longest_word": model["max_input_chars_per_word"],
        }
    if model["type"] == "BPE":
        if not any(step["type"] == "bytes" for step in steps) or model.get("dropout"):
            raise cannot_bundle("BPE that is not byte-level")
        settings["merges"] = [
            pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]
        ]
    return settings


def _sequence(step: Mapping[str, Any] | None, name: str) -> Sequence[Mapping[str, Any]]:
    if step is None:
        return []
    if step["type"] == "Sequence":
        return [each for part in step[name] for each in _sequence(part, name)]
    return [step]


def _normalizer(step: Mapping[str, Any]) -> Mapping[str, Any]:
    if step["type"] not in _NORMALIZERS:
        raise cannot_bundle(f"a tokeniser that normalises by {step['type']}")
    if step["type"] == "BertNormalizer" and step["strip_accents"] is None:
        return {**step, "strip_accents": step["lowercase"]}
    return step


def _split_steps(saved: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    return [_split_step(step) for step in _sequence(saved, "pretokenizers")]


def _split_step(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step under the script's name; patterns are those that aitk writes."""
    kind = step["type"]
    if kind == "BertPreTokenizer":
        return {"type": "bert"}
    if kind == "ByteLevel" and step.get("use_regex", True) and not step["add_prefix_space"]:
        return {"type": "bytes"}
    if kind == "Split" and step["behavior"] == "Isolated" and not step["invert"]:
        pattern = step["pattern"].get("Regex")
        if pattern == ALONE:
            return {"type": "alone"}
        if pattern == r"[\s\S]":
            return {"type": "characters"}
        if pattern == rf"[^\s]{{{LONGEST_WORD}}}":
            return {"type": "longest", "characters": LONGEST_WORD}
    raise cannot_bundle(f"a tokeniser that splits by {kind}")


@functools.cache
def _ranges_alone() -> list[list[int]]:
    """The characters that ``ALONE`` splits off, as ranges of code points. Python's ``re`` does not
    support scripts, so the library that split the training texts finds them."""
    from tokenizers import Regex, pre_tokenizers

    splitter = pre_tokenizers.Split(Regex(ALONE), "isolated")
    codes = [code for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
    # Between letters, such a character becomes a separate part.
    parts = splitter.pre_tokenize_str("".join(f"a{chr(code)}" for code in codes) + "a")
    alone = sorted(ord(part[0]) for part, _ in parts if part[0] != "a")
    ranges: list[list[int]] = []
    for code in alone:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ranges
