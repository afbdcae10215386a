"""spaCy's binary ``.spacy`` files (``DocBin``): documents with entities or parts of speech."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.core.io.files import check_file
from aitk.nlp.data.formats.tagged import Tagged

MAX_BYTES = 2_000_000_000
#: Exceptions that a damaged file raises inside spaCy: from zlib, msgpack and arrays.
_DAMAGE = (ValueError, KeyError, TypeError, IndexError, OverflowError, EOFError)


def read_docbin(
    source: str, *, tag: str | None, labelled: bool
) -> Iterator[tuple[int, Tagged | str]]:
    """Stream ``(number, document)``, or a reason in place of a document.

    Args:
        tag: ``pos``, ``tag``, ``dep``, ``lemma``; None for entities.

    Raises:
        DataError: the file is not a DocBin, or is too large.
    """
    import zlib

    import spacy
    from spacy.tokens import DocBin

    path = Path(source)
    check_file(path)
    if path.stat().st_size > MAX_BYTES:
        raise DataError("is too large for a DocBin", where=source)
    content = path.read_bytes()
    try:
        unpacked = zlib.decompressobj()
        unpacked.decompress(content, MAX_BYTES)
        if unpacked.unconsumed_tail:
            raise DataError("is too large for a DocBin", where=source)
        docs = DocBin().from_bytes(content).get_docs(spacy.blank("xx").vocab)
        yield from enumerate((_tagged(doc, tag, labelled=labelled) for doc in docs), 1)
    except (*_DAMAGE, zlib.error) as error:
        raise DataError(f"is not a spaCy DocBin, or is damaged ({error})", where=source) from error


def _tagged(doc: Any, tag: str | None, *, labelled: bool) -> Tagged | str:
    tokens = [token for token in doc if not token.is_space]
    words = [(token.idx, token.idx + len(token.text)) for token in tokens]
    if not labelled:
        return Tagged(doc.text, words)
    if tag is None or tag == "ner":
        spans = [(span.start_char, span.end_char, span.label_) for span in doc.ents]
        return Tagged(doc.text, words, spans=spans)
    tags = [str(getattr(token, f"{tag}_", "")) for token in tokens]
    if not all(tags):
        return f"a token has no {tag}"
    return Tagged(doc.text, words, tags=tags)
