"""Detection of text encodings, and conversion to UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence

from aitk.core.contract.errors import DataError, UsageError

_BOMS = (  # UTF-32 first: its mark starts with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Candidate encodings for bytes that are not Unicode. Supersets represent their subsets: gb18030 for
# gb2312 and gbk, cp1252 for latin-1.
_MULTIBYTE = ["gb18030", "big5", "cp932", "cp949"]
_LEGACY = [
    *("cp1252", "cp1251", "koi8_r", "cp1250", "cp1254", "cp1253", "cp1255", "cp1256", "cp874"),
    *_MULTIBYTE,
]
#: Codecs for domain names and Python strings.
_NOT_OF_FILES = ("undefined", "idna", "punycode", "unicode_escape", "raw_unicode_escape")
_SAMPLE_BYTES = 1 << 16


def find_mark(head: bytes) -> str | None:
    """The encoding given by a byte order mark at the start of a file."""
    return next((encoding for mark, encoding in _BOMS if head.startswith(mark)), None)


def check(encoding: str | None) -> None:
    """Raise ``UsageError`` unless Python supports this text encoding (None is valid)."""
    if encoding is None:
        return
    try:
        name = codecs.lookup(encoding).name.replace("-", "_")
        b"a".decode(encoding, errors="replace")
    except (LookupError, ValueError):  # unknown, or not a text encoding, such as zip and rot13
        name = _NOT_OF_FILES[0]
    if name in _NOT_OF_FILES:
        raise UsageError(
            f"unknown encoding {encoding!r}", where="--encoding", hint="Try utf-8 or cp1252"
        )


def extends_ascii(encoding: str) -> bool:
    """Whether line ends are the same bytes as in ASCII, so that bytes can be split into lines."""
    return "a,\n".encode(encoding) == b"a,\n"


def to_utf8(
    chunks: Iterator[bytes], encoding: str, source: str, *, last: bool = True
) -> Iterator[bytes]:
    """Re-encode a stream of bytes.

    Unpaired surrogates, or a truncated character at the end, become bytes that are invalid UTF-8 as
    well, so that only their line is refused.
    """
    decoder = codecs.getincrementaldecoder(encoding)(errors="surrogatepass")
    for chunk in chunks:
        try:
            text = decoder.decode(chunk)
        except UnicodeError as error:
            hint = "Use --encoding utf-16-le or utf-16-be" if "BOM" in str(error) else None
            raise DataError(f"is not {encoding} ({error})", where=source, hint=hint) from error
        yield text.encode("utf-8", errors="surrogatepass")
    if last and decoder.getstate()[0]:
        yield b"\xff"


def detect(lines: Sequence[bytes], source: str) -> str:
    """The encoding of most of these lines; UTF-8 if that is plausible.

    Lines of valid UTF-8 beyond ASCII are strong evidence, so a file with more of them than of
    undecodable ones is UTF-8, and the others are refused one by one.

    Raises:
        DataError: no encoding fits, or two do, each for some lines.
    """
    valid = invalid = 0
    sample = bytearray()
    for line in lines:
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            valid += 1
        except UnicodeDecodeError:
            invalid += 1
            if len(sample) < _SAMPLE_BYTES:
                sample += line[:_SAMPLE_BYTES]
    if invalid == 0 or valid >= invalid:
        return "utf-8"
    encoding = _guess(bytes(sample), source)
    # In single-byte encodings, lines are not valid UTF-8 by chance.
    if valid and encoding not in _MULTIBYTE:
        hint = "Convert it to one encoding, or use --encoding utf-8 to refuse the others"
        raise DataError(f"mixes lines in utf-8 and in {encoding}", where=source, hint=hint)
    return encoding


def _guess(sample: bytes, source: str) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=_LEGACY).best()
    if best is None:
        raise DataError(
            "its bytes are not text in any encoding tried", where=source, hint="Use --encoding NAME"
        )
    if best.encoding in ("cp1250", "cp1254"):
        # These share most letters with the far more frequent cp1252: require better evidence.
        western = from_bytes(sample, cp_isolation=["cp1252"]).best()
        if western and western.coherence > best.coherence - 0.1:
            return "cp1252"
    return best.encoding
