"""Cleaning of texts: only the steps that the reading options select, the same at every stage.

The steps run in a fixed order, regardless of the order of the options: markup, Unicode form,
redaction, addresses, stop words, lemmas, stems, case, punctuation, spaces, length.
"""

from __future__ import annotations

import functools
import gzip
import html
import importlib.util
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.privacy.redaction import Redactor
from aitk.nlp.data.languages import UNSPACED, stop_words
from aitk.nlp.data.options import TextReading

Step = Callable[[str], str]

# Letters of any script with their combining marks, digits and apostrophes: everything except
# spaces and the punctuation of ASCII, Latin-1, U+2000-206F and U+3000-303F.
_WORD = re.compile(
    r"[^\s!-&(-/:-@\[-`{-~\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf"
    r"\u2000-\u2018\u201a-\u206f\u3000-\u303f\uff01-\uff0f]+"
)
# A web address stops before closing punctuation and before text of another script. The look
# behind prevents the search for mail addresses from restarting at every letter of a word.
_URL = re.compile(r"\b(?:https?://|www\.)[!-~]*[\w/#=&-]", re.ASCII | re.IGNORECASE)
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)
# A tag (group 1: closing slash, 2: element) or a declaration. No part of it runs past the next
# "<", which bounds the work on a tag that never ends.
_TAG = re.compile(
    r"""<(?:(/?)([a-z][a-z0-9]*)\b|[!?])(?:[^<>"']|"[^"<]*"|'[^'<]*')*>""", re.IGNORECASE
)
_INLINE_ELEMENTS = frozenset(
    ("a", "abbr", "b", "bdi", "bdo", "cite", "code", "em", "font", "i", "mark", "q", "s", "small",
     "span", "strong", "sub", "sup", "u")
)  # fmt: skip
_UNSEEN_ELEMENTS = frozenset(("script", "style", "template"))
_STEMMERS = {
    "ar": "arabic", "da": "danish", "de": "german", "en": "english", "es": "spanish",
    "fi": "finnish", "fr": "french", "hu": "hungarian", "it": "italian", "nb": "norwegian",
    "nl": "dutch", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sv": "swedish",
}  # fmt: skip
_CACHED_WORDS = 1 << 16


