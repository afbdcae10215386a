"""Tagged texts as JSON: lists of spans, words with tags, spaCy's and Label Studio's files.

Supported records (JSON lines, or a list of records)::

    {"text": ..., "spans": [[0, 5, "PER"], ...]}          also entities, ents, labels, label
    {"text": ..., "spans": [{"start": 0, "end": 5, "label": "PER"}]}   Prodigy, doccano, spaCy
    {"tokens": ["Ann", ...], "tags": ["B-PER", ...]}      also words; ner_tags, pos_tags, labels
    ["Ann ...", {"entities": [[0, 3, "PER"]]}]            spaCy 2 training data
    {"paragraphs": [{"raw": ..., "sentences": [...]}]}    spaCy 2 JSON
    {"data": {"text": ...}, "annotations": [...]}         Label Studio
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aitk.core.io.tables import usual_column
from aitk.core.io.values import quoted
from aitk.nlp.data.formats.tagged import Tagged

TEXTS = ("text", "sentence", "content", "document", "utterance", "raw", "文本", "内容", "句子")
SPANS = ("spans", "entities", "ents", "label", "labels", "annotations", "实体")
WORDS = ("tokens", "words")
TAGS = ("tags", "ner_tags", "pos_tags", "labels", "ner", "pos", "upos")
_STARTS, _ENDS = (
    ("start", "start_offset", "begin", "startOffset"),
    ("end", "end_offset", "endOffset"),
)
_LABELS = ("label", "labels", "entity", "type", "tag", "entity_type")

#: A text, or the reason why there is none.
Found = Tagged | str


def texts_of(value: Any, *, text: str | None, tag: str | None, labelled: bool) -> Iterator[Found]:
    """The tagged texts in one record: one, or several of a document in spaCy 2's JSON.

    Args:
        text: key of the text, unless it has a usual one.
        tag: key of the spans or tags.
        labelled: spans or tags are required.
    """
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        value = {"text": value[0], "entities": (value[1] or {}).get("entities")
                 if isinstance(value[1], dict) else value[1]}  # fmt: skip
    if not isinstance(value, dict):
        yield "it is JSON, but not an object"
    elif isinstance(value.get("paragraphs"), list):
        yield from _spacy_paragraphs(value["paragraphs"], tag or "ner")
    elif _is_label_studio(value):
        yield _label_studio(value, text, labelled=labelled)
    else:
        yield _record(value, text, tag, labelled=labelled)


def _record(
    value: Mapping[str, Any], text: str | None, tag: str | None, *, labelled: bool
) -> Found:
    tokens = value.get(usual_column(list(value), WORDS) or "")
    if tokens is not None and _is_texts(tokens):
        return _words_with_tags(tokens, value, tag, labelled=labelled)
    key = text if text in value else usual_column(list(value), TEXTS)
    content = value.get(key or "")
    if not isinstance(content, str):
        return "it has no text" if content is None else f"its text is a {type(content).__name__}"
    if not labelled:
        return Tagged(content)
    if tag in ("pos", "tag", "dep", "lemma", "morph") and isinstance(tokens, list):
        return _spacy_tokens(content, tokens, tag)
    names = [tag] if tag else [name for name in SPANS if isinstance(value.get(name), list)]
    marked = value.get(names[0]) if names else None
    if not isinstance(marked, list):
        return f"it has no list of spans ({', '.join(SPANS[:3])}) or words with tags"
    spans = []
    for each in marked:
        span = _span(each)
        if isinstance(span, str):
            return span
        spans.append(span)
    return Tagged(content, spans=spans)


def _words_with_tags(
    tokens: Sequence[str], value: Mapping[str, Any], tag: str | None, *, labelled: bool
) -> Found:
    text, words = "", []
    for token in tokens:
        if not token.strip():
            return "a word is empty"
        text += " " * bool(text)
        words.append((len(text), len(text) + len(token)))
        text += token
    if not labelled:
        return Tagged(text, words)
    key = tag if tag in value else usual_column(list(value), TAGS)
    tags = value.get(key or "")
    if not isinstance(tags, list):
        return "its words have no list of tags"
    if not _is_texts(tags):
        return f"its tags are not names: {quoted(str(tags[:3]))} (use tag names instead of numbers)"
    return Tagged(text, words, tags=tags)


def _span(value: Any) -> tuple[int, int, str] | str:
    """A span in characters, or what is wrong with it."""
    if isinstance(value, list) and len(value) == 3:
        start, end, label = value
    elif isinstance(value, dict):
        start, end, label = (_first(value, names) for names in (_STARTS, _ENDS, _LABELS))
    else:
        return f"a span is {quoted(str(value))}, not [start, end, label]"
    if isinstance(label, list) and len(label) == 1:
        label = label[0]
    numbers = all(isinstance(place, int) and not isinstance(place, bool) for place in (start, end))
    if not numbers or not isinstance(label, str):
        return f"a span has no start, end and label: {quoted(str(value))}"
    return start, end, label


def _spacy_tokens(text: str, tokens: Sequence[Any], tag: str) -> Found:
    """The tags in spaCy's ``Doc.to_json``."""
    words, tags = [], []
    for token in tokens:
        start, end, name = (token.get(key) for key in ("start", "end", tag))
        if not (isinstance(start, int) and isinstance(end, int) and isinstance(name, str)):
            return f"a token has no start, end and {tag}"
        if not 0 <= start < end <= len(text):
            return f"the token {start} to {end} is outside its {len(text)} characters"
        if not text[start:end].isspace():
            words.append((start, end))
            tags.append(name)
    return Tagged(text, words, tags=tags)


