"""Tokens weighted by attention (Yang et al. 2016, "Hierarchical Attention Networks")."""

import keras
from keras import ops

from aitk.nlp.models.heads import text_inputs


def build_backbone(settings, vocabulary_size):
    """Token ids (batch, length) -> features (batch, length, hidden) whose mean is the attention."""
    inputs = text_inputs()
    x = keras.layers.Embedding(vocabulary_size, settings.hidden, name="token_embedding")(
        inputs["token_ids"]
    )
    scores = keras.layers.Dense(settings.hidden, activation="tanh", name="projection")(x)
    scores = keras.layers.Dense(1, use_bias=False, name="context")(scores)  # (batch, length, 1)
    x = x * AttentionWeights(name="attention")(scores, inputs["padding_mask"])
    return keras.Model(inputs, x, name="backbone")


@keras.saving.register_keras_serializable("aitk_attention")
class AttentionWeights(keras.layers.Layer):
    """The softmax of the scores of real tokens, times their number, so that its mean is 1."""

    def call(self, scores, padding_mask):
        real = ops.expand_dims(ops.cast(padding_mask, scores.dtype), -1)
        weights = ops.softmax(scores - 1e9 * (1 - real), axis=1)
        return weights * ops.sum(real, axis=1, keepdims=True)

    def compute_output_shape(self, scores_shape, padding_mask_shape):
        return scores_shape
