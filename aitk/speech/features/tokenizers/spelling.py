"""Transcripts as units, and checks of which transcripts a recogniser can be trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.speech.decoding.ctc import min_steps
from aitk.speech.decoding.ctc_assets import CtcAssets
from aitk.speech.features.signal import frames_in


@dataclass(frozen=True, slots=True)
class Spelling:
    """A transcript as units.

    Attributes:
        text: the transcript's text.
        units: unit numbers, without parts that the model has no unit for.
        whole: whether every part has a unit.
    """

    text: str
    units: tuple[int, ...]
    whole: bool


def refuse_fast_speech(fields: Mapping[str, Any], max_per_second: float) -> str | None:
    """Refuse a row whose text has more characters per second than speech can have."""
    count, seconds = len(fields["text"]), fields["seconds"]
    if count <= max_per_second * seconds:
        return None
    return (
        f"its text has {count} characters for {seconds:.2f} s, more than {max_per_second:g} per"
        " second (--max-characters-per-second)"
    )


def spell(text: str, assets: CtcAssets) -> Spelling:
    """Convert a transcript to units; parts without a unit are omitted (see ``whole``)."""
    try:
        return Spelling(text, tuple(assets.units.encode(text)), True)
    except DataError:
        known = set(assets.units.symbols)
        words = [word for word in text.split() if _is_known(word, assets, known)]
        return Spelling(text, tuple(assets.units.encode(" ".join(words))), False)


def check_transcripts(transcripts: Sequence[tuple[str, float]], assets: CtcAssets) -> list[str]:
    """Report on the training transcripts, given as (text, seconds).

    Raises:
        DataError: none of them can be used for training.
    """
    unknown = too_long = 0
    for text, seconds in transcripts:
        spelled = spell(text, assets)
        unknown += not spelled.whole
        too_long += spelled.whole and not _fits(spelled.units, seconds, assets)
    notes = []
    if unknown:
        notes.append(
            f"{unknown:,} transcripts are not used for training: parts of them have no unit"
            f" (units={assets.units.kind}, {len(assets.units)} units)"
        )
    if too_long:
        notes.append(
            f"{too_long:,} transcripts are not used for training: they have more units than their"
            f" recordings have steps of {1000 * assets.step_s:g} ms (see --set subsampling)"
        )
    if unknown + too_long == len(transcripts):
        raise DataError(notes[-1], hint="Try --set subsampling=2, or --set units=char")
    return notes


def refuse_transcript(fields: Mapping[str, Any], assets: CtcAssets) -> str | None:
    """Why a row cannot be used in an update, or None."""
    try:
        units = assets.units.encode(fields["text"])
    except DataError as error:
        return error.what
    if not _fits(units, fields["seconds"], assets):
        return (
            f"its text has {len(units)} units, more than fit into its {fields['seconds']:.2f} s at"
            f" steps of {1000 * assets.step_s:g} ms"
        )
    return None


def _fits(units: Sequence[int], seconds: float, assets: CtcAssets) -> bool:
    features = assets.audio.features
    return min_steps(units) <= assets.steps(max(1, frames_in(seconds, features)))


def _is_known(word: str, assets: CtcAssets, symbols: set[str]) -> bool:
    try:
        return symbols.issuperset(assets.units.split(word))
    except DataError:  # the word has no phones
        return False
