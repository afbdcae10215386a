"""Causal language modelling (Radford et al. 2019, GPT-2): predict the next token, and continue."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.task import Batch, Evaluation, Example, Metric, Note
from aitk.core.metrics.baselines import Baseline, Rows
from aitk.core.metrics.classification import log_softmax
from aitk.nlp.data.options import GenerationOptions
from aitk.nlp.decoding.sampling import choose_token, continue_texts, pad_in_steps
from aitk.nlp.features.assets import TextAssets, load_text_assets
from aitk.nlp.features.batching import pad_tokens
from aitk.nlp.features.masking import own_rng
from aitk.nlp.features.tokenizers import SubwordTokenizer, train_tokenizer
from aitk.nlp.metrics.perplexity import measure_tokens, score_tokens
from aitk.nlp.models.specs import CausalModel
from aitk.nlp.tasks.settings import CausalHubSettings, CausalLstmSettings, GptSettings
from aitk.nlp.tasks.unlabelled import UnlabelledTexts

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained

#: Training reads a random window of a longer text; windows beyond this many are not read.
WINDOWS = 64
#: Batch size of ``log_probabilities``.
SCORED_AT_ONCE = 64


@dataclass(frozen=True)
class CausalAssets:
    """The tokeniser, with its start and end tokens."""

    text: TextAssets

    @property
    def tokenizer(self) -> SubwordTokenizer:
        return self.text.tokenizer  # type: ignore[return-value]

    @property
    def max_length(self) -> int:
        return self.text.max_length

    @property
    def start_id(self) -> int:
        return self.tokenizer.start_id  # type: ignore[return-value]  # learn saw to it

    @property
    def end_id(self) -> int:
        return self.tokenizer.end_id  # type: ignore[return-value]

    @cached_property
    def never_generated(self) -> list[int]:
        """Ids that are no text: every special one but the end."""
        return sorted(self.tokenizer.special_ids - {self.end_id})

    def save(self, folder: Path) -> None:
        self.text.save(folder)


@dataclass(frozen=True)
class Continuations:
    """What ``infer`` generates for a batch: of each row, the token ids of every continuation."""

    token_ids: Sequence[Sequence[Sequence[int]]]


class Generate(UnlabelledTexts[CausalAssets]):
    """A language model of texts without labels; its predictions continue them."""

    name = "nlp.generate"
    predict_options = GenerationOptions
    models = {
        "gpt": CausalModel(GptSettings, "aitk.nlp.models.transformer:build_causal_backbone"),
        "lstm": CausalModel(CausalLstmSettings, "aitk.nlp.models.language_models:build_lstm"),
        "hub": CausalModel(CausalHubSettings),
    }
    metric = Metric("perplexity", higher_is_better=False, is_rate=False)

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
        tokenizer = start.tokenizer if start else None
        if tokenizer is None:
            tokenizer = train_tokenizer((row["text"] for row in rows), settings)
        if tokenizer.start_id is None or tokenizer.end_id is None:
            raise ArtifactError(
                "its vocabulary has no tokens for the start and the end of a text",
                where=start.source if start else None,
            )
        return CausalAssets(TextAssets(tokenizer, settings.max_length))

    def load_assets(self, folder: Path) -> CausalAssets:
        return CausalAssets(load_text_assets(folder))

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: CausalAssets) -> list[Example]:
        longest = WINDOWS * assets.max_length
        texts = [row["text"] for row in rows]
        examples = []
        for ids in assets.tokenizer.encode_bare(texts, longest):
            end = [assets.end_id] if len(ids) < longest else []
            token_ids = np.array([assets.start_id, *ids, *end], np.int32)
            examples.append(Example({"token_ids": token_ids}))
        return examples

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
        """Pad. A text longer than ``max_length`` is cut: to a random window in training, else to
        its beginning.

        The context keeps the ids of the whole texts, which ``infer`` continues.
        """
        whole = [example.inputs["token_ids"] for example in examples]
        windows = [_window(ids, assets.max_length + 1, rng) for ids in whole]
        inputs = pad_tokens([ids[:-1] for ids in windows], pad_to=pad_to)
        length = inputs["token_ids"].shape[1]
        targets = pad_tokens([ids[1:] for ids in windows], pad_to=length)["token_ids"]
        weights = inputs["padding_mask"].astype(np.float32)
        # The loss is a mean over all positions: make that the mean over those in use.
        weights *= weights.size / weights.sum()
        return Batch(inputs, targets, weights, {"token_ids": whole})

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
                "teacher and student need the same vocabulary",
                where="--distill",
                hint="Give the tokenizer, vocabulary_size and lowercase of the run with --set",
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
            return predict(batch.inputs)
        prompts = [_without_end(ids, assets) for ids in batch.context["token_ids"]]
        # The random numbers of a text do not depend on the other rows of its batch.
        rngs = [
            np.random.default_rng([options.seed, number, own_rng(ids).integers(2**32)])
            for ids in prompts
            for number in range(top_k)
        ]
        token_ids = continue_texts(
            [ids.tolist() for ids in prompts for _ in range(top_k)],
            predict,
            tokens=options.tokens,
            max_length=assets.max_length,
            end_id=assets.end_id,
            never=assets.never_generated,
            choose=lambda row, logits: choose_token(
                logits, temperature=options.temperature, top_p=options.top_p, rng=rngs[row]
            ),
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
        """The continuation of each text; given logits, the likeliest token at each position."""
        if not isinstance(outputs, Continuations):
            used = batch.inputs["padding_mask"] > 0
            likeliest = outputs.argmax(-1)
            return [
                {"prediction": assets.tokenizer.decode(ids[inside])}
                for ids, inside in zip(likeliest, used, strict=True)
            ]
        predictions = []
        for ids, several in zip(batch.context["token_ids"], outputs.token_ids, strict=True):
            prompt = _without_end(ids, assets).tolist()
            first, *others = [_continuation(prompt, new, assets) for new in several]
            predictions.append(first | ({"others": others} if top_k > 1 else {}))
        return predictions

    def summarize(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        return {"predicted token by token": prediction["prediction"]}

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: CausalAssets
    ) -> dict[str, np.ndarray]:
        read = [ids[1 : assets.max_length + 1] for ids in batch.context["token_ids"]]
        characters = [max(1, len(assets.tokenizer.decode(ids))) for ids in read]
        return measure_tokens(batch, outputs) | {"characters": np.array(characters)}

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: CausalAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        return score_tokens(measured, resamples=resamples, seed=seed)

    def log_probabilities(
        self,
        texts: Sequence[str],
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: CausalAssets,
        *,
        ended: bool,
    ) -> np.ndarray:
        """See ``LanguageModelling``; of a text longer than ``max_length`` the end is scored."""
        found = np.zeros(len(texts))
        encoded = [example.inputs["token_ids"] for example in self.encode(_rows(texts), assets)]
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

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: CausalAssets
    ) -> list[Baseline]:
        from aitk.nlp.metrics.token_baselines import Frequencies, bigram_baseline, unigram_baseline

        frequencies = Frequencies(self, assets, train, never=assets.never_generated)
        return [each(frequencies, self, assets) for each in (unigram_baseline, bigram_baseline)]

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: CausalAssets,
        *,
        target: str | None = None,
        model: Callable[[], keras.Model] | None = None,
    ) -> dict[str, Any]:
        """Attribute the token that follows the text to its words, by occlusion."""
        from aitk.nlp.explain.occlusion import explain_text

        text = fields["text"]

        def following(texts: Sequence[str]) -> np.ndarray:
            encoded = self.encode(_rows(texts), assets)
            places = [
                min(len(_without_end(each.inputs["token_ids"], assets)), assets.max_length) - 1
                for each in encoded
            ]
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


def _rows(texts: Sequence[str]) -> list[dict[str, str]]:
    return [{"text": text} for text in texts]


def _window(ids: np.ndarray, size: int, rng: np.random.Generator | None) -> np.ndarray:
    """At most ``size`` ids of a text: random ones with ``rng``, else the first."""
    beyond = len(ids) - size
    start = int(rng.integers(beyond + 1)) if rng is not None and beyond > 0 else 0
    return ids[start : start + size]


def _without_end(ids: np.ndarray, assets: CausalAssets) -> np.ndarray:
    return ids[:-1] if len(ids) > 1 and ids[-1] == assets.end_id else ids


def _continuation(
    prompt: Sequence[int], new: Sequence[int], assets: CausalAssets
) -> dict[str, Any]:
    ended = bool(new) and new[-1] == assets.end_id
    before = assets.tokenizer.decode(prompt)
    whole = assets.tokenizer.decode([*prompt, *new])
    # Decode both together: the first new token may end the last word of the prompt.
    text = whole[len(before) :] if whole.startswith(before) else assets.tokenizer.decode(new)
    return {"prediction": text.strip(), "whole": whole, "ended": ended}


def _named(index: int, assets: CausalAssets) -> str:
    return "(end)" if index == assets.end_id else assets.tokenizer.token(index)
