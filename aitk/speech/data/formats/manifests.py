"""Manifests: CSV, TSV, JSON lines or Parquet tables with one recording per row.

Columns are found by the options or by their usual names, including those of Common Voice and of
NeMo manifests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.core.contract.labels import LabelReader, NameReader, read_name
from aitk.core.contract.rows import SPLITS, Refusal
from aitk.core.contract.task import Note
from aitk.core.io.names import SPLIT_OF_WORD, path_in, split_named
from aitk.core.io.tables import Table, find_column, open_table, usual_column
from aitk.core.io.values import quoted, to_number
from aitk.speech.data.items import Item, locate
from aitk.speech.data.options import AudioReading, LabelledAudioReading

AUDIO_COLUMNS = (
    "audio", "audio_filepath", "audio_path", "audio_file", "path", "file", "filename", "file_name",
    "filepath", "wav", "wav_path", "wav_filename", "sound", "clip", "recording", "音频", "文件",
)  # fmt: skip
TEXT_COLUMNS = (
    "text", "sentence", "transcript", "transcription", "transcribed", "utterance", "words",
    "normalized_text", "文本", "句子", "转写",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "keyword", "word", "command", "class", "category", "target", "digit", "标签", "类别",
)  # fmt: skip
SPEAKER_COLUMNS = (
    "speaker", "speaker_id", "speakerid", "client_id", "spk", "spk_id", "reader", "说话人",
)  # fmt: skip
START_COLUMNS = ("start", "start_s", "start_time", "begin", "offset", "from")
END_COLUMNS = ("end", "end_s", "end_time", "stop", "to")
DURATION_COLUMNS = ("duration", "duration_s", "seconds", "length_s")
ID_COLUMNS = ("id", "utt_id", "utterance_id", "utt", "segment_id")
CHANNEL_COLUMNS = ("channel", "channel_id", "声道")
SPLIT_COLUMNS = ("split", "set", "subset", "partition")
_NAMES = frozenset((*AUDIO_COLUMNS, *TEXT_COLUMNS, *LABEL_COLUMNS, *SPEAKER_COLUMNS))
_HEADER = {"auto": None, "yes": True, "no": False}


def read_manifest(
    source: str,
    reading: AudioReading,
    *,
    content: str | None,
    split: str | None,
    note: Note,
) -> Iterator[Item | Refusal]:
    """The recordings of a manifest.

    Args:
        source: its path, or ``-`` for stdin.
        content: ``text`` or ``label``, which must have a column; None if nothing is required.
        split: split of rows without a split column.
        note: receives notes on automatic decisions.

    Raises:
        DataError: it is unreadable, or its columns are ambiguous.
        UsageError: an option names a missing column.
    """
    table = _open(source, reading)
    for decision in table.notes:
        note(decision)
    columns = _Columns(table, reading, content)
    folder = Path.cwd() if source == "-" else Path(source).parent
    for item in table:
        if isinstance(item, Refusal):
            yield item
            continue
        line, record = item
        yield columns.item(record, source, line, folder, reading, split)


def names_audio(source: str, reading: AudioReading) -> bool:
    """Whether a table found in a folder has a column of recordings."""
    if reading.audio_column:
        return reading.audio_column in _open(source, reading).columns
    return usual_column(_open(source, reading).columns, AUDIO_COLUMNS) is not None


def _open(source: str, reading: AudioReading) -> Table:
    given = reading.delimiter
    return open_table(
        source,
        header=_HEADER[reading.header],
        delimiter="\t" if given and given.lower() in ("tab", r"\t") else given,
        encoding=reading.encoding,
        names=_NAMES,
    )


class _Columns:
    """The columns by role."""

    def __init__(self, table: Table, reading: AudioReading, content: str | None):
        names, where = table.columns, table.source
        self.audio = find_column(
            names, reading.audio_column, AUDIO_COLUMNS, what="audio", where=where
        )
        self.content: str | None = None
        self.labels: list[str] = []
        self._reader: LabelReader | None = None
        if content == "text":
            given = getattr(reading, "text_column", None)
            self.content = find_column(names, given, TEXT_COLUMNS, what="text", where=where)
        elif content == "label" and isinstance(reading, LabelledAudioReading):
            self._find_labels(table, reading)
        elif content == "label":
            given = getattr(reading, "label_column", None)
            self.content = find_column(names, given, LABEL_COLUMNS, what="label", where=where)
        self.speaker = usual_column(names, SPEAKER_COLUMNS)
        if reading.speaker_column:
            self.speaker = find_column(
                names, reading.speaker_column, SPEAKER_COLUMNS, what="speaker", where=where
            )
        self.start = usual_column(names, START_COLUMNS)
        self.end = usual_column(names, END_COLUMNS)
        self.duration = usual_column(names, DURATION_COLUMNS)
        self.id = usual_column(names, ID_COLUMNS)
        self.channel = usual_column(names, CHANNEL_COLUMNS)
        self.split = usual_column(names, SPLIT_COLUMNS)

    def item(
        self,
        record: Mapping[str, Any],
        source: str,
        line: int,
        folder: Path,
        reading: AudioReading,
        split: str | None,
    ) -> Item | Refusal:
        """One row of the table, or a refusal."""
        try:
            start_s, end_s = self._times(record)
            named = path_in(record.get(self.audio))
            path = locate(named, folder, reading)
        except DataError as error:
            return Refusal(source, line, error.what)
        content = labels = None
        if self._reader is not None:
            fields, problem = self._reader.read(record, self.labels)
            if problem:
                return Refusal(source, line, problem)
            labels = fields["labels"]
        elif self.content is not None and isinstance(reading, LabelledAudioReading):
            value = record.get(self.content)
            content, problem = read_name(value, self.content, keep_na=reading.keep_na)
            if problem:
                return Refusal(source, line, problem)
        elif self.content is not None:
            value = record.get(self.content)
            if value is None or not str(value).strip():
                return Refusal(source, line, f"its {self.content} is empty")
            if isinstance(value, float) and value.is_integer():
                value = int(value)  # integer columns with gaps become floats
            content = str(value)
        own_split = _split(_text(record, self.split)) if self.split else None
        return Item(
            audio=path,
            file=source,
            line=line,
            split=own_split or split,
            content=content,
            labels=labels,
            speaker=_speaker(record, self.speaker),
            start_s=start_s,
            end_s=end_s,
            channel=_channel(_text(record, self.channel)),
            name=_text(record, self.id) or _name(named, start_s),
            record=record,
        )

    def _find_labels(self, table: Table, reading: LabelledAudioReading) -> None:
        names, where = table.columns, table.source
        own = [
            find_column(names, name, (), what="label", where=where)
            for name in reading.label_columns or ()
        ]
        if not own:
            usual = (*LABEL_COLUMNS, "labels") if reading.has_many_labels else LABEL_COLUMNS
            self.content = find_column(
                names, reading.label_column, usual, what="label", where=where
            )
        if reading.has_many_labels:
            self.labels = own or [str(self.content)]
            self._reader = LabelReader(reading, NameReader(keep_na=reading.keep_na))

    def _times(self, record: Mapping[str, Any]) -> tuple[float, float | None]:
        start = _seconds(record, self.start)
        end = _seconds(record, self.end)
        if end is None and start is not None:  # NeMo: an offset and a duration
            duration = _seconds(record, self.duration)
            end = None if duration is None else start + duration
        return start or 0.0, end


def _seconds(record: Mapping[str, Any], column: str | None) -> float | None:
    """A number of seconds, or None."""
    text = _text(record, column)
    if not text:
        return None
    try:
        value = to_number(text)
    except ValueError as error:
        raise DataError(f"its {column} is {quoted(text)}, not a number of seconds") from error
    if value < 0:
        raise DataError(f"its {column} is {text}, not a number of seconds")
    return value


def _text(record: Mapping[str, Any], column: str | None) -> str:
    value = record.get(column) if column else None
    return "" if value is None else str(value).strip()


def _speaker(record: Mapping[str, Any], column: str | None) -> str:
    """The speaker; "" if the cell has a word for no one."""
    value = record.get(column) if column else None
    name, problem = read_name(value, "speaker")
    return "" if problem else name


def _channel(text: str) -> str | None:
    """A channel number, without the suffix from float tables; None for an empty cell."""
    return text.removesuffix(".0") or None


def _split(word: str) -> str | None:
    word = word.lower()
    return word if word in SPLITS else SPLIT_OF_WORD.get(word) or split_named(word)


def _name(file: str, start_s: float) -> str:
    """A name for a recording without id: its file as in the manifest, and its start."""
    name = Path(file).with_suffix("").as_posix()
    return f"{name}-{round(start_s * 100):07}" if start_s else name
