"""What a recogniser answers: texts with words in time, and where in the sound each was heard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.task import Batch
from aitk.speech.data.audio import decode_audio
from aitk.speech.data.options import TranscriptionOptions
from aitk.speech.decoding.alignment import alignment_png, confidence_of, confident, timed_words
from aitk.speech.decoding.beam_search import Hypothesis
from aitk.speech.decoding.ctc import force_align, log_softmax
from aitk.speech.decoding.ctc_assets import CtcAssets
from aitk.speech.decoding.transcribing import Recognition, lexicon_of, read_steps, step_counts
from aitk.speech.features.tokenizers.spelling import refuse_transcript

NOTHING = Hypothesis("", 0.0, ())


def decode_predictions(
    batch: Batch,
    outputs: Recognition,
    assets: CtcAssets,
    *,
    top_k: int,
    asked: TranscriptionOptions,
) -> list[dict[str, Any]]:
    """An answer a row: ``text``, ``confidence``, and as asked ``words`` and ``top_k``."""
    lexicon = lexicon_of(asked, assets)
    answers = []
    for row, count in enumerate(step_counts(batch.inputs, assets)):
        found = outputs.found[row] or [NOTHING]
        scores = log_softmax(outputs.logits[row, :count])
        words = timed_words(found[0], scores, assets, lexicon=lexicon)
        start_s = batch.context["start"][row]
        text, words = confident(found[0].text, words, asked.min_confidence)
        answer: dict[str, Any] = {
            "text": text,
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


def explain_transcript(
    fields: Mapping[str, Any],
    inputs: Mapping[str, np.ndarray],
    logits: np.ndarray,
    assets: CtcAssets,
    *,
    target: str | None = None,
) -> dict[str, Any]:
    """The words of a row and where they lie, with a picture of it.

    Args:
        inputs: of the row alone.
        logits: (1, steps, units) that the model made of them.
        target: a text to lay along the sound instead of the one that was heard.

    Raises:
        UsageError: the model cannot write the target, or the sound is too short for it.
    """
    samples, _ = decode_audio(fields["audio"])
    (found,) = read_steps(logits, inputs, assets, TranscriptionOptions())
    best = found[0] if found else NOTHING
    scores = log_softmax(logits[0])
    explained = best
    if target is not None:
        if problem := refuse_transcript(dict(fields) | {"text": target}, assets):
            raise UsageError(problem, where="--target")
        explained = Hypothesis(target, 0.0, tuple(assets.units.encode(target)))
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


def _moved(word: Mapping[str, Any], start_s: float) -> dict[str, Any]:
    """A word in the time of its recording, of which the sound may be a cut."""
    return dict(word) | {
        "start": round(word["start"] + start_s, 3),
        "end": round(word["end"] + start_s, 3),
    }
