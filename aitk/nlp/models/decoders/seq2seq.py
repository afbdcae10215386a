"""Translation encoder-decoders: Transformer (Vaswani et al. 2017), LSTM (Luong et al. 2015).

Both share one embedding among source, target and output. In training they read source and
target at once; ``start`` and ``step`` are the same network, one token at a time
(``core.decoding.incremental``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.core.layers.decoder_blocks import (
    DecoderBlock,
    EncoderBlock,
    SinePositions,
    padding_penalty,
)
from aitk.nlp.models.decoders.recurrent_step import run_lstm
from aitk.nlp.models.decoders.token_logits import TokenLogits, WithHead
from aitk.nlp.models.heads import OverBackbone, text_inputs

#: size -> (hidden, layers of encoder and decoder each, heads, feed-forward units).
SIZES = {"tiny": (64, 2, 4, 256), "small": (256, 3, 4, 1024), "base": (512, 6, 8, 2048)}


def translation_inputs() -> dict[str, keras.KerasTensor]:
    """The source ``token_ids`` and ``padding_mask``, and ``target_ids``, each (batch, length)."""
    return text_inputs() | {"target_ids": keras.Input((None,), dtype="int32", name="target_ids")}


@keras.saving.register_keras_serializable("aitk.nlp")
class TransformerSeq2Seq(keras.Model):
    """A pre-norm Transformer: source and target to target features.

    Args:
        vocabulary_size: number of subwords, shared by source and target.
        hidden: dimension of embeddings and features.
        layers: number of encoder layers, and of decoder layers.
        heads: attention heads of each layer.
        width: units of the feed-forward layers.
        dropout: dropout rate.
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden: int,
        layers: int,
        heads: int,
        width: int,
        dropout: float,
        **kwargs: Any,
    ):
        kwargs.setdefault("name", "backbone")
        inputs = translation_inputs()
        embedding = _shared_embedding(vocabulary_size, hidden)
        positions = SinePositions(name="positions")
        x = keras.layers.Dropout(dropout, name="source_dropout")(
            positions(embedding(inputs["token_ids"]))
        )
        for index in range(layers):
            block = EncoderBlock(heads, width, dropout, name=f"encoder_{index}")
            x = block(x, inputs["padding_mask"])
        x = _norm("encoder_norm")(x)
        y = keras.layers.Dropout(dropout, name="target_dropout")(
            positions(embedding(inputs["target_ids"]))
        )
        for index in range(layers):
            block = DecoderBlock(heads, width, dropout, crosses=True, name=f"decoder_{index}")
            y = block(y, x, inputs["padding_mask"])
        super().__init__(inputs, _norm("decoder_norm")(y), **kwargs)
        self.sizes: dict[str, Any] = {
            "vocabulary_size": vocabulary_size,
            "hidden": hidden,
            "layers": layers,
            "heads": heads,
            "width": width,
            "dropout": dropout,
        }
        kept = (None, heads, None, hidden // heads)
        parts = [f"{part}_{index}" for index in range(layers) for part in ("keys", "values")]
        self.memory_shapes: dict[str, Shape] = {f"memory_{part}": kept for part in parts}
        self.memory_shapes |= {"memory_penalty": (None, 1, 1, None)}
        self.cache_shapes = {f"cache_{part}": kept for part in parts}

    def encode(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Source features (batch, source, hidden), without dropout."""
        x = self.get_layer("token_embedding")(inputs["token_ids"])
        x = self.get_layer("positions")(x)
        for index in range(self.sizes["layers"]):
            x = self.get_layer(f"encoder_{index}")(x, inputs["padding_mask"], training=False)
        return self.get_layer("encoder_norm")(x)

    def start(
        self, inputs: Mapping[str, Tensor], rows: Tensor, length: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """See ``core.decoding.incremental.Incremental``."""
        encoded = self.encode(inputs)
        penalty = ops.cast(padding_penalty(inputs["padding_mask"]), self.compute_dtype)
        memory: dict[str, Tensor] = {"memory_penalty": penalty}
        cache: dict[str, Tensor] = {}
        for index, block in enumerate(self._blocks()):
            keys, values = block.cross_attention.keys_values(encoded)
            memory |= {f"memory_keys_{index}": keys, f"memory_values_{index}": values}
            keys, values = block.empty_cache(rows, length, self.sizes["hidden"])
            cache |= {f"cache_keys_{index}": keys, f"cache_values_{index}": values}
        return memory, cache

    def step(
        self,
        token_ids: Tensor,
        place: Tensor | int,
        memory: Mapping[str, Tensor],
        cache: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Features of the new target tokens (rows, new, hidden), and the cache."""
        x = self.get_layer("positions")(self.get_layer("token_embedding")(token_ids), place)
        kept: dict[str, Tensor] = {}
        penalty = ops.cast(memory["memory_penalty"], "float32")
        for index, block in enumerate(self._blocks()):
            own, crossed = (
                (arrays[f"{kind}_keys_{index}"], arrays[f"{kind}_values_{index}"])
                for kind, arrays in (("cache", cache), ("memory", memory))
            )
            x, (keys, values) = block.step(x, place, own, crossed, penalty)
            kept |= {f"cache_keys_{index}": keys, f"cache_values_{index}": values}
        return self.get_layer("decoder_norm")(x), kept

    def alignment(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Attention of each target position to the source, averaged over the heads of the last
        layer: (batch, target, source)."""
        encoded = self.encode(inputs)
        x = self.get_layer("positions")(self.get_layer("token_embedding")(inputs["target_ids"]))
        *before, last = self._blocks()
        for block in before:
            x = block(x, encoded, inputs["padding_mask"], training=False)
        return last.look(x, encoded, inputs["padding_mask"])

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.sizes}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TransformerSeq2Seq:
        return cls(**config)

    def _blocks(self) -> list[DecoderBlock]:
        return [self.get_layer(f"decoder_{index}") for index in range(self.sizes["layers"])]


@keras.saving.register_keras_serializable("aitk.nlp")
class LstmSeq2Seq(keras.Model):
    """LSTMs with global attention (Luong et al. 2015, sections 3 and 3.1, score "general").

    The decoder has no input feeding (their section 3.3), so that all target tokens
    are processed at once in training.

    Args:
        vocabulary_size: number of subwords, shared by source and target.
        hidden: dimension of embeddings and states.
        layers: number of layers of the bidirectional encoder, and of the decoder.
        dropout: dropout rate between the layers.
    """

    def __init__(
        self, vocabulary_size: int, hidden: int, layers: int, dropout: float, **kwargs: Any
    ):
        kwargs.setdefault("name", "backbone")
        inputs = translation_inputs()
        made: dict[str, Any] = {"token_embedding": _shared_embedding(vocabulary_size, hidden)}
        for index in range(layers):
            half = _lstm(hidden // 2, f"cell_{index}")
            made[f"encoder_{index}"] = keras.layers.Bidirectional(half, name=f"encoder_{index}")
            made[f"source_dropout_{index}"] = _dropout(dropout, f"source_dropout_{index}")
        x, states = _encode_lstm(made.__getitem__, inputs, layers)
        y = made["token_embedding"](inputs["target_ids"])
        for index in range(layers):
            y = _dropout(dropout, f"target_dropout_{index}")(y)
            y, *_ = _lstm(hidden, f"decoder_{index}")(y, initial_state=states[index])
        y = GlobalAttention(name="attention")(y, x, inputs["padding_mask"])
        super().__init__(inputs, _dropout(dropout, "last_dropout")(y), **kwargs)
        self.sizes: dict[str, Any] = {
            "vocabulary_size": vocabulary_size,
            "hidden": hidden,
            "layers": layers,
            "dropout": dropout,
        }
        self.memory_shapes = {
            "memory_features": (None, None, hidden),
            "memory_penalty": (None, 1, None),
        }
        parts = [f"{part}_{index}" for index in range(layers) for part in ("output", "cell")]
        self.cache_shapes = {f"cache_{part}": (None, hidden) for part in parts}

    def start(
        self, inputs: Mapping[str, Tensor], rows: Tensor, length: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """See ``core.decoding.incremental.Incremental``."""
        features, states = _encode_lstm(self.get_layer, inputs, self.sizes["layers"])
        penalty = padding_penalty(inputs["padding_mask"])[:, 0]
        memory = {"memory_features": features}
        memory["memory_penalty"] = ops.cast(penalty, self.compute_dtype)
        cache: dict[str, Tensor] = {}
        for index, (output, cell) in enumerate(states):
            cache |= {f"cache_output_{index}": output, f"cache_cell_{index}": cell}
        return memory, cache

    def step(
        self,
        token_ids: Tensor,
        place: Tensor | int,
        memory: Mapping[str, Tensor],
        cache: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Features of the new target tokens (rows, new, hidden), and the cache."""
        x = self.get_layer("token_embedding")(token_ids)
        kept: dict[str, Tensor] = {}
        for index in range(self.sizes["layers"]):
            states = [cache[f"cache_{part}_{index}"] for part in ("output", "cell")]
            x, states = run_lstm(self.get_layer(f"decoder_{index}"), x, states)
            kept |= {f"cache_output_{index}": states[0], f"cache_cell_{index}": states[1]}
        attend = self.get_layer("attention").attend
        return attend(x, memory["memory_features"], memory["memory_penalty"]), kept

    def alignment(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Attention of each target position to the source: (batch, target, source)."""
        features, states = _encode_lstm(self.get_layer, inputs, self.sizes["layers"])
        x = self.get_layer("token_embedding")(inputs["target_ids"])
        for index in range(self.sizes["layers"]):
            x, *_ = self.get_layer(f"decoder_{index}")(x, initial_state=states[index])
        penalty = padding_penalty(inputs["padding_mask"])[:, 0]
        return self.get_layer("attention").look(x, features, penalty)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.sizes}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LstmSeq2Seq:
        return cls(**config)


@keras.saving.register_keras_serializable("aitk.nlp")
class GlobalAttention(keras.layers.Layer):
    """Attentional vectors (Luong et al. 2015, equations 5 and 8): tanh(W [context; state])."""

    def build(
        self, states_shape: Shape, features_shape: Shape, padding_mask_shape: Shape | None = None
    ) -> None:
        hidden = states_shape[-1]
        self.score_dense = keras.layers.Dense(
            features_shape[-1], use_bias=False, name="score", dtype=self.dtype_policy
        )
        self.score_dense.build(states_shape)
        self.combine_dense = keras.layers.Dense(
            hidden, activation="tanh", use_bias=False, name="combine", dtype=self.dtype_policy
        )
        self.combine_dense.build((*states_shape[:-1], hidden + features_shape[-1]))

    def call(self, states: list[Tensor], features: Tensor, padding_mask: Tensor) -> Tensor:
        # (batch, target, hidden), (batch, source, hidden) -> (batch, target, hidden)
        return self.attend(states, features, padding_penalty(padding_mask)[:, 0])

    def attend(self, states: list[Tensor], features: Tensor, penalty: Tensor) -> Tensor:
        """Attention with a given penalty on the scores of padding (batch, 1, source)."""
        weights = ops.cast(self.look(states, features, penalty), features.dtype)
        context = ops.matmul(weights, features)
        return self.combine_dense(ops.concatenate([context, states], axis=-1))

    def look(self, states: list[Tensor], features: Tensor, penalty: Tensor) -> Tensor:
        """The attention weights, float32 (batch, target, source)."""
        scores = ops.matmul(self.score_dense(states), ops.transpose(features, (0, 2, 1)))
        return ops.softmax(ops.cast(scores, "float32") + ops.cast(penalty, "float32"), axis=-1)

    def compute_output_shape(
        self, states_shape: Shape, features_shape: Shape, padding_mask_shape: Shape | None = None
    ) -> Shape:
        return states_shape


@keras.saving.register_keras_serializable("aitk.nlp")
class Translator(OverBackbone):
    """An encoder-decoder with tied subword embeddings.

    Inputs: see ``translation_inputs``. Output: float32 logits of the token after each target
    token (batch, target, vocabulary).
    """

    #: What ``alignment`` measures.
    alignment_measure = "attention"

    def __init__(self, backbone: keras.Model, **kwargs: Any):
        inputs = translation_inputs()
        head = TokenLogits(backbone.get_layer("token_embedding"), name="head")
        super().__init__(inputs, head(backbone(inputs)), **kwargs)

    def incremental(self) -> WithHead:
        """See ``core.decoding.incremental.Decodes``."""
        shapes = {"token_ids": (None, None), "padding_mask": (None, None)}
        return WithHead(self.get_layer("backbone"), self.get_layer("head"), shapes)

    def alignment(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Attention of each target position to the source: (batch, target, source)."""
        return self.get_layer("backbone").alignment(inputs)


def _encode_lstm(
    layer: Callable[[str], Any], inputs: Mapping[str, Tensor], layers: int
) -> tuple[Tensor, list[list[Tensor]]]:
    """Source features (batch, source, hidden), and the last (output, cell) of each layer."""
    mask = ops.cast(inputs["padding_mask"], "bool")
    x = layer("token_embedding")(inputs["token_ids"])
    states: list[list[Tensor]] = []
    for index in range(layers):
        x = layer(f"source_dropout_{index}")(x)
        # Masked steps do not change a state: backwards, a text starts after its padding.
        x, *ends = layer(f"encoder_{index}")(x, mask=mask)
        forward, backward = ends[:2], ends[2:]
        pairs = zip(forward, backward, strict=True)
        states.append([ops.concatenate(pair, axis=-1) for pair in pairs])
    return x, states


def _shared_embedding(vocabulary_size: int, hidden: int) -> keras.layers.Embedding:
    normal = keras.initializers.RandomNormal(stddev=hidden**-0.5)
    return keras.layers.Embedding(
        vocabulary_size, hidden, embeddings_initializer=normal, name="token_embedding"
    )


def _lstm(units: int, name: str) -> keras.layers.LSTM:
    return keras.layers.LSTM(units, return_sequences=True, return_state=True, name=name)


def _dropout(share: float, name: str) -> keras.layers.Dropout:
    return keras.layers.Dropout(share, name=name)


def _norm(name: str) -> keras.layers.LayerNormalization:
    return keras.layers.LayerNormalization(epsilon=1e-6, name=name)
