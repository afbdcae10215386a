"""A vocabulary without the units that no training text holds.

An embedding has a row a unit, most of a small network's weights. Pieces of one character stay, so
that a word the training texts lack is still spelled, not unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer, Tokenizer

#: Kinds of models whose units can be left out without changing how other words are cut.
ABLE = ("WordPiece", "WordLevel")
TEXTS_AT_ONCE = 1024


def prune_tokenizer(
    tokenizer: Tokenizer, texts: Iterable[str], max_length: int
) -> tuple[SubwordTokenizer, np.ndarray]:
    """The tokeniser of the units that these texts hold, and the old ids of its units, in order.

    Raises:
        UsageError: its units depend on each other (BPE, Unigram), or have no names (hashes).
    """
    import tokenizers

    saved: dict[str, Any] = {}
    if isinstance(tokenizer, SubwordTokenizer):
        saved = json.loads(tokenizer.engine.to_str())
    if not saved or saved["model"]["type"] not in ABLE:
        raise UsageError(
            "only vocabularies of words and WordPiece units can be pruned",
            where="--prune-vocabulary",
        )
    used = {each["id"] for each in saved["added_tokens"]}
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == TEXTS_AT_ONCE:
            used.update(*tokenizer.encode_many(batch, max_length))
            batch = []
    used.update(*tokenizer.encode_many(batch, max_length))
    vocabulary = saved["model"]["vocab"]
    prefix = saved["model"].get("continuing_subword_prefix") or ""
    used |= {
        number for unit, number in vocabulary.items() if len(unit.removeprefix(prefix)) == 1
    } | {vocabulary[name] for name in (saved["model"].get("unk_token"),) if name in vocabulary}
    kept = np.array(sorted(used))
    numbers = {int(old): new for new, old in enumerate(kept)}
    saved["model"]["vocab"] = {
        unit: numbers[number] for unit, number in vocabulary.items() if number in numbers
    }
    for each in saved["added_tokens"]:
        each["id"] = numbers[each["id"]]
    for each in (saved["post_processor"] or {}).get("special_tokens", {}).values():
        each["ids"] = [numbers[number] for number in each["ids"]]
    return SubwordTokenizer(tokenizers.Tokenizer.from_str(json.dumps(saved))), kept
