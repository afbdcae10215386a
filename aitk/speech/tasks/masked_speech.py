"""Masked speech prediction (BEST-RQ, Chiu et al. 2022): predict masked spans of audio."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.contract.model_spec import TrainedModel
from aitk.core.contract.task import Batch, Evaluation, Example, Metric, Note, Score
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Size, read_json
from aitk.core.metrics.classification import log_softmax
from aitk.core.metrics.statistics import bootstrap_scores, ratio_statistic
from aitk.speech.data.audio import decode_audio
from aitk.speech.data.options import UnlabelledAudioReading
from aitk.speech.features.assets import (
    AudioAssets,
    learn_features,
    learn_moments,
    load_audio_assets,
)
from aitk.speech.features.batching import audio_inputs, pad_features, pad_frames
from aitk.speech.features.signal import feature_size
from aitk.speech.features.spectrogram_images import spectrogram_png
from aitk.speech.losses.best_rq import (
    Components,
    Quantiser,
    choose_steps,
    code_usage,
    hide_frames,
    principal_components,
)
from aitk.speech.tasks.audio_task import AudioTask
from aitk.speech.tasks.settings import (
    MaskedBiLstmSettings,
    MaskedConformerSettings,
    MaskedTcnSettings,
    MaskedTransformerSettings,
)

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained

FILE = "masking.json"
#: The shape of that file.
SHAPE = {
    "dimensions": Size,
    "frames_per_step": Size,
    "codes": Size,
    "code_size": Size,
    "codebooks": Size,
    "components": ({"mean": [float], "directions": [[float]]}, None),
    "mask_share": float,
    "span": Size,
}

#: Maximum number of recordings for computing principal components.
MAX_ROWS = 5000


@dataclass(frozen=True)
class MaskedSpeechAssets:
    """Settings of features, masking and quantisation.

    Attributes:
        audio: feature settings.
        quantiser: computes the codes of masked steps.
        mask_share: approximate share of masked steps.
        span: length of a masked span in steps.
    """

    audio: AudioAssets
    quantiser: Quantiser
    mask_share: float
    span: int

    def save(self, folder: Path) -> None:
        """Write ``audio.json`` and ``masking.json``."""
        self.audio.save(folder)
        quantiser = self.quantiser
        values = {
            "mask_share": self.mask_share,
            "span": self.span,
            "dimensions": quantiser.dimensions,
            "frames_per_step": quantiser.frames_per_step,
            "codes": quantiser.codes,
            "code_size": quantiser.code_size,
            "codebooks": quantiser.codebooks,
            "components": quantiser.components and vars(quantiser.components),
        }
        write_json(folder / FILE, values)


class MaskedSpeechModel(TrainedModel[Any, MaskedSpeechAssets]):
    """A backbone with a linear head that predicts the codes of every step.

    Args:
        architecture: name of the backbone, see ``aitk.speech.models``.
    """

    def __init__(self, settings: type, architecture: str):
        super().__init__(settings)
        self.architecture = architecture

    def build(
        self, settings: Any, assets: MaskedSpeechAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.speech.models import build_backbone, check_dimensions
        from aitk.speech.models.head import transcriber
        from aitk.speech.models.inputs import frames_per_step

        quantiser = assets.quantiser
        if backbone is None:
            backbone = build_backbone(self.architecture, settings, quantiser.dimensions)
        check_dimensions(backbone, quantiser.dimensions)
        own = frames_per_step(backbone)
        if own != quantiser.frames_per_step:
            raise ArtifactError(
                f"the backbone has one step per {own} frames, but the codes one per"
                f" {quantiser.frames_per_step}",
                hint=f"Add --set subsampling={own}",
            )
        return transcriber(backbone, units=quantiser.codebooks * quantiser.codes, dropout=0.0)

    def loss(self, assets: MaskedSpeechAssets) -> Any:
        from aitk.speech.losses.cross_entropy import CodebookLoss

        return CodebookLoss(assets.quantiser.codes)


class MaskedSpeech(AudioTask[MaskedSpeechAssets]):
    """Pretraining on recordings without annotations."""

    name = "speech.masked-speech"
    reading = UnlabelledAudioReading
    models = {
        "conformer": MaskedSpeechModel(MaskedConformerSettings, "conformer"),
        "transformer": MaskedSpeechModel(MaskedTransformerSettings, "transformer"),
        "tcn": MaskedSpeechModel(MaskedTcnSettings, "tcn"),
        "bilstm": MaskedSpeechModel(MaskedBiLstmSettings, "bilstm"),
    }
    metric = Metric("perplexity", higher_is_better=False, is_rate=False)

    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        *,
        start: Pretrained | None = None,
        balance: bool = False,
        tables: Path | None = None,
        note: Note,
    ) -> MaskedSpeechAssets:
        features, augment = learn_features(rows, settings, note=note)
        moments = learn_moments(rows, features, speeds=augment.speeds)
        audio = AudioAssets(features=features, augment=augment, moments=moments)
        step_ms = settings.subsampling * features.shift_ms
        quantiser = Quantiser(
            feature_size(features),
            settings.subsampling,
            codes=settings.codes,
            code_size=settings.code_size,
            codebooks=settings.codebooks,
        )
        if settings.projection == "pca":
            quantiser = replace(quantiser, components=_components(rows, audio, quantiser))
        span = max(1, round(settings.mask_ms / step_ms))
        return MaskedSpeechAssets(audio, quantiser, settings.mask_share, span)

    def load_assets(self, folder: Path) -> MaskedSpeechAssets:
        values = read_json(folder / FILE, SHAPE)
        quantiser = Quantiser(
            values["dimensions"],
            values["frames_per_step"],
            codes=values["codes"],
            code_size=values["code_size"],
            codebooks=values["codebooks"],
            components=_read_components(values["components"]),
        )
        share, span = values["mask_share"], values["span"]
        return MaskedSpeechAssets(load_audio_assets(folder), quantiser, share, span)

    def encode(
        self, rows: Sequence[Mapping[str, Any]], assets: MaskedSpeechAssets
    ) -> list[Example]:
        return [Example(inputs) for inputs in audio_inputs(rows, assets.audio)]

    def length(self, example: Example) -> int:
        return int(example.inputs["frames"])

    def collate(
        self,
        examples: Sequence[Example],
        assets: MaskedSpeechAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Mask spans of every recording: at random with ``rng``, else reproducibly."""
        clips = [example.inputs for example in examples]
        clean = pad_features(clips, assets.audio, rng=rng, pad_to=pad_to)
        quantiser = assets.quantiser
        features, targets, weights = [], [], []
        for item, padded, mask in zip(clips, clean["features"], clean["padding_mask"], strict=True):
            own = rng or np.random.default_rng(zlib.crc32(_content(item).tobytes()))
            real = padded[: mask.sum()]
            codes = quantiser.codes_of(real)
            hidden = choose_steps(len(codes), share=assets.mask_share, span=assets.span, rng=own)
            features.append(
                hide_frames(real, hidden, frames_per_step=quantiser.frames_per_step, rng=own)
            )
            targets.append(codes)
            weights.append(hidden)
        inputs = pad_frames(features, pad_to=pad_to)
        steps = -(-inputs["features"].shape[1] // quantiser.frames_per_step)
        padded_targets = _padded(targets, steps)
        padded_weights = _padded(weights, steps).astype(np.float32)
        # The loss is a mean over all steps; the weights turn it into the mean over masked ones.
        padded_weights *= padded_weights.size / max(1.0, float(padded_weights.sum()))
        lengths = np.array([len(codes) for codes in targets])
        return Batch(inputs, padded_targets, padded_weights, {"steps": lengths})

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: MaskedSpeechAssets,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> list[dict[str, Any]]:
        """The likeliest code of each step, and which masked ones are correct."""
        predictions, by_codebook = [], _by_codebook(outputs, assets)
        weights, targets = np.asarray(batch.weights), np.asarray(batch.targets)
        for row, steps in enumerate(batch.context["steps"]):
            codes = by_codebook[row, :steps].argmax(-1)
            hidden = weights[row, :steps] > 0
            right = int((codes == targets[row, :steps])[hidden].sum())
            hidden_codes = int(hidden.sum()) * codes.shape[1]
            predictions.append(
                {
                    "prediction": f"{right} of {hidden_codes} masked codes",
                    "codes": codes.tolist(),
                    "hidden": np.flatnonzero(hidden).tolist(),
                }
            )
        return predictions

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: MaskedSpeechAssets
    ) -> dict[str, np.ndarray]:
        """Per row: masked steps, correct codes, the summed loss (nats), both averaged over the
        codebooks, and the frequencies of the first codebook's codes."""
        hidden, targets = np.asarray(batch.weights) > 0, np.asarray(batch.targets)
        logits = _by_codebook(outputs, assets)
        log_probabilities = np.take_along_axis(log_softmax(logits), targets[..., None], -1)[..., 0]
        right = (logits.argmax(-1) == targets).mean(-1)
        codes = [
            np.bincount(row[own, 0], minlength=assets.quantiser.codes)
            for row, own in zip(targets, hidden, strict=True)
        ]
        return {
            "steps": hidden.sum(-1),
            "right": np.where(hidden, right, 0).sum(-1),
            "loss": np.where(hidden, -log_probabilities.mean(-1), 0).sum(-1, dtype=np.float64),
            "codes": np.stack(codes).astype(np.int32),
        }

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: MaskedSpeechAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        steps = measured["steps"]
        if not steps.any():
            raise DataError("no recording is long enough to mask a part of it")
        loss = _ratio(measured["loss"], steps, resamples, seed)
        low, high = (None if end is None else float(np.exp(end)) for end in (loss.low, loss.high))
        counts = measured["codes"].sum(0)
        used = code_usage(np.repeat(np.arange(len(counts)), counts), len(counts))
        return Evaluation(
            metrics={
                "perplexity": Score(float(np.exp(loss.value)), low, high, loss.interval),
                "log_loss": loss,
                "accuracy": _ratio(measured["right"], steps, resamples, seed),
                # The perplexity of a model that uses only the code frequencies.
                "perplexity_of_code_frequencies": Score(used["perplexity"]),
            },
            per_row=measured["loss"] / np.maximum(steps, 1),
            details={"hidden_steps": int(steps.sum()), "codes_used": used["share"]},
            statistic=ratio_statistic(measured["loss"], steps, finish=np.exp),
        )

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: MaskedSpeechAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        """The masked spans, and the gain of each step over chance (nats)."""
        batch = self.collate(self.encode([fields], assets), assets)
        steps = int(batch.context["steps"][0])
        logits = predict([fields])[0][:steps]
        targets = batch.targets[0, :steps]
        log_probabilities = log_softmax(_by_codebook(logits, assets))
        gains = np.take_along_axis(log_probabilities, targets[..., None], -1)[..., 0].mean(-1)
        gains += np.log(assets.quantiser.codes)
        step_s = assets.quantiser.frames_per_step * assets.audio.features.shift_ms / 1000
        (prediction,) = self.decode(batch, logits[None], assets)
        parts = [
            {
                "text": f"{step * step_s:.2f}-{(step + 1) * step_s:.2f} s ",
                "weight": round(float(gains[step]), 6) if step in prediction["hidden"] else 0.0,
            }
            for step in range(steps)
        ]
        images = []
        if not assets.audio.features.columns:  # precomputed features have no spectrogram
            png = spectrogram_png(*decode_audio(fields["audio"]))
            images.append({"caption": "the whole recording", "png": png})
        return {"prediction": prediction["prediction"], "parts": parts, "pictures": images}


