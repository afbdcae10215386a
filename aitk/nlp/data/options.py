"""Options of reading and cleaning texts, and of predictions. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.labels import MultiLabelReading
from aitk.core.contract.options import PredictOptions, option
from aitk.core.privacy.options import Redaction

#: Content of a row of embedding.
TEXTS, PAIRS, TRIPLETS, SCORED = "texts", "pairs", "triplets", "scored"


@dataclass(frozen=True)
class TextReading(Redaction):
    """Columns of the text, and cleaning. By default texts are only normalised (NFC) and trimmed;
    the same steps apply in training and in prediction."""

    text_column: list[str] | None = option(
        None,
        "column of the text, by name or number from 1; title,text joins two",
        locates=True,
    )
    header: str = option(
        "auto",
        "whether the first line has column names",
        choices=("auto", "yes", "no"),
        locates=True,
    )
    delimiter: str | None = option(None, "field separator: one character, or TAB", locates=True)
    encoding: str | None = option(
        None, "encoding of the files, such as cp1252 or gb18030", locates=True
    )
    unicode_form: str = option(
        "NFC", "Unicode normal form; NFKC also unifies widths", choices=("NFC", "NFKC", "none")
    )
    strip_html: bool = option(False, "remove HTML tags, scripts and comments, and decode entities")
    urls: str = option("keep", "web and mail addresses", choices=("keep", "replace", "remove"))
    stop_words: str | None = option(None, "remove the stop words of this language (en, de, ...)")
    lemmas: str | None = option(
        None, "replace words with their lemmas: a language (en) or an installed spaCy pipeline"
    )
    stem: str | None = option(None, "reduce words to Snowball stems of this language (en, ...)")
    lowercase: bool = option(False, "convert to lower case")
    strip_punctuation: bool = option(False, "remove punctuation and symbols")
    max_characters: int | None = option(None, "truncate longer texts", minimum=1)


@dataclass(frozen=True)
class GenerateReading(TextReading):
    """Texts or dialogues to learn to write; or running text."""

    join_lines: int | None = option(
        None,
        "read text files as running text, in passages of up to this many characters (4000)",
        minimum=100,
    )


@dataclass(frozen=True)
class ClassifyReading(MultiLabelReading, TextReading):
    """Texts, or pairs of texts, with one label or any number of labels each."""

    pair_column: str | None = option(
        None,
        "column of a second text, for labels of pairs (inference, paraphrase)",
        locates=True,
    )
    label_column: str | None = option(None, "column of the label, by name or number from 1")
    keep_na: bool = option(False, "treat NULL, nan, None and N/A as labels, not as missing values")


@dataclass(frozen=True)
class ScoreReading(TextReading):
    """Texts with one number each."""

    label_column: str | None = option(None, "column of the number, by name or number from 1")


@dataclass(frozen=True)
class TranslateReading(Redaction):
    """Columns of sources and translations, and which pairs are refused."""

    source_column: str | None = option(
        None,
        "source: column, JSON key, TMX language or file extension (train.de)",
        locates=True,
    )
    target_column: str | None = option(None, "target, in the same way", locates=True)
    header: str = option(
        "auto",
        "whether the first line has column names",
        choices=("auto", "yes", "no"),
        locates=True,
    )
    delimiter: str | None = option(None, "field separator: one character, or TAB", locates=True)
    encoding: str | None = option(
        None, "encoding of the files, such as cp1252 or gb18030", locates=True
    )
    unicode_form: str = option(
        "NFC", "Unicode normal form; NFKC also unifies widths", choices=("NFC", "NFKC", "none")
    )
    strip_html: bool = option(False, "remove HTML tags, scripts and comments, and decode entities")
    max_length_ratio: float = option(
        9.0, "maximum ratio of the lengths of a pair, in characters", minimum=1.0
    )


@dataclass(frozen=True)
class TranslateOptions(PredictOptions):
    """Search options for translation."""

    beams: int = option(4, "beam width; 1 is greedy search", minimum=1, maximum=64, scored=True)
    length_penalty: float = option(
        0.6, "exponent of the length penalty; 0 disables it", minimum=0.0, maximum=10.0, scored=True
    )


@dataclass(frozen=True)
class GenerationOptions(PredictOptions):
    """Sampling options for generation; random numbers do not depend on other rows."""

    tokens: int = option(40, "maximum number of new tokens", minimum=1, maximum=4096)
    temperature: float = option(
        0.8, "sampling temperature; 0 is greedy decoding",
        minimum=0.0, maximum=10.0,
    )  # fmt: skip
    top_p: float = option(
        0.95, "nucleus sampling: cumulative probability of the candidates",
        minimum=0.01, maximum=1.0,
    )  # fmt: skip
    top_k_tokens: int = option(
        0, "sample from this many of the most likely tokens; 0 for all", minimum=0
    )
    repetition_penalty: float = option(
        1.0, "repetition penalty; values above 1 discourage repetition", minimum=1.0, maximum=10.0
    )
    stop: list[str] | None = option(None, "strings that end a continuation")
    seed: int = option(0, "seed of the random numbers", minimum=0, maximum=2**31 - 1)


@dataclass(frozen=True)
class TagReading(Redaction):
    """Columns of texts, words and tags. Texts are not cleaned: spans are character offsets."""

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
        "auto",
        "tagging scheme of tags in columns",
        choices=("auto", "iob", "iob2", "bilou", "plain"),
    )
    encoding: str | None = option(
        None, "encoding of the files, such as cp1252 or gb18030", locates=True
    )


@dataclass(frozen=True)
class QaReading(Redaction):
    """Keys of contexts, questions and answers. Texts are not cleaned: answers are character
    offsets."""

    context_column: str | None = option(None, "key of the context in JSON lines", locates=True)
    question_column: str | None = option(None, "key of the question in JSON lines", locates=True)
    answer_column: str | None = option(None, "key of the answers in JSON lines", locates=True)
    encoding: str | None = option(
        None, "encoding of the files, such as cp1252 or gb18030", locates=True
    )


@dataclass(frozen=True)
class QaPredictOptions(PredictOptions):
    """How answers are selected, and a question without an input file."""

    context: str | None = option(None, "text file that --question is about")
    question: str | None = option(None, "a question about --context, instead of INPUT")
    no_answer_threshold: float | None = option(
        None,
        "score margin over the best answer at which there is no answer; by default tuned on"
        " the validation rows",
        scored=True,
    )


@dataclass(frozen=True)
class EmbedReading(TextReading):
    """Plain texts; with further columns: pairs, triplets or scored pairs."""

    pair_column: str | None = option(
        None,
        "column of a text that matches the first: rows are pairs",
        locates=True,
    )
    negative_column: str | None = option(
        None, "column of a text that does not match it: rows are triplets", locates=True
    )
    score_column: str | None = option(
        None, "column of the similarity of the two texts: rows are scored pairs", locates=True
    )

    @property
    def form(self) -> str:
        """Content of a row."""
        if self.score_column is not None:
            return SCORED
        if self.negative_column is not None:
            return TRIPLETS
        return PAIRS if self.pair_column is not None else TEXTS


@dataclass(frozen=True)
class EmbedOptions(PredictOptions):
    """The output for a text: its vector, or the texts or words most similar to it."""

    default_top_k: ClassVar[int] = 10

    nearest: str | None = option(
        None,
        "instead of INPUT: find the neighbours of this word or text, in the texts of --index"
        " or the vocabulary",
    )
    index: str | None = option(
        None, "file of texts, one per line: write the most similar ones for each row"
    )
    approximate: bool = option(
        False,
        "search --index in a graph of neighbours (extra search), for tens of thousands of rows: a"
        " few of the most similar may be missed",
    )
    neighbours: bool = option(
        False, "write the most similar words of the vocabulary for each row (word vectors)"
    )
    digits: int = option(6, "significant digits of vector components", minimum=1, maximum=17)
