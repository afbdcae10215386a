"""Assets of a recogniser: features, units, language model."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Count, Size, read_json
from aitk.speech.data.transcripts import Lexicon, spelled_lexicon, spoken_lexicon
from aitk.speech.decoding.beam_search import LanguageModel
from aitk.speech.decoding.ngram import NgramModel, read_arpa, train_ngram, write_arpa
from aitk.speech.features.assets import AudioAssets, load_audio_assets
from aitk.speech.features.tokenizers.units import (
    Units,
    learn_units,
    read_pronunciations,
    units_from,
)

FILE = "units.json"
LANGUAGE_MODEL = "transcripts.arpa"
#: The shape of ``units.json``.
SHAPE = {
    "units": {"kind": str, "symbols": [str], "merges": [[str]], "pronunciations": {str: [str]}},
    "subsampling": Size,
    "ctc_weight": float | None,
    "chunk_frames": Count,
    "context_frames": Count,
    "pronunciations": {str: [[str]]},
}

#: Word -> its pronunciations, each a sequence of phones.
Pronunciations = Mapping[str, Sequence[Sequence[str]]]


@dataclass(frozen=True)
class CtcAssets:
    """Everything that a recogniser needs besides its weights.

    Attributes:
        audio: features and augmentation.
        units: output units.
        subsampling: frames per step.
        ctc_weight: weight of the CTC loss in a model with two heads; None for CTC alone.
        chunk_frames: frames that a causal model needs at once; 0 for other models.
        context_frames: frames of left context before a chunk.
        pronunciations: for phone models: the pronunciations of every word.
        ngrams: language model of the training transcripts, if one was trained.
        folder: folder of ``ngrams``, which are loaded on first use.
        outside: an external language model for prediction; never saved.
    """

    audio: AudioAssets
    units: Units
    subsampling: int
    ctc_weight: float | None = None
    chunk_frames: int = 0
    context_frames: int = 0
    pronunciations: Pronunciations = field(default_factory=dict)
    ngrams: NgramModel | None = None
    folder: Path | None = None
    outside: LanguageModel | None = None

    def save(self, folder: Path) -> None:
        """Write ``audio.json``, ``units.json`` and, if there is one, ``transcripts.arpa``."""
        self.audio.save(folder)
        write_json(
            folder / FILE,
            {
                "units": self.units.as_json(),
                "subsampling": self.subsampling,
                "ctc_weight": self.ctc_weight,
                "chunk_frames": self.chunk_frames,
                "context_frames": self.context_frames,
                "pronunciations": {
                    word: [list(way) for way in ways] for word, ways in self.pronunciations.items()
                },
            },
        )
        if self.language_model is not None:
            write_arpa(self.language_model, folder / LANGUAGE_MODEL)

    @functools.cached_property
    def language_model(self) -> NgramModel | None:
        """The language model of the training transcripts, if one was trained."""
        if self.ngrams is not None:
            return self.ngrams
        path = self.folder / LANGUAGE_MODEL if self.folder else None
        if path is None or not path.is_file():
            return None
        try:
            return read_arpa(path)
        except DataError as error:
            raise ArtifactError(error.what, where=error.where) from error

    @functools.cached_property
    def lexicon(self) -> Lexicon | None:
        """The words of training, spelled by phones or characters; None if neither a lexicon nor a
        language model was stored."""
        if self.units.kind == "phone":
            return spoken_lexicon(self.pronunciations)
        if self.language_model is None:
            return None
        return spelled_lexicon(sorted(self.language_model.vocabulary))

    def steps(self, frames: int) -> int:
        """The number of model steps for a number of frames."""
        return -(-frames // self.subsampling)

    @property
    def step_s(self) -> float:
        """Seconds per step."""
        return self.subsampling * self.audio.features.shift_ms / 1000


def load_ctc_assets(folder: Path) -> CtcAssets:
    """Read assets written by ``CtcAssets.save``.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    path = folder / FILE
    if not path.is_file():
        raise ArtifactError(f"{FILE} is missing", where=str(folder))
    values = read_json(path, SHAPE)
    return CtcAssets(
        audio=load_audio_assets(folder),
        units=units_from(values["units"]),
        subsampling=values["subsampling"],
        ctc_weight=values["ctc_weight"],
        chunk_frames=values["chunk_frames"],
        context_frames=values["context_frames"],
        pronunciations=values["pronunciations"],
        folder=folder,
    )


def learn_vocabulary(texts: Sequence[str], settings: Any) -> tuple[Units, Pronunciations]:
    """The units that spell the transcripts, and the lexicon if they are phones.

    Raises:
        UsageError: phones without a lexicon, or a lexicon without phones.
    """
    if settings.units != "phone":
        if settings.lexicon:
            raise UsageError(
                f"a lexicon of phones cannot be used with units={settings.units}",
                where="--set lexicon",
                hint="Add --set units=phone; to restrict the words of predict, use its --lexicon",
            )
        return learn_units(texts, kind=settings.units, size=settings.vocabulary_size), {}
    if not settings.lexicon:
        raise UsageError("phones need a pronunciation lexicon", where="--set lexicon=FILE")
    ways = read_lexicon(settings.lexicon)
    first = {word: each[0] for word, each in ways.items()}
    return learn_units(texts, kind="phone", pronunciations=first), ways


def learn_language_model(texts: Sequence[str], order: int) -> NgramModel | None:
    """A model of the transcripts; None for order 0."""
    return train_ngram((text.split() for text in texts), order=order) if order else None


def read_lexicon(name: str) -> dict[str, list[tuple[str, ...]]]:
    """Read a pronunciation lexicon.

    Raises:
        DataError: it is missing or not text, or a word has no phones.
    """
    return read_pronunciations(read_lines(name), where=name)


def read_lines(name: str) -> list[str]:
    """The lines of a text file.

    Raises:
        DataError: it is missing or not UTF-8.
    """
    try:
        return Path(name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", where=name) from error
