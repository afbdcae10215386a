"""Assets of a text model besides its weights: labels, tokeniser, lengths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.label_task import LABEL_SHAPE, label_values, read_label_values
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Size, read_json

if TYPE_CHECKING:
    from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer, Tokenizer

#: The shape of ``text.json``.
SHAPE = {**LABEL_SHAPE, "max_length": Size}


@dataclass(frozen=True)
class TextAssets:
    """Labels, tokeniser and lengths of a text model.

    Attributes:
        tokenizer: turns texts into token ids.
        max_length: maximum tokens of a text.
        labels: class names in the order of the outputs; or empty.
        weights: weight of each class in the loss, or empty.
        thresholds: of each class for multi-label rows, else empty.
        unit_weights: (units,) of the tokeniser's units, for models that weight them. Not saved.
        embeddings: (units, dimension) initial values of the embedding layer, if given. Not saved.
    """

    tokenizer: Tokenizer
    max_length: int
    labels: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    unit_weights: np.ndarray | None = None
    embeddings: np.ndarray | None = None

    def save(self, folder: Path) -> None:
        """Write ``text.json`` and the tokeniser's files."""
        (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
        write_json(folder / "text.json", label_values(self) | {"max_length": self.max_length})
        self.tokenizer.save(folder / "tokenizer")


@dataclass(frozen=True)
class SubwordAssets:
    """The base of assets of models that read or write subwords."""

    text: TextAssets

    @property
    def tokenizer(self) -> SubwordTokenizer:
        return self.text.tokenizer  # type: ignore[return-value]

    @property
    def max_length(self) -> int:
        return self.text.max_length

    @property
    def start_id(self) -> int:
        return self.tokenizer.start_id  # type: ignore[return-value]  # where the task checks it

    @property
    def end_id(self) -> int:
        return self.tokenizer.end_id  # type: ignore[return-value]


def load_text_assets(folder: Path) -> TextAssets:
    """Read what ``TextAssets.save`` wrote."""
    from aitk.nlp.features.tokenizers.loading import load_tokenizer

    path = folder / "text.json"
    if not path.is_file():
        raise ArtifactError("text.json is missing", where=str(folder))
    values = read_json(path, SHAPE)
    return TextAssets(
        tokenizer=load_tokenizer(folder / "tokenizer"),
        max_length=values["max_length"],
        **read_label_values(values, where=str(path)),
    )
