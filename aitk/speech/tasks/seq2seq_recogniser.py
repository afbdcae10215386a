"""Sequence-to-sequence recognisers, Whisper and Moonshine, which decode token by token."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.task import Batch, Example, Note
from aitk.speech.data.audio import decode_audio
from aitk.speech.data.options import TranscribedAudioReading, TranscriptionOptions
from aitk.speech.data.transcripts import clean_transcript
from aitk.speech.decoding.alignment import confident
from aitk.speech.decoding.chunking import (
    RATE_HZ,
    encoder_inputs,
    prompt_inputs,
    transcribe,
    window_samples,
)
from aitk.speech.decoding.seq2seq import STEP_S, Transcript, read_outputs
from aitk.speech.decoding.seq2seq_assets import FILE, Seq2SeqAssets, load_seq2seq_assets
from aitk.speech.explain.images import attention_chart
from aitk.speech.features.assets import augmentation_of
from aitk.speech.features.augment import augment_audio, mask_features
from aitk.speech.features.voice_activity import speech_bounds
from aitk.speech.tasks.recogniser import Fields, Predict, Recogniser, with_offset

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained

IGNORED = -1  # target of positions outside the text
#: Texts are compared without case and punctuation, as is usual for transcripts.
_PLAIN = TranscribedAudioReading()


class Seq2SeqRecogniser(Recogniser[Seq2SeqAssets]):
    """An audio encoder and a token decoder, initialised from pretrained weights."""

    file = FILE

    def learn(
        self, rows: Sequence[Fields], settings: Any, *, start: Pretrained | None, note: Note
    ) -> Seq2SeqAssets:
        """The vocabulary of the source, and the prompt settings.

        Raises:
            UsageError: there is no source, or it does not support the language.
            DataError: the sample rate is not supported, or no row can be used for training.
        """
        model = settings.network
        if start is None or start.tokenizer is None:
            raise needs_pretrained(model)
        _, rate = decode_audio(rows[0]["audio"])
        if rate != RATE_HZ:
            raise DataError(
                f"{model} needs a sample rate of {RATE_HZ} Hz, but the recordings have {rate}",
                hint=f"Prepare them with --sample-rate-hz {RATE_HZ}",
            )
        network = start.backbone
        assets = Seq2SeqAssets(
            model=model,
            tokens=start.tokenizer,
            max_length=1,
            filters=getattr(network, "num_mels", 0),
            augment=augmentation_of(settings),
            language=getattr(settings, "language", None),
            translate=getattr(settings, "translate", False),
            times=getattr(settings, "times", False),
        )
        places = getattr(network, "max_decoder_sequence_length", settings.max_tokens + 8)
        max_length = min(places, len(assets.prompt()) + settings.max_tokens)
        assets = dataclasses.replace(assets, max_length=max_length)
        self._check_rows(rows, assets, note)
        return assets

    def load_assets(self, folder: Path) -> Seq2SeqAssets:
        return load_seq2seq_assets(folder)

    def encode(self, rows: Sequence[Fields], assets: Seq2SeqAssets) -> list[Example]:
        """Samples, and the tokens of the text if there is one.

        A recording longer than the model's window, or a text over its token limit, has weight 0.
        """
        return [self._encode(row, assets) for row in rows]

    def collate(
        self,
        examples: Sequence[Example],
        assets: Seq2SeqAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Stack examples. With ``rng`` (training), the decoder gets the texts (teacher forcing);
        without, prompts only, and the texts are targets: held-out rows are compared by text."""
        del pad_to
        began = time.perf_counter()
        clips = [item.inputs["samples"] for item in examples]
        known = not any(item.target is None for item in examples)
        context: dict[str, Any] = {
            "seconds": np.array([len(samples) / RATE_HZ for samples in clips]),
            "speaker": [str(item.inputs["speaker"]) for item in examples],
            "start": [float(item.inputs["start"]) for item in examples],
            "began": began,
            "clips": clips,
        }
        if known:
            context["text"] = [item.target[0] for item in examples]
        if rng is None:
            prompts = prompt_inputs([assets.prompt()] * len(clips), beams=1)
            inputs = encoder_inputs(clips, assets) | prompts
            return Batch(inputs, context["text"] if known else None, context=context)
        augmented = [augment_audio(clip, RATE_HZ, assets.augment, rng=rng) for clip in clips]
        inputs = encoder_inputs(augmented, assets)
        if "features" in inputs:
            for row, samples in enumerate(augmented):
                real = -(-len(samples) * inputs["features"].shape[1] // window_samples(assets))
                hidden = mask_features(inputs["features"][row, :real], assets.augment, rng=rng)
                inputs["features"][row, :real] = hidden
        texts = [
            _with_times(item.target[1], clean, clip, assets)
            for item, clean, clip in zip(examples, clips, augmented, strict=True)
        ]
        weights = np.array([item.weight for item in examples], np.float32)
        read, targets = teacher_forcing(texts, _training_prompt(assets), end=assets.tokens.end)
        beams = np.zeros((len(clips), 1), np.float32)
        return Batch(inputs | {"token_ids": read, "beams": beams}, targets, weights, context)

    def infer(
        self,
        batch: Batch,
        predict: Predict,
        assets: Seq2SeqAssets,
        *,
        top_k: int,
        options: TranscriptionOptions,
    ) -> list[Transcript]:
        """Transcribe a batch; recordings longer than the model's window are read in windows."""
        for name in ("lm", "lexicon", "hot_words", "stream", "log_probabilities"):
            if getattr(options, name):
                raise UsageError(
                    f"{assets.model} does not support {name.replace('_', ' ')}",
                    where=f"--{name.replace('_', '-')}",
                    hint="Use a CTC model: conformer, tcn, bilstm",
                )
        beams = max(top_k, options.beam or 1)
        return transcribe(batch, predict, assets, beams=beams, best=top_k)

    def decode(
        self,
        batch: Batch,
        outputs: Any,
        assets: Seq2SeqAssets,
        *,
        top_k: int = 1,
        options: TranscriptionOptions,
    ) -> list[dict[str, Any]]:
        """The text of each clip, its confidence, segments and timed words."""
        predictions = []
        languages = assets.tokens.rules(assets.max_length).languages
        for row, found in enumerate(_read(batch, outputs, assets, top_k)):
            start_s = batch.context["start"][row]
            text = found.text
            words: Sequence[Mapping[str, Any]] | None = found.words
            if words is not None:
                text, words = confident(text, words, options.min_confidence)
            elif found.confidence < options.min_confidence:
                text = ""
            prediction: dict[str, Any] = {"text": text, "confidence": round(found.confidence, 4)}
            if len(languages) > 1:
                prediction["language"] = found.language
            if found.segments and assets.times:
                prediction["segments"] = [with_offset(each, start_s) for each in found.segments]
            if options.words and words is not None:
                prediction["words"] = [with_offset(each, start_s) for each in words]
            if top_k > 1:
                prediction["top_k"] = [
                    {"text": text, "score": round(score, 4)} for text, score in found.others[:top_k]
                ]
            predictions.append(prediction)
        return predictions

    def transcripts(
        self, batch: Batch, outputs: Any, assets: Seq2SeqAssets
    ) -> tuple[list[str], list[str]]:
        """Without case and punctuation, on both sides."""
        hypotheses = [found.text for found in _read(batch, outputs, assets, 1)]
        return _plain(batch.context["text"]), _plain(hypotheses)

    def explain(
        self, fields: Fields, predict: Any, assets: Seq2SeqAssets, *, target: str | None
    ) -> dict[str, Any]:
        """The words, their times, and an image of the attention to the recording.

        Raises:
            UsageError: the target is not the model's own text, or the model has no attention
                aligned with the recording.
        """
        if target is not None:
            raise UsageError(
                "sequence-to-sequence models explain only their own text", where="--target"
            )
        batch = self.collate(self.encode([fields], assets), assets)
        outputs = predict([fields])
        if "attention" not in outputs:
            raise UsageError(
                f"{assets.model} has no attention that aligns with the audio", where="explain"
            )
        (found,) = _read(batch, outputs, assets, 1)
        (prediction,) = self.decode(batch, [found], assets, options=TranscriptionOptions())
        first = batch.inputs["token_ids"].shape[1]
        tokens = outputs["token_ids"][0, 0, first:].astype(int).tolist()
        end = assets.tokens.end
        tokens = tokens[: tokens.index(end)] if end in tokens else tokens
        steps = max(1, round(batch.context["seconds"][0] / STEP_S))
        attention = outputs["attention"][0, first - 1 : first - 1 + len(tokens), :steps]
        labels = [_label(token, assets) for token in tokens]
        images = []
        if tokens:
            caption = f"{fields['id']}: {found.text}"
            images.append({"caption": caption, "svg": attention_chart(attention, labels)})
        shown = {name: prediction[name] for name in ("confidence", "words")}
        return {"prediction": found.text, "pictures": images} | shown

    def refuse(self, fields: Fields, assets: Seq2SeqAssets) -> str | None:
        return _refuse(fields["text"], fields["seconds"], assets)

    def _check_rows(self, rows: Sequence[Fields], assets: Seq2SeqAssets, note: Note) -> None:
        """Note rows that cannot be used for training.

        Raises:
            DataError: no row is usable.
        """
        problems = [self.refuse(rows[index], assets) for index in range(len(rows))]
        refused = [problem for problem in problems if problem]
        if refused and len(refused) == len(problems):
            raise DataError(f"no row can be used for training: {refused[0]}")
        if refused:
            note(f"{len(refused):,} rows are not used for training; the first one: {refused[0]}")

    def _encode(self, fields: Fields, assets: Seq2SeqAssets) -> Example:
        samples, rate = decode_audio(fields["audio"])
        if rate != RATE_HZ:
            raise DataError(
                f"a recording has a sample rate of {rate} Hz, but the model needs {RATE_HZ}"
            )
        inputs = {
            "samples": samples,
            "speaker": np.array(fields.get("speaker", "")),
            "start": np.array(fields.get("start", 0.0)),
        }
        if "text" not in fields:
            return Example(inputs)
        text = fields["text"]
        fits = _refuse(text, len(samples) / RATE_HZ, assets) is None
        tokens = assets.tokens.encode(text)[: _room(assets)]
        return Example(inputs, (text, tuple(tokens)), float(fits))


def needs_pretrained(model: str) -> UsageError:
    """The error for a sequence-to-sequence model without pretrained weights."""
    return UsageError(
        f"{model} needs pretrained weights",
        where=f"--model {model}",
        hint="Give a Keras Hub or Hugging Face folder, or a run, with --from",
    )


def teacher_forcing(
    texts: Sequence[Sequence[int]], prompt: Sequence[int], *, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """The decoder inputs and targets in training.

    Returns:
        ``token_ids`` (rows, length) int32: the prompt, then the text, then ``end``; and targets
        (rows, length) int32: the next token, or -1 inside the prompt and after the end.
    """
    length = len(prompt) + max(map(len, texts), default=0)
    read = np.full((len(texts), length), end, np.int32)
    targets = np.full((len(texts), length), IGNORED, np.int32)
    read[:, : len(prompt)] = prompt
    for row, text in enumerate(texts):
        read[row, len(prompt) : len(prompt) + len(text)] = text
        last = len(prompt) - 1
        targets[row, last : last + len(text) + 1] = [*text, end]
    return read, targets


def _refuse(text: str, seconds: float, assets: Seq2SeqAssets) -> str | None:
    """Why a transcript cannot be used for training, or None."""
    max_s = window_samples(assets) / RATE_HZ
    if seconds > max_s:
        return f"the recording lasts {seconds:.1f} s, but the model's window is {max_s:g} s"
    count = len(assets.tokens.encode(text))
    if count > _room(assets):
        return f"the text has {count} tokens, over the limit of {_room(assets)}"
    return None


def _room(assets: Seq2SeqAssets) -> int:
    """Maximum tokens of a text, besides the prompt, two times and the end."""
    return assets.max_length - len(assets.prompt()) - 3


def _training_prompt(assets: Seq2SeqAssets) -> list[int]:
    """The training prompt, which needs a known language."""
    prompt = assets.prompt()
    if min(prompt) < 0:
        raise UsageError(
            "training needs the spoken language",
            where="--set language",
            hint="For instance --set language=fr",
        )
    return prompt


def _with_times(
    tokens: Sequence[int], clean: np.ndarray, augmented: np.ndarray, assets: Seq2SeqAssets
) -> list[int]:
    """A text between the start and end times of the speech in its recording."""
    if not assets.times:
        return list(tokens)
    first, last = speech_bounds(clean, RATE_HZ)
    speed = len(clean) / max(1, len(augmented)) * RATE_HZ
    begin, end = (assets.tokens.time_token(each / speed) for each in (first, last))
    return [begin, *tokens, end]


def _read(batch: Batch, outputs: Any, assets: Seq2SeqAssets, best: int) -> list[Transcript]:
    """The transcripts from ``infer``, or decoded from raw outputs."""
    if isinstance(outputs, list):
        return outputs
    seconds = batch.context["seconds"]
    length = batch.inputs["token_ids"].shape[1]
    return read_outputs(outputs, assets, prompt_length=length, seconds=seconds, best=best)


def _label(token: int, assets: Seq2SeqAssets) -> str:
    time_s = assets.tokens.time_of(token)
    return assets.tokens.decode([token]) if time_s is None else f"{time_s:.2f} s"


def _plain(texts: Sequence[str]) -> list[str]:
    return [clean_transcript(text, _PLAIN) for text in texts]
