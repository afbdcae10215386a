"""Autoregressive decoding: teacher forcing in training, generation in a single call.

In training, the model maps the recording and the preceding tokens to the logits of the next token.
Otherwise, its call is the whole beam search, as a loop inside the graph, so that a saved model is
used like any other: the keys and values of each layer are cached, and each token costs one
position.

"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from aitk.core.contract.errors import ArtifactError
from aitk.core.decoding.graph_search import search_in_graph
from aitk.core.layers import Tensor
from aitk.speech.decoding.token_rules import Rules, rules_from
from aitk.speech.models.seq2seq.transcript_rule import TranscriptRule


@keras.saving.register_keras_serializable("aitk.speech")
class Seq2SeqModel(keras.Model):
    """A Keras Hub speech encoder-decoder with decoding.

    Inputs: those of the encoder; ``token_ids`` (batch, length) int32, in training the prompt and
    the text, otherwise the prompt alone, with -1 for a language to detect; and ``beams`` (batch,
    beams) float32, the initial score of each hypothesis: 0, and -1e9 for all but the first.

    In training, the output is float32 logits (batch, length, vocabulary). Otherwise it is a dict:
    ``token_ids`` (batch, beams, L), including prompts, sorted by mean log-probability per token;
    their ``log_probabilities`` (batch, beams, L), 0 in the prompt and after the end;
    ``no_speech`` (batch,), the probability of silence; and if the rules name heads, ``attention``
    (batch, L, steps) of the best hypothesis to the recording.
    """

    def __init__(self, backbone: keras.Model, rules: Rules, **kwargs: Any):
        decoder = open_decoder(backbone)
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        beams = keras.Input((None,), dtype="float32", name="beams")
        hidden = decoder.teacher_forcing(decoder.inputs, ops.maximum(token_ids, 0))
        logits = backbone.token_embedding(hidden, reverse=True)
        logits = keras.layers.Activation("linear", dtype="float32", name="logits")(logits)
        super().__init__(
            decoder.inputs | {"token_ids": token_ids, "beams": beams}, logits, **kwargs
        )
        self.rules = rules
        self._decoder = decoder

    def call(
        self, inputs: Mapping[str, Tensor], training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        if training:
            return super().call(inputs, training=True, mask=mask)
        return self._generate(inputs)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "backbone": keras.saving.serialize_keras_object(self.get_layer("backbone")),
            "rules": dataclasses.asdict(self.rules),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Seq2SeqModel:
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(backbone, rules_from(config["rules"]), name=config["name"])

    def _generate(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        rules, decoder = self.rules, self._decoder
        prompts, scores = inputs["token_ids"], inputs["beams"]
        memory = decoder.encode(inputs)
        # Transposed once for all tokens: (hidden, vocabulary), the largest array of every step.
        table = ops.transpose(self.get_layer("backbone").token_embedding.embeddings)
        table = ops.cast(table, decoder.compute_dtype)

        def step(
            newest: Tensor, at: Tensor, cache: Sequence[Tensor]
        ) -> tuple[Tensor, Sequence[Tensor]]:
            hidden, cache = decoder.step(newest, at, memory, cache)
            return ops.cast(ops.matmul(hidden, table), "float32"), cache

        found = search_in_graph(
            step,
            decoder.empty_cache(*ops.shape(scores), rules.max_length),
            prompts,
            scores,
            rule=TranscriptRule(rules, prompts),
            end=rules.end,
            length=rules.max_length,
        )
        outputs = {
            "token_ids": ops.cast(found.token_ids, "float32"),
            "log_probabilities": found.log_probabilities,
            "no_speech": found.observed,
        }
        if rules.alignment:
            outputs["attention"] = decoder.trace(found.token_ids[:, 0], memory, rules.alignment)
        return outputs


def open_decoder(network: keras.Model) -> Any:
    """The decoder of a Keras Hub network, for generating one token at a time.

    It has the encoder inputs (``inputs``), the training call (``teacher_forcing``), the keys and
    values of the audio (``encode``) and of the tokens so far (``empty_cache``), and a single
    ``step``.

    Raises:
        ArtifactError: the network is not a supported speech encoder-decoder.
    """
    import keras_hub

    if isinstance(network, keras_hub.models.WhisperBackbone):
        from aitk.speech.models.seq2seq.whisper import WhisperDecoder

        return WhisperDecoder(network)
    if isinstance(network, keras_hub.models.MoonshineBackbone):
        from aitk.speech.models.seq2seq.moonshine import MoonshineDecoder

        return MoonshineDecoder(network)
    raise ArtifactError(
        f"a {type(network).__name__} cannot transcribe", hint="Use Whisper or Moonshine"
    )


@keras.saving.register_keras_serializable("aitk.speech")
class TokenCrossEntropy(keras.losses.Loss):
    """Mean cross-entropy over the tokens of a text; targets of -1 are ignored."""

    def __init__(self, name: str = "token_cross_entropy", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        # (batch, length), (batch, length, vocabulary) -> (batch,)
        counted = ops.cast(y_true >= 0, y_pred.dtype)
        targets = ops.cast(ops.maximum(y_true, 0), "int32")
        losses = ops.sparse_categorical_crossentropy(targets, y_pred, from_logits=True)
        return ops.sum(losses * counted, axis=1) / ops.maximum(ops.sum(counted, axis=1), 1.0)
