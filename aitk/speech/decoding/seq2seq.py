"""Outputs of sequence-to-sequence models as texts, segments and words with their times."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.speech.decoding.seq2seq_assets import Seq2SeqAssets

STEP_S = 0.02  # a step of Whisper's encoder
#: Nobody speaks where the model says so, and is unsure of what it wrote all the same (Radford et
#: al. 2023, section 4.5).
LIKELY_SILENCE, UNSURE = 0.6, -1.0
SMOOTHED = 7  # steps


@dataclass(frozen=True)
class Transcript:
    """What was written of a recording, or of a window of it.

    Attributes:
        text: the best.
        score: the mean log probability of its tokens.
        prompt: as the model completed it.
        language: what is spoken.
        segments: ``start``, ``end`` in seconds and ``text``.
        words: ``word``, ``start``, ``end``, ``confidence``; None where the model gives no times.
        others: (text, score) of the best hypotheses, this one the first.
        covered_s: how much of the window it is the text of.
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
        """The same in the time of the whole recording."""

        def later(items: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
            return tuple(
                dict(each) | {name: each[name] + start_s for name in ("start", "end")}
                for each in items
            )

        words = None if self.words is None else later(self.words)
        return dataclasses.replace(self, segments=later(self.segments), words=words)


def join(parts: Sequence[Transcript]) -> Transcript:
    """The windows of one recording, in order, as one."""
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
        seconds: how long each recording is.
        best: how many texts of each are kept.
        more: which recordings go on after this window: of these, a segment that was not closed is
            left to the next window.
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
    """The step at which each token begins, if every step belongs to one token and tokens follow
    one another: the way through (tokens, steps) with the largest sum.

    Returns:
        (tokens,) int, rising by at least one; as far as there are steps.
    """
    tokens, steps = looks.shape
    sums = np.full((steps, tokens), -np.inf)
    moved = np.zeros((steps, tokens), bool)
    sums[0, 0] = looks[0, 0]
    for step in range(1, steps):
        stay = sums[step - 1]
        move = np.concatenate([[-np.inf], stay[:-1]])
        moved[step] = move >= stay  # of equal ways the one whose tokens begin late
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
    """The tokens between the prompt and the end."""
    text = line[prompt_length:].tolist()
    return text[: text.index(end)] if end in text else text


def _closed(tokens: list[int], assets: Seq2SeqAssets, length_s: float) -> tuple[list[int], float]:
    """The tokens up to the end of the last segment after which another one began, and that time.

    All of them, and all of the window, where the last segment was closed, or none was.
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
    """What stands between times; without any, one segment as long as the recording."""
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
    """Words with their times, by where the model looked when it wrote each token.

    The reference of Radford et al. 2023 measures each token's attention against that of the
    others, smooths it over time and takes the way through it that rises.

    Args:
        looks: (tokens + 1, steps) attention when each token, and what follows the last, was
            written.
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
