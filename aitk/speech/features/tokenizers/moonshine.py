"""Moonshine's vocabulary: a SentencePiece model (Kudo and Richardson 2018) for English."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Size, read_json
from aitk.speech.decoding.token_rules import Rules

ENGINE, FILE = "vocabulary.spm", "moonshine.json"


@dataclass(frozen=True)
class MoonshineTokens:
    """The vocabulary of a Moonshine model.

    Attributes:
        content: the serialised SentencePiece model.
        size: number of decodable tokens: the model reserves some for later use.
        engine: the SentencePiece processor.
    """

    content: bytes
    size: int
    engine: Any = field(compare=False, repr=False)

    @property
    def end(self) -> int:
        """The end-of-text token."""
        return self.engine.eos_id()

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        return self.engine.encode(text.strip())

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens."""
        return self.engine.decode([int(token) for token in tokens]).strip()

    def prompt(self, *, language: str | None, translate: bool, times: bool) -> list[int]:
        """The decoder input before the text.

        Raises:
            UsageError: anything but plain English is requested.
        """
        if language not in (None, "en") or translate or times:
            raise UsageError("Moonshine transcribes English only, without times", where="--model")
        return [self.engine.bos_id()]

    def language_of(self, prompt: Sequence[int]) -> str:
        """English."""
        del prompt
        return "en"

    def time_of(self, token: int) -> float | None:
        """None: the vocabulary has no time tokens."""
        del token
        return None

    def rules(self, max_length: int) -> Rules:
        """The decoding constraints for at most ``max_length`` tokens, including the prompt."""
        never = (self.engine.bos_id(), self.engine.unk_id())
        return Rules(end=self.end, size=self.size, max_length=max_length, suppressed=never)

    def save(self, folder: Path) -> None:
        """Write ``vocabulary.spm`` and ``moonshine.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ENGINE).write_bytes(self.content)
        write_json(folder / FILE, {"size": self.size})


def load_moonshine_tokens(folder: Path) -> MoonshineTokens:
    """Read a vocabulary written by ``MoonshineTokens.save``.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    return read_moonshine_tokens(
        folder / ENGINE, size=read_json(folder / FILE, {"size": Size})["size"]
    )


def read_moonshine_tokens(path: Path, *, size: int) -> MoonshineTokens:
    """Read a SentencePiece model from a file.

    Args:
        size: vocabulary size of the model.

    Raises:
        ArtifactError: the file is missing, damaged, or has no start, end or unknown token.
    """
    from sentencepiece import SentencePieceProcessor

    try:
        content = path.read_bytes()
        engine = SentencePieceProcessor(model_proto=content)
        pieces = engine.get_piece_size()
    except (OSError, RuntimeError, TypeError) as error:
        raise ArtifactError(f"cannot be read ({error})", where=str(path)) from error
    if min(engine.bos_id(), engine.eos_id(), engine.unk_id()) < 0:
        raise ArtifactError("has no start, end or unknown token", where=str(path))
    if pieces > size:
        raise ArtifactError(f"has {pieces} tokens, but the model {size}", where=str(path))
    return MoonshineTokens(content, pieces, engine)