def _spacy_paragraphs(paragraphs: Sequence[Any], tag: str) -> Iterator[Found]:
    """spaCy 2's JSON: sentences of tokens, ``ner`` in BILOU, ``tag`` a part of speech."""
    for paragraph in paragraphs:
        sentences = paragraph.get("sentences") if isinstance(paragraph, dict) else None
        if not isinstance(sentences, list):
            yield "a paragraph has no sentences"
            continue
        for sentence in sentences:
            tokens = sentence.get("tokens") if isinstance(sentence, dict) else None
            if not isinstance(tokens, list) or not all(isinstance(each, dict) for each in tokens):
                yield "a sentence has no tokens"
                continue
            forms = [str(each.get("orth", "")) for each in tokens]
            tags = [str(each.get(tag, "") or "") for each in tokens]
            yield _words_with_tags(forms, {"tags": tags}, None, labelled=True)


def _is_label_studio(value: Mapping[str, Any]) -> bool:
    kept = value.get("annotations", value.get("completions"))
    return isinstance(value.get("data"), dict) and (kept is None or isinstance(kept, list))


def _label_studio(value: Mapping[str, Any], text: str | None, *, labelled: bool) -> Found:
    """A task in Label Studio's JSON export: its first annotation that was not cancelled."""
    data = value["data"]
    found = data.get(text if text in data else usual_column(list(data), TEXTS) or "")
    if found is None:
        texts = [each for each in data.values() if isinstance(each, str)]
        found = texts[0] if len(texts) == 1 else None
    if not isinstance(found, str):
        return "its data has no text"
    if not labelled:
        return Tagged(found)
    kept = value.get("annotations", value.get("completions")) or []
    done = [each for each in kept if isinstance(each, dict) and not each.get("was_cancelled")]
    if not done:
        return "it has no annotation"
    spans = []
    for result in done[0].get("result") or []:
        marked = result.get("value") if isinstance(result, dict) else None
        if not isinstance(marked, dict) or "start" not in marked:
            continue  # a choice or a relation, not a span
        span = _span(marked)
        if isinstance(span, str):
            return span
        spans.append(span)
    return Tagged(found, spans=spans)


def _first(value: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((value[name] for name in names if name in value), None)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)
