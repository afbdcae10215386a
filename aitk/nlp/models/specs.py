"""The specifications of text models: a backbone, new or pretrained, and a head on it.

A classifier of an external package consists of its settings and a function that builds its
backbone::

    @dataclass(frozen=True)
    class DanSettings(TextSettings):
        hidden: int = option(64, "size of an embedding", minimum=1)
        dropout: float = option(0.1, "share of the features dropped")

    def build_backbone(settings: DanSettings, vocabulary_size: int) -> keras.Model: ...

    dan = TextClassifier(DanSettings, build_backbone)
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from aitk.core.contract.errors import UsageError
from aitk.core.contract.label_task import LabelModel, initial_bias
from aitk.core.contract.model_spec import SettingsT, TrainedModel
from aitk.core.contract.score_task import ScoreAssets, ScoreModel
from aitk.core.contract.task import Assets
from aitk.nlp.features.assets import TextAssets
from aitk.nlp.tasks.settings import BagSettings, StaticClassifierSettings

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained

#: Settings and vocabulary size to a backbone with new weights.
BuildBackbone = Callable[[Any, int], "keras.Model"]


class TokenizedAssets(Assets, Protocol):
    """Assets of a model that reads token ids."""

    @property
    def tokenizer(self) -> Any: ...

    @property
    def max_length(self) -> int: ...


class TokenizedScores(TokenizedAssets, ScoreAssets, Protocol):
    """Assets of a model that reads token ids and outputs a score."""


TokenizedT = TypeVar("TokenizedT", bound=TokenizedAssets)


class TextModel(TrainedModel[SettingsT, TokenizedT]):
    """A head over a text backbone; a subclass builds the head.

    Args:
        settings: options dataclass, usually a ``TextSettings``.
        backbone: builds a backbone with new weights (see ``aitk.nlp.models``): a function, or
            ``"package.module:function"`` where the module needs Keras. None for a model that
            wraps the pretrained backbone of ``--from``.
    """

    def __init__(self, settings: type[SettingsT], backbone: BuildBackbone | str | None = None):
        super().__init__(settings)
        self._build_backbone = backbone
        self.wraps_pretrained = backbone is None  # type: ignore[misc]

    def backbone(
        self, settings: SettingsT, assets: TokenizedT, given: keras.Model | None
    ) -> keras.Model:
        """The given backbone or a new one.

        Raises:
            UsageError: neither exists, or it has too few positions for ``assets.max_length``.
        """
        backbone = self.new_backbone(settings, assets) if given is None else given
        check_length(backbone, assets.max_length)
        return backbone

    def new_backbone(self, settings: SettingsT, assets: TokenizedT) -> keras.Model:
        """A backbone with new weights."""
        build = self._build_backbone
        if build is None:
            raise UsageError(
                "the model needs pretrained weights; none are given",
                where="--model",
                hint="Name pretrained weights with --from, or choose another model",
            )
        if isinstance(build, str):
            module, _, function = build.partition(":")
            build = getattr(importlib.import_module(module), function)
        vectors = getattr(getattr(assets, "text", assets), "embeddings", None)
        if vectors is None:
            return build(settings, assets.tokenizer.vocabulary_size)
        # The embedding dimension follows the given vectors.
        wide = dataclasses.replace(settings, hidden=vectors.shape[1])  # type: ignore[type-var]
        backbone = build(wide, len(vectors))
        backbone.get_layer("token_embedding").set_weights([vectors])
        return backbone

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.nlp.models.pretrained import adopt

        return adopt(found)


class TextClassifier(TextModel[SettingsT, TextAssets], LabelModel[SettingsT, TextAssets]):
    """Pooled features and a linear head: logits (batch, classes)."""

    def build(
        self, settings: Any, assets: TextAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.nlp.models.heads import classifier

        return classifier(
            self.backbone(settings, assets, backbone),
            classes=len(assets.labels),
            pooling=settings.pooling,
            dropout=settings.dropout,
            linear=settings.linear,
            bias=initial_bias(assets),
        )


class BagClassifier(TextClassifier[BagSettings]):
    """A bag of words whose embedding dimension is at most the number of classes."""

    def open_arrays(self, path: Path) -> Callable[[Mapping[str, Any]], Any] | None:
        from aitk.nlp.models.bag_arrays import open_bag

        return open_bag(path)

    def new_backbone(self, settings: BagSettings, assets: TextAssets) -> keras.Model:
        from aitk.nlp.models.bag import build_backbone

        vocabulary_size = assets.tokenizer.vocabulary_size
        backbone = build_backbone(settings, vocabulary_size, classes=len(assets.labels))
        if assets.unit_weights is not None:
            backbone.get_layer("rarity").fill(assets.unit_weights)
        return backbone


class StaticClassifier(TextClassifier[StaticClassifierSettings]):
    """A linear head on the mean of one vector per token, distilled from an encoder and trained."""

    any_backbone = True
    backbone_settings = ("pooling",)
    distils_backbone = True

    def build(
        self, settings: Any, assets: TextAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.nlp.models.heads import classifier
        from aitk.nlp.models.sentence import distilled_backbone

        weights: Any = assets.unit_weights
        table = distilled_backbone(
            # It reads single tokens: its positions do not limit the length of a text.
            self.new_backbone(settings, assets) if backbone is None else backbone,
            assets.tokenizer,
            weights,
            pooling=settings.pooling,
            dimension=settings.dimension,
        )
        return classifier(
            table,
            classes=len(assets.labels),
            pooling="mean",
            dropout=settings.dropout,
            bias=initial_bias(assets),
        )


class TextRegressor(TextModel[SettingsT, TokenizedScores], ScoreModel[SettingsT, TokenizedScores]):
    """Pooled features and one linear output: standardised scores (batch, 1)."""

    def build(
        self, settings: Any, assets: TokenizedScores, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.nlp.models.heads import classifier

        return classifier(
            self.backbone(settings, assets, backbone),
            classes=1,
            pooling=settings.pooling,
            dropout=settings.dropout,
        )


class TokenPredictor(TextModel[SettingsT, TokenizedT]):
    """A model with logits of the vocabulary at every slot: (batch, slots, vocabulary)."""

    def loss(self, assets: TokenizedT) -> Any:
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class MaskedModel(TokenPredictor[SettingsT, TokenizedT]):
    """A masked language model over a bidirectional backbone."""

    def build(
        self, settings: SettingsT, assets: TokenizedT, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.nlp.models.decoders.language_models import MaskedTokens

        return MaskedTokens(self.backbone(settings, assets, backbone), name="masked_lm")


class CausalModel(TokenPredictor[SettingsT, TokenizedT]):
    """A causal language model over a causal backbone."""

    def default_settings(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        return {"pack": True} if summary.get("running_text") else {}

    def build(
        self, settings: SettingsT, assets: TokenizedT, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.nlp.models.decoders.language_models import NextTokens, check_causal

        if backbone is not None:
            check_causal(backbone)
        return NextTokens(self.backbone(settings, assets, backbone), name="next_tokens")


def check_length(backbone: keras.Model, max_length: int) -> None:
    """Refuse texts longer than the learned positions of a backbone.

    Raises:
        UsageError: ``max_length`` exceeds the positions.
    """
    for layer in backbone.layers:
        longest = getattr(layer, "max_length", None) or getattr(layer, "max_sequence_length", None)
        if longest is not None and max_length > longest:
            raise UsageError(
                f"max_length is {max_length}, but the model has {longest} positions",
                where="--set max_length",
                hint=f"At most {longest}",
            )
