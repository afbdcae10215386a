"""Tokenisers read from the file that they were saved in, ``tokenizer.json``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from aitk.core.contract.errors import ArtifactError
from aitk.core.io.json_files import Count, Size, check_shape, parse_line, read_text
from aitk.nlp.features.tokenizers.hashing import HashedNgrams
from aitk.nlp.features.tokenizers.subwords import FILE, SubwordTokenizer, Tokenizer

if TYPE_CHECKING:
    import tokenizers

LONGEST_NGRAM = 100
#: Structure of the file of a hashing tokeniser.
HASHED = {
    "hashed_ngrams": {
        "buckets": Size,
        "ngrams?": Size,
        "character_ngrams?": Count,
        "lowercase?": bool,
    }
}


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read a tokeniser written by ``save``, or any ``tokenizer.json`` of that library.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    path = folder / FILE
    try:
        content = read_text(path)
    except ArtifactError as error:
        raise ArtifactError(f"the tokeniser {error.what}", where=error.where) from error
    described = parse_line(content, where=str(path))
    if isinstance(described, dict) and "hashed_ngrams" in described:
        check_shape(described, HASHED, where=str(path))
        hashed = HashedNgrams(**described["hashed_ngrams"])
        if hashed.buckets >= 2**31 or max(hashed.ngrams, hashed.character_ngrams) > LONGEST_NGRAM:
            raise ArtifactError("the tokeniser is damaged (n-grams too long)", where=str(path))
        return hashed
    return SubwordTokenizer(read_engine(content, where=path))


def read_engine(content: str, *, where: Path) -> tokenizers.Tokenizer:
    """The model in a ``tokenizer.json``, without its saved padding and truncation."""
    import tokenizers

    with damage_at(where):
        engine = tokenizers.Tokenizer.from_str(content)
    engine.no_padding()
    engine.no_truncation()
    return engine


@contextlib.contextmanager
def damage_at(path: Path) -> Iterator[None]:
    """Convert errors of ``tokenizers`` about an inconsistent vocabulary to an ``ArtifactError``."""
    try:
        yield
    except Exception as error:  # the library has no more specific exception
        raise ArtifactError(f"the tokeniser is damaged ({error})", where=str(path)) from error
