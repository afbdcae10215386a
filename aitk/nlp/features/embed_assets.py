"""Assets of an embedding model besides its weights: words or a tokeniser, and the form of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Size, read_json
from aitk.nlp.data.options import PAIRS, SCORED, TEXTS, TRIPLETS
from aitk.nlp.features.word_units import WordUnits, load_word_units

if TYPE_CHECKING:
    from aitk.nlp.features.tokenizers.subwords import Tokenizer

FILE, WORDS, TOKENIZER = "embed.json", "words", "tokenizer"
FORMS = (TEXTS, PAIRS, TRIPLETS, SCORED)
_SHAPE = {
    "form": str,
    "max_length": Size,
    "sif": float,
    "bare": bool,
    "temperature": float,
    "ranked": bool,
    "scores": [float],
}

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class EmbedAssets:
    """Words, or a tokeniser.

    Attributes:
        form: form of the training rows.
        max_length: maximum words or tokens of a text.
        units: of word vectors, else None.
        tokenizer: of encoders, else None.
        sif: see ``WordUnits.encode``.
        bare: texts are encoded without special tokens.
        temperature: divides the cosines in the loss of pairs.
        ranked: train scored pairs on their order, not on score values.
        scores: the lowest and the highest training score, or empty.
        token_weights: (tokens,) token weights of a static table under construction. Not saved.
        index: file of texts to search, from the options of ``predict``. Not saved.
        memo: cache across batches, such as the vectors to search.
    """

    form: str
    max_length: int
    units: WordUnits | None = None
    tokenizer: Tokenizer | None = None
    sif: float = 0.0
    bare: bool = False
    temperature: float = 0.05
    ranked: bool = True
    scores: tuple[float, ...] = ()
    token_weights: np.ndarray | None = None
    index: str | None = None
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def encode(self, texts: Sequence[str]) -> list[Arrays]:
        """For each text ``ids`` (n,) int32 and, for word vectors, ``weights`` (n,) float32."""
        if self.units is not None:
            pairs = [self.units.encode(text, self.max_length, sif=self.sif) for text in texts]
            return [{"ids": ids, "weights": weights} for ids, weights in pairs]
        tokenizer: Any = self.tokenizer
        encode = tokenizer.encode_bare if self.bare else tokenizer.encode_many
        encoded = encode(texts, self.max_length)
        return [{"ids": np.asarray(ids or [0], np.int32)} for ids in encoded]

    def pad(self, texts: Sequence[Arrays], *, pad_to: int | None = None) -> dict[str, np.ndarray]:
        """The inputs of a model: encoded texts, padded with zeros to one length."""
        sizes = np.array([len(text["ids"]) for text in texts])
        length = pad_to or int(sizes.max())
        used = np.arange(length) < sizes[:, None]  # (texts, length)
        ids = np.zeros(used.shape, np.int32)
        ids[used] = np.concatenate([text["ids"][:length] for text in texts])
        if self.units is None:
            return {"token_ids": ids, "padding_mask": used.astype(np.int32)}
        weights = np.zeros(used.shape, np.float32)
        weights[used] = np.concatenate([text["weights"][:length] for text in texts])
        return {"token_ids": ids, "token_weights": weights}

    def halves(self, text: Arrays) -> tuple[Arrays, Arrays]:
        """The two halves of an encoded text, each with special tokens; a single word serves as
        both."""
        edge = 0 if self.units is not None or self.bare else 1
        size = len(text["ids"])
        if size - 2 * edge < 2:
            return text, text
        middle = edge + (size - 2 * edge) // 2
        places = np.arange(size)
        last = size - edge

        def part(inside: np.ndarray) -> Arrays:
            kept = inside | (places < edge) | (places >= last)
            return {name: array[kept] for name, array in text.items()}

        return part(places < middle), part(places >= middle)

    def save(self, folder: Path) -> None:
        """Write what ``load_embed_assets`` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        values = {name: getattr(self, name) for name in _SHAPE}
        write_json(folder / FILE, values | {"scores": list(self.scores)})
        if self.units is not None:
            self.units.save(folder / WORDS)
        else:
            (folder / TOKENIZER).mkdir(exist_ok=True)
            self.tokenizer.save(folder / TOKENIZER)  # type: ignore[union-attr]


def load_embed_assets(folder: Path) -> EmbedAssets:
    """Read what ``EmbedAssets.save`` wrote.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    from aitk.nlp.features.tokenizers.loading import load_tokenizer

    values = read_json(folder / FILE, _SHAPE)
    if values["form"] not in FORMS or len(values["scores"]) not in (0, 2):
        raise ArtifactError("is damaged", where=str(folder / FILE))
    is_words = (folder / WORDS).is_dir()
    return EmbedAssets(
        form=values["form"],
        max_length=values["max_length"],
        units=load_word_units(folder / WORDS) if is_words else None,
        tokenizer=None if is_words else load_tokenizer(folder / TOKENIZER),
        sif=values["sif"],
        bare=values["bare"],
        temperature=values["temperature"],
        ranked=values["ranked"],
        scores=tuple(values["scores"]),
    )
