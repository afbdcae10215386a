"""Assets of a causal language model besides its weights, and its encoding of texts and
dialogues as windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.task import Batch, Example
from aitk.core.io.files import write_json
from aitk.core.io.json_files import read_json
from aitk.nlp.features.assets import SubwordAssets, load_text_assets
from aitk.nlp.features.batching import pad_tokens
from aitk.nlp.features.chat import ChatTemplate, encode_dialogue, load_chat, parse_messages

#: Text beyond this many windows of ``max_length`` tokens is not read.
WINDOWS = 64
FILE = "causal.json"
SHAPE = {"pack": bool, "running_text": bool}


@dataclass(frozen=True)
class CausalAssets(SubwordAssets):
    """The tokeniser, including its start and end tokens.

    Attributes:
        chat: template of dialogues, for a chat model.
        pack: texts are joined to full windows in training.
        running_text: rows are passages, which have no end.
    """

    chat: ChatTemplate | None = None
    pack: bool = False
    running_text: bool = False

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
        write_json(folder / FILE, {name: getattr(self, name) for name in SHAPE})
        if self.chat is not None:
            self.chat.save(folder)


def load_causal_assets(folder: Path) -> CausalAssets:
    """Read what ``CausalAssets.save`` wrote."""
    path = folder / FILE
    values = read_json(path, SHAPE) if path.is_file() else {}
    return CausalAssets(load_text_assets(folder), load_chat(folder), **values)


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
    """Token ids of plain texts, between start and end; a passage of running text has no end."""
    longest = WINDOWS * assets.max_length
    examples = []
    for ids in assets.tokenizer.encode_bare(texts, longest):
        has_end = len(ids) < longest and not assets.running_text
        end = [assets.end_id] if has_end else []
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
    counted = _counted(example)
    beyond = max(0, len(ids) - size)
    start = beyond if "counted" in example.inputs else 0
    if "counted" not in example.inputs and rng is not None and beyond:
        start = int(rng.integers(beyond + 1))
    return {"token_ids": ids[start : start + size], "counted": counted[start : start + size]}


def join_windows(
    examples: Sequence[Example], assets: CausalAssets, *, rng: np.random.Generator
) -> list[Example]:
    """Windows of ``max_length + 1`` tokens of the examples, one after the other.

    A window begins with the last token of the one before. The first begins at a random place, and
    the last goes on with the first tokens.
    """
    size = assets.max_length
    ids = np.concatenate([each.inputs["token_ids"] for each in examples])
    counted = np.concatenate([_counted(each) for each in examples])
    shift = int(rng.integers(len(ids)))
    count = -(-len(ids) // size)
    places = (np.arange(count)[:, None] * size + np.arange(size + 1) + shift) % len(ids)
    return [Example({"token_ids": ids[at], "counted": counted[at]}) for at in places]


def scored_parts(batch: Batch, assets: CausalAssets) -> Iterator[Batch]:
    """All that is scored of a batch of rows, in parts of at most as many windows.

    A text longer than a window goes on in further ones, each half a window after the one before:
    a token is scored once, and has half a window or more before it. The context of a part has the
    ``rows`` of its windows.
    """
    examples, size = batch.context["examples"], assets.max_length
    yield Batch(batch.inputs, batch.targets, batch.weights, {"rows": np.arange(len(examples))})
    further = [
        (row, *each)
        for row, example in enumerate(examples)
        if "counted" not in example.inputs
        for each in _further_windows(example.inputs["token_ids"], size)
    ]
    for start in range(0, len(further), len(examples)):
        rows, ids, counted = zip(*further[start : start + len(examples)], strict=True)
        yield shifted_batch(ids, counted, {"rows": np.array(rows)})


def shifted_batch(
    ids: Sequence[np.ndarray],
    counted: Sequence[np.ndarray],
    context: Mapping[str, Any],
    *,
    pad_to: int | None = None,
) -> Batch:
    """Token ids padded, with the next token of each as the target, (batch, length).

    Args:
        counted: of each window, 1 for a token that counts in the loss.
    """
    inputs = pad_tokens([each[:-1] for each in ids], pad_to=pad_to)
    length = inputs["token_ids"].shape[1]
    targets = pad_tokens([each[1:] for each in ids], pad_to=length)["token_ids"]
    weights = pad_tokens([each[1:] for each in counted], pad_to=length)["token_ids"]
    weights = weights.astype(np.float32)
    # The loss is a mean over all positions: rescale it to the mean over valid ones.
    weights *= weights.size / max(1.0, float(weights.sum()))
    return Batch(inputs, targets, weights, context)


def _further_windows(ids: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The windows after the first ``size + 1`` tokens, with 1 for tokens not scored before."""
    step = max(1, size // 2)
    for scored in range(size + 1, len(ids), step):
        end = min(len(ids), scored + step)
        start = end - size - 1
        yield ids[start:end], (np.arange(start, end) >= scored).astype(np.int32)


def prompt_of(example: Example, assets: CausalAssets) -> np.ndarray:
    """The token ids before the continuation."""
    ids = example.inputs["token_ids"]
    if "prompt_length" in example.inputs:
        return ids[: int(example.inputs["prompt_length"])]
    return ids[:-1] if len(ids) > 1 and ids[-1] == assets.end_id else ids


def _counted(example: Example) -> np.ndarray:
    ids = example.inputs["token_ids"]
    return example.inputs.get("counted", np.ones(len(ids), np.int32))


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
