"""Language models: a backbone whose token embedding also scores the tokens.

``NextTokens`` predicts each token from those before it (Radford et al. 2018, 2019),
``MaskedTokens`` the masked ones (Devlin et al. 2018, appendix A.2).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.contract.errors import ArtifactError
from aitk.core.layers import Shape, Tensor
from aitk.nlp.models.decoders.token_logits import WithHead
from aitk.nlp.models.heads import OverBackbone, TiedLogits, text_inputs, token_embedding

PROBED_TOKENS = 8


@keras.saving.register_keras_serializable("aitk.nlp")
class NextTokens(OverBackbone):
    """A causal backbone with tied token embeddings.

    Inputs: ``token_ids`` and ``padding_mask`` (batch, length). Output: float32 logits of the token
    after each (batch, length, vocabulary), all zero in padding.
    """

    def __init__(self, backbone: keras.Model, **kwargs: Any):
        inputs = text_inputs()
        head = TiedLogits(token_embedding(backbone), dtype="float32", name="head")
        super().__init__(inputs, head(backbone(inputs), inputs["padding_mask"]), **kwargs)

    def incremental(self) -> WithHead | None:
        """See ``core.decoding.incremental.Decodes``: for our backbones and Keras Hub's."""
        step: Any = self.get_layer("backbone")
        if not hasattr(step, "cache_shapes"):
            from aitk.nlp.models.decoders.hub_step import open_hub_step

            step = open_hub_step(step)
        head = self.get_layer("head")

        def logits(features: Tensor) -> Tensor:
            return head(features, ops.ones(ops.shape(features)[:2], "int32"))

        return None if step is None else WithHead(step, logits, {})


def check_causal(backbone: keras.Model) -> None:
    """Refuse a backbone whose features of a token depend on the tokens after it.

    Raises:
        ArtifactError: the backbone is not causal.
    """
    known = token_embedding(backbone).input_dim
    token_ids = np.tile(np.arange(PROBED_TOKENS, dtype=np.int32) % known, (2, 1))
    token_ids[1, -1] = 0
    mask = np.ones_like(token_ids)
    features = ops.convert_to_numpy(
        backbone({"token_ids": token_ids, "padding_mask": mask}, training=False)
    )
    if not np.allclose(features[0, :-1], features[1, :-1], atol=1e-4):
        raise ArtifactError(
            "the network is bidirectional: it can see the tokens to predict",
            hint="Start from a decoder such as GPT-2, or from a run of this task",
        )


@keras.saving.register_keras_serializable("aitk.nlp")
class MaskedTokens(OverBackbone):
    """Backbone, one dense layer, and tied token embeddings.

    Inputs: ``token_ids`` and ``padding_mask`` (batch, length), ``mask_positions`` (batch, slots):
    the positions to predict, counted from 1; 0 is an unused slot. Output: float32 logits
    (batch, slots, vocabulary), all zero in an unused slot.
    """

    def __init__(self, backbone: keras.Model, **kwargs: Any):
        embedding = token_embedding(backbone)
        inputs = text_inputs()
        positions = keras.Input((None,), dtype="int32", name="mask_positions")
        x = backbone(inputs)
        x = TakeSlots(name="slots")(x, positions)  # (batch, slots, hidden)
        x = keras.layers.Dense(embedding.output_dim, activation="gelu", name="head_dense")(x)
        x = keras.layers.LayerNormalization(epsilon=1e-6, name="head_norm")(x)
        logits = TiedLogits(embedding, dtype="float32", name="head")(x, positions)
        super().__init__(inputs | {"mask_positions": positions}, logits, **kwargs)


@keras.saving.register_keras_serializable("aitk.nlp")
class TakeSlots(keras.layers.Layer):
    """Gather the features at some positions, counted from 1 (0 also gathers the first)."""

    def call(self, sequence: Tensor, positions: Tensor) -> Tensor:
        # (batch, length, hidden), (batch, slots) -> (batch, slots, hidden)
        indices = ops.expand_dims(ops.maximum(positions - 1, 0), -1)
        return ops.take_along_axis(sequence, indices, axis=1)

    def compute_output_shape(self, sequence_shape: Shape, positions_shape: Shape) -> Shape:
        return (*positions_shape, sequence_shape[-1])
