"""Speech recognition by models that write token by token, Whisper and Moonshine: their rows,
batches and answers, as the task ``speech.asr`` asks for them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.task import Batch, Example
from aitk.speech.data.audio import decode_audio
from aitk.speech.data.options import TranscribedAudioReading
from aitk.speech.data.transcripts import clean_transcript
from aitk.speech.decoding.alignment import confident
from aitk.speech.decoding.chunking import (
    RATE_HZ,
    audio_inputs,
    prompt_inputs,
    transcribe,
    window_samples,
)
from aitk.speech.decoding.seq2seq import STEP_S, Transcript, read_outputs
from aitk.speech.decoding.seq2seq_assets import Seq2SeqAssets
from aitk.speech.explain.images import attention_png
from aitk.speech.features.assets import augmentation_of
from aitk.speech.features.augment import augment_audio, mask_features
from aitk.speech.features.voice_activity import speech_bounds

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained

#: Recognisers of this kind among the models of the task.
MODELS = ("whisper", "moonshine")
IGNORED = -1  # the target of a place that is no part of the text
#: Texts are compared as transcripts usually are: without case and punctuation.
_PLAIN = TranscribedAudioReading()


def learn(
    rows: Sequence[Mapping[str, Any]], model: str, settings: Any, start: Pretrained | None
) -> Seq2SeqAssets:
    """The vocabulary of the source, and what its prompt says.

    Raises:
        UsageError: there is no source, or it does not know the language.
        DataError: the sounds have a rate that the model cannot hear.
    """
    if start is None or start.tokenizer is None:
        raise UsageError(
            f"{model} starts from pretrained weights",
            where=f"--model {model}",
            hint="Name a Keras Hub or Hugging Face folder, or a run, with --from",
        )
    _, rate = decode_audio(rows[0]["audio"])
    if rate != RATE_HZ:
        raise DataError(
            f"{model} hears {RATE_HZ} samples a second, and the sounds have {rate}",
            hint=f"Prepare them with --sample-rate-hz {RATE_HZ}",
        )
    network = start.backbone
    assets = Seq2SeqAssets(
        model=model,
        tokens=start.tokenizer,
        longest=1,
        filters=getattr(network, "num_mels", 0),
        augment=augmentation_of(settings),
        language=getattr(settings, "language", None),
        translate=getattr(settings, "translate", False),
        times=getattr(settings, "times", False),
    )
    places = getattr(network, "max_decoder_sequence_length", settings.max_tokens + 8)
    longest = min(places, len(assets.prompt()) + settings.max_tokens)
    return dataclasses.replace(assets, longest=longest)


def check_rows(rows: Iterable[Mapping[str, Any]], assets: Seq2SeqAssets) -> list[str]:
    """Notes about rows that cannot be learned from.

    Raises:
        DataError: none can.
    """
    problems = [refuse(fields["text"], fields["seconds"], assets) for fields in rows]
    strange = [each for each in problems if each]
    if strange and len(strange) == len(problems):
        raise DataError(f"no row can be learned from: {strange[0]}")
    if not strange:
        return []
    return [f"{len(strange):,} rows are not learned from; of the first of them, {strange[0]}"]


def refuse(text: str, seconds: float, assets: Seq2SeqAssets) -> str | None:
    """Why a transcript cannot be learned, if so."""
    most_s = window_samples(assets) / RATE_HZ
    if seconds > most_s:
        return f"the sound lasts {seconds:.1f} s, and the model hears {most_s:g} s at once"
    count = len(assets.tokens.encode(text))
    if count > _room(assets):
        return f"the text has {count} tokens, and the model writes {_room(assets)}"
    return None


def encode(fields: Mapping[str, Any], assets: Seq2SeqAssets) -> Example:
    """Samples, and the tokens of the text where there is one.

    A sound longer than the model hears at once, or a text longer than it writes, teaches nothing.
    """
    samples, rate = decode_audio(fields["audio"])
    if rate != RATE_HZ:
        raise DataError(f"a sound has {rate} samples a second, the model hears {RATE_HZ}")
    inputs = {
        "samples": samples,
        "speaker": np.array(fields.get("speaker", "")),
        "start": np.array(fields.get("start", 0.0)),
    }
    if "text" not in fields:
        return Example(inputs)
    text = fields["text"]
    fits = refuse(text, len(samples) / RATE_HZ, assets) is None
    tokens = assets.tokens.encode(text)[: _room(assets)]
    return Example(inputs, (text, tuple(tokens)), float(fits))


def collate(
    examples: Sequence[Example], assets: Seq2SeqAssets, *, rng: np.random.Generator | None = None
) -> Batch:
    """Stack examples: with ``rng`` for training, the texts given; or else with prompts alone,
    and no targets: of held-out rows texts are compared, not places."""
    began = time.perf_counter()
    clips = [item.inputs["samples"] for item in examples]
    known = not any(item.target is None for item in examples)
    context: dict[str, Any] = {
        "seconds": np.array([len(samples) / RATE_HZ for samples in clips]),
        "speaker": [str(item.inputs["speaker"]) for item in examples],
        "start": [float(item.inputs["start"]) for item in examples],
        "began": began,
        "sounds": clips,
    }
    if known:
        context["text"] = [item.target[0] for item in examples]
    if rng is None:
        inputs = audio_inputs(clips, assets) | prompt_inputs(
            [assets.prompt()] * len(clips), beams=1
        )
        # The loss of held-out rows is not asked for: texts are compared, not places.
        return Batch(inputs, context["text"] if known else None, context=context)
    varied = [augment_audio(each, RATE_HZ, assets.augment, rng=rng) for each in clips]
    inputs = audio_inputs(varied, assets)
    if "features" in inputs:
        for row, samples in enumerate(varied):
            real = -(-len(samples) * inputs["features"].shape[1] // window_samples(assets))
            hidden = mask_features(inputs["features"][row, :real], assets.augment, rng=rng)
            inputs["features"][row, :real] = hidden
    texts = [
        _with_times(item.target[1], clean, heard, assets)
        for item, clean, heard in zip(examples, clips, varied, strict=True)
    ]
    weights = np.array([item.weight for item in examples], np.float32)
    taught, targets = teach(texts, _spoken_prompt(assets), end=assets.tokens.end)
    beams = np.zeros((len(clips), 1), np.float32)
    return Batch(inputs | {"token_ids": taught, "beams": beams}, targets, weights, context)


def teach(
    texts: Sequence[Sequence[int]], prompt: Sequence[int], *, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """What the decoder reads, and what it should write at each place.

    Returns:
        ``token_ids`` (rows, length) int32: the prompt, then the text, then ``end``; and targets
        (rows, length) int32: the next token, or -1 inside of the prompt and after the end.
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


