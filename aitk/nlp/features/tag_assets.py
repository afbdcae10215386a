"""Assets of a tagger besides its weights: the tags, the encoder of words, and tags as targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from aitk.core.contract.errors import ArtifactError
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Count, Size, read_json
from aitk.nlp.data.formats.tag_schemes import OUTSIDE
from aitk.nlp.decoding.tagging import legal_moves
from aitk.nlp.features.tokenizers.loading import load_tokenizer
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer
from aitk.nlp.features.word_readers import Subwords, WordReader, WordVocabulary

#: Targets: after the end of a sentence; first and further word of a tag that training lacks.
IGNORED, UNSEEN_FIRST, UNSEEN_INSIDE = -1, -2, -3
#: The target of a word without a tag, for which a teacher's marginals are known.
UNLABELLED = -4


@dataclass(frozen=True)
class TagAssets:
    """The tags and the encoder of words.

    Attributes:
        reader: turns words into arrays.
        max_length: maximum words or subwords of the model's input.
        labels: tags in the order of the outputs.
        learned: whether the transitions between tags are trained (a CRF).
        embeddings: (words, dimension) initial values of the embedding layer, if given. Not saved.
    """

    reader: WordReader
    max_length: int
    labels: tuple[str, ...]
    learned: bool
    embeddings: np.ndarray | None = field(default=None, compare=False, repr=False)
    legal: np.ndarray = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "legal", legal_moves(self.labels))

    @property
    def tokenizer(self) -> WordReader:
        """The object that has the size of the vocabulary."""
        return self.reader

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Tag -> its number."""
        return {label: number for number, label in enumerate(self.labels)}

    def targets(self, tags: Sequence[str]) -> np.ndarray:
        """The numbers of tags; ``UNSEEN_...`` for tags unseen in training."""
        return np.array(
            [
                self.numbers.get(tag, UNSEEN_INSIDE if tag.startswith("I-") else UNSEEN_FIRST)
                for tag in tags
            ],
            np.int32,
        )

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        values = {
            "labels": list(self.labels),
            "max_length": self.max_length,
            "learned": self.learned,
            "words": isinstance(self.reader, WordVocabulary),
        }
        write_json(folder / "tags.json", values)
        self.reader.save(folder)


TAGS_SHAPE = {"labels": [str], "max_length": Size, "learned": bool, "words": bool}
WORDS_SHAPE = {"words": [str], "counts": [Count], "characters": str}


def load_tag_assets(folder: Path) -> TagAssets:
    """Read what ``TagAssets.save`` wrote.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    path = folder / "tags.json"
    if not path.is_file():
        raise ArtifactError("tags.json is missing", where=str(folder))
    values = read_json(path, TAGS_SHAPE)
    labels = tuple(values["labels"])
    if not labels or len(set(labels)) < len(labels):
        raise ArtifactError("its tags are missing or not unique", where=str(path))
    reader: WordReader
    if values["words"]:
        known = read_json(folder / "words.json", WORDS_SHAPE)
        if len(known["counts"]) != len(known["words"]):
            raise ArtifactError("some words have no count", where=str(folder / "words.json"))
        reader = WordVocabulary(tuple(known["words"]), tuple(known["counts"]), known["characters"])
    else:
        tokenizer = load_tokenizer(folder / "tokenizer")
        if not isinstance(tokenizer, SubwordTokenizer):
            raise ArtifactError("its tokeniser is not a subword tokeniser", where=str(folder))
        reader = Subwords(tokenizer)
    return TagAssets(reader, values["max_length"], labels, values["learned"])


def without_broken_start(targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Targets of a window that begins inside a span: its first word gets a B- tag, since no other
    sequence is legal.

    Args:
        targets: (words,) tag numbers, or (words, 1 + tags) with a teacher's marginals.
    """
    number = int(targets.reshape(len(targets), -1)[0, 0])
    first = labels[number] if number >= 0 else OUTSIDE
    if not first.startswith("I-") or f"B-{first[2:]}" not in labels:
        return targets
    targets = targets.copy()
    targets[(0,) * targets.ndim] = labels.index(f"B-{first[2:]}")
    return targets
