"""Causal language modelling (Radford et al. 2019, GPT-2): next-token prediction and generation."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Example, Note
from aitk.core.decoding.continuation import continue_texts
from aitk.core.decoding.incremental import Decoder, UncachedDecoder
from aitk.core.decoding.sampling import choose_token, penalize_repetition
from aitk.core.metrics.baselines import Baseline, Rows
from aitk.core.metrics.classification import log_softmax
from aitk.nlp.data.formats.dialogues import DialogueInspector, holds_dialogues, read_dialogues
from aitk.nlp.data.options import GenerateReading, GenerationOptions
from aitk.nlp.data.running_text import read_passages
from aitk.nlp.features.assets import TextAssets
from aitk.nlp.features.batching import pad_in_steps
from aitk.nlp.features.causal import (
    CausalAssets,
    encode_causal,
    encode_texts,
    join_windows,
    load_causal_assets,
    messages_of,
    prompt_of,
    scored_parts,
    shifted_batch,
    window,
)
from aitk.nlp.features.chat import find_chat, new_chat
from aitk.nlp.features.masking import own_rng
from aitk.nlp.features.tokenizers.learning import train_subwords
from aitk.nlp.metrics.perplexity import TokenScores, score_batch, score_rows
from aitk.nlp.models.specs import CausalModel
from aitk.nlp.tasks.settings import CausalHubSettings, CausalLstmSettings, GptSettings
from aitk.nlp.tasks.unlabelled import UnlabelledTexts

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained

#: Batch size of ``log_probabilities``.
SCORED_AT_ONCE = 64


@dataclass(frozen=True)
class Continuations:
    """Generated token ids of a batch: for each row, every continuation."""

    token_ids: Sequence[Sequence[Sequence[int]]]


class Generate(UnlabelledTexts[CausalAssets]):
    """A causal language model; its predictions continue the text."""

    name = "nlp.generate"
    reading = GenerateReading
    predict_options = GenerationOptions
    models = {
        "gpt": CausalModel(GptSettings, "aitk.nlp.models.decoders.gpt:build_gpt"),
        "lstm": CausalModel(CausalLstmSettings, "aitk.nlp.models.decoders.lstm_lm:build_lstm"),
        "hub": CausalModel(CausalHubSettings),
    }

    def read(
        self, sources: Sequence[str], reading: GenerateReading, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        if labelled and reading.join_lines is not None:
            return read_passages(sources, reading, note=note)
        if holds_dialogues(sources, reading.encoding):
            return read_dialogues(sources, reading, labelled=labelled, note=note)
        return super().read(sources, reading, labelled=labelled, note=note)

    def key(self, fields: Mapping[str, Any]) -> str:
        return fields.get("messages") or fields["text"]

    def inspector(self, reading: GenerateReading) -> DialogueInspector:
        return DialogueInspector(reading)

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        dialogues = {"messages": tfds.features.Text()} if "messages" in summary else {}
        return super().features(summary) | dialogues

    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        *,
        start: Pretrained | None = None,
        balance: bool = False,
        tables: Path | None = None,
        note: Note,
    ) -> CausalAssets:
        known = start.tokenizer if start else None
        tokenizer = known or train_subwords(_texts_of(rows), settings)
        if tokenizer.start_id is None or tokenizer.end_id is None:
            raise ArtifactError(
                "its vocabulary has no start and end tokens",
                where=start.source if start else None,
            )
        chat = find_chat(start.folder) if start else None
        if chat is None and rows[0].get("messages"):
            chat = new_chat(tokenizer, may_grow=start is None)
        running = bool(summary.get("running_text"))
        text = TextAssets(tokenizer, settings.max_length)
        return CausalAssets(text, chat, settings.pack, running)

    def load_assets(self, folder: Path) -> CausalAssets:
        return load_causal_assets(folder)

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: CausalAssets) -> list[Example]:
        return encode_causal(rows, assets)

    def packs(self, assets: CausalAssets) -> bool:
        """See ``Packs``."""
        return assets.pack

    def pack(
        self, examples: Sequence[Example], assets: CausalAssets, *, rng: np.random.Generator
    ) -> list[Example]:
        return join_windows(examples, assets, rng=rng)

    def joins_rows(self, assets: CausalAssets) -> str | None:
        """See ``JoinsRows``."""
        return "pack" if assets.pack else None

    def length(self, example: Example) -> int:
        return len(example.inputs["token_ids"]) - 1

    def collate(
        self,
        examples: Sequence[Example],
        assets: CausalAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Pad. A text longer than ``max_length`` is truncated to a random window in training,
        otherwise to its start; a dialogue, of which only replies count in the loss, to its end.

        The context holds the prompts that ``infer`` continues, and the examples.
        """
        cut = [window(example, assets.max_length + 1, rng) for example in examples]
        prompts = [prompt_of(example, assets) for example in examples]
        return shifted_batch(
            [each["token_ids"] for each in cut],
            [each["counted"] for each in cut],
            {"prompts": prompts, "examples": examples},
            pad_to=pad_to,
        )

    def teacher_outputs(self, teacher: keras.Model, student: keras.Model) -> keras.Model:
        """See ``DistillsBatches``: the teacher's logits, (batch, length, vocabulary)."""
        del student
        return teacher

    def add_soft_targets_to_batch(self, batch: Batch, outputs: Any, assets: CausalAssets) -> Batch:
        targets = np.asarray(batch.targets, np.float32)[..., None]
        return dataclasses.replace(batch, targets=np.concatenate([targets, outputs], axis=-1))

    def distillation_loss(self, assets: CausalAssets, *, teacher: CausalAssets) -> Any:
        from aitk.core.compression.distill import DistillationLoss

        own, other = (each.tokenizer.engine.get_vocab() for each in (assets, teacher))
        if own != other:
            raise UsageError(
                "teacher and student must have the same vocabulary",
                where="--distill",
                hint="Use the tokenizer, vocabulary_size and lowercase of the run with --set",
            )
        return DistillationLoss()

    def infer(
        self,
        batch: Batch,
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: CausalAssets,
        *,
        top_k: int = 1,
        options: GenerationOptions | None = None,
    ) -> Any:
        if options is None:
            parts = scored_parts(batch, assets)
            rows = len(batch.context["examples"])
            return score_rows(parts, lambda part: np.asarray(predict(part.inputs)), rows=rows)
        prompts = batch.context["prompts"]
        # The random numbers of a text do not depend on the other rows of its batch.
        rngs = [
            np.random.default_rng([options.seed, number, int(own_rng(ids).integers(2**32))])
            for ids in prompts
            for number in range(top_k)
        ]
        never = assets.never_generated

        def choose(row: int, logits: np.ndarray, before: Sequence[int]) -> int:
            logits = penalize_repetition(logits, before, options.repetition_penalty)
            allowed = np.array(logits)
            allowed[never] = -np.inf
            return choose_token(
                allowed,
                temperature=options.temperature,
                top_p=options.top_p,
                top_k=options.top_k_tokens,
                rng=rngs[row],
            )

        def is_over(row: int, new: Sequence[int]) -> bool:
            del row
            if new[-1] in assets.end_ids:
                return True
            if not options.stop:
                return False
            return _cut(assets.tokenizer.decode(new), options.stop)[1]

        token_ids = continue_texts(
            open_decoder(predict, assets.max_length),
            [ids.tolist() for ids in prompts for _ in range(top_k)],
            tokens=options.tokens,
            max_length=assets.max_length,
            choose=choose,
            is_over=is_over,
        )
        return Continuations([token_ids[at : at + top_k] for at in range(0, len(token_ids), top_k)])

    def decode(
        self,
        batch: Batch,
        outputs: Any,
        assets: CausalAssets,
        *,
        top_k: int = 1,
        options: GenerationOptions | None = None,
    ) -> list[dict[str, Any]]:
        """The continuation of each text; else the most likely token in each place."""
        if not isinstance(outputs, Continuations):
            return _scores(batch, outputs).decode(assets.tokenizer)
        predictions = []
        for prompt, several in zip(batch.context["prompts"], outputs.token_ids, strict=True):
            stop = (options and options.stop) or ()
            first, *others = [_continuation(prompt, new, assets, stop) for new in several]
            predictions.append(first | ({"others": others} if top_k > 1 else {}))
        return predictions

    def summarize(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        return {"predicted token by token": prediction["prediction"]}

    def measure(self, batch: Batch, outputs: Any, assets: CausalAssets) -> dict[str, np.ndarray]:
        return _scores(batch, outputs).measure(assets.tokenizer)

    def log_probabilities(
        self,
        texts: Sequence[str],
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: CausalAssets,
        *,
        ended: bool,
    ) -> np.ndarray:
        """See ``LanguageModelling``; texts longer than ``max_length`` are truncated to their
        end."""
        found = np.zeros(len(texts))
        encoded = [example.inputs["token_ids"] for example in encode_texts(texts, assets)]
        if not ended:
            encoded = [_without_end(ids, assets) for ids in encoded]
        encoded = [ids[-assets.max_length - 1 :] for ids in encoded]
        order = [place for place, ids in enumerate(encoded) if len(ids) > 1]
        order.sort(key=lambda place: len(encoded[place]))
        for at in range(0, len(order), SCORED_AT_ONCE):
            places = order[at : at + SCORED_AT_ONCE]
            read = [encoded[place][:-1] for place in places]
            logits = np.asarray(predict(pad_in_steps(read, assets.max_length)))
            for row, place in enumerate(places):
                ids = encoded[place][1:]
                scores = log_softmax(logits[row, : len(ids)].astype(np.float64))
                found[place] = scores[np.arange(len(ids)), ids].sum()
        return found

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: CausalAssets,
        known: Sequence[Mapping[str, Any]],
        *,
        reading: GenerateReading,
    ) -> tuple[CausalAssets, Iterator[Row | Refusal]]:
        """See ``Updatable``: the tokens are unchanged and also encode new words."""
        del known, reading
        return assets, items

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: CausalAssets
    ) -> list[Baseline]:
        from aitk.nlp.metrics.token_baselines import Frequencies, bigram_baseline, unigram_baseline

        frequencies = Frequencies(self, assets, train, never=assets.never_generated)
        parts = functools.partial(scored_parts, assets=assets)
        makers = (unigram_baseline, bigram_baseline)
        return [each(frequencies, self, assets, parts) for each in makers]

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: CausalAssets,
        *,
        target: str | None = None,
        model: Callable[[], keras.Model] | None = None,
    ) -> dict[str, Any]:
        """Attribute the next token after the text to its words, by occlusion."""
        from aitk.nlp.explain.occlusion import explain_text

        text = fields["text"]

        def following(texts: Sequence[str]) -> np.ndarray:
            lengths = [len(prompt_of(each, assets)) for each in self.encode(_rows(texts), assets)]
            places = [min(length, assets.max_length) - 1 for length in lengths]
            rows = predict(_rows(texts))
            logits = [np.array(row[place]) for row, place in zip(rows, places, strict=True)]
            for each in logits:
                each[assets.never_generated] = -np.inf
            return np.exp(log_softmax(np.stack(logits)))

        whole = following([text])[0]
        best = int(whole.argmax())
        index = best if target is None else assets.tokenizer.token_id(target)

        def probability(texts: Sequence[str]) -> np.ndarray:
            return following(texts)[:, index]

        return {
            "prediction": _named(best, assets),
            "explained": _named(index, assets),
            "probability": float(whole[index]),
        } | explain_text(text, probability)


