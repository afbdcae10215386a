"""One readable file an architecture.

Every backbone is a functional Keras model named ``backbone``: ``token_ids`` and ``padding_mask``
(1 = a real token), both int32 of shape (batch, length), become features of shape
(batch, length, hidden). How far a batch is padded never changes the features of a real token.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import UsageError

if TYPE_CHECKING:
    import keras


def build_backbone(
    model: str, settings: Any, vocabulary_size: int, *, classes: int | None = None
) -> keras.Model:
    """Build the backbone that a model's name stands for, with new weights.

    Args:
        classes: how many it is to tell apart, if it is.
    """
    from aitk.nlp.models import bag, cnn, rnn, transformer

    builders = {
        "bag": functools.partial(bag.build_backbone, classes=classes),
        "cnn": cnn.build_backbone,
        "rnn": rnn.build_rnn_backbone,
        "lstm": rnn.build_lstm_backbone,
        "transformer": transformer.build_backbone,
    }
    if model not in builders:
        raise UsageError(
            f"the model {model!r} has no weights of its own to start from",
            where="--model",
            hint="Name pretrained weights with --from, or choose " + ", ".join(builders),
        )
    return builders[model](settings, vocabulary_size)


def check_length(backbone: keras.Model, max_length: int) -> None:
    """Refuse texts longer than the positions that a backbone has learned.

    Raises:
        UsageError: ``max_length`` is above that.
    """
    for layer in backbone.layers:
        longest = getattr(layer, "max_length", None) or getattr(layer, "max_sequence_length", None)
        if longest is not None and max_length > longest:
            raise UsageError(
                f"max_length is {max_length}, but the model has {longest} positions",
                where="--set max_length",
                hint=f"At most {longest}",
            )
