"""Questions with their contexts as the inputs of a model: windows over long contexts.

A question and a part of its context form a window; consecutive windows overlap by some tokens
(Devlin et al. 2018, the reference code for SQuAD).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Count, Size, read_json
from aitk.nlp.features.batching import pad_tokens
from aitk.nlp.features.tokenizers.loading import load_tokenizer
from aitk.nlp.features.tokenizers.subwords import PairFrame, SubwordTokenizer

#: Score of a position that cannot begin or end an answer.
FORBIDDEN = -1.0
#: Probability that training draws a window with the answer, for long contexts.
ANSWER_SHARE = 0.75

Window = tuple[int, int]


@dataclass(frozen=True)
class QaAssets:
    """The tokeniser and the windows of contexts.

    Attributes:
        max_length: maximum tokens of question and context together.
        overlap: tokens shared by neighbouring windows.
        max_question: maximum tokens of the question.
        max_answer: longest answer, in tokens.
        no_answer: questions without an answer are supported.
        threshold: "no answer" is predicted where its score exceeds the best answer's by more than
            this.
    """

    tokenizer: SubwordTokenizer
    max_length: int
    overlap: int
    max_question: int
    max_answer: int
    no_answer: bool = False
    threshold: float = 0.0

    @cached_property
    def pair_frame(self) -> PairFrame:
        """The special tokens of a pair of question and context."""
        return self.tokenizer.pair_frame

    def with_threshold(self, threshold: float) -> QaAssets:
        """A copy with another threshold."""
        return dataclasses.replace(self, threshold=threshold)

    def save(self, folder: Path) -> None:
        """Write ``qa.json`` and the tokeniser's file."""
        (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
        names = [field.name for field in dataclasses.fields(self) if field.name != "tokenizer"]
        write_json(folder / "qa.json", {name: getattr(self, name) for name in names})
        self.tokenizer.save(folder / "tokenizer")


SHAPE = {
    "max_length": Size,
    "overlap": Count,
    "max_question": Size,
    "max_answer": Size,
    "no_answer": bool,
    "threshold": float,
}


def load_qa_assets(folder: Path) -> QaAssets:
    """Read what ``QaAssets.save`` wrote.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    path = folder / "qa.json"
    if not path.is_file():
        raise ArtifactError("qa.json is missing", where=str(folder))
    values = read_json(path, SHAPE)
    tokenizer = load_tokenizer(folder / "tokenizer")
    if not isinstance(tokenizer, SubwordTokenizer):
        raise ArtifactError("its tokeniser is not a subword tokeniser", where=str(folder))
    return QaAssets(tokenizer, **values)


def room_for_context(assets: QaAssets, question: np.ndarray) -> int:
    """Maximum tokens of the context in a window."""
    return assets.max_length - assets.pair_frame.size - len(question)


def check_room(assets: QaAssets) -> None:
    """Raise a ``UsageError`` if a long question leaves no room for its context."""
    room = assets.max_length - assets.pair_frame.size - assets.max_question
    if room <= assets.overlap:
        raise UsageError(
            f"max_length {assets.max_length} leaves {max(room, 0)} tokens for the context next to a"
            f" question of {assets.max_question}, and windows overlap by {assets.overlap}",
            where="--set max_length",
            hint="Raise max_length, or lower max_question and overlap",
        )


def encode_passages(
    rows: Sequence[Mapping[str, Any]], assets: QaAssets
) -> list[dict[str, np.ndarray]]:
    """``question_ids``, ``context_ids`` and ``offsets`` (tokens, 2) of each row's context."""
    questions = assets.tokenizer.encode_offsets([row["question"] for row in rows])
    distinct = list(dict.fromkeys(row["context"] for row in rows))  # many questions share a context
    known = dict(zip(distinct, assets.tokenizer.encode_offsets(distinct), strict=True))
    encoded = []
    for row, (question, _) in zip(rows, questions, strict=True):
        ids, offsets = known[row["context"]]
        encoded.append(
            {
                "question_ids": np.asarray(question[: assets.max_question], np.int32),
                "context_ids": np.asarray(ids, np.int32),
                "offsets": offsets,
            }
        )
    return encoded


def windows_of(inputs: Mapping[str, np.ndarray], assets: QaAssets) -> list[Window]:
    """First token of the context, and the one after the last, for each window."""
    count = len(inputs["context_ids"])
    room = max(1, room_for_context(assets, inputs["question_ids"]))
    step = max(1, room - assets.overlap)
    windows = [(0, min(room, count))]
    while windows[-1][1] < count:
        start = windows[-1][0] + step
        windows.append((start, min(start + room, count)))
    return windows


def cut(inputs: Mapping[str, np.ndarray], window: Window, assets: QaAssets) -> np.ndarray:
    """The token ids of a window, special tokens included."""
    frame, (start, end) = assets.pair_frame, window
    ids = [
        *frame.before,
        *inputs["question_ids"],
        *frame.between,
        *inputs["context_ids"][start:end],
        *frame.after,
    ]
    return np.asarray(ids[: assets.max_length] or [0], np.int32)


def first_context_token(inputs: Mapping[str, np.ndarray], assets: QaAssets) -> int:
    """Position of the context in a window."""
    frame = assets.pair_frame
    return len(frame.before) + len(inputs["question_ids"]) + len(frame.between)


def pad_windows(ids: Sequence[np.ndarray], pad_to: int | None = None) -> dict[str, np.ndarray]:
    """The inputs of a model."""
    return pad_tokens(ids, pad_to=pad_to)


def answer_tokens(offsets: np.ndarray, start: int, text: str) -> tuple[int, int] | None:
    """First and last token of an answer in its context; None if it covers no token."""
    end = start + len(text)
    first = int(np.searchsorted(offsets[:, 1], start, side="right"))
    last = int(np.searchsorted(offsets[:, 0], end, side="left")) - 1
    return (first, last) if first <= last < len(offsets) else None


def pick_window(
    windows: Sequence[Window], answer: tuple[int, int] | None, rng: np.random.Generator
) -> int:
    """The index of a window for training: usually one with the whole answer."""
    holding = [
        at
        for at, (start, end) in enumerate(windows)
        if answer and start <= answer[0] and answer[1] < end
    ]
    if holding and rng.random() < ANSWER_SHARE:
        return holding[int(rng.integers(len(holding)))]
    return int(rng.integers(len(windows)))


def span_targets(
    length: int, window: Window, first: int, answer: tuple[int, int] | None
) -> np.ndarray:
    """Targets of a window in the form of ``SpanLoss``, (length, 2).

    Args:
        first: position of the context in the window.
        answer: its first and last token in the context. If it is not entirely inside the window,
            the target is the first token, "no answer".
    """
    start, end = window
    targets = np.full((length, 2), FORBIDDEN, np.float32)
    targets[0] = 0
    targets[first : first + end - start] = 0
    if answer is not None and start <= answer[0] and answer[1] < end:
        targets[first + answer[0] - start, 0] = 1
        targets[first + answer[1] - start, 1] = 1
    else:
        targets[0] = 1
    return targets
