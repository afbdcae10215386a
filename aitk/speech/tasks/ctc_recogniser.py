"""Recognisers with a distribution over units at every step: CTC, and joint CTC/attention."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Example, Note
from aitk.speech.data.audio import decode_audio
from aitk.speech.data.options import TranscriptionOptions
from aitk.speech.decoding.alignment import confidence_of, confident, timed_words
from aitk.speech.decoding.beam_search import Hypothesis
from aitk.speech.decoding.ctc import ctc_targets, force_align, log_softmax
from aitk.speech.decoding.ctc_assets import (
    FILE,
    CtcAssets,
    learn_language_model,
    learn_vocabulary,
    load_ctc_assets,
)
from aitk.speech.decoding.joint import decoder_inputs
from aitk.speech.decoding.posteriors import FIELD
from aitk.speech.decoding.transcribing import (
    Recognition,
    lexicon_of,
    read_steps,
    step_counts,
    step_logits,
    transcribe,
    with_language_model,
)
from aitk.speech.explain.images import alignment_chart
from aitk.speech.features.assets import AudioAssets, learn_features, learn_moments, with_speakers
from aitk.speech.features.batching import audio_inputs, pad_features, seconds_of
from aitk.speech.features.tokenizers.spelling import check_transcripts, refuse_transcript, spell
from aitk.speech.features.tokenizers.units import Units
from aitk.speech.tasks.recogniser import Fields, Predict, Recogniser, with_offset

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.inference.text_scores import OpenScorer

#: Normalisations that need no later frames.
CAUSAL_NORMS = ("none", "corpus")
NOTHING = Hypothesis("", 0.0, ())


class CtcRecogniser(Recogniser[CtcAssets]):
    """Units at every step, decoded greedily or by beam search."""

    file = FILE

    def learn(
        self, rows: Sequence[Fields], settings: Any, *, start: Pretrained | None, note: Note
    ) -> CtcAssets:
        """The features, moments, units and language model of the training rows.

        Raises:
            UsageError: the model is causal, but its features are not.
            DataError: no row can be used for training.
        """
        features, augment = learn_features(rows, settings, note=note)
        causal = getattr(settings, "causal", False)
        if causal and (
            features.normalise not in CAUSAL_NORMS
            or features.deltas
            or features.pitch
            or not features.snip_edges
        ):
            raise UsageError(
                "a causal model cannot use features that need later frames",
                where="--set causal",
                hint="Add --set normalise=corpus, and omit deltas, pitch and snip_edges=false",
            )
        spoken = [(row["text"], row["seconds"]) for row in each_row(rows)]
        texts = [text for text, _ in spoken]
        units, pronunciations = learn_vocabulary(texts, settings)
        assets = CtcAssets(
            audio=AudioAssets(
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
        for problem in check_transcripts(spoken, assets):
            note(problem)
        return assets

    def load_assets(self, folder: Path) -> CtcAssets:
        return load_ctc_assets(folder)

    def encode(self, rows: Sequence[Fields], assets: CtcAssets) -> list[Example]:
        """Samples and the units of their text; a text with unknown units has weight 0."""
        examples = []
        for row, clip in zip(rows, audio_inputs(rows, assets.audio), strict=True):
            inputs = clip | {
                "speaker": np.array(row.get("speaker", "")),
                "start": np.array(row.get("start", 0.0)),
            }
            target = spell(row["text"], assets) if "text" in row else None
            weight = float(target is None or (target.whole and bool(target.units)))
            examples.append(Example(inputs, target, weight))
        return examples

    def collate(
        self,
        examples: Sequence[Example],
        assets: CtcAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Features (batch, frames, dimensions) with their mask, and CTC targets.

        Args:
            rng: given in training: audio is augmented, and a decoder gets the text.
            pad_to: minimum number of frames.
        """
        began = time.perf_counter()
        clips = [item.inputs for item in examples]
        distilled = "teacher" in clips[0]
        augmented_as = without_tempo_changes(assets.audio) if distilled else assets.audio
        inputs = pad_features(clips, augmented_as, rng=rng, pad_to=pad_to)
        context = {
            "seconds": np.array([seconds_of(item, assets.audio) for item in clips]),
            "speaker": [str(item["speaker"]) for item in clips],
            "start": [float(item["start"]) for item in clips],
            "began": began,
        }
        targets = [item.target for item in examples]
        known = not any(target is None for target in targets)
        no_text = () if distilled else (1,)  # of weight 0; distilled it has the teacher's alone
        texts = [target.units or no_text for target in targets] if known else [()] * len(targets)
        if assets.ctc_weight is not None:
            inputs["target_ids"] = decoder_inputs(texts if rng is not None else [()] * len(texts))
        if not known:
            return Batch(inputs, context=context)
        weights = np.array([item.weight for item in examples], np.float32)
        ctc = ctc_targets(texts, step_counts(inputs, assets))
        if distilled:
            ctc = append_teacher_logits(ctc, clips, inputs, assets)
        return Batch(inputs, ctc, weights, context | {"text": [each.text for each in targets]})

    def infer(
        self,
        batch: Batch,
        predict: Predict,
        assets: CtcAssets,
        *,
        top_k: int,
        options: TranscriptionOptions,
    ) -> Recognition:
        return transcribe(batch.inputs, predict, assets, options, best=top_k)

    def decode(
        self,
        batch: Batch,
        outputs: Recognition,
        assets: CtcAssets,
        *,
        top_k: int = 1,
        options: TranscriptionOptions,
    ) -> list[dict[str, Any]]:
        """``text``, ``confidence``, and if requested ``words`` and ``top_k``, of each clip."""
        lexicon = lexicon_of(options, assets)
        predictions = []
        for row, count in enumerate(step_counts(batch.inputs, assets)):
            found = outputs.found[row] or [NOTHING]
            scores = log_softmax(outputs.logits[row, :count])
            words = timed_words(found[0], scores, assets, lexicon=lexicon)
            start_s = batch.context["start"][row]
            text, words = confident(found[0].text, words, options.min_confidence)
            prediction: dict[str, Any] = {
                "text": text,
                "confidence": round(confidence_of(words, scores), 4),
            }
            if options.words:
                prediction["words"] = [with_offset(word, start_s) for word in words]
            if top_k > 1:
                prediction["top_k"] = [
                    {"text": each.text, "score": round(each.score, 4)} for each in found[:top_k]
                ]
            if options.log_probabilities:
                prediction[FIELD] = scores.astype(float).round(6).tolist()
            progress = outputs.progress[row] if outputs.progress else {}
            predictions.append(prediction | dict(progress))
        return predictions

    def transcripts(
        self, batch: Batch, outputs: Recognition, assets: CtcAssets
    ) -> tuple[list[str], list[str]]:
        return batch.context["text"], [each[0].text if each else "" for each in outputs.found]

    def explain(
        self, fields: Fields, predict: Any, assets: CtcAssets, *, target: str | None
    ) -> dict[str, Any]:
        """The words of a row and their positions, with an image of them.

        Args:
            target: a text to align with the recording instead of the recognised one.

        Raises:
            UsageError: the model has no units for the target, or the recording is too short for it.
        """
        inputs = self.collate(self.encode([fields], assets), assets).inputs
        logits = step_logits(np.stack(predict([fields])), inputs, assets)
        (found,) = read_steps(logits, inputs, assets, TranscriptionOptions())
        best = found[0] if found else NOTHING
        scores = log_softmax(logits[0])
        explained = best
        if target is not None:
            if problem := refuse_transcript(dict(fields) | {"text": target}, assets):
                raise UsageError(problem, where="--target")
            explained = Hypothesis(target, 0.0, tuple(assets.units.encode(target)))
        words = timed_words(explained, scores, assets, lexicon=assets.lexicon)
        images = []
        if not assets.audio.features.columns:  # precomputed features have no spectrogram
            samples, _ = decode_audio(fields["audio"])
            spans = force_align(scores, explained.units)
            svg = alignment_chart(samples, scores, spans, words, assets)
            images.append({"caption": f"{fields['id']}: {explained.text}", "svg": svg})
        return {
            "prediction": best.text,
            "explained": explained.text,
            "confidence": round(confidence_of(words, scores), 4),
            "words": [with_offset(word, fields.get("start", 0.0)) for word in words],
            "pictures": images,
        }

    def refuse(self, fields: Fields, assets: CtcAssets) -> str | None:
        return refuse_transcript(fields, assets)

    def extend(
        self, items: Iterator[Row | Refusal], assets: CtcAssets
    ) -> tuple[CtcAssets, Iterator[Row | Refusal]]:
        kept = list(items)
        rows = [item.fields for item in kept if isinstance(item, Row)]
        return dataclasses.replace(assets, audio=with_speakers(assets.audio, rows)), iter(kept)

    def configure(
        self, assets: CtcAssets, options: TranscriptionOptions, open_scorer: OpenScorer | None
    ) -> CtcAssets:
        if open_scorer is None:
            return assets
        return with_language_model(assets, options, open_scorer)

    def units(self, assets: CtcAssets) -> Units:
        return assets.units

    def add_soft_targets(
        self, example: Example, outputs: np.ndarray, assets: CtcAssets, *, teacher: CtcAssets
    ) -> Example:
        """Add the teacher's logits to an example.

        Args:
            outputs: (steps, units) logits of the teacher, padded; for a joint model preceded by one
                of its decoder.
        """
        steps = assets.steps(int(example.inputs["frames"]))
        first = 0 if teacher.ctc_weight is None else 1
        logits = outputs[first : first + steps].astype(np.float16)
        return dataclasses.replace(example, inputs=dict(example.inputs) | {"teacher": logits})

    def teacher_only(self, example: Example, assets: CtcAssets) -> Example:
        return dataclasses.replace(example, target=spell("", assets), weight=1.0)

    def distillation_loss(self, assets: CtcAssets, *, teacher: CtcAssets) -> Any:
        """The CTC loss combined with the teacher's distribution at every step.

        Raises:
            UsageError: the models differ in units or steps.
        """
        from aitk.speech.losses.ctc_loss import CtcDistillationLoss

        if assets.ctc_weight is not None:
            raise UsageError(
                "a joint CTC/attention model cannot be distilled step by step",
                where="--distill",
                hint="Use conformer, tcn or bilstm, or --distill-sequences",
            )
        if assets.units != teacher.units or assets.subsampling != teacher.subsampling:
            raise UsageError(
                f"the run has {len(teacher.units)} units of {teacher.units.kind!r} every"
                f" {teacher.subsampling} frames, but the smaller model {len(assets.units)} of"
                f" {assets.units.kind!r} every {assets.subsampling}: their steps do not correspond",
                where="--set",
                hint=f"Add --set subsampling={teacher.subsampling}"
                f" --set units={teacher.units.kind}, or --distill-sequences",
            )
        return CtcDistillationLoss()


def each_row(rows: Any) -> Iterator[Fields]:
    """Iterate over every row in order; block-wise sequences are indexed."""
    return (rows[index] for index in range(len(rows)))


def without_tempo_changes(audio: AudioAssets) -> AudioAssets:
    """Augmentation that preserves length: a teacher's logits are aligned with the frames."""
    still = dataclasses.replace(
        audio.augment,
        speeds=[],
        max_shift_ms=0.0,
        max_tempo_change=0.0,
        max_start_crop=0.0,
        max_end_crop=0.0,
    )
    return dataclasses.replace(audio, augment=still)


def append_teacher_logits(
    targets: np.ndarray,
    clips: Sequence[Mapping[str, np.ndarray]],
    inputs: Mapping[str, np.ndarray],
    assets: CtcAssets,
) -> np.ndarray:
    """Append the teacher's logits (steps, units) of each row to its targets, flattened."""
    steps = assets.steps(inputs["padding_mask"].shape[1])
    logits = np.zeros((len(clips), steps, len(assets.units)), np.float32)
    for row, clip in enumerate(clips):
        logits[row, : len(clip["teacher"])] = clip["teacher"]
    return np.concatenate([targets.astype(np.float32), logits.reshape(len(clips), -1)], axis=1)
