"""The LSTM language model (Zaremba et al. 2014)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Tensor
from aitk.nlp.models.decoders.recurrent_step import run_lstm
from aitk.nlp.models.heads import text_inputs
from aitk.nlp.tasks.settings import CausalLstmSettings


def build_lstm(settings: CausalLstmSettings, vocabulary_size: int) -> keras.Model:
    """Token ids (batch, length) -> states (batch, length, hidden) of each prefix."""
    return LstmLanguageModel(vocabulary_size, settings.hidden, settings.layers, settings.dropout)


@keras.saving.register_keras_serializable("aitk.nlp")
class LstmLanguageModel(keras.Model):
    """Token ids and padding mask to states; also one token at a time, see ``step``.

    Args:
        vocabulary_size: number of tokens.
        hidden: dimension of embeddings and states.
        layers: number of LSTM layers.
        dropout: dropout rate before each layer and after the last.
    """

    def __init__(
        self, vocabulary_size: int, hidden: int, layers: int, dropout: float, **kwargs: Any
    ):
        kwargs.setdefault("name", "backbone")
        inputs = text_inputs()
        x = keras.layers.Embedding(vocabulary_size, hidden, name="token_embedding")(
            inputs["token_ids"]
        )
        # Padding is at the end, after all that is read, so no mask is needed.
        for index in range(layers):
            x = keras.layers.Dropout(dropout, name=f"dropout_{index}")(x)
            cell = keras.layers.LSTM(
                hidden, return_sequences=True, return_state=True, name=f"cell_{index}"
            )
            x, *_ = cell(x)
        x = keras.layers.Dropout(dropout, name="last_dropout")(x)
        super().__init__(inputs, x, **kwargs)
        self.sizes: dict[str, Any] = {
            "vocabulary_size": vocabulary_size,
            "hidden": hidden,
            "layers": layers,
            "dropout": dropout,
        }
        self.memory_shapes: dict[str, tuple[int | None, ...]] = {}
        parts = [f"{part}_{index}" for index in range(layers) for part in ("output", "cell")]
        self.cache_shapes = {f"cache_{part}": (None, hidden) for part in parts}

    def start(
        self, inputs: Mapping[str, Tensor], rows: Tensor, length: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """See ``core.decoding.incremental.Incremental``."""
        shape = (rows, self.sizes["hidden"])
        return {}, {name: ops.zeros(shape, self.compute_dtype) for name in self.cache_shapes}

    def step(
        self,
        token_ids: Tensor,
        place: Tensor | int,
        memory: Mapping[str, Tensor],
        cache: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """States of the new tokens (rows, new, hidden), and the cache."""
        x = self.get_layer("token_embedding")(token_ids)
        kept: dict[str, Tensor] = {}
        for index in range(self.sizes["layers"]):
            states = [cache[f"cache_{part}_{index}"] for part in ("output", "cell")]
            x, states = run_lstm(self.get_layer(f"cell_{index}"), x, states)
            kept |= {f"cache_output_{index}": states[0], f"cache_cell_{index}": states[1]}
        return x, kept

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.sizes}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LstmLanguageModel:
        return cls(**config)
