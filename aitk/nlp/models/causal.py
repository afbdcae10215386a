"""Networks that foretell the next token, whatever comes after it being hidden from them.

GPT (Radford et al. 2018, 2019), the LSTM language model (Zaremba et al. 2014), and any decoder of
Keras Hub.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.nlp.models import transformer
from aitk.nlp.models.inputs import text_inputs
from aitk.nlp.models.tied import OverBackbone, TiedLogits, token_embedding
from aitk.nlp.tasks.settings import CausalLstmSettings

PROBED_TOKENS = 8


def build_causal_backbone(model: str, settings: Any, vocabulary_size: int) -> keras.Model:
    """Token ids (batch, length) -> features (batch, length, hidden), each of what came so far."""
    if model == "gpt":
        return transformer.build_backbone(settings, vocabulary_size, causal=True)
    if model == "lstm":
        return _build_lstm(settings, vocabulary_size)
    raise UsageError(
        f"the model {model!r} has no weights of its own to start from",
        where="--model",
        hint="Name pretrained weights with --from, or choose gpt, lstm",
    )


def _build_lstm(settings: CausalLstmSettings, vocabulary_size: int) -> keras.Model:
    inputs = text_inputs()
    x = keras.layers.Embedding(vocabulary_size, settings.hidden, name="token_embedding")(
        inputs["token_ids"]
    )
    # Padding stands at the end, after all that is read: nothing needs to be masked.
    for index in range(settings.layers):
        x = keras.layers.Dropout(settings.dropout, name=f"dropout_{index}")(x)
        x = keras.layers.LSTM(settings.hidden, return_sequences=True, name=f"cell_{index}")(x)
    x = keras.layers.Dropout(settings.dropout, name="last_dropout")(x)
    return keras.Model(inputs, x, name="backbone")


@keras.saving.register_keras_serializable("aitk.nlp")
class NextTokens(OverBackbone):
    """A causal backbone, and the embedding of the tokens read backwards.

    Inputs: ``token_ids`` and ``padding_mask`` (batch, length). Output: float32 logits of the token
    after each (batch, length, vocabulary), all zero in padding.
    """

    def __init__(self, backbone: keras.Model, **kwargs: Any):
        inputs = text_inputs()
        head = TiedLogits(token_embedding(backbone), dtype="float32", name="head")
        super().__init__(inputs, head(backbone(inputs), inputs["padding_mask"]), **kwargs)


def check_causal(backbone: keras.Model) -> None:
    """Refuse a backbone whose features of a token depend on the tokens after it.

    Raises:
        ArtifactError: it would be shown what it is to foretell.
    """
    known = token_embedding(backbone).input_dim
    token_ids = np.tile(np.arange(PROBED_TOKENS, dtype=np.int32) % known, (2, 1))
    token_ids[1, -1] = 0
    mask = np.ones_like(token_ids)
    features = keras.ops.convert_to_numpy(
        backbone({"token_ids": token_ids, "padding_mask": mask}, training=False)
    )
    if not np.allclose(features[0, :-1], features[1, :-1], atol=1e-4):
        raise ArtifactError(
            "the network reads both ways: it sees the words that it is to foretell",
            hint="Start from a decoder such as GPT-2, or from a run of this task",
        )
