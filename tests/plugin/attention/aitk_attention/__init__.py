"""A text classifier with word attention for aitk: its settings and its specification.

Lists of models import this file, so that it imports nothing heavy.
"""

from dataclasses import dataclass

from aitk.core.contract.options import option
from aitk.nlp.models.specs import TextClassifier
from aitk.nlp.tasks.settings import TextSettings


@dataclass(frozen=True)
class AttentionSettings(TextSettings):
    """Embedded tokens, weighted by attention (Yang et al. 2016, section 2.2)."""

    hidden: int = option(64, "embedding dimension", minimum=1, search="32..128")
    dropout: float = option(0.1, "dropout rate", minimum=0.0, maximum=0.9)


ATTENTION = TextClassifier(AttentionSettings, "aitk_attention.backbone:build_backbone")
