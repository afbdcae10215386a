"""SASRec: causal self-attention over the history (Kang and McAuley 2018), and eSASRec."""

from __future__ import annotations

from typing import Any

from aitk.recsys.models.layers.attention import attention_layers
from aitk.recsys.models.layers.sequence import SequenceModel, build_sequence_model
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.tasks.settings import ESasRecSettings, SasRecSettings


def build_sasrec(
    settings: SasRecSettings, shape: ItemShape, *, gated: bool = False
) -> SequenceModel:
    """History (batch, length) -> scores of the next item (batch, items); see ``SequenceModel``.

    With the loss ``gbce``, this is gSASRec (Petrov and Macdonald 2023). Unlike in the paper, the
    feed-forward layer is four times as wide as its input, as in later transformers.
    """

    def encode(vectors: Any, history: Any) -> Any:
        return attention_layers(
            vectors,
            history,
            causal=True,
            layers=settings.layers,
            heads=settings.heads,
            max_length=settings.max_length,
            dropout=settings.dropout,
            gated=gated,
        )

    return build_sequence_model(settings, shape, encode)


def build_esasrec(settings: ESasRecSettings, shape: ItemShape) -> SequenceModel:
    """SASRec of LiGR layers (Tikhonovich et al. 2025, arXiv 2508.06450), as ``build_sasrec``."""
    return build_sasrec(settings, shape, gated=True)
