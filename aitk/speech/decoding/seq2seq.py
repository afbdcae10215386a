"""Outputs of sequence-to-sequence models to texts, segments and timed words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.speech.decoding.seq2seq_assets import Seq2SeqAssets

STEP_S = 0.02  # step of Whisper's encoder
#: Thresholds for silence: a high no-speech probability and low confidence in the text (Radford et
#: al. 2023, section 4.5).
LIKELY_SILENCE, UNSURE = 0.6, -1.0
SMOOTHED = 7  # steps


@dataclass(frozen=True)
class Transcript:
    """The transcript of a recording or of a window.

    Attributes:
        text: best text.
        score: mean log-probability of its tokens.
        prompt: the prompt as completed by the model.
        language: spoken language.
        segments: ``start``, ``end`` in seconds and ``text``.
        words: ``word``, ``start``, ``end``, ``confidence``; None if the model gives no times.
        others: (text, score) of the best hypotheses, this one first.
        covered_s: length of the window part that the text covers.
    """

    text: str
    score: float
    prompt: tuple[int, ...]
    language: str
    segments: tuple[Mapping[str, Any], ...]
    words: tuple[Mapping[str, Any], ...] | None
    others: tuple[tuple[str, float], ...]
    covered_s: float

    @property
    def confidence(self) -> float:
        """The geometric mean of the probabilities of its tokens."""
        return math.exp(min(0.0, self.score))

    def shifted(self, start_s: float) -> Transcript:
        """Shift the times to those of the whole recording."""

        def later(items: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
            return tuple(
                dict(each) | {name: each[name] + start_s for name in ("start", "end")}
                for each in items
            )

        words = None if self.words is None else later(self.words)
        return dataclasses.replace(self, segments=later(self.segments), words=words)


def join(parts: Sequence[Transcript]) -> Transcript:
    """Join the windows of one recording, in order."""
    text = " ".join(part.text for part in parts if part.text)
    score = float(np.mean([part.score for part in parts]))
    words = None
    if all(part.words is not None for part in parts):
        words = tuple(word for part in parts for word in part.words or ())
    return Transcript(
        text=text,
        score=score,
        prompt=parts[0].prompt,
        language=parts[0].language,
        segments=tuple(each for part in parts for each in part.segments),
        words=words,
        others=((text, score),),
        covered_s=sum(part.covered_s for part in parts),
    )


def read_outputs(
    outputs: Mapping[str, np.ndarray],
    assets: Seq2SeqAssets,
    *,
    prompt_length: int,
    seconds: Sequence[float],
    best: int = 1,
    more: Sequence[bool] | None = None,
) -> list[Transcript]:
    """Read the outputs of a ``Seq2SeqModel``.

    Args:
        outputs: see ``models.seq2seq.generation``.
        seconds: length of each recording.
        best: number of texts per recording.
        more: recordings that continue after this window: their last open segment is left to the
            next window.
    """
    found = []
    for row, length_s in enumerate(seconds):
        tokens = outputs["token_ids"][row].astype(np.int64)  # (beams, max_length)
        chances = outputs["log_probabilities"][row]
        texts = [_text(line, prompt_length, assets.tokens.end) for line in tokens]
        scores = [
            float(line[prompt_length : prompt_length + len(text) + 1].mean())
            for line, text in zip(chances, texts, strict=True)
        ]
        attention = outputs["attention"][row] if "attention" in outputs else None
        goes_on = more is not None and more[row]
        if outputs["no_speech"][row] > LIKELY_SILENCE and scores[0] < UNSURE:
            texts[0] = []
        kept, covered_s = _closed(texts[0], assets, length_s) if goes_on else (texts[0], length_s)
        own = chances[0, prompt_length : prompt_length + len(kept)]
        prompt = tuple(int(token) for token in tokens[0, :prompt_length])
        language = assets.tokens.language_of(prompt)
        words = None
        if attention is not None:
            looks = attention[prompt_length - 1 : prompt_length + len(kept)]
            words = tuple(_words(kept, own, looks, assets, language, length_s))
        found.append(
            Transcript(
                text=assets.tokens.decode(kept),
                score=scores[0],
                prompt=prompt,
                language=language,
                segments=tuple(_segments(kept, assets, covered_s)),
                words=words,
                others=tuple(
                    (assets.tokens.decode(text), score)
                    for text, score in list(zip(texts, scores, strict=True))[:best]
                ),
                covered_s=covered_s,
            )
        )
    return found


def first_steps(looks: np.ndarray) -> np.ndarray:
    """The first step of each token, where every step belongs to one token and tokens are in order:
    the monotonic path through (tokens, steps) with the largest sum.

    (tokens,) int, increasing by at least one, as far as there are steps.
        (tokens,) int, rising by at least one; as far as there are steps.
    """
    tokens, steps = looks.shape
    sums = np.full((steps, tokens), -np.inf)
    moved = np.zeros((steps, tokens), bool)
    sums[0, 0] = looks[0, 0]
    for step in range(1, steps):
        stay = sums[step - 1]
        move = np.concatenate([[-np.inf], stay[:-1]])
        moved[step] = move >= stay  # break ties by starting tokens late
        sums[step] = np.maximum(stay, move) + looks[:, step]
    starts = np.zeros(tokens, int)
    token = min(tokens, steps) - 1
    starts[token + 1 :] = steps - 1
    for step in range(steps - 1, 0, -1):
        if moved[step, token]:
            starts[token] = step
            token -= 1
    return starts


def _text(line: np.ndarray, prompt_length: int, end: int) -> list[int]:
    """The tokens between prompt and end."""
    text = line[prompt_length:].tolist()
    return text[: text.index(end)] if end in text else text


def _closed(tokens: list[int], assets: Seq2SeqAssets, length_s: float) -> tuple[list[int], float]:
    """The tokens up to the end of the last segment followed by another one, and that time.

    All tokens and the whole window if the last segment was closed, or none was.
    """
    times = [assets.tokens.time_of(token) for token in tokens]
    pairs = [
        at for at in range(1, len(times)) if times[at] is not None and times[at - 1] is not None
    ]
    closed = bool(times) and times[-1] is not None and (len(times) < 2 or times[-2] is None)
    if closed or not pairs or not times[pairs[-1] - 1]:
        return tokens, length_s
    return tokens[: pairs[-1]], float(times[pairs[-1] - 1] or 0.0)


def _segments(
    tokens: Sequence[int], assets: Seq2SeqAssets, covered_s: float
) -> list[dict[str, Any]]:
    """The text between times; without times, one segment for the whole recording."""
    found, start = [], 0.0
    inside: list[int] = []
    times = [*map(assets.tokens.time_of, tokens), covered_s]
    for token, time_s in zip([*tokens, assets.tokens.end], times, strict=True):
        if time_s is None:
            inside.append(token)
            continue
        end = min(time_s, covered_s)
        if inside:
            text = assets.tokens.decode(inside)
            found.append({"start": round(start, 3), "end": round(max(start, end), 3), "text": text})
            inside = []
        start = end
    return found


def _words(
    tokens: Sequence[int],
    chances: np.ndarray,
    looks: np.ndarray,
    assets: Seq2SeqAssets,
    language: str,
    length_s: float,
) -> list[dict[str, Any]]:
    """Words with times, from the attention when each token was decoded.

    The reference of Radford et al. 2023 normalises each token's attention over the tokens, smooths
    it over time, and takes the monotonic path through it.

    Args:
        looks: (tokens + 1, steps) attention while decoding each token, and the one after the last.

    """
    from scipy.ndimage import median_filter

    spoken = [at for at, token in enumerate(tokens) if token < assets.tokens.end]
    if not spoken:
        return []
    used = looks[:, : max(1, math.ceil(length_s / STEP_S))]
    spread = used.std(axis=0, keepdims=True)
    clear = (used - used.mean(axis=0, keepdims=True)) / np.maximum(spread, 1e-9)
    starts = first_steps(median_filter(clear, size=(1, SMOOTHED)))
    words, at = [], 0
    for word, count in assets.tokens.pieces([tokens[place] for place in spoken], language=language):
        own = spoken[at : at + count]
        at += count
        start_s, end_s = (float(STEP_S * starts[place]) for place in (own[0], own[-1] + 1))
        words.append(
            {
                "word": word,
                "start": round(min(start_s, length_s), 3),
                "end": round(min(max(end_s, start_s), length_s), 3),
                "confidence": round(float(np.exp(chances[own].min())), 4),
            }
        )
    return words