def make_cleaner(reading: TextReading, redactor: Redactor | None = None) -> Step:
    """The function that cleans one text according to ``reading``.

    Args:
        redactor: replaces personal data, before later steps obscure it.

    Raises:
        UsageError: stop words, stems or lemmas are not available for a language.
        ArtifactError: the requested lemmas are not installed.
    """
    steps: list[Step] = []
    if reading.strip_html:
        steps.append(_strip_html)
    if reading.unicode_form != "none":
        form: Literal["NFC", "NFKC"] = "NFKC" if reading.unicode_form == "NFKC" else "NFC"
        steps.append(functools.partial(_normalize, form=form))
    if redactor is not None:
        steps.append(redactor)
    if reading.urls != "keep":
        web, mail = ("URL", "EMAIL") if reading.urls == "replace" else ("", "")
        steps.append(lambda text: _MAIL.sub(mail, _URL.sub(web, text)))
    if reading.stop_words:
        steps.append(_stop_word_remover(reading.stop_words))
    if reading.lemmas:
        steps.append(_lemmatizer(reading.lemmas))
    if reading.stem:
        steps.append(_stemmer(reading.stem))
    if reading.lowercase:
        steps.append(str.lower)
    if reading.strip_punctuation:
        steps.append(lambda text: text.translate(_PUNCTUATION))
    leaves_holes = reading.urls == "remove" or reading.stop_words or reading.strip_punctuation
    steps.append(_collapse_spaces if leaves_holes or reading.strip_html else str.strip)
    if reading.max_characters:
        steps.append(lambda text: text[: reading.max_characters].rstrip())

    def clean(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return clean


def _normalize(text: str, *, form: Literal["NFC", "NFKC"]) -> str:
    return text if text.isascii() else unicodedata.normalize(form, text)


def _collapse_spaces(text: str) -> str:
    return " ".join(text.split())


def _strip_html(text: str) -> str:
    """The text that a browser would show; a tag that breaks the line becomes a space.

    Parsed by hand in one pass: Python 3.11's ``html.parser`` takes quadratic time on hostile
    input such as a hundred thousand ``<a``. A ``<`` that does not begin a tag is preserved.
    """
    if "<" not in text:
        return html.unescape(text)
    parts, position = [], 0
    while (start := text.find("<", position)) >= 0:
        parts.append(html.unescape(text[position:start]))
        tag = _TAG.match(text, start)
        name = (tag[2] or "").lower() if tag else ""
        if text.startswith("<!--", start):
            end = text.find("-->", start)
            position = len(text) if end < 0 else end + 3
        elif tag is None:
            parts.append("<")
            position = start + 1
        elif name in _UNSEEN_ELEMENTS and not tag[1]:
            end_tag = re.compile(f"</{name}", re.IGNORECASE).search(text, tag.end())
            position = end_tag.start() if end_tag else len(text)
        else:
            parts.append("" if name in _INLINE_ELEMENTS else " ")
            position = tag.end()
    parts.append(html.unescape(text[position:]))
    return "".join(parts)


class _PunctuationTable(dict[int, str]):
    """Table for ``str.translate``, filled as characters occur: punctuation and symbols become
    spaces, apostrophes are removed."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        is_dropped = unicodedata.category(character)[0] in "PS"
        self[code] = "" if character in "'’" else " " if is_dropped else character
        return self[code]


_PUNCTUATION = _PunctuationTable()


def _stop_word_remover(language: str) -> Step:
    if language in UNSPACED:
        raise UsageError(
            f"cannot remove stop words from {language!r}, which is written without spaces",
            hint="Leave out --stop-words",
        )
    words = stop_words(language)

    @functools.lru_cache(_CACHED_WORDS)
    def kept(word: str) -> str:
        lower = word.lower().replace("’", "'").strip("'")
        before, apostrophe, after = lower.partition("'")  # it's = it + 's, qu'il = qu' + il
        is_pair = (before in words or before + "'" in words) and (
            after in words or "'" + after in words
        )
        return "" if lower in words or (apostrophe and is_pair) else word

    return lambda text: _WORD.sub(lambda match: kept(match[0]), text)


def _stemmer(language: str) -> Step:
    if language not in _STEMMERS:
        known = ", ".join(_STEMMERS)
        raise UsageError(f"no stemmer for {language!r}", hint=f"Available: {known}")
    from nltk.stem.snowball import SnowballStemmer

    stem = functools.lru_cache(_CACHED_WORDS)(SnowballStemmer(_STEMMERS[language]).stem)
    return lambda text: _WORD.sub(lambda match: stem(match[0]), text)


def _lemmatizer(name: str) -> Step:
    """Lemmas from spaCy's lookup tables for a language code, else from a spaCy pipeline."""
    if len(name) > 3:
        return _pipeline_lemmatizer(name)
    spec = importlib.util.find_spec("spacy_lookups_data")
    if spec is None or spec.origin is None:
        raise ArtifactError(
            "the lemma tables are not installed", hint="pip install 'aitk-toolkit[lemmas]'"
        )
    folder, ending = Path(spec.origin).with_name("data"), "_lemma_lookup.json.gz"
    path = folder / f"{name}{ending}"
    if not path.is_file():
        known = sorted(item.name.removesuffix(ending) for item in folder.glob(f"*{ending}"))
        raise UsageError(
            f"no lemma table for {name!r}",
            hint=f"Available: {', '.join(known)}; or name an installed spaCy pipeline",
        )
    with gzip.open(path, "rt", encoding="utf-8") as file:
        table = json.load(file)

    def lemma(word: str) -> str:
        return table.get(word) or table.get(word.lower()) or word

    return lambda text: _WORD.sub(lambda match: lemma(match[0]), text)


def _pipeline_lemmatizer(name: str) -> Step:
    import spacy

    try:
        pipeline = spacy.load(name, exclude=["ner"])
    except OSError as error:
        raise ArtifactError(
            f"no spaCy pipeline {name!r} is installed", hint=f"python -m spacy download {name}"
        ) from error
    return lambda text: "".join(
        (token.lemma_ or token.text) + token.whitespace_ for token in pipeline(text)
    )
