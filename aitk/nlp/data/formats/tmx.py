"""Translation memories (TMX 1.4) as pairs, streamed; entities in them are refused."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from aitk.core.contract.errors import DataError
from aitk.core.io.files import check_file

CHUNK_BYTES = 1 << 16
#: Longer units are refused: no sentence is as long, and memory stays bounded.
MAX_UNIT_CHARACTERS = 1_000_000
#: Elements of a segment that hold formatting codes instead of text.
CODES = frozenset(("bpt", "ept", "ph", "it", "ut"))
_LANGUAGE = ("{http://www.w3.org/XML/1998/namespace}lang", "xml:lang", "lang")


class Unit(NamedTuple):
    """A translation unit: its texts by language (lower case), and its first line."""

    line: int
    texts: dict[str, str]


class _Units:
    """Collects the units found by a parser."""

    def __init__(self) -> None:
        self.parser: Any = None
        self.found: list[Unit] = []
        self.source_language: str | None = None
        self.is_tmx = False
        self._line = 0
        self._texts: dict[str, str] = {}
        self._language = ""
        self._text: list[str] | None = None
        self._size = self._inside_code = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition("}")[2]
        if tag == "tmx":
            self.is_tmx = True
        elif tag == "header":
            language = attributes.get("srclang", "")
            self.source_language = None if language in ("", "*all*") else language.lower()
        elif tag == "tu":
            self._line, self._texts = self.parser.CurrentLineNumber, {}
        elif tag == "tuv":
            given = (attributes[name] for name in _LANGUAGE if name in attributes)
            self._language = next(given, "").lower()
        elif tag == "seg":
            self._text, self._size = [], 0
        elif tag in CODES:
            self._inside_code += 1

    def data(self, text: str) -> None:
        if self._text is None or self._inside_code or self._size > MAX_UNIT_CHARACTERS:
            return
        self._text.append(text)
        self._size += len(text)

    def end(self, tag: str) -> None:
        tag = tag.rpartition("}")[2]
        if tag in CODES:
            self._inside_code -= 1
        elif tag == "seg" and self._text is not None:
            self._texts.setdefault(self._language, "".join(self._text))
            self._text = None
        elif tag == "tu":
            self.found.append(Unit(self._line, self._texts))

    def close(self) -> None:
        pass


class Memory:
    """An opened TMX file; iterate over it once.

    Attributes:
        source: the file.
        source_language: from its header, or None.
    """

    def __init__(self, source: str):
        check_file(Path(source))
        self.source = source
        self._units = self._parse()
        self._first = next(self._units, None)

    @property
    def source_language(self) -> str | None:
        return self._target.source_language

    @property
    def languages(self) -> list[str]:
        """Languages of the first unit."""
        return list(self._first.texts) if self._first else []

    def __iter__(self) -> Iterator[Unit]:
        if self._first is not None:
            yield self._first
        yield from self._units

    def _parse(self) -> Iterator[Unit]:
        from xml.etree.ElementTree import ParseError

        from defusedxml.common import DefusedXmlException
        from defusedxml.ElementTree import DefusedXMLParser

        self._target = target = _Units()
        parser = DefusedXMLParser(target=target)
        target.parser = parser.parser
        try:
            with _open(self.source) as file:
                while chunk := file.read(CHUNK_BYTES):
                    parser.feed(chunk)
                    yield from target.found
                    target.found.clear()
                parser.close()
        except ParseError as error:
            line = error.position[0]
            reason = str(error).partition(":")[0]
            raise DataError(
                f"is not well-formed XML ({reason})", where=f"{self.source}:{line}"
            ) from error
        except DefusedXmlException as error:
            where = f"{self.source}:{target.parser.CurrentLineNumber}"
            raise DataError(
                "declares entities or external references, which are not supported", where=where
            ) from error
        except (OSError, EOFError, ValueError, LookupError) as error:
            raise DataError(f"cannot be read completely ({error})", where=self.source) from error
        if not target.is_tmx:
            raise DataError("is XML, but not a translation memory (TMX)", where=self.source)


def _open(source: str) -> Any:
    with Path(source).open("rb") as file:
        magic = file.read(2)
    return gzip.open(source) if magic == b"\x1f\x8b" else Path(source).open("rb")


def text_of(unit: Unit, language: str) -> str | None:
    """A unit's text in a language: ``en`` also matches ``en-US``."""
    wanted = language.lower()
    if wanted in unit.texts:
        return unit.texts[wanted]
    regional = (name for name in unit.texts if name.replace("_", "-").startswith(wanted + "-"))
    return next((unit.texts[name] for name in regional), None)
