"""Speech recognition: what is said in a sound, as text."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.errors import ArtifactError, DataError, UsageError
from aitk.core.rows import Refusal, Row
from aitk.core.task import Batch, Evaluation, Example, Task
from aitk.speech import writers
from aitk.speech.alignment import alignment_png, confidence_of, timed_words
from aitk.speech.asr_assets import (
    AsrAssets,
    learn_language_model,
    learn_vocabulary,
    load_asr_assets,
)
from aitk.speech.asr_scoring import score_recognition
from aitk.speech.assets import SoundAssets, augmentation_of, learn_moments
from aitk.speech.batching import pad_features, sound_inputs
from aitk.speech.beam_search import Found
from aitk.speech.caption_lines import CtmLines, SrtLines, VttLines
from aitk.speech.ctc import ctc_targets, force_align, log_softmax
from aitk.speech.features import feature_size, settings_for
from aitk.speech.joint import decoder_inputs
from aitk.speech.options import TranscribedSoundReading, TranscriptionAnswers
from aitk.speech.quality import SoundInspector
from aitk.speech.reading import read_sounds
from aitk.speech.settings import (
    BiLstmCtcSettings,
    ConformerSettings,
    JointTransformerSettings,
    TcnSettings,
)
from aitk.speech.sound import content_key, decode_sound
from aitk.speech.spelling import check_transcripts, refuse_hurry, refuse_transcript, spell
from aitk.speech.transcribing import (
    Heard,
    lexicon_of,
    read_steps,
    step_counts,
    step_logits,
    transcribe,
)
from aitk.speech.writer_assets import FILE as WRITER
from aitk.speech.writer_assets import WriterAssets, load_writer_assets
from aitk.speech.writer_settings import MoonshineSettings, WhisperSettings

if TYPE_CHECKING:
    import keras

    from aitk.core.pretrained import Pretrained

#: What can be normalised before the whole sound is there.
CAUSAL_NORMS = ("none", "corpus")
_PLAIN = TranscriptionAnswers()
NOTHING = Found("", 0.0, ())


class Asr(Task):
    """Speech to text, by units at every step (CTC), by attention as well, or token by token by
    pretrained models that write (``writers``)."""

    name = "speech.asr"
    reading = TranscribedSoundReading
    answering = TranscriptionAnswers
    models = {
        "conformer": ConformerSettings,
        "tcn": TcnSettings,
        "bilstm": BiLstmCtcSettings,
        "transformer": JointTransformerSettings,
        "whisper": WhisperSettings,
        "moonshine": MoonshineSettings,
    }
    formats = {".srt": SrtLines, ".vtt": VttLines, ".ctm": CtmLines}
    main_metric = "wer"
    higher_is_better = False
    content = "audio"

    def __init__(self) -> None:
        self._notes: list[str] = []

    def read(
        self, sources: Sequence[str], reading: TranscribedSoundReading, *, labelled: bool
    ) -> Iterator[Row | Refusal]:
        def check(fields: Mapping[str, Any]) -> str | None:
            return refuse_hurry(fields, reading.most_characters)

        return read_sounds(
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

    def inspector(self, reading: TranscribedSoundReading) -> SoundInspector:
        return SoundInspector(reading, content="text")

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        if not summary["characters"]:
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
    ) -> AsrAssets | WriterAssets:
        if isinstance(settings, WhisperSettings | MoonshineSettings):
            model = "whisper" if isinstance(settings, WhisperSettings) else "moonshine"
            written = writers.learn(rows, model, settings, start)
            self._notes += writers.check_rows(_each(rows), written)
            return written
        _, rate = decode_sound(rows[0]["audio"])
        features, augment = settings_for(settings, rate), augmentation_of(settings)
        causal = getattr(settings, "causal", False)
        if causal and (
            features.normalise not in CAUSAL_NORMS
            or features.deltas
            or features.pitch
            or not features.snip_edges
        ):
            raise UsageError(
                "a causal model cannot hear what its features need of the rest of the sound",
                where="--set causal",
                hint="Add --set normalise=corpus, and leave out deltas, pitch and snip_edges=false",
            )
        heard = [(row["text"], row["seconds"]) for row in _each(rows)]
        texts = [text for text, _ in heard]
        units, pronunciations = learn_vocabulary(texts, settings)
        assets = AsrAssets(
            sound=SoundAssets(
                features=features,
                augment=augment,
                moments=learn_moments(rows, features, speeds=augment.speeds),
            ),
            units=units,
            subsampling=settings.subsampling,
            ctc_weight=getattr(settings, "ctc_weight", None),
            chunk_frames=settings.chunk_frames if causal else 0,
            context_frames=settings.context_frames if causal else 0,
            pronunciations=pronunciations,
            ngrams=learn_language_model(texts, settings.lm_order),
        )
        self._notes += check_transcripts(heard, assets)
        return assets

    def load_assets(self, folder: Path) -> AsrAssets | WriterAssets:
        return (
            load_writer_assets(folder) if (folder / WRITER).is_file() else load_asr_assets(folder)
        )

    def encode(self, fields: Mapping[str, Any], assets: AsrAssets) -> Example:
        return self.encode_many([fields], assets)[0]

    def encode_many(self, rows: Sequence[Mapping[str, Any]], assets: AsrAssets) -> list[Example]:
        if isinstance(assets, WriterAssets):
            return [writers.encode(row, assets) for row in rows]
        examples = []
        for row, sound in zip(rows, sound_inputs(rows, assets.sound), strict=True):
            inputs = sound | {
                "speaker": np.array(row.get("speaker", "")),
                "start": np.array(row.get("start", 0.0)),
            }
            said = spell(row["text"], assets) if "text" in row else None
            weight = float(said is None or (said.whole and bool(said.units)))
            examples.append(Example(inputs, said, weight))
        return examples

    def length(self, example: Example) -> int:
        return int(example.inputs.get("frames", len(example.inputs["samples"])))

    def collate(
        self,
        examples: Sequence[Example],
        assets: AsrAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        if isinstance(assets, WriterAssets):
            return writers.collate(examples, assets, rng=rng)
        began = time.perf_counter()
        sounds = [item.inputs for item in examples]
        taught = "teacher" in sounds[0]
        heard_as = _at_its_own_speed(assets.sound) if taught else assets.sound
        inputs = pad_features(sounds, heard_as, rng=rng, pad_to=pad_to)
        rate = assets.sound.features.sample_rate_hz
        context = {
            "seconds": np.array([len(item["samples"]) / rate for item in sounds]),
            "speaker": [str(item["speaker"]) for item in sounds],
            "start": [float(item["start"]) for item in sounds],
            "began": began,
        }
        said = [item.target for item in examples]
        known = not any(each is None for each in said)
        texts = [each.units or (1,) for each in said] if known else [()] * len(said)
        if assets.ctc_weight is not None:
            inputs["target_ids"] = decoder_inputs(texts if rng is not None else [()] * len(said))
        if not known:
            return Batch(inputs, context=context)
        weights = np.array([item.weight for item in examples], np.float32)
        targets = ctc_targets(texts, step_counts(inputs, assets))
        if taught:
            targets = _with_teacher(targets, sounds, inputs, assets)
        return Batch(inputs, targets, weights, context | {"text": [each.text for each in said]})

    def open_folder(
        self, folder: Path, config: Mapping[str, Any], *, source: str
    ) -> Pretrained | None:
        from aitk.speech.writer_sources import open_writer

        return open_writer(folder, config, source=source)

    def adopt(self, found: Pretrained) -> Pretrained:
        if found.model not in writers.MODELS:
            return found
        from aitk.speech.writer_sources import adopt_writer

        return adopt_writer(found)

    def build(self, model: str, settings: Any, assets: AsrAssets, *, backbone: Any = None) -> Any:
        if isinstance(assets, WriterAssets):
            return writers.build(assets, backbone)
        from aitk.speech.models import build_backbone, check_dimensions
        from aitk.speech.models.head import transcriber
        from aitk.speech.models.inputs import frames_per_step
        from aitk.speech.models.joint import joint_transcriber

        dimensions = feature_size(assets.sound.features)
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

    def objective(self, assets: AsrAssets) -> Any:
        if isinstance(assets, WriterAssets):
            return writers.objective()
        from aitk.speech.ctc_loss import CtcLoss, JointLoss

        return CtcLoss() if assets.ctc_weight is None else JointLoss(assets.ctc_weight)

    def teach(
        self, example: Example, outputs: np.ndarray, assets: AsrAssets, *, teacher: AsrAssets
    ) -> Example:
        steps = assets.steps(self.length(example))
        first = 0 if teacher.ctc_weight is None else 1  # a place of the decoder comes before
        taught = outputs[first : first + steps].astype(np.float16)
        return dataclasses.replace(example, inputs=dict(example.inputs) | {"teacher": taught})

    def taught_objective(self, assets: AsrAssets, *, teacher: AsrAssets) -> Any:
        from aitk.speech.ctc_loss import TaughtCtcLoss

        if isinstance(assets, WriterAssets) or isinstance(teacher, WriterAssets):
            raise UsageError(
                "a model that writes token by token teaches no other, and learns from none",
                where="--distill",
            )
        if assets.ctc_weight is not None:
            raise UsageError(
                "a model that writes by attention is not taught step by step",
                where="--distill",
                hint="Choose conformer, tcn or bilstm",
            )
        if assets.units != teacher.units or assets.subsampling != teacher.subsampling:
            raise UsageError(
                f"the run writes {len(teacher.units)} units of {teacher.units.kind!r} every"
                f" {teacher.subsampling} frames, and the smaller model {len(assets.units)} of"
                f" {assets.units.kind!r} every {assets.subsampling}",
                where="--set",
                hint=f"Add --set subsampling={teacher.subsampling}"
                f" --set units={teacher.units.kind}",
            )
        return TaughtCtcLoss()

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: AsrAssets,
        known: Sequence[Mapping[str, Any]],
        *,
        reading: TranscribedSoundReading,
    ) -> tuple[AsrAssets, Iterator[Row | Refusal]]:
        def checked() -> Iterator[Row | Refusal]:
            for item in items:
                problem = _refuse(item.fields, assets) if isinstance(item, Row) else None
                yield Refusal(item.file, item.line, problem) if problem else item

        return assets, checked()

    def infer(
        self,
        batch: Batch,
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: AsrAssets,
        *,
        top_k: int = 1,
        asked: Any = None,
    ) -> Any:
        if isinstance(assets, WriterAssets):
            return writers.infer(batch, predict, assets, top_k=top_k, asked=asked)
        return transcribe(batch.inputs, predict, assets, asked or _PLAIN, best=top_k)

    def decode(
        self,
        batch: Batch,
        outputs: Heard,
        assets: AsrAssets,
        *,
        top_k: int = 1,
        asked: Any = None,
    ) -> list[dict[str, Any]]:
        if isinstance(assets, WriterAssets):
            return writers.decode(batch, outputs, assets, top_k=top_k, asked=asked)
        asked = asked or _PLAIN
        lexicon = lexicon_of(asked, assets)
        answers = []
        for row, count in enumerate(step_counts(batch.inputs, assets)):
            found = outputs.found[row] or [NOTHING]
            scores = log_softmax(outputs.logits[row, :count])
            words = timed_words(found[0], scores, assets, lexicon=lexicon)
            start_s = batch.context["start"][row]
            answer: dict[str, Any] = {
                "text": found[0].text,
                "confidence": round(confidence_of(words, scores), 4),
            }
            if asked.words:
                answer["words"] = [_moved(word, start_s) for word in words]
            if top_k > 1:
                answer["top_k"] = [
                    {"text": each.text, "score": round(each.score, 4)} for each in found[:top_k]
                ]
            answers.append(answer | dict(outputs.progress[row] if outputs.progress else {}))
        return answers

    def measure(self, batch: Batch, outputs: Any, assets: AsrAssets) -> dict[str, np.ndarray]:
        if isinstance(assets, WriterAssets):
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
        assets: AsrAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        units = None if isinstance(assets, WriterAssets) else assets.units
        return score_recognition(measured, units, resamples=resamples, seed=seed)

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: AsrAssets,
        *,
        target: str | None = None,
        model: Callable[[], keras.Model] | None = None,
    ) -> dict[str, Any]:
        """The words and where they lie; ``target`` is a text to lay along the sound instead."""
        if isinstance(assets, WriterAssets):
            return writers.explain(fields, predict, assets, target=target)
        samples, _ = decode_sound(fields["audio"])
        inputs = self.collate([self.encode(fields, assets)], assets).inputs
        logits = step_logits(np.stack(predict([fields])), inputs, assets)
        (found,) = read_steps(logits, inputs, assets, _PLAIN)
        best = found[0] if found else NOTHING
        scores = log_softmax(logits[0])
        explained = best
        if target is not None:
            if problem := refuse_transcript(dict(fields) | {"text": target}, assets):
                raise UsageError(problem, where="--target")
            explained = Found(target, 0.0, tuple(assets.units.encode(target)))
        words = timed_words(explained, scores, assets, lexicon=assets.lexicon)
        spans = force_align(scores, explained.units)
        return {
            "prediction": best.text,
            "explained": explained.text,
            "confidence": round(confidence_of(words, scores), 4),
            "words": [_moved(word, fields.get("start", 0.0)) for word in words],
            "pictures": [
                {
                    "caption": f"{fields['id']}: {explained.text}",
                    "png": alignment_png(samples, scores, spans, words, assets),
                }
            ],
        }


def _refuse(fields: Mapping[str, Any], assets: AsrAssets | WriterAssets) -> str | None:
    """Why an update cannot learn from a row, if so."""
    if isinstance(assets, WriterAssets):
        return writers.refuse(fields["text"], fields["seconds"], assets)
    return refuse_transcript(fields, assets)


def _at_its_own_speed(sound: SoundAssets) -> SoundAssets:
    """What a teacher said of a sound holds for it as it is: it may get noisy, but not shorter."""
    still = dataclasses.replace(sound.augment, speeds=[], shift_ms_most=0.0, tempo_most=0.0)
    return dataclasses.replace(sound, augment=still)


def _with_teacher(
    targets: np.ndarray,
    sounds: Sequence[Mapping[str, np.ndarray]],
    inputs: Mapping[str, np.ndarray],
    assets: AsrAssets,
) -> np.ndarray:
    """Targets with the teacher's logits (steps, units) of each row behind them, in one line."""
    steps = assets.steps(inputs["padding_mask"].shape[1])
    logits = np.zeros((len(sounds), steps, len(assets.units)), np.float32)
    for row, each in enumerate(sounds):
        logits[row, : len(each["teacher"])] = each["teacher"]
    return np.concatenate([targets.astype(np.float32), logits.reshape(len(sounds), -1)], axis=1)


def _moved(word: Mapping[str, Any], start_s: float) -> dict[str, Any]:
    """A word in the time of its recording, of which the sound may be a cut."""
    return dict(word) | {
        "start": round(word["start"] + start_s, 3),
        "end": round(word["end"] + start_s, 3),
    }


def _texts(values: Sequence[str]) -> np.ndarray:
    """(rows,) of strings of any length."""
    return np.fromiter(values, dtype=object, count=len(values))


def _each(rows: Any) -> Iterator[Mapping[str, Any]]:
    """Every row in order; a sequence read in blocks is iterated by number."""
    return (rows[index] for index in range(len(rows)))
