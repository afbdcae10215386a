"""How texts are found in the user's files and cleaned. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from aitk.core.contract.labels import MultiLabelReading
from aitk.core.contract.options import PredictOptions, option
from aitk.core.privacy.options import Redaction


@dataclass(frozen=True)
class TextReading(Redaction):
    """Where the text is, and what is done to it. Nothing is by default but composing characters
    (NFC) and trimming; what is asked for is done alike in training and in prediction."""

    text_column: list[str] | None = option(
        None,
        "column of the text, by name or number from 1; several (title,text) are joined",
        locates=True,
    )
    header: str = option(
        "auto", "does the first line name the columns", choices=("auto", "yes", "no"), locates=True
    )
    delimiter: str | None = option(
        None, "what separates fields: one character, or TAB", locates=True
    )
    encoding: str | None = option(
        None, "encoding of the files, for instance cp1252 or gb18030", locates=True
    )
    unicode_form: str = option(
        "NFC", "Unicode normal form; NFKC also unifies widths", choices=("NFC", "NFKC", "none")
    )
    strip_html: bool = option(False, "drop HTML tags, scripts and comments, and decode entities")
    urls: str = option("keep", "web and mail addresses", choices=("keep", "replace", "remove"))
    stop_words: str | None = option(None, "drop the frequent words of this language (en, de, ...)")
    lemmas: str | None = option(
        None, "replace words by their lemma: a language (en) or an installed spaCy pipeline"
    )
    stem: str | None = option(None, "cut words to their Snowball stem in this language (en, ...)")
    lowercase: bool = option(False, "write everything in lower case")
    strip_punctuation: bool = option(False, "drop punctuation and symbols")
    max_characters: int | None = option(None, "cut longer texts here", minimum=1)


@dataclass(frozen=True)
class ClassifyReading(MultiLabelReading, TextReading):
    """Texts, or pairs of texts, with one label each, or any number of labels."""

    pair_column: str | None = option(
        None,
        "column of a second text: the label says how both relate (inference, paraphrase)",
        locates=True,
    )
    label_column: str | None = option(None, "column of the label, by name or number from 1")
    keep_na: bool = option(False, "labels such as NULL, nan, None and N/A are names, not missing")


@dataclass(frozen=True)
class ScoreReading(TextReading):
    """Texts with a number each."""

    label_column: str | None = option(None, "column of the number, by name or number from 1")


@dataclass(frozen=True)
class TranslateReading(Redaction):
    """Where sources and their translations are, and which pairs are refused."""

    source_column: str | None = option(
        None,
        "of the source: column, JSON key, language of a TMX, or ending of a file (train.de)",
        locates=True,
    )
    target_column: str | None = option(None, "the same of the translation", locates=True)
    header: str = option(
        "auto", "does the first line name the columns", choices=("auto", "yes", "no"), locates=True
    )
    delimiter: str | None = option(
        None, "what separates fields: one character, or TAB", locates=True
    )
    encoding: str | None = option(
        None, "encoding of the files, for instance cp1252 or gb18030", locates=True
    )
    unicode_form: str = option(
        "NFC", "Unicode normal form; NFKC also unifies widths", choices=("NFC", "NFKC", "none")
    )
    strip_html: bool = option(False, "drop HTML tags, scripts and comments, and decode entities")
    max_length_ratio: float = option(
        9.0, "refuse a pair one side of which has so many times the characters", minimum=1.0
    )


@dataclass(frozen=True)
class TranslateOptions(PredictOptions):
    """How translations are searched."""

    beams: int = option(
        4, "hypotheses kept at each step; 1 is greedy", minimum=1, maximum=64, scored=True
    )
    length_penalty: float = option(
        0.6, "exponent of the length penalty; 0 is none", minimum=0.0, maximum=10.0, scored=True
    )


@dataclass(frozen=True)
class GenerationOptions(PredictOptions):
    """How a text is continued; its random numbers do not depend on the other rows."""

    tokens: int = option(40, "maximum number of new tokens", minimum=1, maximum=4096)
    temperature: float = option(
        0.8, "divides the logits: below 1 favours likely tokens; 0 always takes the likeliest",
        minimum=0.0, maximum=10.0,
    )  # fmt: skip
    top_p: float = option(
        0.95, "sample from the likeliest tokens with this share of the probability",
        minimum=0.01, maximum=1.0,
    )  # fmt: skip
    top_k_tokens: int = option(
        0, "sample from this many of the likeliest tokens; 0 for all", minimum=0
    )
    repetition_penalty: float = option(
        1.0, "above 1 lowers tokens that were there before", minimum=1.0, maximum=10.0
    )
    stop: list[str] | None = option(None, "end a continuation at one of these strings")
    seed: int = option(0, "seed of the random numbers", minimum=0, maximum=2**31 - 1)


@dataclass(frozen=True)
class TagReading(Redaction):
    """Where texts, words and tags are. Texts stay as they are: spans count their characters."""

    text_column: str | None = option(
        None, "column or key of the text, by name or number from 1", locates=True
    )
    word_column: str | None = option(
        None, "column of the words in CoNLL files, by number from 1", locates=True
    )
    tag_column: str | None = option(
        None, "column or key of the tags: a number from 1, upos, xpos, ner, pos, spans, ..."
    )
    scheme: str = option(
        "auto", "how tags in columns are written", choices=("auto", "iob", "iob2", "bilou", "plain")
    )
    encoding: str | None = option(
        None, "encoding of the files, for instance cp1252 or gb18030", locates=True
    )


@dataclass(frozen=True)
class QaReading(Redaction):
    """Where contexts, questions and answers are. Texts stay as they are: answers count their
    characters."""

    context_column: str | None = option(None, "key of the context in JSON lines", locates=True)
    question_column: str | None = option(None, "key of the question in JSON lines", locates=True)
    answer_column: str | None = option(None, "key of the answers in JSON lines", locates=True)
    encoding: str | None = option(
        None, "encoding of the files, for instance cp1252 or gb18030", locates=True
    )


@dataclass(frozen=True)
class QaPredictOptions(PredictOptions):
    """How answers are chosen, and a question without an input file."""

    context: str | None = option(None, "text file that --question is about")
    question: str | None = option(None, "a question about --context, in place of INPUT")
    no_answer_threshold: float | None = option(
        None,
        "say that there is no answer where that scores so much above the best one; by default what"
        " the validation rows gave",
        scored=True,
    )
