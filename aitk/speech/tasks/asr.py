"""Speech recognition: what is said in a sound, as text."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import ONLY_OUTPUT, Batch, Evaluation, Example, Task
from aitk.core.metrics.baselines import Baseline, Measured, Rows
from aitk.speech.data.audio import content_key
from aitk.speech.data.options import TranscribedAudioReading, TranscriptionOptions
from aitk.speech.data.quality import AudioInspector
from aitk.speech.data.reading import read_audio_rows
from aitk.speech.decoding.captions import CtmLines, SrtLines, VttLines
from aitk.speech.decoding.ctc_assets import CtcAssets, load_ctc_assets
from aitk.speech.decoding.seq2seq_assets import FILE as WRITER
from aitk.speech.decoding.seq2seq_assets import Seq2SeqAssets, load_seq2seq_assets
from aitk.speech.decoding.transcribing import (
    Recognition,
    step_logits,
    transcribe,
    with_language_model,
)
from aitk.speech.decoding.transcripts import decode_predictions, explain_transcript
from aitk.speech.features.assets import with_speakers
from aitk.speech.features.signal import feature_size
from aitk.speech.features.tokenizers.spelling import refuse_fast_speech, refuse_transcript
from aitk.speech.losses.asr_distillation import add_teacher_logits, distillation_loss
from aitk.speech.metrics.asr_scoring import score_recognition
from aitk.speech.tasks import seq2seq_asr as writers
from aitk.speech.tasks.asr_batches import collate_examples, encode_rows
from aitk.speech.tasks.asr_learning import each_row, learn_assets
from aitk.speech.tasks.settings import (
    VARIATION,
    BiLstmCtcSettings,
    ConformerSettings,
    JointTransformerSettings,
    MoonshineSettings,
    TcnSettings,
    WhisperSettings,
)

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.inference.text_scores import OpenScorer

_PLAIN = TranscriptionOptions()


class Asr(Task):
    """Speech to text, by units at every step (CTC), by attention as well, or token by token by
    pretrained models that write (``writers``)."""

    name = "speech.asr"
    reading = TranscribedAudioReading
    answering = TranscriptionOptions
    models = {
        "conformer": ConformerSettings,
        "tcn": TcnSettings,
        "bilstm": BiLstmCtcSettings,
        "transformer": JointTransformerSettings,
        "whisper": WhisperSettings,
        "moonshine": MoonshineSettings,
    }
    answer_names = ("text", "confidence")
    formats = {".srt": SrtLines, ".vtt": VttLines, ".ctm": CtmLines}
    main_metric = "wer"
    higher_is_better = False
    # A hundred short utterances have too few words to tell epochs apart.
    epoch_metric = "cer"
    not_handed_on = VARIATION
    content = "audio"

    def __init__(self) -> None:
        self._notes: list[str] = []

    def read(
        self, sources: Sequence[str], reading: TranscribedAudioReading, *, labelled: bool
    ) -> Iterator[Row | Refusal]:
        def check(fields: Mapping[str, Any]) -> str | None:
            return refuse_fast_speech(fields, reading.max_characters_per_second)

        return read_audio_rows(
            sources,
            reading,
            content="text",
            labelled=labelled,
            notes=self._notes,
            check=check if labelled else None,
        )

    def reading_notes(self) -> list[str]:
        notes, self._notes[:] = list(self._notes), []
        return notes

    def key(self, fields: Mapping[str, Any]) -> str:
        return content_key(fields["audio"])

    def inspector(self, reading: TranscribedAudioReading) -> AudioInspector:
        return AudioInspector(reading, content="text")

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        if not summary["characters"] and "train" in summary["rows"]:
            raise DataError(
                "the training rows hold no text",
                hint="Name the right column with --text-column",
            )
        return {
            "audio": tfds.features.Tensor(shape=(), dtype=np.object_),
            "text": tfds.features.Text(),
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
    ) -> CtcAssets | Seq2SeqAssets:
        if isinstance(settings, WhisperSettings | MoonshineSettings):
            model = "whisper" if isinstance(settings, WhisperSettings) else "moonshine"
            written = writers.learn(rows, model, settings, start)
            self._notes += writers.check_rows(each_row(rows), written)
            return written
        assets, notes = learn_assets(rows, settings)
        self._notes += notes
        return assets

    def load_assets(self, folder: Path) -> CtcAssets | Seq2SeqAssets:
        return (
            load_seq2seq_assets(folder) if (folder / WRITER).is_file() else load_ctc_assets(folder)
        )

    def encode(self, fields: Mapping[str, Any], assets: CtcAssets) -> Example:
        return self.encode_many([fields], assets)[0]

    def encode_many(self, rows: Sequence[Mapping[str, Any]], assets: CtcAssets) -> list[Example]:
        if isinstance(assets, Seq2SeqAssets):
            return [writers.encode(row, assets) for row in rows]
        return encode_rows(rows, assets)

    def length(self, example: Example) -> int:
        return int(example.inputs.get("frames", len(example.inputs["samples"])))

    def collate(
        self,
        examples: Sequence[Example],
        assets: CtcAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        if isinstance(assets, Seq2SeqAssets):
            return writers.collate(examples, assets, rng=rng)
        return collate_examples(examples, assets, rng=rng, pad_to=pad_to)

    def open_folder(
        self, folder: Path, config: Mapping[str, Any], *, source: str
    ) -> Pretrained | None:
        from aitk.speech.models.seq2seq.sources import open_seq2seq

        return open_seq2seq(folder, config, source=source)

    def adopt(self, found: Pretrained) -> Pretrained:
        if found.model not in writers.MODELS:
            return found
        from aitk.speech.models.seq2seq.sources import adopt_seq2seq

        return adopt_seq2seq(found)

    def build(self, model: str, settings: Any, assets: CtcAssets, *, backbone: Any = None) -> Any:
        if isinstance(assets, Seq2SeqAssets):
            return writers.build(assets, backbone)
        from aitk.speech.models import build_backbone, check_dimensions
        from aitk.speech.models.head import transcriber
        from aitk.speech.models.inputs import frames_per_step
        from aitk.speech.models.joint import joint_transcriber

        dimensions = feature_size(assets.audio.features)
        if backbone is None:
            backbone = build_backbone(model, settings, dimensions)
        check_dimensions(backbone, dimensions)
        if frames_per_step(backbone) != assets.subsampling:
            raise ArtifactError(
                f"the backbone makes a step of {frames_per_step(backbone)} frames, and the"
                f" settings of {assets.subsampling}",
                hint=f"Add --set subsampling={frames_per_step(backbone)}",
            )
        units, dropout = len(assets.units), settings.dropout
        if assets.ctc_weight is None:
            return transcriber(backbone, units=units, dropout=dropout)
        return joint_transcriber(
            backbone,
            units=units,
            layers=settings.decoder_layers,
            heads=settings.heads,
            dropout=dropout,
        )

    def output_sizes(self, assets: CtcAssets | Seq2SeqAssets) -> dict[str, int]:
        if isinstance(assets, Seq2SeqAssets) or assets.ctc_weight is not None:
            return {}
        return {ONLY_OUTPUT: len(assets.units)}

    def objective(self, assets: CtcAssets) -> Any:
        if isinstance(assets, Seq2SeqAssets):
            return writers.objective()
        from aitk.speech.losses.ctc_loss import CtcLoss, JointLoss

        return CtcLoss() if assets.ctc_weight is None else JointLoss(assets.ctc_weight)

    def teach(
        self, example: Example, outputs: np.ndarray, assets: CtcAssets, *, teacher: CtcAssets
    ) -> Example:
        return add_teacher_logits(example, self.length(example), outputs, assets, teacher=teacher)

    def taught_objective(self, assets: CtcAssets, *, teacher: CtcAssets) -> Any:
        return distillation_loss(assets, teacher=teacher)

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: CtcAssets,
        known: Sequence[Mapping[str, Any]],
        *,
        reading: TranscribedAudioReading,
    ) -> tuple[CtcAssets, Iterator[Row | Refusal]]:
        def checked() -> Iterator[Row | Refusal]:
            for item in items:
                problem = _refuse(item.fields, assets) if isinstance(item, Row) else None
                yield Refusal(item.file, item.line, problem) if problem else item

        if isinstance(assets, Seq2SeqAssets):
            return assets, checked()
        kept = list(checked())
        rows = [item.fields for item in kept if isinstance(item, Row)]
        clip = with_speakers(assets.audio, rows)
        return dataclasses.replace(assets, audio=clip), iter(kept)

    def equip(self, assets: Any, asked: TranscriptionOptions, *, open_scorer: OpenScorer) -> Any:
        if isinstance(assets, Seq2SeqAssets):
            return assets  # it is told in ``infer`` what it does not offer
        return with_language_model(assets, asked, open_scorer)

    def infer(
        self,
        batch: Batch,
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: CtcAssets,
        *,
        top_k: int = 1,
        asked: Any = None,
    ) -> Any:
        if isinstance(assets, Seq2SeqAssets):
            return writers.infer(batch, predict, assets, top_k=top_k, asked=asked)
        return transcribe(batch.inputs, predict, assets, asked or _PLAIN, best=top_k)

    def decode(
        self,
        batch: Batch,
        outputs: Recognition,
        assets: CtcAssets,
        *,
        top_k: int = 1,
        asked: Any = None,
    ) -> list[dict[str, Any]]:
        if isinstance(assets, Seq2SeqAssets):
            return writers.decode(batch, outputs, assets, top_k=top_k, asked=asked)
        return decode_predictions(batch, outputs, assets, top_k=top_k, asked=asked or _PLAIN)

    def measure(self, batch: Batch, outputs: Any, assets: CtcAssets) -> dict[str, np.ndarray]:
        if isinstance(assets, Seq2SeqAssets):
            return writers.measure(batch, outputs, assets)
        seconds = batch.context["seconds"]
        took_s = time.perf_counter() - batch.context["began"]
        return {
            "said": _texts(batch.context["text"]),
            "heard": _texts([found[0].text if found else "" for found in outputs.found]),
            "speaker": _texts(batch.context["speaker"]),
            "seconds": seconds,
            "took_s": took_s * seconds / max(seconds.sum(), 1e-9),
        }

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: CtcAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        units = None if isinstance(assets, Seq2SeqAssets) else assets.units
        return score_recognition(measured, units, resamples=resamples, seed=seed)

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: CtcAssets
    ) -> list[Baseline]:
        def measure(rows: Rows, measured: Measured) -> Measured:
            return {**measured, "heard": _texts([""] * len(rows))}

        return [Baseline("nothing recognised", measure)]

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: CtcAssets,
        *,
        target: str | None = None,
        model: Callable[[], keras.Model] | None = None,
    ) -> dict[str, Any]:
        """The words and where they lie; ``target`` is a text to lay along the sound instead."""
        if isinstance(assets, Seq2SeqAssets):
            return writers.explain(fields, predict, assets, target=target)
        inputs = self.collate([self.encode(fields, assets)], assets).inputs
        logits = step_logits(np.stack(predict([fields])), inputs, assets)
        return explain_transcript(fields, inputs, logits, assets, target=target)


def _refuse(fields: Mapping[str, Any], assets: CtcAssets | Seq2SeqAssets) -> str | None:
    """Why an update cannot learn from a row, if so."""
    if isinstance(assets, Seq2SeqAssets):
        return writers.refuse(fields["text"], fields["seconds"], assets)
    return refuse_transcript(fields, assets)


def _texts(values: Sequence[str]) -> np.ndarray:
    """(rows,) of strings of any length."""
    return np.fromiter(values, dtype=object, count=len(values))
