"""The models of keyword spotting: neural networks and hidden Markov models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.label_task import UNSEEN, LabelModel, LabelOutputs, initial_bias
from aitk.core.contract.model_spec import ClosedFormModel
from aitk.speech.data.audio import decode_audio, encode_audio
from aitk.speech.features.assets import AudioAssets, at_speed_name
from aitk.speech.features.augment import at_speed
from aitk.speech.features.batching import audio_inputs, pad_features, pad_frames
from aitk.speech.features.signal import feature_size
from aitk.speech.tasks.settings import GmmHmmSettings, KeywordSettings

if TYPE_CHECKING:
    import keras

    from aitk.core.contract.progress import Reporter

BATCH_SIZE = 64
HELD_OUT = 5  # every fifth training row of a word calibrates the scores of a GMM-HMM


class KeywordModel(LabelModel[KeywordSettings, AudioAssets]):
    """A backbone over frames, pooling over steps, and a linear head.

    Args:
        architecture: name of the backbone, see ``aitk.speech.models``.
    """

    def __init__(self, settings: type[KeywordSettings], architecture: str):
        super().__init__(settings)
        self.architecture = architecture

    def build(
        self, settings: Any, assets: AudioAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.speech.models import build_backbone, check_dimensions
        from aitk.speech.models.head import classifier

        dimensions = feature_size(assets.features)
        if backbone is None:
            backbone = build_backbone(self.architecture, settings, dimensions)
        check_dimensions(backbone, dimensions)
        return classifier(
            backbone,
            classes=len(assets.labels),
            pooling=settings.pooling,
            dropout=settings.dropout,
            bias=initial_bias(assets),
        )

    def loss(self, assets: AudioAssets) -> Any:
        if assets.thresholds:
            from aitk.core.training.label_losses import MultiLabelLoss

            return MultiLabelLoss(assets.weights, smoothing=assets.smoothing)
        from aitk.speech.losses.cross_entropy import SmoothedCrossEntropy

        return SmoothedCrossEntropy(assets.smoothing)


class GmmHmm(
    LabelOutputs[GmmHmmSettings, AudioAssets], ClosedFormModel[GmmHmmSettings, AudioAssets]
):
    """One hidden Markov model per word, trained by Baum-Welch on the frames of its rows."""

    def fit(
        self,
        settings: GmmHmmSettings,
        assets: AudioAssets,
        rows: Sequence[Mapping[str, Any]],
        *,
        seed: int,
        reporter: Reporter,
    ) -> keras.Model:
        from aitk.speech.models.gmm_hmm import fill, word_scorer

        clips: list[list[np.ndarray]] = [[] for _ in assets.labels]
        numbers = {label: number for number, label in enumerate(assets.labels)}
        # Speed perturbation needs a waveform; rows may have features instead.
        speeds = [] if assets.features.columns else settings.speeds
        for copies in (rows, *(_at_speed(rows, speed) for speed in speeds)):
            for row, inputs in zip(copies, audio_inputs(copies, assets), strict=True):
                number = numbers.get(row["label"], UNSEEN) if "label" in row else UNSEEN
                if number != UNSEEN:
                    clips[number].append(pad_features([inputs], assets)["features"][0])
        scorer = word_scorer(
            len(assets.labels), settings.states, settings.mixtures, feature_size(assets.features)
        )
        reporter.note(f"training {len(clips)} word models by Baum-Welch")
        scale = _calibrate(scorer, clips, settings, seed, copies=1 + len(speeds))
        return fill(scorer, _train(clips, settings, seed), scale=scale)

    def prune(self, model: keras.Model, share: float) -> keras.Model:
        from aitk.speech.models.gmm_hmm import prune

        return prune(model, share=share)


def _calibrate(
    scorer: keras.Model,
    clips: list[list[np.ndarray]],
    settings: GmmHmmSettings,
    seed: int,
    *,
    copies: int,
) -> float:
    """The scale of the words' log-likelihoods, calibrated on every fifth row.

    Args:
        clips: rows of each word, and ``copies - 1`` versions of them at other speeds.
    """
    from aitk.core.inference.predictors import KerasPredictor
    from aitk.speech.losses.hmm import fit_scale
    from aitk.speech.models.gmm_hmm import fill

    held_out, rest = [], []
    for own in clips:
        rows = len(own) // copies
        # The single row of a label is used for training, not for calibration.
        out = [rows > 1 and at % rows % HELD_OUT == 0 for at in range(len(own))]
        held_out.append([clip for clip, is_out in zip(own, out, strict=True) if is_out])
        rest.append([clip for clip, is_out in zip(own, out, strict=True) if not is_out])
    targets = np.repeat(np.arange(len(clips)), [len(own) for own in held_out])
    if not len(targets):
        return 1.0
    predict = KerasPredictor(fill(scorer, _train(rest, settings, seed)))
    flat = [clip for own in held_out for clip in own]
    scores = [
        predict(pad_frames(flat[at : at + BATCH_SIZE])) for at in range(0, len(flat), BATCH_SIZE)
    ]
    return fit_scale(np.concatenate(scores), targets)


def _at_speed(rows: Sequence[Mapping[str, Any]], speed: float) -> list[dict[str, Any]]:
    """The rows at another speed, each with another pseudo-speaker."""
    copies = []
    for fields in rows:
        samples, rate = decode_audio(fields["audio"])
        audio = encode_audio(at_speed(samples, speed), rate)
        name = at_speed_name(fields["speaker"], speed)
        copies.append(dict(fields) | {"audio": audio, "speaker": name})
    return copies


def _train(clips: Sequence[Sequence[np.ndarray]], settings: GmmHmmSettings, seed: int) -> Any:
    from aitk.speech.losses.hmm import train_words

    return train_words(
        clips,
        states=settings.states,
        mixtures=settings.mixtures,
        iterations=settings.iterations,
        min_variance=settings.min_variance,
        seed=seed,
    )
