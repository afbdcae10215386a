"""The models of speech recognition: CTC, joint CTC/attention, and pretrained encoder-decoders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.model_spec import ONLY_OUTPUT, TrainedModel
from aitk.speech.decoding.ctc_assets import CtcAssets
from aitk.speech.decoding.seq2seq_assets import Seq2SeqAssets
from aitk.speech.features.signal import feature_size
from aitk.speech.tasks.seq2seq_recogniser import needs_pretrained
from aitk.speech.tasks.settings import (
    JointTransformerSettings,
    Seq2SeqSettings,
    TranscriberSettings,
)

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained


class CtcModel(TrainedModel[Any, CtcAssets]):
    """A backbone with a linear head on every step (connectionist temporal classification).

    Args:
        architecture: name of the backbone, see ``aitk.speech.models``.
    """

    def __init__(self, settings: type[TranscriberSettings], architecture: str):
        super().__init__(settings)
        self.architecture = architecture

    def output_sizes(self, assets: CtcAssets) -> Mapping[str, int]:
        return {ONLY_OUTPUT: len(assets.units)}

    def build(
        self, settings: Any, assets: CtcAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.speech.models import build_backbone, check_dimensions
        from aitk.speech.models.inputs import frames_per_step

        dimensions = feature_size(assets.audio.features)
        if backbone is None:
            backbone = build_backbone(self.architecture, settings, dimensions)
        check_dimensions(backbone, dimensions)
        if frames_per_step(backbone) != assets.subsampling:
            raise ArtifactError(
                f"the backbone has {frames_per_step(backbone)} frames per step, but the"
                f" settings {assets.subsampling}",
                hint=f"Add --set subsampling={frames_per_step(backbone)}",
            )
        return self._with_head(backbone, settings, len(assets.units))

    def loss(self, assets: CtcAssets) -> Any:
        from aitk.speech.losses.ctc_loss import CtcLoss

        del assets
        return CtcLoss()

    def _with_head(self, backbone: keras.Model, settings: Any, units: int) -> keras.Model:
        from aitk.speech.models.head import transcriber

        return transcriber(backbone, units=units, dropout=settings.dropout)


class JointModel(CtcModel):
    """A CTC model with an attention decoder as a second head (hybrid CTC/attention)."""

    def output_sizes(self, assets: CtcAssets) -> Mapping[str, int]:
        del assets
        return {}

    def loss(self, assets: CtcAssets) -> Any:
        from aitk.speech.losses.ctc_loss import JointLoss

        if assets.ctc_weight is None:
            raise ArtifactError("the assets belong to a model without a decoder")
        return JointLoss(assets.ctc_weight)

    def _with_head(
        self, backbone: keras.Model, settings: JointTransformerSettings, units: int
    ) -> keras.Model:
        from aitk.speech.models.joint import joint_transcriber

        return joint_transcriber(
            backbone,
            units=units,
            layers=settings.decoder_layers,
            heads=settings.heads,
            dropout=settings.dropout,
        )


class Seq2SeqSpec(TrainedModel[Seq2SeqSettings, Seq2SeqAssets]):
    """A pretrained encoder-decoder with its own vocabulary, Whisper or Moonshine."""

    #: The decoding loop is not part of an exported graph.
    formats = ("keras", "keras-quantized", "saved_model")
    wraps_pretrained = True

    def open_folder(
        self, folder: Path, config: Mapping[str, Any], *, source: str
    ) -> Pretrained | None:
        from aitk.speech.models.seq2seq.sources import open_seq2seq

        return open_seq2seq(folder, config, model=self.settings.network, source=source)

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.speech.models.seq2seq.sources import adopt_seq2seq

        return adopt_seq2seq(found)

    def build(
        self,
        settings: Seq2SeqSettings,
        assets: Seq2SeqAssets,
        *,
        backbone: keras.Model | None = None,
    ) -> keras.Model:
        from aitk.speech.models.seq2seq.generation import Seq2SeqModel

        if backbone is None:
            raise needs_pretrained(assets.model)
        rules = assets.tokens.rules(assets.max_length)
        if rules.size > backbone.vocabulary_size:
            raise ArtifactError(
                f"the tokeniser has {rules.size} tokens, but the model {backbone.vocabulary_size}"
            )
        return Seq2SeqModel(backbone, rules, name="seq2seq")

    def loss(self, assets: Seq2SeqAssets) -> Any:
        from aitk.speech.models.seq2seq.generation import TokenCrossEntropy

        del assets
        return TokenCrossEntropy()
