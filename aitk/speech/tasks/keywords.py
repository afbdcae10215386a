"""Keyword spotting: one label for a sound."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import ONLY_OUTPUT, Batch, Evaluation, Example, Task
from aitk.core.metrics.baselines import Baseline, Rows, majority_class
from aitk.core.metrics.classification import (
    answer_classes,
    explained_class,
    score_classification,
    softmax,
)
from aitk.speech.data.audio import content_key, decode_audio, encode_audio
from aitk.speech.data.options import LabelledAudioReading
from aitk.speech.data.quality import AudioInspector
from aitk.speech.data.reading import read_audio_rows
from aitk.speech.explain.images import occlusion_png
from aitk.speech.explain.occlusion import explain_audio
from aitk.speech.features.assets import (
    AudioAssets,
    at_speed_name,
    augmentation_of,
    learn_moments,
    load_audio_assets,
    with_speakers,
)
from aitk.speech.features.augment import at_speed
from aitk.speech.features.batching import audio_inputs, pad_features, pad_frames
from aitk.speech.features.signal import feature_size, settings_for
from aitk.speech.metrics.detection import detection_details
from aitk.speech.tasks.settings import (
    VARIATION,
    BiLstmSettings,
    CnnSettings,
    DsCnnSettings,
    GmmHmmSettings,
    TcResNetSettings,
    TransformerSettings,
)

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.contract.progress import Reporter

UNSEEN = -1  # the target of a label that training never saw
GMM_HMM = "gmm-hmm"
ROWS_AT_ONCE = 64
HELD_OUT = 5  # every fifth training row of a word says how sure a GMM-HMM may be


class Keywords(Task):
    """Words, commands, any label of a short sound."""

    name = "speech.keywords"
    reading = LabelledAudioReading
    models = {
        "cnn": CnnSettings,
        "dscnn": DsCnnSettings,
        "tc-resnet": TcResNetSettings,
        "bilstm": BiLstmSettings,
        "transformer": TransformerSettings,
        GMM_HMM: GmmHmmSettings,
    }
    main_metric = "accuracy"
    not_handed_on = VARIATION
    content = "audio"
    adapts = True
    combines = True

    def __init__(self) -> None:
        self._notes: list[str] = []

    def read(
        self, sources: Sequence[str], reading: LabelledAudioReading, *, labelled: bool
    ) -> Iterator[Row | Refusal]:
        return read_audio_rows(
            sources, reading, content="label", labelled=labelled, notes=self._notes
        )

    def reading_notes(self) -> list[str]:
        notes, self._notes[:] = list(self._notes), []
        return notes

    def key(self, fields: Mapping[str, Any]) -> str:
        return content_key(fields["audio"])

    def inspector(self, reading: LabelledAudioReading) -> AudioInspector:
        return AudioInspector(reading, content="label")

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        labels = summary["labels"]
        if len(labels) < 2 and "train" in summary["label_counts"]:
            found = f"only the label {labels[0]!r}" if labels else "no label"
            raise DataError(
                f"the training rows hold {found}: nothing to tell apart",
                hint="Give a folder a label, or name the right column with --label-column",
            )
        # Labels that only held-out rows have come last: stored, though no model will know them.
        unseen = sorted(set().union(*summary["label_counts"].values()) - set(labels))
        return {
            "audio": tfds.features.Tensor(shape=(), dtype=np.object_),
            "label": tfds.features.ClassLabel(names=[*labels, *unseen]),
            "speaker": tfds.features.Text(),
            "seconds": np.float32,
            "id": tfds.features.Text(),
        }

    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        *,
        start: Pretrained | None = None,
        balance: bool = False,
        tables: Path | None = None,
    ) -> AudioAssets:
        labels = tuple(summary["labels"])
        weights: tuple[float, ...] = ()
        if balance:
            counts = Counter(row["label"] for row in rows)
            weights = tuple(len(rows) / (len(labels) * counts[label]) for label in labels)
        _, rate = decode_audio(rows[0]["audio"])
        features, augment = settings_for(settings, rate), augmentation_of(settings)
        return AudioAssets(
            features=features,
            augment=augment,
            labels=labels,
            weights=weights,
            smoothing=getattr(settings, "smoothing", 0.0),
            moments=learn_moments(rows, features, speeds=augment.speeds),
        )

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: AudioAssets,
        known: Sequence[Mapping[str, Any]],
        *,
        reading: LabelledAudioReading,
    ) -> tuple[AudioAssets, Iterator[Row | Refusal]]:
        assets, items = super().extend(items, assets, known, reading=reading)
        kept = list(items)
        rows = [item.fields for item in kept if isinstance(item, Row)]
        return with_speakers(assets, rows), iter(kept)

    def fitting_assets(self, assets: AudioAssets) -> AudioAssets:
        # At another speed, or from another throat, the new speaker would be somebody else.
        augment = dataclasses.replace(assets.augment, speeds=[], max_vtlp=0.0)
        return dataclasses.replace(assets, augment=augment)

    def load_assets(self, folder: Path) -> AudioAssets:
        return load_audio_assets(folder)

    def output_sizes(self, assets: AudioAssets) -> dict[str, int]:
        return {ONLY_OUTPUT: len(assets.labels)}

    def encode(self, fields: Mapping[str, Any], assets: AudioAssets) -> Example:
        return self.encode_many([fields], assets)[0]

    def encode_many(self, rows: Sequence[Mapping[str, Any]], assets: AudioAssets) -> list[Example]:
        numbers = {label: number for number, label in enumerate(assets.labels)}
        examples = []
        for row, inputs in zip(rows, audio_inputs(rows, assets), strict=True):
            target = numbers.get(row["label"], UNSEEN) if "label" in row else None
            weight = assets.weights[target] if assets.weights and target not in (None, -1) else 1.0
            examples.append(Example(inputs, target, weight))
        return examples

    def length(self, example: Example) -> int:
        return int(example.inputs["frames"])

    def collate(
        self,
        examples: Sequence[Example],
        assets: AudioAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        clips = [item.inputs for item in examples]
        inputs = pad_features(clips, assets, rng=rng, pad_to=pad_to)
        rate = assets.features.sample_rate_hz
        context = {"seconds": np.array([len(item["samples"]) / rate for item in clips])}
        if any(item.target is None for item in examples):
            return Batch(inputs, context=context)
        targets = np.array([item.target for item in examples])
        weights = np.array([item.weight for item in examples], np.float32)
        return Batch(inputs, targets, weights, context)

    def build(self, model: str, settings: Any, assets: AudioAssets, *, backbone: Any = None) -> Any:
        dimensions = feature_size(assets.features)
        if model == GMM_HMM:
            from aitk.speech.models.gmm_hmm import word_scorer

            return word_scorer(len(assets.labels), settings.states, settings.mixtures, dimensions)
        from aitk.speech.models import build_backbone, check_dimensions
        from aitk.speech.models.head import classifier

        if backbone is None:
            backbone = build_backbone(model, settings, dimensions)
        check_dimensions(backbone, dimensions)
        return classifier(
            backbone,
            classes=len(assets.labels),
            pooling=settings.pooling,
            dropout=settings.dropout,
        )

    def solve(
        self,
        model: str,
        settings: Any,
        assets: AudioAssets,
        rows: Sequence[Mapping[str, Any]],
        *,
        seed: int,
        reporter: Reporter,
    ) -> Any:
        if model != GMM_HMM:
            return None
        from aitk.speech.models.gmm_hmm import fill

        clips: list[list[np.ndarray]] = [[] for _ in assets.labels]
        for at_once in (rows, *(_at_speed(rows, speed) for speed in settings.speeds)):
            for example in self.encode_many(at_once, assets):
                if example.target is not None and example.target != UNSEEN:
                    features = pad_features([example.inputs], assets)["features"][0]
                    clips[example.target].append(features)
        scorer = self.build(model, settings, assets)
        reporter.note(f"training {len(clips)} word models by Baum-Welch")
        scale = self._scale(scorer, clips, settings, seed)
        return fill(scorer, _train(clips, settings, seed), scale=scale)

    def prune(self, model: Any, share: float) -> Any:
        if "scores" not in {layer.name for layer in model.layers}:
            return None
        from aitk.speech.models.gmm_hmm import prune

        return prune(model, share=share)

    def objective(self, assets: AudioAssets) -> Any:
        from aitk.speech.losses.cross_entropy import SmoothedCrossEntropy

        return SmoothedCrossEntropy(assets.smoothing)

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: AudioAssets,
        *,
        top_k: int = 1,
        asked: Any = None,
    ) -> list[dict[str, Any]]:
        return answer_classes(softmax(outputs), assets.labels, top_k=top_k)

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: AudioAssets
    ) -> dict[str, np.ndarray]:
        return {
            "target": np.asarray(batch.targets),
            "probabilities": softmax(outputs),
            "seconds": batch.context["seconds"],
        }

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: AudioAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        targets, probabilities = measured["target"], measured["probabilities"]
        labels = list(assets.labels)
        scored = score_classification(
            targets, probabilities, labels, resamples=resamples, seed=seed
        )
        detection = detection_details(targets, probabilities, measured["seconds"], labels)
        return dataclasses.replace(scored, details=dict(scored.details) | detection)

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: AudioAssets
    ) -> list[Baseline]:
        return [majority_class(summary["label_counts"]["train"], assets.labels)]

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: AudioAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        index, told = explained_class(softmax(predict([fields]))[0], assets.labels, target)
        samples, rate = decode_audio(fields["audio"])

        def log_odds(clips: Sequence[np.ndarray]) -> np.ndarray:
            rows = [dict(fields) | {"audio": encode_audio(clip, rate)} for clip in clips]
            logits = np.asarray(predict(rows), np.float64)
            others = np.delete(logits, index, axis=1)
            return logits[:, index] - np.logaddexp.reduce(others, axis=1)

        found = explain_audio(samples, rate, log_odds)
        picture = {
            "caption": f"{fields['id']}: {told['explained']}, {told['probability']:.1%}",
            "png": occlusion_png(samples, rate, found["regions"]),
        }
        return told | found | {"pictures": [picture]}

    def _scale(self, scorer: Any, clips: list[list[np.ndarray]], settings: Any, seed: int) -> float:
        """How sure the words' scores may be, from every fifth row, held out for that."""
        from aitk.core.inference.predictors import KerasPredictor
        from aitk.speech.losses.hmm import fit_scale
        from aitk.speech.models.gmm_hmm import fill

        held_out, rest = [], []
        for each in clips:
            rows = len(each) // (1 + len(settings.speeds))  # the copies follow, in their order
            # A label with a single row is learned from it, and says nothing of held-out ones.
            out = [rows > 1 and at % rows % HELD_OUT == 0 for at in range(len(each))]
            held_out.append([clip for clip, is_out in zip(each, out, strict=True) if is_out])
            rest.append([clip for clip, is_out in zip(each, out, strict=True) if not is_out])
        targets = np.repeat(np.arange(len(clips)), [len(each) for each in held_out])
        if not len(targets):
            return 1.0
        predict = KerasPredictor(fill(scorer, _train(rest, settings, seed)))
        flat = [clip for each in held_out for clip in each]
        scores = [
            predict(pad_frames(flat[at : at + ROWS_AT_ONCE]))
            for at in range(0, len(flat), ROWS_AT_ONCE)
        ]
        return fit_scale(np.concatenate(scores), targets)


def _at_speed(rows: Sequence[Mapping[str, Any]], speed: float) -> list[dict[str, Any]]:
    """The rows played at another speed: it makes another speaker of each."""
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
