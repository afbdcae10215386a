"""Translators around Keras Hub's encoder-decoders: T5 (Raffel et al. 2020), BART (Lewis et al.
2020)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import numpy as np
from keras import ops

from aitk.core.contract.errors import ArtifactError
from aitk.core.layers import Shape, Tensor
from aitk.nlp.models.decoders.seq2seq import translation_inputs
from aitk.nlp.models.decoders.token_logits import WithHead
from aitk.nlp.models.heads import OverBackbone

#: Keras Hub's network -> its task, which has the encoder and the decoder as functions.
TASKS: dict[type, Any] = {
    keras_hub.models.T5Backbone: keras_hub.models.T5Seq2SeqLM,
    keras_hub.models.BartBackbone: keras_hub.models.BartSeq2SeqLM,
}


def wrap_seq2seq(network: keras_hub.models.Backbone) -> keras.Model:
    """Give a Keras Hub encoder-decoder the inputs and the output of a translation backbone.

    Raises:
        ArtifactError: it is not one of ``TASKS``.
    """
    if type(network) not in TASKS:
        raise ArtifactError(
            f"a {type(network).__name__} is not an encoder-decoder that can translate",
            hint="T5 and BART are supported",
        )
    inputs = translation_inputs()
    given = {
        "encoder_token_ids": inputs["token_ids"],
        "encoder_padding_mask": inputs["padding_mask"],
        "decoder_token_ids": inputs["target_ids"],
        # The decoder is causal: padding after a text has no effect on it.
        "decoder_padding_mask": ops.ones_like(inputs["target_ids"]),
    }
    features = network(given)["decoder_sequence_output"]
    return keras.Model(inputs, features, name="backbone")


@keras.saving.register_keras_serializable("aitk.nlp")
class HubTranslator(OverBackbone):
    """A pretrained encoder-decoder with its own output embeddings.

    Inputs and output as of ``seq2seq.Translator``.

    Args:
        backbone: from ``wrap_seq2seq``.
        vocabulary_size: tokens of the tokeniser; T5's table has more rows, which are unused.
    """

    #: What ``alignment`` measures.
    alignment_measure = "log-probability lost without it"

    def __init__(self, backbone: keras.Model, vocabulary_size: int, **kwargs: Any):
        inputs = translation_inputs()
        head = HubLogits(network_of(backbone), vocabulary_size, name="head")
        super().__init__(inputs, head(backbone(inputs)), **kwargs)
        self.vocabulary_size = vocabulary_size

    def incremental(self) -> WithHead:
        """See ``core.decoding.incremental.Decodes``."""
        step = HubSeq2SeqStep(network_of(self.get_layer("backbone")))
        return WithHead(step, self.get_layer("head"), HubSeq2SeqStep.start_shapes)

    def alignment(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """How much less likely each target token is without each source token, from 0 on.

        Keras Hub's layers do not return their attention.

        Args:
            inputs: one row.

        Returns:
            (1, target, source) in nats.
        """
        count = inputs["token_ids"].shape[1]
        given = {name: np.repeat(array, count + 1, axis=0) for name, array in inputs.items()}
        given["padding_mask"][np.arange(1, count + 1), np.arange(count)] = 0
        chances = ops.convert_to_numpy(ops.log_softmax(self(given, training=False)))
        written = np.append(inputs["target_ids"][0, 1:], chances[0, -1].argmax())
        own = chances[:, np.arange(len(written)), written]  # (1 + source, target)
        return np.maximum(own[0] - own[1:], 0).T[None]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"vocabulary_size": self.vocabulary_size}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> HubTranslator:
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(backbone, config["vocabulary_size"], name=config["name"])


class HubLogits(keras.layers.Layer):
    """Float32 logits by the output embeddings of a Keras Hub network, without new weights."""

    def __init__(self, network: Any, vocabulary_size: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.embedding = network.token_embedding
        self.vocabulary_size = vocabulary_size
        # T5 with tied embeddings is trained with scaled features (Keras Hub's T5Seq2SeqLM).
        scaled = getattr(network, "tie_embedding_weights", False)
        self.scale = float(network.hidden_dim**-0.5) if scaled else 1.0

    def call(self, features: Tensor) -> Tensor:
        # (batch, length, hidden) -> (batch, length, vocabulary)
        logits = self.embedding(features * ops.cast(self.scale, features.dtype), reverse=True)
        return ops.cast(logits[..., : self.vocabulary_size], "float32")

    def compute_output_spec(self, features: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor((*features.shape[:-1], self.vocabulary_size), dtype="float32")


class HubSeq2SeqStep:
    """Encoder, features and cache of a Keras Hub encoder-decoder.

    The two caches, of the tokens so far and of the source, are one array each: (rows, layers, 2,
    length, heads, size).
    """

    start_shapes: dict[str, Shape] = {"token_ids": (None, None), "padding_mask": (None, None)}

    def __init__(self, network: Any):
        self._task = TASKS[type(network)](backbone=network, preprocessor=None)
        size = getattr(network, "key_value_dim", None) or network.hidden_dim // network.num_heads
        self._sizes = (network.num_layers, 2, network.num_heads, size)
        layers, pair, heads, size = self._sizes
        kept = (None, layers, pair, None, heads, size)
        self.compute_dtype = network.compute_dtype
        self.cache_shapes: dict[str, Shape] = {"cache_tokens": kept}
        self.memory_shapes: dict[str, Shape] = {
            "memory_source": kept,
            "memory_features": (None, None, network.hidden_dim),
            "memory_mask": (None, None),
        }

    def start(
        self, inputs: Mapping[str, Tensor], rows: Tensor, length: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """See ``core.decoding.incremental.Incremental``."""
        features = self._task.call_encoder(inputs["token_ids"], inputs["padding_mask"])
        mask = ops.cast(inputs["padding_mask"], self.compute_dtype)
        # Any token fills the cache of the source.
        _, _, _, source = self._task.call_decoder_with_cache(
            encoder_hidden_states=features,
            encoder_padding_mask=mask,
            decoder_token_ids=ops.zeros((rows, 1), "int32"),
            self_attention_cache=self._empty(rows, 1),
            self_attention_cache_update_index=0,
            cross_attention_cache=self._empty(rows, ops.shape(features)[1]),
            cross_attention_cache_update_index=0,
        )
        memory = {"memory_source": source, "memory_features": features, "memory_mask": mask}
        return memory, {"cache_tokens": self._empty(rows, length)}

    def step(
        self,
        token_ids: Tensor,
        place: Tensor | int,
        memory: Mapping[str, Tensor],
        cache: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Features of the new target tokens (rows, new, hidden), and the cache."""
        _, features, kept, _ = self._task.call_decoder_with_cache(
            encoder_hidden_states=memory["memory_features"],
            encoder_padding_mask=memory["memory_mask"],
            decoder_token_ids=token_ids,
            self_attention_cache=cache["cache_tokens"],
            self_attention_cache_update_index=place,
            cross_attention_cache=memory["memory_source"],
            cross_attention_cache_update_index=None,
        )
        return features, {"cache_tokens": kept}

    def _empty(self, rows: Tensor, length: Tensor | int) -> Tensor:
        layers, pair, heads, size = self._sizes
        return ops.zeros((rows, layers, pair, length, heads, size), self.compute_dtype)


def network_of(backbone: keras.Model) -> Any:
    """The Keras Hub network in a backbone of ``wrap_seq2seq``."""
    return next(layer for layer in backbone.layers if type(layer) in TASKS)
