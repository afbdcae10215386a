"""The columns of texts and labels in a table: by the options, by usual names, or by content."""

from __future__ import annotations

from collections.abc import Sequence

from aitk.core.contract.errors import UsageError
from aitk.core.contract.score_task import SCORE_COLUMNS
from aitk.core.contract.task import Note
from aitk.core.io.tables import Table, find_column, usual_column
from aitk.nlp.data.options import ScoreReading, TextReading

TEXT_COLUMNS = (
    "text", "sentence", "review", "content", "comment", "message", "body", "utterance", "tweet",
    "query", "question", "document", "description", "title", "文本", "内容", "句子", "评论", "留言",
    "正文", "文章", "標題", "标题", "テキスト", "本文",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "intent", "category", "class", "sentiment", "target", "topic", "emotion", "tag",
    "polarity", "labels", "标签", "標籤", "类别", "類別", "分类", "情感", "意图", "ラベル",
    "カテゴリ",
)  # fmt: skip
COLUMN_NAMES = frozenset(TEXT_COLUMNS + LABEL_COLUMNS + SCORE_COLUMNS)
#: Average words of a column from which on it counts as text.
_MANY_WORDS = 4
#: Minimum ratio of different texts to different labels.
_MORE_KINDS = 1.5


def choose_columns(
    table: Table, reading: TextReading, labelled: bool, note: Note
) -> tuple[Sequence[str], Sequence[str]]:
    """The columns of the text and of the labels: from the options, by usual names, or by
    content."""
    columns, where = table.columns, table.source
    given_text, *more = reading.text_column or (None,)
    given_label = getattr(reading, "label_column", None)
    own_columns = getattr(reading, "label_columns", None) if labelled else None
    labels = [
        find_column(columns, name, (), what="label", where=where) for name in own_columns or ()
    ]
    pair = find_pair_column(table, reading)
    columns = [column for column in columns if column not in (*labels, pair)]
    if len(columns) == 1 and (labels or not labelled):
        return columns, labels
    named = labelled and not labels
    usual = SCORE_COLUMNS if isinstance(reading, ScoreReading) else LABEL_COLUMNS
    text = label = None
    if given_text or usual_column(columns, TEXT_COLUMNS):
        text = find_column(table.columns, given_text, TEXT_COLUMNS, what="text", where=where)
    if named and (given_label or usual_column(columns, usual)):
        label = find_column(columns, given_label, usual, what="label", where=where)
    if len(columns) == 2 and (text is None or (named and label is None)):
        if text is None and label is None:
            text = _wordiest(table, columns)
        text = text or _other(columns, label)
        label = (label or _other(columns, text)) if named else None
        says = f", the label in {label!r}" if label else ""
        note(f"{where}: by content, the text is in column {text!r}{says}")
    text = text or find_column(columns, None, TEXT_COLUMNS, what="text", where=where)
    if named:
        label = label or find_column(columns, None, usual, what="label", where=where)
        rivals = [each for each in columns if each.casefold() in usual and each != label]
        if rivals and not given_label:
            note(f"{where}: the label is in {label!r}, not in {rivals} (see --label-column)")
        labels = [label]
    texts = [text]
    texts += [find_column(table.columns, name, (), what="text", where=where) for name in more]
    if pair in texts:
        raise UsageError(f"column {pair!r} cannot be both texts of a pair", where=where)
    if both := [name for name in labels if name in texts]:
        raise UsageError(f"column {both[0]!r} cannot be both text and label", where=where)
    if len(texts) == 1 and (others := _other_texts(table, (text, pair, *labels))):
        joined = ",".join((*others, text))
        note(f"{where}: texts in {others} are not used; --text-column {joined} joins them")
    return texts, labels


def find_pair_column(table: Table, reading: TextReading) -> str | None:
    """The column of the second text, if the options name one."""
    given = getattr(reading, "pair_column", None)
    return find_column(table.columns, given, (), what="pair", where=table.source) if given else None


def _other_texts(table: Table, chosen: Sequence[str | None]) -> list[str]:
    """Unused columns that contain texts of several words."""
    found = []
    for column in table.columns:
        cells = [cell for record in table.preview if (cell := record.get(column)) not in (None, "")]
        words = sum(len(cell.split()) for cell in cells if isinstance(cell, str))
        if column not in chosen and cells and words >= _MANY_WORDS * len(cells):
            found.append(column)
    return found


def _wordiest(table: Table, columns: Sequence[str]) -> str:
    """The column of texts among two: labels repeat, and texts are longer."""
    cells = {
        column: [str(record.get(column) or "") for record in table.preview] for column in columns
    }
    kinds = {column: len(set(values)) for column, values in cells.items()}
    most = max(kinds, key=kinds.__getitem__)
    if kinds[most] > _MORE_KINDS * min(kinds.values()):
        return most
    return max(cells, key=lambda column: (sum(map(len, cells[column])), kinds[column]))


def _other(columns: Sequence[str], known: str | None) -> str:
    return columns[1] if columns[0] == known else columns[0]
