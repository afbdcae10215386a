"""BERT4Rec: bidirectional attention, trained to predict masked items (Sun et al. 2019)."""

from __future__ import annotations

from typing import Any

from aitk.recsys.models.layers.attention import attention_layers
from aitk.recsys.models.layers.sequence import SequenceModel, build_sequence_model
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.tasks.settings import Bert4RecSettings


def build_bert4rec(settings: Bert4RecSettings, shape: ItemShape) -> SequenceModel:
    """History (batch, length) -> scores of the next item (batch, items); see ``SequenceModel``.

    In training, target items are replaced by the number items + 1, and ``positives`` has them at
    their positions. Unlike in the paper, the layers are pre-norm: the backbone has the same weights
    as SASRec's.
    """

    def encode(vectors: Any, history: Any) -> Any:
        return attention_layers(
            vectors,
            history,
            causal=False,
            layers=settings.layers,
            heads=settings.heads,
            max_length=settings.max_length + 1,  # plus the mask for the next item
            dropout=settings.dropout,
        )

    return build_sequence_model(settings, shape, encode, masked=True)
