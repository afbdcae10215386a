"""The settings of models that write token by token. Standard library only: help reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import option
from aitk.speech.data.options import AugmentOptions


@dataclass(frozen=True)
class Seq2SeqSettings(AugmentOptions):
    """What pretrained encoder-decoders share: how sounds vary in training (needs --from)."""

    max_tokens: int = option(224, "longest text, in tokens", minimum=1, maximum=448)

    #: Run formats that can hold such a model: its loop is no part of an exported graph.
    formats: ClassVar[tuple[str, ...]] = ("keras", "keras-quantized", "saved_model")
    default_learning_rate: ClassVar[float] = 1e-5
    default_epochs: ClassVar[int] = 3
    default_steps: ClassVar[int] = 200


@dataclass(frozen=True)
class WhisperSettings(Seq2SeqSettings):
    """Whisper (Radford et al. 2023), with its own vocabulary (needs --from)."""

    language: str | None = option(
        None, "what is spoken, for instance fr; to transcribe, the model can find it by itself"
    )
    translate: bool = option(False, "write English, whatever is spoken")
    times: bool = option(False, "write when segments begin and end, and learn it as well")


@dataclass(frozen=True)
class MoonshineSettings(Seq2SeqSettings):
    """Moonshine (Jeffries et al. 2024): English, quick for short sounds (needs --from)."""
