"""The specifications of translators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aitk.core.contract.model_spec import SettingsT, TrainedModel
from aitk.nlp.tasks.translate_settings import TransformerTranslatorSettings

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained


class TranslationModel(TrainedModel[SettingsT, Any]):
    """An encoder-decoder with shared subwords, trained from scratch or from another run."""

    def build(
        self, settings: Any, assets: Any, *, backbone: keras.Model | None = None
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

    def loss(self, assets: Any) -> Any:
        from aitk.nlp.losses.smoothed import SmoothedTokenCrossEntropy

        return SmoothedTokenCrossEntropy(assets.label_smoothing)

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.nlp.models.pretrained import adopt

        return adopt(found)