def _content(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The samples, or the precomputed features, of an example."""
    return inputs["matrix"] if "matrix" in inputs else inputs["samples"]


def _components(
    rows: Sequence[Mapping[str, Any]], audio: AudioAssets, quantiser: Quantiser
) -> Components:
    """The principal components of the steps of evenly sampled rows."""
    some = rows[:: -(-len(rows) // MAX_ROWS)]

    def steps() -> Iterator[np.ndarray]:
        for row in some:
            found = pad_features(audio_inputs([row], audio), audio)["features"]
            yield quantiser.stacked(found[0])

    return principal_components(steps(), quantiser.code_size)


def _read_components(value: Mapping[str, Any] | None) -> Components | None:
    """Restore components written by ``MaskedSpeechAssets.save``."""
    if value is None:
        return None
    return Components(tuple(value["mean"]), tuple(map(tuple, value["directions"])))


def _padded(rows: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Pad or truncate rows to (rows, length, ...)."""
    padded = np.zeros((len(rows), length, *rows[0].shape[1:]), rows[0].dtype)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row[:length]
    return padded


def _by_codebook(outputs: np.ndarray, assets: MaskedSpeechAssets) -> np.ndarray:
    """Logits (..., codebooks * codes) as (..., codebooks, codes)."""
    return outputs.reshape(*outputs.shape[:-1], assets.quantiser.codebooks, -1)


def _ratio(sums: np.ndarray, steps: np.ndarray, resamples: int, seed: int) -> Score:
    """A mean over steps, with an interval over rows."""
    return bootstrap_scores(
        lambda counts: ((counts @ sums) / np.maximum(counts @ steps, 1))[:, None],
        len(sums),
        resamples=resamples,
        seed=seed,
    )[0]
