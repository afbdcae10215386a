"""The specifications of embedding models: word vectors, sentence encoders, static tables."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import UsageError
from aitk.core.contract.model_spec import ClosedFormModel, SettingsT
from aitk.nlp.data.options import SCORED, TRIPLETS
from aitk.nlp.features.embed_assets import EmbedAssets
from aitk.nlp.losses.word_corpus import write_corpus
from aitk.nlp.models.specs import TextModel
from aitk.nlp.tasks.embed_settings import StaticSettings

if TYPE_CHECKING:
    import keras

    from aitk.core.contract.progress import Reporter


class WordVectors(ClosedFormModel[SettingsT, EmbedAssets]):
    """A table of word vectors, trained by its own program.

    Args:
        settings: options dataclass, a ``WordVectorSettings``.
        train: ``"module:function"`` that trains the vectors of all units on a ``WordCorpus``.
    """

    def __init__(self, settings: type[SettingsT], train: str):
        super().__init__(settings)
        self._train = train

    def fit(
        self,
        settings: SettingsT,
        assets: EmbedAssets,
        rows: Sequence[Mapping[str, Any]],
        *,
        seed: int,
        reporter: Reporter,
    ) -> keras.Model:
        from aitk.nlp.models.sentence import word_table

        if assets.units is None:
            raise UsageError("has no words", where="--model")
        module, _, name = self._train.partition(":")
        train = getattr(importlib.import_module(module), name)
        with write_corpus(rows, assets.units, reporter=reporter) as corpus:
            vectors = train(corpus, assets.units, settings, seed=seed, reporter=reporter)
        return word_table(vectors)


class SentenceEncoder(TextModel[SettingsT, EmbedAssets]):
    """Pooled features of length 1: (texts, hidden)."""

    def build(
        self, settings: Any, assets: EmbedAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.nlp.models.sentence import sentence_encoder

        return sentence_encoder(self.backbone(settings, assets, backbone), pooling=settings.pooling)

    def loss(self, assets: EmbedAssets) -> Any:
        from aitk.nlp.losses.contrastive import (
            CosineRanking,
            CosineRegression,
            MultipleNegatives,
        )

        if assets.form == SCORED:
            return CosineRanking(assets.temperature) if assets.ranked else CosineRegression()
        sides = 3 if assets.form == TRIPLETS else 2
        return MultipleNegatives(sides, assets.temperature)


class StaticTable(SentenceEncoder[StaticSettings]):
    """The mean of one vector per token, which an encoder computed for each token alone."""

    any_backbone = True
    distils_backbone = True
    backbone_settings = ("pooling",)

    def build(
        self, settings: Any, assets: EmbedAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.nlp.models import sentence

        if backbone is None:
            raise UsageError(
                "a static table is distilled from an encoder; none is given",
                where="--model static",
                hint="Name the encoder with --from",
            )
        weights: Any = assets.token_weights
        backbone = sentence.distilled_backbone(
            backbone,
            assets.tokenizer,
            weights,
            pooling=settings.pooling,
            dimension=settings.dimension,
        )
        return sentence.sentence_encoder(backbone, pooling="mean")
