"""Questions with contexts and answers as JSON.

Supported records (JSON lines, a list of records, or the list ``data`` of one object)::

    {"title": ..., "paragraphs": [{"context": ..., "qas": [...]}]}      SQuAD 1.1, 2.0, CMRC 2018
    {"context": ..., "question": ..., "answers": {"text": [...], "answer_start": [...]}}
    {"context": ..., "question": ..., "answers": [{"text": ..., "answer_start": 3}]}
    {"context": ..., "question": ..., "answer": "..."}                  located in the context

Rajpurkar et al. 2016 and 2018; Cui et al. 2019. No answer, or ``is_impossible``, marks a
question that the context does not answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aitk.core.io.tables import usual_column
from aitk.core.io.values import quoted

CONTEXTS = ("context", "passage", "paragraph", "document", "text", "context_text", "上下文", "文章")
QUESTIONS = ("question", "query", "query_text", "问题", "問題")
ANSWERS = ("answers", "answer", "答案", "回答")
_IDS = ("id", "qid", "query_id", "question_id")

Keys = tuple[str | None, str | None, str | None]


@dataclass(frozen=True)
class Question:
    """A question as it appears in a file.

    Attributes:
        answers: (text, start); a start of None is unknown. None for unlabelled data.
        record: carried along by ``predict``.
    """

    context: str
    question: str
    answers: Sequence[tuple[str, int | None]] | None
    record: Mapping[str, Any]
    id: str = ""


def questions_of(value: Any, *, keys: Keys, labelled: bool) -> Iterator[Question | str]:
    """The questions in one record, or reasons in their place.

    Args:
        keys: of the context, the question and the answers, where they are not the usual ones.
        labelled: answers are required.
    """
    if not isinstance(value, dict):
        yield "it is JSON, but not an object"
    elif isinstance(value.get("paragraphs"), list):
        for paragraph in value["paragraphs"]:
            yield from _paragraph(paragraph, keys, labelled=labelled)
    elif isinstance(value.get("qas"), list):
        yield from _paragraph(value, keys, labelled=labelled)
    else:
        context, question = (
            value.get(key if key in value else usual_column(list(value), usual) or "")
            for key, usual in zip(keys, (CONTEXTS, QUESTIONS), strict=False)
        )
        yield _question(context, value, question, keys, record=value, labelled=labelled)


def _paragraph(value: Any, keys: Keys, *, labelled: bool) -> Iterator[Question | str]:
    if not isinstance(value, dict) or not isinstance(value.get("qas"), list):
        yield "a paragraph has no list of questions (qas)"
        return
    context = value.get(keys[0] if keys[0] in value else usual_column(list(value), CONTEXTS) or "")
    for each in value["qas"]:
        if not isinstance(each, dict):
            yield "a question is not an object"
            continue
        key = keys[1] if keys[1] in each else usual_column(list(each), QUESTIONS)
        question = each.get(key or "")
        record = {"id": _id(each), "question": question}
        yield _question(context, each, question, keys, record=record, labelled=labelled)


def _question(
    context: Any,
    value: Mapping[str, Any],
    question: Any,
    keys: Keys,
    *,
    record: Mapping[str, Any],
    labelled: bool,
) -> Question | str:
    name = _id(value)
    of = f"question {name}: " if name else ""
    for what, text in (("context", context), ("question", question)):
        if not isinstance(text, str) or not text.strip():
            return f"{of}it has no {what}"
        if "\0" in text:
            return f"{of}its {what} contains a NUL byte"
    answers = None
    if labelled:
        found = _answers(value, keys[2])
        if isinstance(found, str):
            return of + found
        answers = found
    return Question(context, question, answers, record, name)


def _answers(value: Mapping[str, Any], wanted: str | None) -> list[tuple[str, int | None]] | str:
    """The answers of a question, empty if there are none; or what is wrong with them."""
    key = wanted if wanted in value else usual_column(list(value), ANSWERS)
    impossible = value.get("is_impossible") is True
    if key is None:
        return [] if impossible else "it has no answers (or is_impossible)"
    given = [] if impossible else value[key]
    if isinstance(given, dict):
        texts, starts = given.get("text"), given.get("answer_start")
        if isinstance(texts, str):
            texts, starts = [texts], [starts]
        if not isinstance(texts, list) or (starts is not None and not isinstance(starts, list)):
            return f"its answers are {quoted(str(given))}, not text and answer_start"
        starts = starts if starts is not None else [None] * len(texts)
        if len(starts) != len(texts):
            return f"it has {len(texts)} answers and {len(starts)} starts"
        given = [
            {"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)
        ]
    if isinstance(given, str) or given is None:
        start = value.get("answer_start", value.get("start"))
        given = [{"text": given, "answer_start": start}] if given else []
    if not isinstance(given, list):
        return f"its answers are {quoted(str(given))}"
    found: list[tuple[str, int | None]] = []
    for each in given:
        text = each.get("text") if isinstance(each, dict) else each
        start = each.get("answer_start") if isinstance(each, dict) else None
        if not isinstance(text, str):
            return f"an answer has no text: {quoted(str(each))}"
        if start is not None and (isinstance(start, bool) or not isinstance(start, int)):
            return f"the start of an answer is {quoted(str(start))}, not a whole number"
        if text.strip():
            found.append((text, start))
    return found


def _id(value: Mapping[str, Any]) -> str:
    found = next((value[key] for key in _IDS if isinstance(value.get(key), str | int)), "")
    return str(found)
