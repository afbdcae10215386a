"""Pretrained Keras Hub encoders as backbones, numerically equal to their reference.

Keras Hub's BERT and ALBERT have the tanh form of GELU built in, as Google's checkpoints need.
Checkpoints whose configuration has ``gelu`` were trained with the exact one; the difference
reaches 4e-3 in the features. The exact form is a separate class, so that it survives saving and
loading.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_hub

from aitk.core.contract.errors import ArtifactError
from aitk.core.layers import Tensor
from aitk.nlp.models.heads import text_inputs

BACKBONE = "backbone"


def wrap(hub: keras_hub.models.Backbone, *, separator: int) -> keras.Model:
    """Give a Keras Hub encoder the standard inputs and output of a backbone.

    Args:
        separator: id of the token that ends the first of two texts.

    Raises:
        ArtifactError: its input is not one text, or its output is not a sequence.
    """
    wanted = set(hub.input) if isinstance(hub.input, dict) else set()
    if not {"token_ids", "padding_mask"} <= wanted <= {"token_ids", "padding_mask", "segment_ids"}:
        raise ArtifactError(
            f"a {type(hub).__name__} is not a text encoder with a padding mask"
            f" (its inputs: {', '.join(sorted(wanted)) or 'one array'})",
            hint="BERT, RoBERTa, ALBERT, DistilBERT, DeBERTa, ELECTRA, XLM-RoBERTa are supported",
        )
    inputs = text_inputs()
    given = dict(inputs)
    if "segment_ids" in wanted:
        given["segment_ids"] = Segments(separator, name="segment_ids")(
            inputs["token_ids"], inputs["padding_mask"]
        )
    outputs = hub(given)
    sequence = outputs["sequence_output"] if isinstance(outputs, dict) else outputs
    return keras.Model(inputs, sequence, name=BACKBONE)


def with_exact_gelu(hub: keras_hub.models.Backbone) -> keras_hub.models.Backbone:
    """The same encoder with GELU(x) = x * Phi(x), not its tanh approximation."""
    exact: Any = {
        keras_hub.models.BertBackbone: ExactBertBackbone,
        keras_hub.models.AlbertBackbone: ExactAlbertBackbone,
    }.get(type(hub))
    if exact is None:
        return hub  # the others use it already
    copy = exact.from_config(hub.get_config())
    copy.set_weights(hub.get_weights())
    return copy


def with_saved_tie(hub: keras_hub.models.Backbone) -> keras_hub.models.Backbone:
    """The same decoder, with tied embeddings in its configuration.

    Keras Hub's Llama 3 omits that, and a saved model would be loaded with other weights.
    """
    tied = getattr(getattr(hub, "token_embedding", None), "tie_weights", False)
    if type(hub) is not keras_hub.models.Llama3Backbone or not tied:
        return hub
    copy = TiedLlama3Backbone.from_config(hub.get_config() | {"tie_word_embeddings": True})
    copy.set_weights(hub.get_weights())
    return copy


@keras.saving.register_keras_serializable("aitk.nlp")
class TiedLlama3Backbone(keras_hub.models.Llama3Backbone):
    """Llama 3 with tied embeddings (Press and Wolf 2017)."""

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"tie_word_embeddings": True}


@keras.saving.register_keras_serializable("aitk.nlp")
class ExactBertBackbone(keras_hub.models.BertBackbone):
    """BERT (Devlin et al. 2018) with the exact GELU."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        _set_exact_gelu(self)


@keras.saving.register_keras_serializable("aitk.nlp")
class ExactAlbertBackbone(keras_hub.models.AlbertBackbone):
    """ALBERT (Lan et al. 2019) with the exact GELU."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        _set_exact_gelu(self)


def _set_exact_gelu(hub: keras_hub.models.Backbone) -> None:
    for layer in hub.layers:
        if isinstance(layer, keras_hub.layers.TransformerEncoder):
            layer._feedforward_intermediate_dense.activation = keras.activations.gelu


@keras.saving.register_keras_serializable("aitk.nlp")
class Segments(keras.layers.Layer):
    """Segment 0 up to and including the first separator, and 1 after it (Devlin et al. 2018,
    figure 2): (batch, length) token ids and padding mask -> (batch, length)."""

    def __init__(self, separator: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.separator = separator

    def call(self, token_ids: Tensor, padding_mask: Tensor) -> Tensor:
        ends = keras.ops.cast(keras.ops.equal(token_ids, self.separator), "int32")
        before = keras.ops.cumsum(ends, axis=1) - ends
        return keras.ops.minimum(before, 1) * keras.ops.cast(padding_mask, "int32")

    def compute_output_spec(self, token_ids: Tensor, padding_mask: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(token_ids.shape, dtype="int32")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"separator": self.separator}
