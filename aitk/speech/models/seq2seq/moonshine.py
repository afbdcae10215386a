"""Single-token decoding of Moonshine (Jeffries et al. 2024) with the layers of Keras Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Tensor
from aitk.speech.models.seq2seq.whisper import attend_to_audio, attend_to_tokens, by_head, place_at


class MoonshineDecoder:
    """Decoder with inputs ``samples`` (batch, n, 1) float32 and ``padding_mask`` (batch, n) int32;
    see ``generation.open_decoder``."""

    def __init__(self, network: Any):
        self._network = network
        self.compute_dtype = network.compute_dtype
        self.inputs = {
            "samples": keras.Input((None, 1), dtype="float32", name="samples"),
            "padding_mask": keras.Input((None,), dtype="int32", name="padding_mask"),
        }
        read = ("encoder_input_values", "encoder_padding_mask")
        outputs = ("encoder_sequence_output", "encoder_attention_mask")
        self._encode = keras.Function(
            [network.input[name] for name in read], [network.output[name] for name in outputs]
        )

    def teacher_forcing(self, inputs: Mapping[str, Tensor], token_ids: Tensor) -> Tensor:
        """(batch, length, hidden): hidden states after each token."""
        return self._network(
            {
                "encoder_input_values": inputs["samples"],
                "encoder_padding_mask": ops.cast(inputs["padding_mask"], "bool"),
                "decoder_token_ids": token_ids,
                "decoder_padding_mask": ops.ones_like(token_ids, dtype="bool"),
            }
        )["decoder_sequence_output"]

    def encode(self, inputs: Mapping[str, Tensor]) -> list[tuple[Tensor, ...]]:
        """Keys and values of the recording in every layer, (batch, heads, steps, size) each, and
        the mask of real steps."""
        mask = ops.cast(inputs["padding_mask"], "bool")
        encoded, real = self._encode([inputs["samples"], mask])
        layers = [block.cross_attention for block in self._network.decoder_blocks]
        return [
            (by_head(layer._key_dense(encoded)), by_head(layer._value_dense(encoded)), real)
            for layer in layers
        ]

    def empty_cache(self, batch: Tensor, beams: Tensor, length: Tensor) -> list[Tensor]:
        """Empty keys and values of tokens: (batch, beams, heads, length, size) each."""
        blocks = self._network.decoder_blocks
        shape = (batch, beams, blocks[0].num_heads, length, blocks[0].head_dim)
        return [ops.zeros(shape, self.compute_dtype) for _ in range(2 * len(blocks))]

    def step(
        self,
        tokens: Tensor,
        at: Tensor,
        memory: Sequence[tuple[Tensor, ...]],
        cache: Sequence[Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        """Hidden states after ``tokens`` (batch, beams) at position ``at``: (batch, beams, hidden),
        and the updated cache."""
        turn = self._network.decoder_rotary_embedding(ops.reshape(at, (1,)))[0]  # (turned,)
        x = self._network.token_embedding(tokens)
        new_cache = []
        for index, block in enumerate(self._network.decoder_blocks):
            own, cross = block.self_attention, block.cross_attention
            y = block.norm1(x)
            keys = place_at(at, _rotate(own._key_dense(y), turn), cache[2 * index])
            values = place_at(at, own._value_dense(y), cache[2 * index + 1])
            y = attend_to_tokens(_rotate(own._query_dense(y), turn), keys, values, at)
            x = x + own._output_dense(y)
            y = attend_to_audio(cross._query_dense(block.norm2(x)), *memory[index])
            x = x + cross._output_dense(y)
            x = x + block.ff(block.norm3(x))
            new_cache += [keys, values]
        return self._network.decoder_post_norm(x), new_cache


def _rotate(array: Tensor, turn: Tensor) -> Tensor:
    """Rotary position embedding (Su et al. 2021, section 3.4.2): rotate pairs of neighbours.

    Args:
        array: (batch, beams, heads, size).
        turn: (turned,) angles; dimensions beyond them are unchanged.
    """
    count = turn.shape[-1]
    turn = ops.cast(turn, "float32")
    part = ops.cast(array[..., :count], "float32")
    pairs = ops.reshape(part, (*ops.shape(part)[:-1], count // 2, 2))
    across = ops.reshape(ops.stack([-pairs[..., 1], pairs[..., 0]], axis=-1), ops.shape(part))
    part = part * ops.cos(turn) + across * ops.sin(turn)
    return ops.concatenate([ops.cast(part, array.dtype), array[..., count:]], axis=-1)