def _scores(batch: Batch, outputs: Any) -> TokenScores:
    """What ``infer`` found, or the scores of logits of the batch."""
    return outputs if isinstance(outputs, TokenScores) else score_batch(batch, outputs)


def _texts_of(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        if row.get("messages"):
            yield from (message["content"] for message in messages_of(row))
        else:
            yield row["text"]


def _rows(texts: Sequence[str]) -> list[dict[str, str]]:
    return [{"text": text} for text in texts]


def _without_end(ids: np.ndarray, assets: CausalAssets) -> np.ndarray:
    return ids[:-1] if len(ids) > 1 and ids[-1] == assets.end_id else ids


def _continuation(
    prompt: Sequence[int], new: Sequence[int], assets: CausalAssets, stop: Sequence[str]
) -> dict[str, Any]:
    ended = bool(new) and new[-1] in assets.end_ids
    if assets.chat is not None:
        answer, stopped = _cut(assets.tokenizer.decode(new), stop)
        return {"prediction": answer.strip(), "ended": ended or stopped}
    before = assets.tokenizer.decode(prompt)
    whole = assets.tokenizer.decode([*prompt, *new])
    # Decode both together: the first new token may end the last word of the prompt.
    text = whole[len(before) :] if whole.startswith(before) else assets.tokenizer.decode(new)
    kept, stopped = _cut(text, stop)
    whole = whole[: len(whole) - len(text) + len(kept)] if stopped else whole
    return {"prediction": kept.strip(), "whole": whole.rstrip(), "ended": ended or stopped}


def _cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """A text up to the first stop string, and whether one was found."""
    places = [place for each in stop if (place := text.find(each)) >= 0]
    return (text[: min(places)], True) if places else (text, False)


def open_decoder(predict: Any, max_length: int) -> Decoder:
    """The predictor's own decoder, with a cache; otherwise one that rereads all tokens."""
    decoder = getattr(predict, "decoder", None)
    if decoder is not None:
        return decoder

    def score(inputs: Mapping[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
        del inputs
        return np.asarray(predict(pad_in_steps(tokens, max_length)))[:, tokens.shape[1] - 1]

    return UncachedDecoder(score)


def _named(index: int, assets: CausalAssets) -> str:
    return "(end)" if index == assets.end_id else assets.tokenizer.token(index)
