"""Language identification for aitk: its place in the table of tasks, and its reading options.

Help texts import this file, so that it imports nothing heavy.
"""

from dataclasses import dataclass

from aitk.core.contract.options import option
from aitk.nlp.data.options import TextReading
from aitk.registry import Row


@dataclass(frozen=True)
class LanguageReading(TextReading):
    """Texts with their languages."""

    label_column: str = option("language", "column of the language, by name or number from 1")


LANGUAGE = Row(
    task="aitk_language.task:Language",
    reading="aitk_language:LanguageReading",
    summary="the language of a text, from its bytes",
    sample="sample_data/languages.csv",
)
