"""Lines of a text file from any source, in constant memory.

Reads files and stdin, plain or gzip. An unreadable line (bytes invalid in the file's encoding, a
NUL byte, more than ``MAX_LINE_BYTES``) is returned with its fault instead of ending the reading.
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import itertools
import re
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.io import encodings
from aitk.core.io.files import check_file
from aitk.core.runtime import interrupts

MAX_LINE_BYTES = 10_000_000
BLOCK_BYTES = 1 << 22
#: Bytes read ahead. Less for a pipe, whose writer may be slow.
FILE_HEAD_BYTES, PIPE_HEAD_BYTES = 1 << 20, 1 << 16
HEAD_LINES = 1000
BEGINNING_BYTES = 1000

_GZIP, _MARK = b"\x1f\x8b", b"\xef\xbb\xbf"
_SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"%PDF-": "a PDF",
    b"PAR1": "Parquet: rename it to .parquet",
    b"BZh9": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    _GZIP: "gzip inside gzip",
}
_SEPARATOR = re.compile(r'"?sep=([^\w"])"?', re.IGNORECASE)
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))
_MAX_CONTROL_SHARE = 0.05


class Line(NamedTuple):
    """A physical line with its line end; ``problem`` is its fault, if any."""

    number: int
    text: str
    problem: str | None


@dataclass
class LineBatch:
    """Some lines of a file that follow each other.

    Attributes:
        first: number of the first line.
        texts: the lines without their ``\\n``, all of them without a fault.
        is_ended: whether the last line had one.
        checked: the lines in place of the texts, where one of them may have a fault.
    """

    first: int
    texts: list[str]
    is_ended: bool = True
    checked: list[Line] | None = None

    def __len__(self) -> int:
        return len(self.texts if self.checked is None else self.checked)

    def after(self, count: int) -> LineBatch:
        """The lines after the first ``count``."""
        if not count:
            return self
        checked = None if self.checked is None else self.checked[count:]
        return LineBatch(self.first + count, self.texts[count:], self.is_ended, checked)

    def lines(self) -> Iterator[Line]:
        """Each line."""
        if self.checked is not None:
            yield from self.checked
            return
        last = self.first + len(self.texts) - 1
        for number, text in enumerate(self.texts, self.first):
            yield Line(number, text + "\n" if number < last or self.is_ended else text, None)


@dataclass
class Lines:
    """An opened text file, to be iterated once.

    Attributes:
        source: the file as given by the user, ``-`` for stdin.
        encoding: its encoding, given or detected.
        head: its first complete lines, for look-ahead (with undecodable bytes replaced), without
            leading blank lines.
        delimiter: the field delimiter, if declared in the first line as by spreadsheet programs
            (``sep=;``); that line is excluded from the head and the lines.
        beginning: its first characters, for a look into a file of one long line.
    """

    source: str
    encoding: str
    head: list[str]
    _codec: str
    _chunks: Iterator[bytes]
    delimiter: str | None = None
    beginning: str = ""

    @property
    def is_utf8(self) -> bool:
        """Whether its bytes are UTF-8, as far as it can be read."""
        return self._codec == "utf-8"

    def __iter__(self) -> Iterator[Line]:
        return itertools.chain.from_iterable(batch.lines() for batch in self.batches())

    def batches(self) -> Iterator[LineBatch]:
        """The lines, as many at once as have arrived; to be iterated once, in their place."""
        return self.batches_of(self._chunks, first=1)

    def batches_of(self, chunks: Iterator[bytes], *, first: int) -> Iterator[LineBatch]:
        """The lines of raw chunks of this file, numbered from ``first``."""
        left, skipped = b"", int(first == 1 and self.delimiter is not None)
        for chunk in chunks:
            end = chunk.rfind(b"\n") + 1
            if end:
                batch = self._batch(left + chunk[:end], first)
                left = chunk[end:]
                first += len(batch)
                yield batch.after(skipped)
                skipped = 0
                continue
            left += chunk
            if len(left) >= MAX_LINE_BYTES:
                for line in self._lines_of(itertools.chain([left], chunks), first):
                    yield LineBatch(line.number, [], checked=[line])
                return
        if left:
            yield self._batch(left, first).after(skipped)

    def _batch(self, content: bytes, first: int) -> LineBatch:
        """The lines of whole lines; each by itself where one of them may be unreadable."""
        if b"\0" not in content and len(content) < MAX_LINE_BYTES:
            with contextlib.suppress(UnicodeDecodeError):
                texts = content.decode(self._codec).split("\n")
                is_ended = not texts[-1]
                return LineBatch(first, texts[:-1] if is_ended else texts, is_ended=is_ended)
        return LineBatch(first, [], checked=list(self._lines_of(iter([content]), first)))

    def _lines_of(self, chunks: Iterator[bytes], first: int) -> Iterator[Line]:
        stream = io.BufferedReader(_Chunks(chunks), 1 << 16)
        for number in itertools.count(first):
            raw = stream.readline(MAX_LINE_BYTES)
            if not raw:
                return
            problem = None
            if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                problem = f"the line is longer than {MAX_LINE_BYTES:,} bytes"
                while raw and not raw.endswith(b"\n"):
                    raw = stream.readline(MAX_LINE_BYTES)
                raw = b""
            try:
                text = raw.decode(self._codec)
            except UnicodeDecodeError as error:
                text = raw.decode(self._codec, errors="replace")
                problem = f"byte 0x{error.object[error.start]:02x} is not {self.encoding}"
            if b"\0" in raw:
                problem = "it holds a NUL byte"
            yield Line(number, text, problem)

    def blocks(self) -> Iterator[Block]:
        """The file in blocks of whole lines, for readers that work on many lines at once.

        To be iterated once, in place of the lines. A block's own ``batches`` are those of the file;
        its ``rest`` are those from its first line to the end of the file, after which nothing else
        comes.
        """
        number, left, source = 1, bytearray(), iter(self._chunks)
        while (chunk := next(source, None)) is not None or left:
            left += chunk or b""
            if chunk is not None and len(left) < BLOCK_BYTES:
                continue
            end = len(left) if chunk is None else left.rfind(b"\n") + 1
            if not end:
                continue
            content = bytes(left[:end])
            del left[:end]
            block = Block(content, number, self, itertools.chain([content, bytes(left)], source))
            yield block
            if block.took_rest:
                return
            number += content.count(b"\n")

    def chunks(self) -> Iterator[str]:
        """The text in chunks of any size, for a file whose only line may be gigabytes long.

        To be iterated once, instead of the lines. Undecodable bytes become U+FFFD.
        """
        decoder = codecs.getincrementaldecoder(self._codec)(errors="replace")
        first = self.delimiter is not None  # the declaring line is not part of the text
        for raw in self._chunks:
            text = decoder.decode(raw)
            if first and "\n" in text:
                text, first = text.partition("\n")[2], False
            yield text
        yield decoder.decode(b"", final=True)


@dataclass
class Block:
    """Whole lines of a text file, in its own encoding.

    Attributes:
        content: their bytes.
        first: number of the first line.
        file: the file they are of.
        took_rest: whether ``rest`` was asked for.
    """

    content: bytes
    first: int
    file: Lines
    _rest: Iterator[bytes]
    took_rest: bool = False

    def lines(self) -> Iterator[Line]:
        """Each line of the block."""
        return itertools.chain.from_iterable(batch.lines() for batch in self.batches())

    def batches(self) -> Iterator[LineBatch]:
        """The lines of the block."""
        return self.file.batches_of(iter([self.content]), first=self.first)

    def rest(self) -> Iterator[LineBatch]:
        """The lines of the block and of all that follow."""
        self.took_rest = True
        return self.file.batches_of(self._rest, first=self.first)

    def plain(self, *, after_first: bool) -> bytes | None:
        """Its content with ``\\n`` at the end of each line; None unless each line is text that
        is not blank, without quotation marks, NUL or byte order marks.

        Args:
            after_first: without the first line.
        """
        content = self.content
        if self.first == 1 and self.file.delimiter is not None:
            return None
        if after_first:
            first, _, content = content.partition(b"\n")
            if first.count(b'"') % 2 or not first.strip(b"\r"):
                return None
        if b"\r" in content:
            if content.count(b"\r") != content.count(b"\r\n"):
                return None
            content = content.replace(b"\r\n", b"\n")
        if any(each in content for each in (b'"', b"\0", b"\n\n", _MARK)):
            return None
        if content[:1] == b"\n" or len(content) >= MAX_LINE_BYTES:
            return None
        return content if content.isascii() or self.file.is_utf8 else None


def open_lines(source: str, *, encoding: str | None = None, content: bytes | None = None) -> Lines:
    """Open a text file, gzipped or not, or stdin (``-``).

    Args:
        encoding: None: detected.
        content: the bytes of a file from elsewhere (an archive); ``source`` names it.

    Raises:
        DataError: the file is missing, a folder, empty, or not text.
        UsageError: ``encoding`` is unknown.
    """
    encodings.check(encoding)
    size = PIPE_HEAD_BYTES if source == "-" else FILE_HEAD_BYTES
    head, chunks = _look_ahead(_read(_open(source, content), source), size)
    if head.startswith(_GZIP):
        packed = io.BufferedReader(_Chunks(chunks))
        head, chunks = _look_ahead(_read(gzip.GzipFile(fileobj=packed), source), size)
    whole = len(head) < size
    encoding = encoding or encodings.find_mark(head)
    codec = "utf-8" if encoding == "utf-8-sig" else encoding
    if codec and not encodings.extends_ascii(codec):
        head = b"".join(encodings.to_utf8(iter([head]), codec, source, last=whole))
        chunks, codec = encodings.to_utf8(chunks, codec, source), "utf-8"
    _check_text(head, source)
    if b"\r" in head and b"\n" not in head:  # classic Mac OS line ends
        head = head.replace(b"\r", b"\n")
        chunks = (chunk.replace(b"\r", b"\n") for chunk in chunks)
    raw_lines = [line + b"\n" for line in head.split(b"\n")]
    raw_lines[-1:] = [raw_lines[-1][:-1]] if whole and raw_lines[-1] != b"\n" else []
    encoding = encoding or encodings.detect(raw_lines or [head], source)
    codec = codec or encoding
    if codec == "utf-8" and head.startswith(_MARK):
        chunks = _without_mark(chunks)
        raw_lines[:1] = [line.removeprefix(_MARK) for line in raw_lines[:1]]
    first = raw_lines[0].decode(codec, errors="replace").strip("\r\n") if raw_lines else ""
    declared = _SEPARATOR.fullmatch(first)
    written = itertools.dropwhile(_is_blank, raw_lines[1:] if declared else raw_lines)
    kept = itertools.islice(written, HEAD_LINES)
    lines = [line.decode(codec, errors="replace") for line in kept]
    delimiter = declared[1] if declared else None
    beginning = head[:BEGINNING_BYTES].decode(codec, errors="replace").lstrip("\ufeff")
    return Lines(source, encoding, lines, codec, chunks, delimiter, beginning)


def _open(source: str, content: bytes | None) -> io.BufferedIOBase:
    if content is not None:
        return io.BytesIO(content)
    if source == "-":
        if sys.stdin is None:
            raise UsageError("is closed", where="stdin", hint="Give a file, or pipe the rows to it")
        return cast(io.BufferedIOBase, sys.stdin.buffer)
    path = Path(source)
    check_file(path)
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=source) from error


def _read(stream: io.BufferedIOBase, source: str) -> Iterator[bytes]:
    """The bytes of a stream as they arrive; closes it at the end, except stdin."""
    try:
        while True:
            with interrupts.waiting():
                chunk = stream.read1(1 << 16)
            if not chunk:
                return
            yield chunk
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be read completely ({error})", where=source) from error
    finally:
        if source != "-":
            stream.close()


def _look_ahead(chunks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """At least the first ``size`` bytes (fewer only at the end), and all chunks again."""
    taken, length = [], 0
    while length < size and (chunk := next(chunks, b"")):
        taken.append(chunk)
        length += len(chunk)
    head = b"".join(taken)
    return head, itertools.chain([head], chunks)


def _is_blank(line: bytes) -> bool:
    return not line.strip(b"\r\n")


def _check_text(head: bytes, source: str) -> None:
    if not head.strip():
        raise DataError("is empty", where="stdin" if source == "-" else source)
    kind = next((kind for start, kind in _SIGNATURES.items() if head.startswith(start)), None)
    controls = len(head) - len(head.translate(None, _CONTROL))
    if kind is None and controls > _MAX_CONTROL_SHARE * len(head) and controls > 8:
        kind = "binary data"
    if kind:
        hint = "Use .csv, .tsv, .jsonl, .txt or .parquet"
        raise DataError(f"is not text but {kind}", where=source, hint=hint)


def _without_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield next(chunks, b"").removeprefix(_MARK)
    yield from chunks


class _Chunks(io.RawIOBase):
    """An iterator of bytes as a raw stream, so that ``io`` splits lines at C speed."""

    def __init__(self, chunks: Iterator[bytes]):
        self._chunks, self._left = chunks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        target = memoryview(buffer)  # type: ignore[arg-type]
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        size = min(len(target), len(self._left))
        target[:size] = self._left[:size]
        self._left = self._left[size:]
        return size
