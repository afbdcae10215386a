"""A GPT-style decoder: causal attention with rotary positions, pre-norm.

Radford et al. 2019 (GPT-2); positions as in RoFormer (Su et al. 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from aitk.core.layers import Tensor
from aitk.core.layers.decoder_blocks import DecoderBlock
from aitk.nlp.models.heads import text_inputs
from aitk.nlp.tasks.settings import GptSettings

#: size -> (hidden, layers, heads).
SIZES = {"tiny": (128, 2, 2), "small": (256, 4, 4), "base": (768, 12, 12)}


def build_gpt(settings: GptSettings, vocabulary_size: int) -> keras.Model:
    """Token ids (batch, length) -> features (batch, length, hidden) of each prefix."""
    hidden, layers, heads = SIZES[settings.size]
    return Gpt(vocabulary_size, hidden, layers, heads, settings.dropout)


@keras.saving.register_keras_serializable("aitk.nlp")
class Gpt(keras.Model):
    """Token ids and padding mask to features; also one token at a time, see ``step``.

    Args:
        vocabulary_size: number of tokens.
        hidden: dimension of embeddings and features.
        layers: number of blocks of attention and feed-forward.
        heads: attention heads of each layer.
        dropout: dropout rate.
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden: int,
        layers: int,
        heads: int,
        dropout: float,
        **kwargs: Any,
    ):
        kwargs.setdefault("name", "backbone")
        inputs = text_inputs()
        normal = keras.initializers.RandomNormal(stddev=hidden**-0.5)
        x = keras.layers.Embedding(
            vocabulary_size, hidden, embeddings_initializer=normal, name="token_embedding"
        )(inputs["token_ids"])
        x = keras.layers.Dropout(dropout, name="embedding_dropout")(x)
        for index in range(layers):
            # Padding is at the end, so causal attention needs no mask.
            x = DecoderBlock(
                heads, 4 * hidden, dropout, rotary=True, activation="gelu", name=f"layer_{index}"
            )(x)
        norm = keras.layers.LayerNormalization(epsilon=1e-6, name="final_norm")
        super().__init__(inputs, norm(x), **kwargs)
        self.sizes: dict[str, Any] = {
            "vocabulary_size": vocabulary_size,
            "hidden": hidden,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
        }
        self.memory_shapes: dict[str, tuple[int | None, ...]] = {}
        self.cache_shapes = {
            f"cache_{part}_{index}": (None, heads, None, hidden // heads)
            for index in range(layers)
            for part in ("keys", "values")
        }

    def start(
        self, inputs: Mapping[str, Tensor], rows: Tensor, length: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """See ``core.decoding.incremental.Incremental``."""
        cache: dict[str, Tensor] = {}
        for index in range(self.sizes["layers"]):
            block = self.get_layer(f"layer_{index}")
            keys, values = block.empty_cache(rows, length, self.sizes["hidden"])
            cache |= {f"cache_keys_{index}": keys, f"cache_values_{index}": values}
        return {}, cache

    def step(
        self,
        token_ids: Tensor,
        place: Tensor | int,
        memory: Mapping[str, Tensor],
        cache: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Features of the new tokens (rows, new, hidden), and the cache."""
        x = self.get_layer("token_embedding")(token_ids)
        kept: dict[str, Tensor] = {}
        for index in range(self.sizes["layers"]):
            own = (cache[f"cache_keys_{index}"], cache[f"cache_values_{index}"])
            x, (keys, values) = self.get_layer(f"layer_{index}").step(x, place, own)
            kept |= {f"cache_keys_{index}": keys, f"cache_values_{index}": values}
        return self.get_layer("final_norm")(x), kept

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.sizes}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Gpt:
        return cls(**config)
