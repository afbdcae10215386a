"""Dialogues as tokens: the template of a chat model, and the tokens of its replies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.io.files import write_json
from aitk.core.io.json_files import read_json, read_text
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer

FILE = "chat.json"
#: The template of models trained here, in ChatML format.
OPEN, CLOSE = "<|im_start|>", "<|im_end|>"
CHATML = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
#: For fixed vocabularies without role marks.
PLAIN = (
    "{% for message in messages %}"
    "{{ message.role | capitalize }}: {{ message.content }}\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token")
Message = Mapping[str, str]


@dataclass(frozen=True)
class Piece:
    """A part of a rendered dialogue, and whether the model writes it."""

    text: str
    is_answer: bool


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja template in the form of Hugging Face's tokenisers, run in a sandbox.

    Attributes:
        source: the template.
        tokens: the special tokens that it uses, such as ``bos_token``.
    """

    source: str
    tokens: Mapping[str, str] = field(default_factory=dict)

    def render(self, messages: Sequence[Message], *, asks: bool = False) -> str:
        """The text of a dialogue.

        Args:
            asks: end where a reply begins.

        Raises:
            DataError: the template rejects the messages.
        """
        import jinja2

        try:
            return self._template.render(
                messages=[dict(message) for message in messages],
                add_generation_prompt=asks,
                **self.tokens,
            )
        except jinja2.TemplateError as error:
            raise DataError(f"the chat template rejects the dialogue ({error})") from error

    def pieces(self, messages: Sequence[Message]) -> list[Piece]:
        """The dialogue in parts: each reply of the assistant, up to its end mark, and the rest."""
        found: list[Piece] = []
        done = ""
        for number, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self.render(messages[:number], asks=True)
            after = self.render(messages[: number + 1])
            if not (before.startswith(done) and after.startswith(before)):
                raise DataError("the chat template changes the text before a reply")
            answer = after[len(before) :]
            end = len(answer.rstrip())  # the newline after the end mark belongs to the next part
            found += [Piece(before[len(done) :], False), Piece(answer[:end], True)]
            done = before + answer[:end]
        asks = bool(messages) and messages[-1]["role"] != "assistant"
        rest = self.render(messages, asks=asks)
        if rest.startswith(done) and len(rest) > len(done):
            found.append(Piece(rest[len(done) :], False))
        return [piece for piece in found if piece.text]

    def end_ids(self, tokenizer: SubwordTokenizer) -> frozenset[int]:
        """The special tokens that end a reply."""
        asked = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        last = self.pieces(asked)
        answers = [piece.text for piece in last if piece.is_answer]
        ids = tokenizer.engine.encode(answers[-1], add_special_tokens=False).ids if answers else []
        ends = {each for each in ids[-1:] if each in tokenizer.special_ids}
        return frozenset(ends | ({tokenizer.end_id} if tokenizer.end_id is not None else set()))

    def save(self, folder: Path) -> None:
        write_json(folder / FILE, {"template": self.source, "tokens": dict(self.tokens)})

    @cached_property
    def _template(self) -> Any:
        import jinja2
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _refuse
        try:
            return environment.from_string(self.source)
        except jinja2.TemplateError as error:
            raise ArtifactError(f"the chat template is damaged ({error})") from error


def load_chat(folder: Path) -> ChatTemplate | None:
    """Read what ``ChatTemplate.save`` wrote, if anything."""
    if not (folder / FILE).is_file():
        return None
    values = read_json(folder / FILE, {"template": str, "tokens": {str: str}})
    return ChatTemplate(values["template"], values["tokens"])


def find_chat(folder: Path) -> ChatTemplate | None:
    """The template of a run or a Hugging Face folder."""
    for place in (folder / "assets", folder):
        if (found := load_chat(place)) is not None:
            return found
    path = folder / "tokenizer_config.json"
    config = read_json(path) if path.is_file() else {}
    source = config.get("chat_template")
    if (folder / "chat_template.jinja").is_file():
        source = read_text(folder / "chat_template.jinja")
    if isinstance(source, list):  # several by name
        named = {each.get("name"): each.get("template") for each in source}
        source = named.get("default")
    if not isinstance(source, str):
        return None
    tokens = {}
    for name in _TOKENS:
        value = config.get(name)
        value = value.get("content") if isinstance(value, dict) else value
        if isinstance(value, str):
            tokens[name] = value
    return ChatTemplate(source, tokens)


def new_chat(tokenizer: SubwordTokenizer, *, may_grow: bool) -> ChatTemplate:
    """A template for a tokeniser that has none.

    Args:
        may_grow: role marks may be added to the vocabulary.
    """
    if may_grow:
        tokenizer.engine.add_special_tokens([OPEN, CLOSE])
    known = tokenizer.engine.get_vocab(with_added_tokens=True)
    return ChatTemplate(CHATML if {OPEN, CLOSE} <= set(known) else PLAIN)


def encode_dialogue(
    messages: Sequence[Message], chat: ChatTemplate, tokenizer: SubwordTokenizer
) -> tuple[list[int], list[int]]:
    """Token ids of a dialogue, and 1 for each token that the model is to write.

    Special tokens inside messages are removed, so that no message can change its role.
    """
    names = tokenizer.engine.get_added_tokens_decoder().values()
    special = [token.content for token in names if token.special]
    clean = [
        {"role": each["role"], "content": _without(each["content"], special)} for each in messages
    ]
    ids: list[int] = []
    counted: list[int] = []
    for piece in chat.pieces(clean):
        own = tokenizer.engine.encode(piece.text, add_special_tokens=False).ids
        ids += own
        counted += [int(piece.is_answer)] * len(own)
    return ids, counted


def parse_messages(text: str) -> list[dict[str, str]]:
    """The messages of a stored dialogue."""
    return json.loads(text)


def _without(text: str, tokens: Sequence[str]) -> str:
    for token in tokens:
        text = text.replace(token, "")
    return text


def _refuse(message: str) -> None:
    import jinja2

    raise jinja2.TemplateError(message)