def build(assets: Seq2SeqAssets, backbone: Any) -> Any:
    """The Keras model that writes with a network."""
    from aitk.speech.models.seq2seq.generation import Seq2SeqModel

    if backbone is None:
        raise UsageError(
            f"{assets.model} starts from pretrained weights",
            where=f"--model {assets.model}",
            hint="Name a Keras Hub or Hugging Face folder, or a run, with --from",
        )
    rules = assets.tokens.rules(assets.longest)
    if rules.size > backbone.vocabulary_size:
        raise ArtifactError(
            f"the tokeniser knows {rules.size} tokens, the model {backbone.vocabulary_size}"
        )
    return Seq2SeqModel(backbone, rules, name="writer")


def objective() -> Any:
    """The loss of the tokens of a text."""
    from aitk.speech.models.seq2seq.generation import TokenCrossEntropy

    return TokenCrossEntropy()


def infer(
    batch: Batch,
    predict: Callable[[Mapping[str, np.ndarray]], Any],
    assets: Seq2SeqAssets,
    *,
    top_k: int = 1,
    asked: Any = None,
) -> list[Transcript]:
    """Write down a batch of sounds; those longer than the model hears at once in windows.

    Raises:
        UsageError: what was asked is not to be had of such a model.
    """
    if asked is not None:
        _check_options(asked, assets)
    beams = max(top_k, getattr(asked, "beam", 0) or 1)
    return transcribe(batch, predict, assets, beams=beams, best=top_k)


def decode(
    batch: Batch, outputs: Any, assets: Seq2SeqAssets, *, top_k: int = 1, asked: Any = None
) -> list[dict[str, Any]]:
    """The text of each sound, its confidence, segments and words with their times."""
    answers = []
    least = asked.min_confidence if asked is not None else 0.0
    for row, written in enumerate(_written(batch, outputs, assets, top_k)):
        start_s = batch.context["start"][row]
        words, text = written.words, written.text
        if words is not None:
            text, words = confident(text, words, least)
        elif written.confidence < least:
            text = ""
        answer: dict[str, Any] = {
            "text": text,
            "confidence": round(written.confidence, 4),
        }
        if len(assets.tokens.rules(assets.longest).languages) > 1:
            answer["language"] = written.language
        if written.segments and assets.times:
            answer["segments"] = [_moved(each, start_s) for each in written.segments]
        if (asked is None or asked.words) and words is not None:
            answer["words"] = [_moved(each, start_s) for each in words]
        if top_k > 1:
            answer["top_k"] = [
                {"text": text, "score": round(score, 4)} for text, score in written.others[:top_k]
            ]
        answers.append(answer)
    return answers


