"""Assets of a causal language model besides its weights, and its encoding of texts and
dialogues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.task import Example
from aitk.nlp.features.assets import TextAssets, load_text_assets
from aitk.nlp.features.chat import ChatTemplate, encode_dialogue, load_chat, parse_messages
from aitk.nlp.features.tokenizers import SubwordTokenizer

#: Training reads a random window of a longer text; text beyond this many windows is not read.
WINDOWS = 64


@dataclass(frozen=True)
class CausalAssets:
    """The tokeniser, including its start and end tokens.

    Attributes:
        chat: template of dialogues, for a chat model.
    """

    text: TextAssets
    chat: ChatTemplate | None = None

    @property
    def tokenizer(self) -> SubwordTokenizer:
        return self.text.tokenizer  # type: ignore[return-value]

    @property
    def max_length(self) -> int:
        return self.text.max_length

    @property
    def start_id(self) -> int:
        return self.tokenizer.start_id  # type: ignore[return-value]  # learn saw to it

    @property
    def end_id(self) -> int:
        return self.tokenizer.end_id  # type: ignore[return-value]

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end a text or a reply."""
        if self.chat is None:
            return frozenset((self.end_id,))
        return self.chat.end_ids(self.tokenizer)

    @cached_property
    def never_generated(self) -> list[int]:
        """Special token ids other than the end tokens."""
        return sorted(self.tokenizer.special_ids - self.end_ids)

    def save(self, folder: Path) -> None:
        self.text.save(folder)
        if self.chat is not None:
            self.chat.save(folder)


def load_causal_assets(folder: Path) -> CausalAssets:
    """Read what ``CausalAssets.save`` wrote."""
    return CausalAssets(load_text_assets(folder), load_chat(folder))


def encode_causal(rows: Sequence[Mapping[str, Any]], assets: CausalAssets) -> list[Example]:
    """Token ids of each row.

    Dialogues also have ``counted`` (1 for tokens that the model is to write) and ``prompt_length``:
    the tokens before the next or last reply. A chat model reads a plain text as a message of
    the user.
    """
    if assets.chat is None and not any(row.get("messages") for row in rows):
        return encode_texts([row["text"] for row in rows], assets)
    return [_encode_dialogue(messages_of(row), assets) for row in rows]


def encode_texts(texts: Sequence[str], assets: CausalAssets) -> list[Example]:
    """Token ids of plain texts, between start and end."""
    longest = WINDOWS * assets.max_length
    examples = []
    for ids in assets.tokenizer.encode_bare(texts, longest):
        end = [assets.end_id] if len(ids) < longest else []
        token_ids = np.array([assets.start_id, *ids, *end], np.int32)
        examples.append(Example({"token_ids": token_ids}))
    return examples


def messages_of(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """The messages of a row; a plain text is one message of the user."""
    if row.get("messages"):
        return parse_messages(row["messages"])
    return [{"role": "user", "content": row["text"]}]


def window(example: Example, size: int, rng: np.random.Generator | None) -> dict[str, np.ndarray]:
    """At most ``size`` tokens of an example and their ``counted`` values.

    For a text, random ones with ``rng``, otherwise the first; for a dialogue always the last ones,
    which contain the reply.
    """
    ids = example.inputs["token_ids"]
    counted = example.inputs.get("counted", np.ones(len(ids), np.int32))
    beyond = max(0, len(ids) - size)
    start = beyond if "counted" in example.inputs else 0
    if "counted" not in example.inputs and rng is not None and beyond:
        start = int(rng.integers(beyond + 1))
    return {"token_ids": ids[start : start + size], "counted": counted[start : start + size]}


def prompt_of(example: Example, assets: CausalAssets) -> np.ndarray:
    """The token ids before the continuation."""
    ids = example.inputs["token_ids"]
    if "prompt_length" in example.inputs:
        return ids[: int(example.inputs["prompt_length"])]
    return ids[:-1] if len(ids) > 1 and ids[-1] == assets.end_id else ids


def _encode_dialogue(messages: Sequence[Mapping[str, str]], assets: CausalAssets) -> Example:
    if assets.chat is None:
        raise ValueError("a model without a chat template reads no dialogues")
    ids, counted = encode_dialogue(messages, assets.chat, assets.tokenizer)
    marks = np.array(counted, np.int32)
    prompt = len(ids)
    if messages[-1]["role"] == "assistant" and marks.any():
        last = int(np.flatnonzero(marks)[-1])
        before = np.flatnonzero(marks[:last] == 0)
        prompt = int(before[-1]) + 1 if len(before) else 0
    return Example(
        {
            "token_ids": np.array(ids or [assets.start_id], np.int32),
            "counted": marks if ids else np.zeros(1, np.int32),
            "prompt_length": np.array(max(1, prompt)),
        }
    )
