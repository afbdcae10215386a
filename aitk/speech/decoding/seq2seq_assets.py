"""Assets of a sequence-to-sequence model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.options import as_dict, resolve
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Count, Size, read_json
from aitk.speech.data.options import AugmentOptions

FILE, TOKENS = "seq2seq.json", "tokens"
#: The shape of ``seq2seq.json``.
SHAPE = {
    "model": str,
    "max_length": Size,
    "filters": Count,
    "augment": dict,
    "language": str | None,
    "translate": bool,
    "times": bool,
}


@dataclass(frozen=True)
class Seq2SeqAssets:
    """Everything that such a model needs besides its weights.

    Attributes:
        model: ``whisper`` or ``moonshine``.
        tokens: its vocabulary, ``WhisperTokens`` or ``MoonshineTokens``.
        max_length: maximum tokens of a text, including the prompt.
        filters: mel filters of Whisper's features; 0 for models that read samples.
        augment: augmentation in training.
        language: spoken language; None: detected by the model.
        translate: translate into English.
        times: predict segment times.
    """

    model: str
    tokens: Any
    max_length: int
    filters: int = 0
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    language: str | None = None
    translate: bool = False
    times: bool = False

    def prompt(self, *, times: bool | None = None) -> list[int]:
        """The decoder input before the text; ``times`` overrides the setting."""
        return self.tokens.prompt(
            language=self.language,
            translate=self.translate,
            times=self.times if times is None else times,
        )

    def save(self, folder: Path) -> None:
        """Write ``seq2seq.json`` and the vocabulary in ``tokens``."""
        folder.mkdir(parents=True, exist_ok=True)
        self.tokens.save(folder / TOKENS)
        write_json(
            folder / FILE,
            {
                "model": self.model,
                "max_length": self.max_length,
                "filters": self.filters,
                "augment": as_dict(self.augment),
                "language": self.language,
                "translate": self.translate,
                "times": self.times,
            },
        )


def load_seq2seq_assets(folder: Path) -> Seq2SeqAssets:
    """Read assets written by ``Seq2SeqAssets.save``.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    values = read_json(folder / FILE, SHAPE)
    try:
        values["augment"] = resolve(AugmentOptions, values["augment"])
        return Seq2SeqAssets(tokens=load_vocabulary(values["model"], folder / TOKENS), **values)
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"is damaged ({error})", where=str(folder / FILE)) from error


def load_vocabulary(model: str, folder: Path) -> Any:
    """The vocabulary of a saved model."""
    if model == "whisper":
        from aitk.speech.features.tokenizers.whisper import load_tokens

        return load_tokens(folder)
    from aitk.speech.features.tokenizers.moonshine import load_moonshine_tokens

    return load_moonshine_tokens(folder)
