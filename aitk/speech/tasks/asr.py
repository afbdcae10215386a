"""Speech recognition: recordings to text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Evaluation, Example, Metric, Note
from aitk.core.metrics.baselines import Baseline, Measured, Rows
from aitk.speech.data.options import TranscribedAudioReading, TranscriptionOptions
from aitk.speech.decoding.captions import CtmLines, SrtLines, VttLines
from aitk.speech.decoding.ctc_assets import CtcAssets
from aitk.speech.decoding.posteriors import ArkLines
from aitk.speech.decoding.seq2seq_assets import Seq2SeqAssets
from aitk.speech.features.tokenizers.spelling import refuse_fast_speech
from aitk.speech.metrics.asr_scoring import score_recognition
from aitk.speech.tasks.asr_models import CtcModel, JointModel, Seq2SeqSpec
from aitk.speech.tasks.audio_task import AudioTask
from aitk.speech.tasks.ctc_recogniser import CtcRecogniser
from aitk.speech.tasks.recogniser import Recogniser, cannot_distill
from aitk.speech.tasks.seq2seq_recogniser import Seq2SeqRecogniser
from aitk.speech.tasks.settings import (
    BiLstmCtcSettings,
    ConformerSettings,
    JointTransformerSettings,
    MoonshineSettings,
    Seq2SeqSettings,
    TcnSettings,
    WhisperSettings,
)

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.inference.text_scores import OpenScorer

AsrAssets = CtcAssets | Seq2SeqAssets
_CTC, _SEQ2SEQ = CtcRecogniser(), Seq2SeqRecogniser()
_RECOGNISERS: Mapping[type, Recogniser[Any]] = {CtcAssets: _CTC, Seq2SeqAssets: _SEQ2SEQ}
_DEFAULTS = TranscriptionOptions()


def recogniser(assets: AsrAssets) -> Recogniser[Any]:
    """The recogniser type of the assets."""
    return _RECOGNISERS[type(assets)]


class Asr(AudioTask[AsrAssets]):
    """Speech to text, with CTC, joint CTC/attention, or sequence-to-sequence models."""

    name = "speech.asr"
    reading = TranscribedAudioReading
    predict_options = TranscriptionOptions
    annotation = "text"
    models = {
        "conformer": CtcModel(ConformerSettings, "conformer"),
        "tcn": CtcModel(TcnSettings, "tcn"),
        "bilstm": CtcModel(BiLstmCtcSettings, "bilstm"),
        "transformer": JointModel(JointTransformerSettings, "transformer"),
        "whisper": Seq2SeqSpec(WhisperSettings),
        "moonshine": Seq2SeqSpec(MoonshineSettings),
    }
    # A hundred short utterances have too few words to compare epochs by word error rate.
    metric = Metric("wer", higher_is_better=False, selection="cer")
    prediction_formats = {".srt": SrtLines, ".vtt": VttLines, ".ctm": CtmLines, ".ark": ArkLines}
    prediction_fields = ("text", "confidence")

    def check_row(self, fields: Mapping[str, Any], reading: TranscribedAudioReading) -> str | None:
        return refuse_fast_speech(fields, reading.max_characters_per_second)

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        if not summary["characters"] and "train" in summary["rows"]:
            raise DataError(
                "the training rows hold no text",
                hint="Set the text column with --text-column",
            )
        return super().features(summary) | {"text": tfds.features.Text()}

    # Assets ---------------------------------------------------------------

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
    ) -> AsrAssets:
        kind: Recogniser[Any] = _SEQ2SEQ if isinstance(settings, Seq2SeqSettings) else _CTC
        return kind.learn(rows, settings, start=start, note=note)

    def load_assets(self, folder: Path) -> AsrAssets:
        kind: Recogniser[Any] = _SEQ2SEQ if (folder / _SEQ2SEQ.file).is_file() else _CTC
        return kind.load_assets(folder)

    def configure(
        self,
        assets: AsrAssets,
        options: TranscriptionOptions | None,
        *,
        open_scorer: OpenScorer | None,
    ) -> AsrAssets:
        """See ``Configurable``: opens the language model given in the options."""
        return recogniser(assets).configure(assets, options or _DEFAULTS, open_scorer)

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: AsrAssets,
        known: Rows,
        *,
        reading: TranscribedAudioReading,
    ) -> tuple[AsrAssets, Iterator[Row | Refusal]]:
        """See ``Updatable``: rows that the model has no units for are refused."""
        own = recogniser(assets)

        def checked() -> Iterator[Row | Refusal]:
            for item in items:
                problem = own.refuse(item.fields, assets) if isinstance(item, Row) else None
                yield Refusal(item.file, item.line, problem) if problem else item

        return own.extend(checked(), assets)

    # Batches --------------------------------------------------------------

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: AsrAssets) -> list[Example]:
        return recogniser(assets).encode(rows, assets)

    def length(self, example: Example) -> int:
        inputs = example.inputs
        return int(inputs["frames"]) if "frames" in inputs else len(inputs["samples"])

    def collate(
        self,
        examples: Sequence[Example],
        assets: AsrAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        return recogniser(assets).collate(examples, assets, rng=rng, pad_to=pad_to)

    def add_soft_targets(
        self, example: Example, outputs: np.ndarray, assets: AsrAssets, *, teacher: AsrAssets
    ) -> Example:
        """See ``DistillsRows``."""
        return recogniser(assets).add_soft_targets(example, outputs, assets, teacher=teacher)

    def teacher_only(self, example: Example, assets: AsrAssets) -> Example:
        """See ``DistillsUnlabelled``."""
        return recogniser(assets).teacher_only(example, assets)

    def with_prediction(
        self, fields: Mapping[str, Any], prediction: Mapping[str, Any]
    ) -> dict[str, Any]:
        """See ``DistillsSequences``: the transcript."""
        return dict(fields) | {"text": prediction["text"]}

    def distillation_loss(self, assets: AsrAssets, *, teacher: AsrAssets) -> Any:
        """See ``DistillsRows``: both models must be CTC models with the same units and steps."""
        if recogniser(assets) is not recogniser(teacher):
            raise cannot_distill()
        return recogniser(assets).distillation_loss(assets, teacher=teacher)

    # Predictions ----------------------------------------------------------

    def infer(
        self,
        batch: Batch,
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: AsrAssets,
        *,
        top_k: int = 1,
        options: TranscriptionOptions | None = None,
    ) -> Any:
        """See ``Generative``."""
        return recogniser(assets).infer(
            batch, predict, assets, top_k=top_k, options=options or _DEFAULTS
        )

    def decode(
        self,
        batch: Batch,
        outputs: Any,
        assets: AsrAssets,
        *,
        top_k: int = 1,
        options: TranscriptionOptions | None = None,
    ) -> list[dict[str, Any]]:
        return recogniser(assets).decode(
            batch, outputs, assets, top_k=top_k, options=options or _DEFAULTS
        )

    def measure(self, batch: Batch, outputs: Any, assets: AsrAssets) -> dict[str, np.ndarray]:
        references, hypotheses = recogniser(assets).transcripts(batch, outputs, assets)
        seconds = batch.context["seconds"]
        took_s = time.perf_counter() - batch.context["began"]
        return {
            "reference": _texts(references),
            "hypothesis": _texts(hypotheses),
            "speaker": _texts(batch.context["speaker"]),
            "seconds": seconds,
            "took_s": took_s * seconds / max(seconds.sum(), 1e-9),
        }

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: AsrAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        units = recogniser(assets).units(assets)
        return score_recognition(measured, units, resamples=resamples, seed=seed)

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: AsrAssets
    ) -> list[Baseline]:
        """See ``HasBaselines``: an empty text for every recording."""

        def measure(rows: Rows, measured: Measured) -> Measured:
            return {**measured, "hypothesis": _texts([""] * len(rows))}

        return [Baseline("nothing recognised", measure)]

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: AsrAssets,
        *,
        target: str | None = None,
        model: Callable[[], keras.Model] | None = None,
    ) -> dict[str, Any]:
        """See ``Explainable``: words and their times; ``target`` is another text to align."""
        return recogniser(assets).explain(fields, predict, assets, target=target)


def _texts(values: Sequence[str]) -> np.ndarray:
    """(rows,) array of strings of any length."""
    return np.fromiter(values, dtype=object, count=len(values))
