"""Autoregressive decoding: teacher forcing in training, generation in a single call.

In training, the model maps the recording and the preceding tokens to the logits of the next token.
Otherwise, its call is the whole beam search, as a loop inside the graph, so that a saved model is
used like any other: the keys and values of each layer are cached, and each token costs one
position.

"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from aitk.core.contract.errors import ArtifactError
from aitk.core.layers import Tensor
from aitk.speech.decoding.token_rules import Rules, rules_from

NEVER = -1e9
#: Latest start of the first segment: 1 s (50 steps), or there is none.
LATEST_FIRST_TIME = 50


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
        """Beam search over the allowed tokens; with one beam, greedy decoding."""
        rules, decoder = self.rules, self._decoder
        prompts, scores = inputs["token_ids"], inputs["beams"]
        batch, beams = ops.shape(scores)[0], ops.shape(scores)[1]
        length = ops.shape(prompts)[1]
        memory = decoder.encode(inputs)
        # Transposed once for all tokens: (hidden, vocabulary), the largest array of every step.
        table = ops.transpose(self.get_layer("backbone").token_embedding.embeddings)
        table = ops.cast(table, decoder.compute_dtype)
        padded = ops.pad(prompts, [[0, 0], [0, rules.max_length]], constant_values=rules.end)
        padded = padded[:, : rules.max_length]  # (batch, max_length)
        tokens = ops.tile(padded[:, None], (1, beams, 1))
        start = (
            ops.convert_to_tensor(0, "int32"),
            tokens,
            ops.zeros_like(ops.cast(tokens, "float32")),
            scores,
            ops.zeros((batch, beams), "bool"),
            ops.full((batch, beams), rules.first_time - 1, "int32"),
            ops.zeros((batch,), "float32"),
            *decoder.empty_cache(batch, beams, rules.max_length),
        )

        def unfinished(
            at: Tensor, tokens: Tensor, chances: Tensor, scores: Tensor, over: Tensor, *rest: Any
        ) -> Tensor:
            del tokens, chances, scores, rest
            return ops.logical_and(at < rules.max_length - 1, ops.logical_not(ops.all(over)))

        def extend_all(
            at: Tensor,
            tokens: Tensor,
            chances: Tensor,
            scores: Tensor,
            over: Tensor,
            latest: Tensor,
            silent: Tensor,
            *cache: Any,
        ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
            newest = ops.take(tokens, at, axis=2)  # (batch, beams)
            hidden, cache = decoder.step(newest, at, memory, cache)
            logits = ops.cast(ops.matmul(hidden, table), "float32")  # (batch, beams, vocabulary)
            written = at + 1 - length  # tokens of the text so far
            silent = ops.where(at == 0, self._chance_of_silence(logits), silent)
            before = ops.take(tokens, ops.maximum(at - 1, 0), axis=2)
            allowed = self._allowed(logits, newest, before, latest, written, prompts)
            parents, chosen, chance = _extend(allowed, scores, over, rules.end)
            # Inside the prompt, hypotheses are unchanged and have no cost.
            given = written < 0
            parents = ops.where(given, ops.arange(beams)[None], parents)
            here = ops.take(tokens, at + 1, axis=2)
            named = ops.where(here < 0, self._language(logits), here)
            chosen = ops.where(given, named, chosen)
            chance = ops.where(given, 0.0, chance)

            def of_parent(array: Tensor) -> Tensor:
                return _take_beams(array, parents)

            over, latest, scores = of_parent(over), of_parent(latest), of_parent(scores)
            place = ops.arange(rules.max_length)[None, None] == at + 1
            tokens = ops.where(place, chosen[..., None], of_parent(tokens))
            chances = ops.where(place, chance[..., None], of_parent(chances))
            latest = ops.where(chosen >= rules.first_time, chosen, latest)
            over = ops.logical_or(over, ops.logical_and(chosen == rules.end, ~given))
            cache = tuple(of_parent(array) for array in cache)
            return (at + 1, tokens, chances, scores + chance, over, latest, silent, *cache)

        found = ops.while_loop(unfinished, extend_all, start)
        _, tokens, chances, scores, _, _, silent = found[:7]
        counts = ops.sum(ops.cast(chances < 0, "float32"), axis=2)
        order = ops.argsort(-scores / ops.maximum(counts, 1.0), axis=1)
        tokens = _take_beams(tokens, order)
        outputs = {
            "token_ids": ops.cast(tokens, "float32"),
            "log_probabilities": _take_beams(chances, order),
            "no_speech": silent,
        }
        if rules.alignment:
            outputs["attention"] = decoder.trace(tokens[:, 0], memory, rules.alignment)
        return outputs

    def _chance_of_silence(self, logits: Tensor) -> Tensor:
        chances = ops.softmax(logits[:, 0])
        return chances[:, self.rules.no_speech] if self.rules.no_speech else chances[:, 0] * 0

    def _language(self, logits: Tensor) -> Tensor:
        """The likeliest supported language of each hypothesis."""
        if not self.rules.languages:
            return ops.full(ops.shape(logits)[:2], self.rules.end, "int32")
        known = ops.convert_to_tensor(self.rules.languages, "int32")
        return ops.take(known, ops.argmax(ops.take(logits, known, axis=2), axis=2))

    def _allowed(
        self,
        logits: Tensor,
        newest: Tensor,
        before: Tensor,
        latest: Tensor,
        written: Tensor,
        prompts: Tensor,
    ) -> Tensor:
        """Log-probabilities of the allowed next tokens.

        Radford et al. 2023, section 2.3, and the rules of its reference: times open and close every
        segment and never decrease, and a time is decoded if all times together are likelier than
        every other token.
        """
        rules = self.rules
        numbers = ops.arange(logits.shape[-1])
        never = _marks(rules.suppressed, logits.shape[-1])
        never |= _marks(rules.suppressed_first, logits.shape[-1]) & (written == 0)
        never |= numbers >= rules.size
        banned = ops.broadcast_to(never, ops.shape(logits))
        is_time = numbers >= rules.first_time
        if not rules.no_times:
            return ops.log_softmax(ops.where(banned, NEVER, logits))
        banned |= numbers == rules.no_times
        times = (prompts[:, -1] != rules.no_times)[:, None, None]
        newest, before, latest = newest[..., None], before[..., None], latest[..., None]
        after_time = (written > 0) & (newest >= rules.first_time)
        after_two = after_time & ((written < 2) | (before >= rules.first_time))
        opened = after_time & ~after_two  # a segment was closed, and the next one is not open yet
        timed = after_two & is_time
        timed |= opened & (numbers < rules.end)
        timed |= is_time & (numbers < latest + ops.cast(~opened, "int32"))
        first = written == 0
        timed |= first & (~is_time | (numbers > rules.first_time + LATEST_FIRST_TIME))
        banned |= ops.where(times, timed, is_time)
        chances = ops.log_softmax(ops.where(banned, NEVER, logits))
        any_time = ops.logsumexp(ops.where(is_time, chances, NEVER), axis=-1, keepdims=True)
        best_other = ops.max(ops.where(is_time, NEVER, chances), axis=-1, keepdims=True)
        banned |= times & (any_time > best_other) & ~is_time
        return ops.log_softmax(ops.where(banned, NEVER, logits))


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


def _extend(
    allowed: Tensor, scores: Tensor, over: Tensor, end: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The best continuations among all hypotheses of a row.

    Returns:
        For each new hypothesis (batch, beams): its parent, its token, and the log-probability of
        that token. Finished hypotheses continue with ``end`` at no cost.
    """
    batch, beams = ops.shape(scores)[0], ops.shape(scores)[1]
    vocabulary = allowed.shape[-1]
    ends = ops.where(ops.arange(vocabulary) == end, 0.0, 2 * NEVER)
    chances = ops.where(over[..., None], ends, allowed)
    totals = ops.reshape(scores[..., None] + chances, (batch, beams * vocabulary))
    _, best = ops.top_k(totals, beams)
    parents, chosen = best // vocabulary, best % vocabulary
    flat = ops.reshape(chances, (batch, beams * vocabulary))
    return parents, chosen, ops.take_along_axis(flat, best, axis=1)


def _take_beams(array: Tensor, parents: Tensor) -> Tensor:
    """Reorder (batch, beams, ...) by ``parents`` (batch, beams)."""
    batch, beams = ops.shape(parents)[0], ops.shape(parents)[1]
    rows = ops.reshape(parents + beams * ops.arange(batch)[:, None], (-1,))
    flat = ops.reshape(array, (batch * beams, *ops.shape(array)[2:]))
    return ops.reshape(ops.take(flat, rows, axis=0), ops.shape(array))


def _marks(numbers: tuple[int, ...], size: int) -> Tensor:
    """(size,) bool, true at the given numbers."""
    marks = [False] * size
    for number in numbers:
        marks[number] = True
    return ops.convert_to_tensor(marks, "bool")
