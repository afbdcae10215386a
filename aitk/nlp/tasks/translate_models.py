"""The specifications of translators."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.model_spec import SettingsT, TrainedModel
from aitk.nlp.tasks.translate_settings import TransformerTranslatorSettings

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer


class SmoothedAssets(Protocol):
    """Assets of models whose targets are smoothed.

    Attributes:
        label_smoothing: share of the targets' probability spread over all tokens.
    """

    @property
    def tokenizer(self) -> SubwordTokenizer: ...

    @property
    def max_length(self) -> int: ...

    label_smoothing: float


class TranslationModel(TrainedModel[SettingsT, SmoothedAssets]):
    """An encoder-decoder with shared subwords, trained from scratch or from another run."""

    def build(
        self, settings: Any, assets: SmoothedAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.nlp.models.decoders.seq2seq import (
            SIZES,
            LstmSeq2Seq,
            TransformerSeq2Seq,
            Translator,
        )

        size = assets.tokenizer.vocabulary_size
        if backbone is None and isinstance(settings, TransformerTranslatorSettings):
            hidden, layers, heads, width = SIZES[settings.size]
            backbone = TransformerSeq2Seq(
                size, hidden, layers, heads, width, dropout=settings.dropout
            )
        elif backbone is None:
            backbone = LstmSeq2Seq(size, settings.hidden, settings.layers, settings.dropout)
        return Translator(backbone, name="translator")

    def loss(self, assets: SmoothedAssets) -> Any:
        from aitk.nlp.losses.smoothed import SmoothedTokenCrossEntropy

        return SmoothedTokenCrossEntropy(assets.label_smoothing)

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.nlp.models.pretrained import adopt

        return adopt(found)


class HubTranslationModel(TranslationModel[SettingsT]):
    """A pretrained encoder-decoder of Keras Hub, with its own output embeddings."""

    wraps_pretrained = True

    def build(
        self, settings: Any, assets: SmoothedAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        if backbone is None:
            raise UsageError(
                "the model needs pretrained weights; none are given",
                where="--model",
                hint="Name a T5 or BART with --from, or choose another model",
            )
        from aitk.nlp.models.decoders.hub_seq2seq import HubTranslator
        from aitk.nlp.models.specs import check_length

        check_length(backbone, assets.max_length)
        return HubTranslator(backbone, assets.tokenizer.vocabulary_size, name="translator")

    def open_folder(
        self, folder: Path, config: Mapping[str, Any], *, source: str
    ) -> Pretrained | None:
        if config.get("model_type") in ("t5", "mt5"):
            raise ArtifactError(
                "is a T5 in Hugging Face format, which Keras Hub does not read",
                where=source,
                hint="Use its Keras Hub preset",
            )
        return None

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.nlp.models.pretrained import adopt_seq2seq

        return adopt_seq2seq(found)
