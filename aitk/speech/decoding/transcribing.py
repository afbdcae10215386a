"""From a recogniser's outputs at every step to text: greedy decoding or beam search."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.inference.text_scores import OpenScorer
from aitk.core.io.values import to_number
from aitk.speech.data.options import TranscriptionOptions
from aitk.speech.data.transcripts import Lexicon, spelled_lexicon, spoken_lexicon
from aitk.speech.decoding.beam_search import Hypothesis, LanguageModel, SearchOptions, beam_search
from aitk.speech.decoding.ctc import collapse, greedy, log_softmax
from aitk.speech.decoding.ctc_assets import CtcAssets, read_lexicon, read_lines
from aitk.speech.decoding.joint import rescore
from aitk.speech.decoding.neural_lm import TextLanguageModel
from aitk.speech.decoding.ngram import END, START, UNKNOWN, read_arpa, train_ngram
from aitk.speech.decoding.streaming import Stream
from aitk.speech.features.tokenizers.units import Units

USUAL_BEAM = 16
HOT_WEIGHT = 5.0
ORDER_OF_TEXTS = 3
SELF = "self"

#: Inputs by name to logits (batch, steps, units).
Predict = Callable[[Mapping[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Recognition:
    """Recognition results of a batch.

    Attributes:
        logits: (batch, steps, units) of the steps.
        found: texts of each recording, best first.
        progress: for streamed recordings: ``partial`` results and ``latency_ms``.
    """

    logits: np.ndarray
    found: Sequence[Sequence[Hypothesis]]
    progress: Sequence[Mapping[str, Any]] = ()


def transcribe(
    inputs: Mapping[str, np.ndarray],
    predict: Predict,
    assets: CtcAssets,
    options: TranscriptionOptions,
    *,
    best: int = 1,
) -> Recognition:
    """Run a recogniser on a batch, and decode its outputs by the options.

    Args:
        inputs: model inputs.
        best: texts per recording.

    Raises:
        UsageError: the model does not support an option.
        DataError: a named file cannot be read.
    """
    progress: Sequence[Mapping[str, Any]] = ()
    if options.stream:
        logits, progress = _streamed(inputs, predict, assets, options.chunk_ms)
    else:
        logits = step_logits(predict(inputs), inputs, assets)
    beams = _beams(options, assets, best)
    ctc_weight = assets.ctc_weight
    both_heads = ctc_weight is not None and beams > 1
    found = read_steps(logits, inputs, assets, options, best=beams if both_heads else best)
    if ctc_weight is not None and both_heads:
        found = [
            rescore(
                each,
                {name: array[row : row + 1] for name, array in inputs.items()},
                predict,
                ctc_weight=ctc_weight,
            )[:best]
            for row, each in enumerate(found)
        ]
    return Recognition(logits, found, progress)


def read_steps(
    logits: np.ndarray,
    inputs: Mapping[str, np.ndarray],
    assets: CtcAssets,
    options: TranscriptionOptions,
    *,
    best: int = 1,
) -> list[list[Hypothesis]]:
    """The best texts of each recording, from the logits of its steps (batch, steps, units)."""
    scores = [
        log_softmax(logits[row, :count]) for row, count in enumerate(step_counts(inputs, assets))
    ]
    beams = _beams(options, assets, best)
    if beams == 1:
        return [[best_path(each, assets.units)] for each in scores]
    search = SearchOptions(
        beams=beams,
        language_weight=options.lm_weight,
        word_bonus=options.word_bonus,
        hot_words=dict(map(_hot_word, options.hot_words)) or None,
    )
    model, lexicon = _language_model(options, assets), lexicon_of(options, assets)
    return [
        beam_search(each, assets.units, options=search, model=model, lexicon=lexicon, best=best)
        for each in scores
    ]


def best_path(scores: np.ndarray, units: Units) -> Hypothesis:
    """The text of the likeliest unit at every step, from (steps, units) log-probabilities."""
    numbers = greedy(scores)
    return Hypothesis(units.decode(numbers), float(scores.max(axis=1).sum()), tuple(numbers))


def step_logits(
    outputs: np.ndarray, inputs: Mapping[str, np.ndarray], assets: CtcAssets
) -> np.ndarray:
    """The logits of the steps (batch, steps, units), also for models with two heads."""
    return outputs if assets.ctc_weight is None else outputs[:, inputs["target_ids"].shape[1] :]


def step_counts(inputs: Mapping[str, np.ndarray], assets: CtcAssets) -> list[int]:
    """The number of real steps of each recording."""
    return [assets.steps(int(frames)) for frames in inputs["padding_mask"].sum(axis=1)]


def _beams(options: TranscriptionOptions, assets: CtcAssets, best: int) -> int:
    """The beam size; phones become words only in a search."""
    needed = bool(options.lm or options.lexicon or options.hot_words or best > 1)
    if options.beam == 1 and needed:
        raise UsageError(
            "greedy decoding cannot use these options",
            where="--beam 1",
            hint="Omit --beam, or omit --lm, --lexicon, --hot-words and --top-k",
        )
    if options.beam:
        return max(options.beam, best)
    return max(USUAL_BEAM, best) if needed or assets.units.kind == "phone" else 1


def _hot_word(entry: str) -> tuple[str, float]:
    """Parse ``taxi`` or ``taxi:8``."""
    word, colon, weight = entry.partition(":")
    try:
        value = to_number(weight) if colon else HOT_WEIGHT
    except ValueError as error:
        raise UsageError(
            f"the weight of {word!r} is {weight!r}",
            where="--hot-words",
            hint="Use WORD or WORD:WEIGHT",
        ) from error
    return word.strip(), value


def with_language_model(
    assets: CtcAssets, options: TranscriptionOptions, open_scorer: OpenScorer
) -> CtcAssets:
    """The assets with the language model of a run, if the options name one."""
    if options.lm in (None, SELF) or not Path(options.lm).is_dir():
        return assets
    return dataclasses.replace(assets, outside=TextLanguageModel(open_scorer(options.lm)))


def _language_model(options: TranscriptionOptions, assets: CtcAssets) -> LanguageModel | None:
    if options.lm is None or assets.outside is not None:
        return assets.outside
    if options.lm != SELF:
        return _model_from_file(options.lm, _changed(options.lm))
    return _own(assets.language_model, "--lm")


def lexicon_of(options: TranscriptionOptions, assets: CtcAssets) -> Lexicon | None:
    """The allowed words; None for any.

    Raises:
        UsageError: the training lexicon is requested, but the run has none.
    """
    spoken = assets.units.kind == "phone"
    if options.lexicon is None:
        return assets.lexicon if spoken else None
    if options.lexicon != SELF:
        return _lexicon_from_file(options.lexicon, _changed(options.lexicon), spoken)
    return _own(assets.lexicon, "--lexicon")


def _own(learned: Any, where: str) -> Any:
    if learned is None:
        raise UsageError(
            "the run has no language model of its transcripts",
            where=f"{where} {SELF}",
            hint="Train it with --set lm_order=3, or name a file",
        )
    return learned


# Consecutive batches use the same files: read them once.


@functools.lru_cache(maxsize=1)
def _model_from_file(name: str, changed: float) -> LanguageModel:
    del changed
    if Path(name).suffix.lower() != ".txt":
        return read_arpa(Path(name))
    sentences = [line.split() for line in read_lines(name) if line.strip()]
    return train_ngram(sentences, order=ORDER_OF_TEXTS)


@functools.lru_cache(maxsize=1)
def _lexicon_from_file(name: str, changed: float, spoken: bool) -> Lexicon:
    del changed
    if spoken:
        return spoken_lexicon(read_lexicon(name))
    words = {line.split()[0] for line in read_lines(name) if line.strip()}
    return spelled_lexicon(sorted(words - {START, END, UNKNOWN}))


def _changed(name: str) -> float:
    """The modification time of a file, so that a new version is not served from the cache.

    Raises:
        DataError: there is no such file.
    """
    try:
        return Path(name).stat().st_mtime
    except OSError as error:
        raise DataError("no such file", where=name) from error


def _streamed(
    inputs: Mapping[str, np.ndarray], predict: Predict, assets: CtcAssets, chunk_ms: float
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The logits of recordings fed in chunks, and the partial results of each."""
    check_streamable(assets)
    shift_ms = assets.audio.features.shift_ms
    least = assets.chunk_frames
    chunk = max(1, -(-round(chunk_ms / shift_ms) // least)) * least
    rows, progress = [], []
    for features, mask in zip(inputs["features"], inputs["padding_mask"], strict=True):
        logits, report = _stream_one(features[: mask.sum()], predict, assets, chunk)
        rows.append(logits)
        progress.append(report)
    longest = max(map(len, rows))
    padded = [np.pad(each, ((0, longest - len(each)), (0, 0))) for each in rows]
    return np.stack(padded), progress


def _stream_one(
    features: np.ndarray, predict: Predict, assets: CtcAssets, chunk: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Stream one recording (frames, d): its logits, partial results and latency."""
    stream = Stream(
        predict,
        frames_per_step=assets.subsampling,
        chunk_frames=chunk,
        context_frames=assets.context_frames,
    )
    settings = assets.audio.features
    parts: list[np.ndarray] = []
    partial: list[dict[str, Any]] = []
    took_ms = []
    path: list[int] = []
    for start in range(0, len(features), chunk):
        began = time.perf_counter()
        found = [stream.feed(features[start : start + chunk])]
        end = min(start + chunk, len(features))
        if end == len(features):
            found.append(stream.finish())
        for logits in found:
            if len(logits):
                parts.append(logits)
                path += logits.argmax(axis=1).tolist()
        took_ms.append(1000 * (time.perf_counter() - began))
        text = assets.units.decode(collapse(path))
        if text != (partial[-1]["text"] if partial else ""):
            received_ms = (end - 1) * settings.shift_ms + settings.frame_ms
            partial.append({"received_s": round(received_ms / 1000, 3), "text": text})
    waiting_ms = (chunk - 1) * settings.shift_ms + settings.frame_ms
    latency = {
        "waiting": round(waiting_ms, 1),  # maximum wait for a complete chunk
        "computing": round(float(np.mean(took_ms)), 1),
        "computing_max": round(float(np.max(took_ms)), 1),
    }
    return np.concatenate(parts), {"partial": partial, "latency_ms": latency}


def check_streamable(assets: CtcAssets) -> None:
    """Refuse streaming with a model that needs the whole recording.

    Raises:
        UsageError: the model or its features are not causal.
    """
    if not assets.chunk_frames:
        raise UsageError(
            "the model reads the whole recording at once",
            where="--stream",
            hint="Train a conformer or tcn with --set causal=true --set normalise=corpus",
        )
