"""Single-token decoding of Whisper (Radford et al. 2023) with the layers of Keras Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Tensor


class WhisperDecoder:
    """Decoder with input ``features`` (batch, 3000, filters) float32; see ``open_decoder``."""

    def __init__(self, network: Any):
        self._network = network
        self.compute_dtype = network.compute_dtype
        self.inputs = {
            "features": keras.Input(
                (network.max_encoder_sequence_length, network.num_mels),
                dtype="float32",
                name="features",
            )
        }
        self._encode = keras.Function(
            network.input["encoder_features"], network.output["encoder_sequence_output"]
        )

    def teacher_forcing(self, inputs: Mapping[str, Tensor], token_ids: Tensor) -> Tensor:
        """(batch, length, hidden): hidden states after each token."""
        return self._network(
            {
                "encoder_features": inputs["features"],
                "decoder_token_ids": token_ids,
                "decoder_padding_mask": ops.ones_like(token_ids),
            }
        )["decoder_sequence_output"]

    def encode(self, inputs: Mapping[str, Tensor]) -> list[tuple[Tensor, ...]]:
        """Keys and values of the recording in every layer, (batch, heads, steps, size) each."""
        encoded = self._encode(inputs["features"])
        return [
            (by_head(layer._key_dense(encoded)), by_head(layer._value_dense(encoded)))
            for layer in self._cross_attentions()
        ]

    def empty_cache(self, batch: Tensor, beams: Tensor, length: Tensor) -> list[Tensor]:
        """Empty keys and values of tokens: (batch, beams, heads, length, size) each."""
        size = self._network.hidden_dim // self._network.num_heads
        shape = (batch, beams, self._network.num_heads, length, size)
        return [ops.zeros(shape, self.compute_dtype) for _ in range(2 * self._network.num_layers)]

    def step(
        self,
        tokens: Tensor,
        at: Tensor,
        memory: Sequence[tuple[Tensor, ...]],
        cache: Sequence[Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        """Hidden states after ``tokens`` (batch, beams) at position ``at``: (batch, beams, hidden),
        and the updated cache."""
        embeddings = self._network.decoder_embeddings
        position = ops.take(embeddings.position_embedding.position_embeddings, at, axis=0)
        x = embeddings.token_embedding(tokens)
        x = x + ops.cast(position, x.dtype)
        new_cache = []
        for index, layer in enumerate(self._network.decoder_transformer_layers):
            own, cross = layer._self_attention_layer, layer._cross_attention_layer
            y = layer._self_attention_layer_norm(x)
            keys = place_at(at, own._key_dense(y), cache[2 * index])
            values = place_at(at, own._value_dense(y), cache[2 * index + 1])
            y = attend_to_tokens(own._query_dense(y), keys, values, at)
            x = x + own._output_dense(y)
            y = layer._cross_attention_layer_norm(x)
            y = attend_to_audio(cross._query_dense(y), *memory[index])
            x = x + cross._output_dense(y)
            y = layer._feedforward_layer_norm(x)
            x = x + layer._feedforward_output_dense(layer._feedforward_intermediate_dense(y))
            new_cache += [keys, values]
        return self._network.decoder_layer_norm(x), new_cache

    def trace(
        self, tokens: Tensor, memory: Sequence[tuple[Tensor, ...]], heads: Sequence[tuple[int, int]]
    ) -> Tensor:
        """Attention of each token (batch, length) to each step of the recording, averaged over the
        given (layer, head) pairs: (batch, length, steps)."""
        x = self._network.decoder_embeddings(tokens)
        looks = []
        for index, layer in enumerate(self._network.decoder_transformer_layers):
            own, cross = layer._self_attention_layer, layer._cross_attention_layer
            y = layer._self_attention_layer_norm(x)
            x = x + own(y, y, attention_mask=_causal(tokens))
            y = layer._cross_attention_layer_norm(x)
            keys, values = memory[index]
            queries = by_head(cross._query_dense(y))  # (batch, heads, length, size)
            scores = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2)))
            look = ops.softmax(ops.cast(scores * queries.shape[-1] ** -0.5, "float32"))
            looks += [look[:, head] for at, head in heads if at == index]
            x = x + cross._output_dense(by_head(ops.matmul(ops.cast(look, values.dtype), values)))
            y = layer._feedforward_layer_norm(x)
            x = x + layer._feedforward_output_dense(layer._feedforward_intermediate_dense(y))
        return sum(looks) / len(looks)

    def _cross_attentions(self) -> list[keras.layers.Layer]:
        return [layer._cross_attention_layer for layer in self._network.decoder_transformer_layers]


def by_head(array: Tensor) -> Tensor:
    # (batch, steps, heads, size) -> (batch, heads, steps, size), and back
    return ops.transpose(array, (0, 2, 1, 3))


def _causal(tokens: Tensor) -> Tensor:
    """(1, length, length) bool: the causal attention mask."""
    places = ops.arange(ops.shape(tokens)[1])
    return (places[None, :] <= places[:, None])[None]


def place_at(at: Tensor, new: Tensor, cache: Tensor) -> Tensor:
    """Write (batch, beams, heads, size) at a position of (batch, beams, heads, length, size)."""
    here = ops.arange(cache.shape[3])[:, None] == at
    return ops.where(here, new[..., None, :], cache)


def attend_to_tokens(queries: Tensor, keys: Tensor, values: Tensor, at: Tensor) -> Tensor:
    """Attention of the newest token to the tokens so far: (batch, beams, heads, size)."""
    scores = ops.einsum("bkhd,bkhld->bkhl", queries, keys) * queries.shape[-1] ** -0.5
    scores = ops.where(ops.arange(keys.shape[3]) <= at, ops.cast(scores, "float32"), -1e9)
    return ops.einsum("bkhl,bkhld->bkhd", ops.cast(ops.softmax(scores), values.dtype), values)


def attend_to_audio(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Attention of the newest tokens of all beams to one recording: (batch, beams, heads, size).

    ``mask`` (batch, steps) is true for real steps.
    """
    scores = ops.einsum("bkhd,bhsd->bkhs", queries, keys) * queries.shape[-1] ** -0.5
    scores = ops.cast(scores, "float32")
    if mask is not None:
        scores = ops.where(mask[:, None, None], scores, -1e9)
    return ops.einsum("bkhs,bhsd->bkhd", ops.cast(ops.softmax(scores), values.dtype), values)
