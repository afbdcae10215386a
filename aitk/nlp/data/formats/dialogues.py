"""Dialogues from JSON lines: ``messages`` with roles, or ShareGPT's ``conversations``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Finding, Note
from aitk.core.io.names import split_named
from aitk.core.io.tables import JSON_LINES, file_suffix, open_table
from aitk.core.privacy.redaction import redactor_of, with_counts
from aitk.nlp.data.cleaning import make_cleaner
from aitk.nlp.data.options import GenerateReading, TextReading
from aitk.nlp.data.quality import LONG_TEXTS, TextInspector

#: Keys of a record that can hold its messages.
KEYS = ("messages", "conversations", "conversation")
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
}


def holds_dialogues(sources: Sequence[str], encoding: str | None) -> bool:
    """Whether the files are JSON lines of dialogues, based on the first lines of each.

    Raises:
        DataError: some files contain dialogues and others do not.
    """
    found = {name: _layout_of(name, encoding) is not None for name in sources}
    if any(found.values()) and not all(found.values()):
        other = next(name for name, is_dialogue in found.items() if not is_dialogue)
        raise DataError("does not contain dialogues, unlike other sources", where=other)
    return bool(found) and all(found.values())


def read_dialogues(
    sources: Sequence[str], reading: TextReading, *, labelled: bool, note: Note
) -> Iterator[Row | Refusal]:
    """Stream rows ``{"text": ..., "messages": JSON}``; ``text`` is for display.

    Args:
        labelled: the last message must be from the assistant. Otherwise it may be a question.
    """
    redactor = redactor_of(reading)
    clean = make_cleaner(reading, redactor)
    yield from with_counts(_read(sources, reading, clean, labelled=labelled, note=note), redactor)


def _read(
    sources: Sequence[str],
    reading: TextReading,
    clean: Callable[[str], str],
    *,
    labelled: bool,
    note: Note,
) -> Iterator[Row | Refusal]:
    for source in sources:
        table = open_table(source, encoding=reading.encoding)
        key = _layout_of(source, reading.encoding)
        note(f"{source}: dialogues in {key!r}")
        split = split_named(source.rpartition("/")[2])
        for item in table:
            if isinstance(item, Refusal):
                yield item
                continue
            line, record = item
            messages, problem = check_messages(record.get(key or ""), labelled=labelled)
            if problem:
                yield Refusal(source, line, problem)
                continue
            cleaned = [{**each, "content": clean(each["content"])} for each in messages]
            yield Row(dialogue_fields(cleaned), source, line, split, {} if labelled else record)


def dialogue_fields(messages: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The fields of a row with a dialogue."""
    return {
        "text": "\n".join(f"{each['role']}: {each['content']}" for each in messages),
        "messages": json.dumps(list(messages), ensure_ascii=False),
    }


class DialogueInspector(TextInspector):
    """Inspects every text or dialogue once; counts the messages of dialogues, and tells whether
    the texts are passages of running text."""

    def __init__(self, reading: GenerateReading):
        super().__init__(reading, labelled=False)
        self._messages: Counter[str] = Counter()
        self._is_running = reading.join_lines is not None

    def add(self, row: Row, split: str) -> None:
        super().add(row, split)
        if "messages" in row.fields:
            self._messages.update(each["role"] for each in json.loads(row.fields["messages"]))

    def state(self) -> dict[str, Any]:
        return super().state() | {"messages": dict(self._messages)}

    def merge(self, state: Mapping[str, Any]) -> None:
        super().merge(state)
        self._messages.update(state["messages"])

    def findings(self) -> list[Finding]:
        found = super().findings()
        # Every window of a passage is read.
        return [each for each in found if not (self._is_running and each.check == LONG_TEXTS)]

    def summary(self) -> dict[str, Any]:
        counted = {"messages": dict(self._messages)} if self._messages else {}
        running = {"running_text": True} if self._is_running else {}
        return super().summary() | counted | running


def check_messages(value: Any, *, labelled: bool) -> tuple[list[dict[str, str]], str | None]:
    """The messages of a record with their roles, or why they are not a dialogue.

    A system message may come first; then user and assistant take turns.
    """
    if not isinstance(value, list) or not value:
        return [], "it has no messages"
    messages = []
    for number, each in enumerate(value, 1):
        if not isinstance(each, dict):
            return [], f"message {number} is not an object"
        role = next((each[key] for key in ("role", "from") if key in each), None)
        text = next((each[key] for key in ("content", "value") if key in each), None)
        if not isinstance(role, str) or role.lower() not in ROLES:
            known = ", ".join(ROLES)
            return [], f"message {number} has the role {role!r}, not one of {known}"
        if not isinstance(text, str) or not text.strip():
            return [], f"message {number} is empty or not text"
        messages.append({"role": ROLES[role.lower()], "content": text})
    spoken = messages[1:] if messages[0]["role"] == "system" else messages
    wanted = ("user", "assistant")
    for number, message in enumerate(spoken):
        if message["role"] != wanted[number % 2]:
            place = number + 1 + len(messages) - len(spoken)
            return [], (
                f"its roles are out of order: message {place} is from the {message['role']},"
                f" not the {wanted[number % 2]}"
            )
    if not spoken:
        return [], "it has only a system message"
    if labelled and spoken[-1]["role"] != "assistant":
        return [], "its last message has no reply"
    return messages, None


def _layout_of(source: str, encoding: str | None) -> str | None:
    """The key of the messages in a file's first records, or None."""
    if source == "-" or file_suffix(source) not in JSON_LINES:
        return None
    try:
        table = open_table(source, encoding=encoding)
    except DataError:
        return None  # the reader reports the reason
    for record in table.preview:
        for key in KEYS:
            if isinstance(record.get(key), list):
                return key
    return None
