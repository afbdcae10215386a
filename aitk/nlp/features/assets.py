"""What a text model needs besides its weights: labels, tokeniser, lengths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aitk.core.contract.errors import ArtifactError
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Size, read_json

if TYPE_CHECKING:
    from aitk.nlp.features.tokenizers import Tokenizer


#: The shape of ``text.json``.
SHAPE = {"labels": [str], "weights": [float], "max_length": Size}


@dataclass(frozen=True)
class TextAssets:
    """Labels, tokeniser and lengths of a text model.

    Attributes:
        tokenizer: turns texts into token ids.
        max_length: tokens a text is cut to.
        labels: class names in the order of the outputs; empty where there are none.
        weights: weight of each class in the loss, or empty.
        inverse_frequencies: (units,) of the tokeniser's units, for a model that is built with
            them as weights. Not saved.
    """

    tokenizer: Tokenizer
    max_length: int
    labels: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    inverse_frequencies: np.ndarray | None = None

    def save(self, folder: Path) -> None:
        """Write ``text.json`` and the tokeniser's files."""
        (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
        values = {
            "labels": list(self.labels),
            "weights": list(self.weights),
            "max_length": self.max_length,
        }
        write_json(folder / "text.json", values)
        self.tokenizer.save(folder / "tokenizer")


def load_text_assets(folder: Path) -> TextAssets:
    """Read what ``TextAssets.save`` wrote."""
    from aitk.nlp.features.tokenizers import load_tokenizer

    path = folder / "text.json"
    if not path.is_file():
        raise ArtifactError("text.json is missing", where=str(folder))
    values = read_json(path, SHAPE)
    labels, weights = tuple(values["labels"]), tuple(values["weights"])
    if len(set(labels)) < len(labels) or len(weights) not in (0, len(labels)):
        raise ArtifactError("a label comes twice, or has no weight", where=str(path))
    return TextAssets(
        tokenizer=load_tokenizer(folder / "tokenizer"),
        max_length=values["max_length"],
        labels=labels,
        weights=weights,
    )
