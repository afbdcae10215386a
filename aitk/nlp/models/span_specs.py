"""The specifications of taggers and of question answering models. Light: no Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.model_spec import ONLY_OUTPUT, SettingsT, TrainedModel
from aitk.nlp.features.tag_assets import TagAssets, load_tag_assets
from aitk.nlp.features.word_readers import WORD_LENGTH
from aitk.nlp.models.specs import TextModel
from aitk.nlp.tasks.settings import BilstmCrfSettings, QaTransformerSettings

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.nlp.features.passages import QaAssets


class TagLosses(TrainedModel[SettingsT, TagAssets]):
    """The loss and the outputs of every tagger (mixin)."""

    def output_sizes(self, assets: TagAssets) -> Mapping[str, int]:
        return {ONLY_OUTPUT: len(assets.labels)}

    def loss(self, assets: TagAssets) -> Any:
        from aitk.nlp.models.crf import CrfLoss, TokenLoss

        return CrfLoss(assets.legal) if assets.learned else TokenLoss()


class SubwordTagger(TextModel[SettingsT, TagAssets], TagLosses[SettingsT]):
    """A head on the first subword of each word, over any text backbone."""

    def build(
        self, settings: Any, assets: TagAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.nlp.models.span_head import word_tagger

        return word_tagger(
            self.backbone(settings, assets, backbone),
            tags=len(assets.labels),
            dropout=settings.dropout,
            learned=assets.learned,
            subwords=True,
        )


class WordTagger(TagLosses[BilstmCrfSettings]):
    """``bilstm-crf``: words and characters, without subwords."""

    def adopt(self, found: Pretrained) -> Pretrained:
        """The source with the vocabulary of its run.

        Raises:
            ArtifactError: the source is not a run, so its words are unknown.
        """
        if found.kind != "run":
            raise ArtifactError(
                "its words are unknown", where=found.source, hint="Start from a run of this model"
            )
        return dataclasses.replace(found, tokenizer=load_tag_assets(found.folder).reader)

    def build(
        self,
        settings: BilstmCrfSettings,
        assets: TagAssets,
        *,
        backbone: keras.Model | None = None,
    ) -> keras.Model:
        from aitk.nlp.models.bilstm_crf import build_backbone
        from aitk.nlp.models.span_head import word_tagger

        reader: Any = assets.reader  # a WordVocabulary, as made by ``Tag.learn``
        vectors = assets.embeddings
        if vectors is not None:
            settings = dataclasses.replace(settings, embedding=vectors.shape[1])
        started = backbone is not None
        backbone = backbone or build_backbone(
            settings,
            reader.vocabulary_size,
            characters=reader.character_count,
            word_length=WORD_LENGTH,
        )
        if vectors is not None and not started:
            backbone.get_layer("token_embedding").set_weights([vectors])
        return word_tagger(
            backbone, tags=len(assets.labels), dropout=0.0, learned=True, subwords=False
        )


class SpanModel(TextModel[SettingsT, "QaAssets"]):
    """Start and end of the answer, over any text backbone."""

    def output_sizes(self, assets: QaAssets) -> Mapping[str, int]:
        del assets
        return {ONLY_OUTPUT: 2}

    def loss(self, assets: QaAssets) -> Any:
        from aitk.nlp.models.span_head import SpanLoss

        del assets
        return SpanLoss()

    def build(
        self, settings: Any, assets: QaAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.nlp.models.span_head import span_reader

        return span_reader(self.backbone(settings, assets, backbone), dropout=settings.dropout)


class SpanTransformer(SpanModel[QaTransformerSettings]):
    """The transformer from scratch, with features for words shared by question and context."""

    def new_backbone(self, settings: QaTransformerSettings, assets: QaAssets) -> keras.Model:
        from aitk.nlp.models.span_head import QuestionOverlap
        from aitk.nlp.models.transformer import build_backbone

        overlap = QuestionOverlap(assets.pair_frame.separator, name="question_overlap")
        return build_backbone(settings, assets.tokenizer.vocabulary_size, added=overlap)
