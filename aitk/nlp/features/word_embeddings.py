"""Pretrained word vectors as the initial embedding layer of a classifier or tagger."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.task import Note
from aitk.nlp.data.formats.vectors import read_vectors
from aitk.nlp.features.embed_assets import load_embed_assets
from aitk.nlp.features.tokenizers.learning import SPECIAL_TOKENS, train_tokenizer, word_tokenizer
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained

EMBED_TASK = "nlp.embed"


def extend_words(
    source: str,
    words: Sequence[str],
    *,
    vocabulary_size: int,
    note: Note,
    form: Callable[[str], str] = lambda word: word,
) -> tuple[list[str], np.ndarray]:
    """The words of the training rows and further words of a source, with their vectors.

    A word without a vector in the source is initialised at random, with the spread of the others.

    Args:
        source: an ``embed`` run of word vectors, or a file in word2vec's or GloVe's format.
        words: of the training rows.
        vocabulary_size: maximum number of words; the first words of the source are added.
        note: receives the number of training words that have a vector.
        form: spelling of the source's words in this vocabulary.

    Returns:
        The words and their vectors (words, dimension) float32.

    Raises:
        ArtifactError: there is no such source, or it is damaged.
        DataError: the source has none of the words.
    """
    own = {word: row for row, word in enumerate(words)}
    room = vocabulary_size - len(words)

    def keep(word: str, row: int) -> bool:
        # The more frequent of two spellings comes first.
        return form(word) in own or row < room

    found, vectors = _read(Path(source), keep)
    every = list(words)
    rows: dict[str, int] = {}
    for row, word in enumerate(found):
        spelled = form(word)
        if spelled not in rows:
            rows[spelled] = row
            if spelled not in own and len(every) < vocabulary_size:
                every.append(spelled)
    known = sum(word in rows for word in words)
    if not known:
        raise DataError("has no vector for any word of the training rows", where=source)
    note(f"{source}: vectors of {known:,} of the {len(words):,} words of the training rows")
    rng = np.random.default_rng(0)
    table = rng.normal(0, vectors.std(), (len(every), vectors.shape[1])).astype(np.float32)
    for place, word in enumerate(every):
        if word in rows:
            table[place] = vectors[rows[word]]
    return every, table


def learn_tokenizer(
    texts: Iterable[str], settings: Any, *, start: Pretrained | None, note: Note
) -> tuple[Any, np.ndarray | None]:
    """The tokeniser of the pretrained source, or one learned from the texts; also the initial
    vectors of the embedding layer if ``settings.embeddings`` names a source.

    Raises:
        UsageError: both pretrained weights and vectors are given, or neither weights nor a way to
            learn a tokeniser.
    """
    wants_vectors = getattr(settings, "embeddings", None) is not None
    if start is not None and start.tokenizer is not None:
        if wants_vectors:
            raise UsageError("the weights of --from include embeddings", where="--embeddings")
        return start.tokenizer, None
    if wants_vectors:
        return embedded_tokenizer(texts, settings, note=note)
    if not hasattr(settings, "tokenizer"):
        raise UsageError(
            "the model needs a pretrained encoder; none is given",
            where="--model",
            hint="Name the encoder with --from",
        )
    return train_tokenizer(texts, settings), None


def embedded_tokenizer(
    texts: Iterable[str], settings: Any, *, note: Note
) -> tuple[SubwordTokenizer, np.ndarray]:
    """A tokeniser of words, and the vector of each of its units, (units, dimension) float32.

    Args:
        settings: of a classifier, with ``embeddings``.

    Raises:
        ArtifactError: there is no such source of vectors, or it is damaged.
        DataError: the texts are empty, or none of their words has a vector.
    """
    learned: Any = train_tokenizer(texts, dataclasses.replace(settings, tokenizer="word"))
    ids = learned.engine.get_vocab(with_added_tokens=True)
    words = [word for word in sorted(ids, key=ids.__getitem__) if word not in SPECIAL_TOKENS]
    every, vectors = extend_words(
        settings.embeddings,
        words,
        vocabulary_size=settings.vocabulary_size - len(SPECIAL_TOKENS),
        note=note,
        form=str.lower if settings.lowercase else str,
    )
    tokenizer = word_tokenizer(every, settings)
    special = np.zeros((len(SPECIAL_TOKENS), vectors.shape[1]), np.float32)
    return tokenizer, np.concatenate([special, vectors])


def _read(path: Path, keep: Callable[[str, int], bool]) -> tuple[list[str], np.ndarray]:
    if not (path / "run.json").is_file():
        return read_vectors(path, keep=keep)
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.artifacts.run import load_run

    run = load_run(path)
    units = load_embed_assets(run.assets).units if run.task == EMBED_TASK else None
    if units is None or run.format != "keras":
        raise ArtifactError(
            "is not a run of word vectors", where=str(path),
            hint="Use a word2vec, fasttext or glove run of nlp embed that is not compressed",
        )  # fmt: skip
    backbone = load_keras(run.model_path).get_layer("backbone")
    table = np.asarray(backbone.get_layer("token_embedding").embeddings)
    kept = [row for row, word in enumerate(units.words) if keep(word, row)]
    return [units.words[row] for row in kept], table[kept]
