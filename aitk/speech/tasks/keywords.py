"""Keyword spotting: one label per recording, or several."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.label_task import LabelDistillation, LabelTask
from aitk.core.contract.multi_label import MultiLabelTask
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Evaluation, Example, Note
from aitk.speech.data.audio import decode_audio, encode_audio
from aitk.speech.data.options import KeywordOptions, LabelledAudioReading
from aitk.speech.decoding.posteriors import ArkLines, with_log_probabilities
from aitk.speech.explain.images import occlusion_chart
from aitk.speech.explain.occlusion import explain_audio
from aitk.speech.features.assets import (
    AudioAssets,
    learn_features,
    learn_moments,
    load_audio_assets,
    with_speakers,
)
from aitk.speech.features.batching import audio_inputs, pad_features, seconds_of
from aitk.speech.metrics.detection import detection_details
from aitk.speech.tasks.audio_task import AudioTask
from aitk.speech.tasks.keyword_models import GmmHmm, KeywordModel
from aitk.speech.tasks.settings import (
    BiLstmSettings,
    CnnSettings,
    DsCnnSettings,
    GmmHmmSettings,
    TcResNetSettings,
    TransformerSettings,
)

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.edge.parts import BundleParts


class Keywords(LabelDistillation[AudioAssets], AudioTask[AudioAssets], LabelTask[AudioAssets]):
    """Words, commands, or any label of a short recording."""

    name = "speech.keywords"
    reading = LabelledAudioReading
    predict_options = KeywordOptions
    annotation = "label"
    prediction_formats: ClassVar = {".ark": ArkLines}
    prediction_fields = ("prediction",)
    models = {
        "cnn": KeywordModel(CnnSettings, "cnn"),
        "dscnn": KeywordModel(DsCnnSettings, "dscnn"),
        "tc-resnet": KeywordModel(TcResNetSettings, "tc-resnet"),
        "bilstm": KeywordModel(BiLstmSettings, "bilstm"),
        "transformer": KeywordModel(TransformerSettings, "transformer"),
        "gmm-hmm": GmmHmm(GmmHmmSettings),
    }

    def for_reading(self, reading: LabelledAudioReading) -> Keywords:
        """See ``DependsOnReading``."""
        return MultiLabelKeywords() if reading.has_many_labels else self

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        return super().features(summary) | self.label_features(summary)

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
    ) -> AudioAssets:
        features, augment = learn_features(rows, settings, note=note)
        return AudioAssets(
            features=features,
            augment=augment,
            smoothing=getattr(settings, "smoothing", 0.0),
            moments=learn_moments(rows, features, speeds=augment.speeds),
            **self.learn_labels(summary, balance=balance),
        )

    def load_assets(self, folder: Path) -> AudioAssets:
        return load_audio_assets(folder)

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

    def adaptation_assets(self, assets: AudioAssets) -> AudioAssets:
        """See ``SourceFree``: speed or vocal tract perturbation would turn the new speaker into
        another one."""
        augment = dataclasses.replace(assets.augment, speeds=[], max_vtlp=0.0)
        return dataclasses.replace(assets, augment=augment)

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: AudioAssets) -> list[Example]:
        targets = self.label_targets(rows, assets)
        return [
            Example(inputs, **target)
            for inputs, target in zip(audio_inputs(rows, assets), targets, strict=True)
        ]

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
        seconds = np.array([seconds_of(item, assets) for item in clips])
        return self.label_batch(inputs, examples, {"seconds": seconds})

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: AudioAssets,
        *,
        top_k: int = 1,
        options: KeywordOptions | None = None,
    ) -> list[dict[str, Any]]:
        predictions = super().decode(batch, outputs, assets, top_k=top_k, options=options)
        if options is None or not options.log_probabilities:
            return predictions
        return with_log_probabilities(predictions, self.probabilities(outputs, assets))

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: AudioAssets
    ) -> dict[str, np.ndarray]:
        return super().measure(batch, outputs, assets) | {"seconds": batch.context["seconds"]}

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: AudioAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        scored = super().score(measured, assets, resamples=resamples, seed=seed)
        detection = detection_details(
            measured["target"], measured["probabilities"], measured["seconds"], list(assets.labels)
        )
        return dataclasses.replace(scored, details=dict(scored.details) | detection)

    def bundle(self, assets: AudioAssets, reading: LabelledAudioReading) -> BundleParts:
        """See ``Bundled``."""
        from aitk.speech.edge.parts import keyword_parts

        return keyword_parts(assets, reading)

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: AudioAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        """See ``Explainable``: the drop in log-odds when a region is muted."""
        if assets.features.columns:
            raise UsageError(
                "explanations mask regions of audio, but the rows have precomputed features",
                where="explain",
            )
        index, explained = self.explained(predict([fields]), assets, target)
        samples, rate = decode_audio(fields["audio"])

        def log_odds(clips: Sequence[np.ndarray]) -> np.ndarray:
            rows = [dict(fields) | {"audio": encode_audio(clip, rate)} for clip in clips]
            return self.log_odds(predict(rows), index, assets)

        regions = explain_audio(samples, rate, log_odds)
        image = {
            "caption": f"{fields['id']}: {explained['explained']}, {explained['probability']:.1%}",
            "svg": occlusion_chart(samples, rate, regions["regions"]),
        }
        return explained | regions | {"pictures": [image]}


class MultiLabelKeywords(MultiLabelTask[AudioAssets], Keywords):
    """Keyword spotting with several labels per recording; word models support one each."""

    models = {name: spec for name, spec in Keywords.models.items() if name != "gmm-hmm"}

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: AudioAssets,
        *,
        top_k: int = 1,
        options: KeywordOptions | None = None,
    ) -> list[dict[str, Any]]:
        predictions = super().decode(batch, outputs, assets, top_k=top_k, options=options)
        if options is None or not options.log_probabilities:
            return predictions
        return with_log_probabilities(predictions, self.probabilities(outputs, assets))