def measure(batch: Batch, outputs: Any, assets: Seq2SeqAssets) -> dict[str, np.ndarray]:
    """What ``score_recognition`` reads; texts without case and punctuation, on both sides."""
    seconds = batch.context["seconds"]
    took_s = time.perf_counter() - batch.context["began"]
    return {
        "said": _texts(batch.context["text"]),
        "heard": _texts([each.text for each in _written(batch, outputs, assets, 1)]),
        "speaker": np.array(batch.context["speaker"], object),
        "seconds": seconds,
        "took_s": took_s * seconds / max(seconds.sum(), 1e-9),
    }


def explain(
    fields: Mapping[str, Any], predict: Any, assets: Seq2SeqAssets, *, target: str | None = None
) -> dict[str, Any]:
    """The words, their times, and a picture of where the model looked.

    Raises:
        UsageError: another text than the model's own is to be explained, or it tells no times.
    """
    if target is not None:
        raise UsageError("such a model explains its own text alone", where="--target")
    batch = collate([encode(fields, assets)], assets)
    outputs = predict([fields])
    if "attention" not in outputs:
        raise UsageError(f"{assets.model} does not tell where it looked", where="explain")
    (written,) = _written(batch, outputs, assets, 1)
    (answer,) = decode(batch, [written], assets)
    first = batch.inputs["token_ids"].shape[1]
    tokens = outputs["token_ids"][0, 0, first:].astype(int).tolist()
    tokens = tokens[: tokens.index(assets.tokens.end)] if assets.tokens.end in tokens else tokens
    steps = max(1, round(batch.context["seconds"][0] / STEP_S))
    looks = outputs["attention"][0, first - 1 : first - 1 + len(tokens), :steps]
    labels = [_label(token, assets) for token in tokens]
    picture = {"caption": f"{fields['id']}: {written.text}", "png": attention_png(looks, labels)}
    shown = {name: answer[name] for name in ("confidence", "words")}
    return {"prediction": written.text, "pictures": [picture] if tokens else []} | shown


def _label(token: int, assets: Seq2SeqAssets) -> str:
    time_s = assets.tokens.time_of(token)
    return assets.tokens.decode([token]) if time_s is None else f"{time_s:.2f} s"


def _room(assets: Seq2SeqAssets) -> int:
    """Tokens that a text may have: the prompt, two times and the end go before and after it."""
    return assets.longest - len(assets.prompt()) - 3


def _spoken_prompt(assets: Seq2SeqAssets) -> list[int]:
    """The prompt of training, which cannot leave the language open."""
    prompt = assets.prompt()
    if min(prompt) < 0:
        raise UsageError(
            "to learn, the model must be told what language is spoken",
            where="--set language",
            hint="For instance --set language=fr",
        )
    return prompt


def _with_times(
    tokens: Sequence[int], clean: np.ndarray, heard: np.ndarray, assets: Seq2SeqAssets
) -> list[int]:
    """A text between the times at which speech begins and ends in its sound."""
    if not assets.times:
        return list(tokens)
    first, last = speech_bounds(clean, RATE_HZ)
    speed = len(clean) / max(1, len(heard)) * RATE_HZ
    begin, end = (assets.tokens.time_token(each / speed) for each in (first, last))
    return [begin, *tokens, end]


def _check_options(asked: Any, assets: Seq2SeqAssets) -> None:
    for name in ("lm", "lexicon", "hot_words", "stream"):
        if getattr(asked, name, None):
            raise UsageError(
                f"{assets.model} writes token by token, and takes no {name.replace('_', ' ')}",
                where=f"--{name.replace('_', '-')}",
                hint="A model of the CTC kind does: conformer, tcn, bilstm",
            )


def _written(batch: Batch, outputs: Any, assets: Seq2SeqAssets, best: int) -> list[Transcript]:
    """What ``infer`` found; or a model's raw outputs, read."""
    if isinstance(outputs, list):
        return outputs
    seconds = batch.context["seconds"]
    length = batch.inputs["token_ids"].shape[1]
    return read_outputs(outputs, assets, prompt_length=length, seconds=seconds, best=best)


def _moved(item: Mapping[str, Any], start_s: float) -> dict[str, Any]:
    moved = {name: round(item[name] + start_s, 3) for name in ("start", "end")}
    return dict(item) | moved


def _texts(texts: Sequence[str]) -> np.ndarray:
    plain = [clean_transcript(text, _PLAIN) for text in texts]
    return np.fromiter(plain, dtype=object, count=len(plain))
