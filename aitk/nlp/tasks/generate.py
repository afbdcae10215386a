"""Causal language modelling (Radford et al. 2019, GPT-2): foretell the next token, and write on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.task import Batch, Evaluation, Example
from aitk.core.inference.text_scores import LanguageModelTask
from aitk.core.metrics.baselines import Baseline, Rows
from aitk.core.metrics.classification import log_softmax
from aitk.nlp.data.options import GenerationAnswers
from aitk.nlp.data.unlabelled import UnlabelledTexts
from aitk.nlp.decoding.sampling import choose_token, pad_in_steps, write_on
from aitk.nlp.features.assets import TextAssets, load_text_assets
from aitk.nlp.features.batching import pad_tokens
from aitk.nlp.features.masking import own_rng
from aitk.nlp.features.tokenizers import SubwordTokenizer, train_tokenizer
from aitk.nlp.metrics.perplexity import measure_tokens, score_tokens
from aitk.nlp.tasks.settings import CausalHubSettings, CausalLstmSettings, GptSettings

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained

#: Of a longer text training reads another stretch each time; of one of more than so many stretches
#: the rest is not read.
STRETCHES = 64
#: Texts whose probability is asked for are read so many at a time.
SCORED_AT_ONCE = 64


@dataclass(frozen=True)
class CausalAssets:
    """The tokeniser, and the marks between which a text stands."""

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
    def unwritten(self) -> list[int]:
        """Ids that are no text: every special one but the end."""
        return sorted(self.tokenizer.special_ids - {self.end_id})

    def save(self, folder: Path) -> None:
        self.text.save(folder)


@dataclass(frozen=True)
class Written:
    """What was written on the texts of a batch: of each, the ids of every continuation."""

    continuations: Sequence[Sequence[Sequence[int]]]


class Generate(UnlabelledTexts, LanguageModelTask):
    """A language model of texts without labels; its predictions continue them."""

    name = "nlp.generate"
    answering = GenerationAnswers
    models = {"gpt": GptSettings, "lstm": CausalLstmSettings, "hub": CausalHubSettings}
    main_metric = "perplexity"
    higher_is_better = False
    metric_is_rate = False
    asks_each_batch = True

    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        *,
        start: Pretrained | None = None,
        balance: bool = False,
        tables: Path | None = None,
    ) -> CausalAssets:
        tokenizer = start.tokenizer if start else None
        if tokenizer is None:
            tokenizer = train_tokenizer((row["text"] for row in rows), settings)
        if tokenizer.start_id is None or tokenizer.end_id is None:
            raise ArtifactError(
                "its vocabulary has no marks for the start and the end of a text",
                where=start.source if start else None,
            )
        return CausalAssets(TextAssets(tokenizer, settings.max_length))

    def load_assets(self, folder: Path) -> CausalAssets:
        return CausalAssets(load_text_assets(folder))

    def encode(self, fields: Mapping[str, Any], assets: CausalAssets) -> Example:
        return self.encode_many([fields], assets)[0]

    def encode_many(self, rows: Sequence[Mapping[str, Any]], assets: CausalAssets) -> list[Example]:
        longest = STRETCHES * assets.max_length
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
        """Pad. Of a text longer than the model reads, training takes any stretch, others the first.

        The context keeps the ids of the whole texts, which ``infer`` continues.
        """
        whole = [example.inputs["token_ids"] for example in examples]
        stretches = [_stretch(ids, assets.max_length + 1, rng) for ids in whole]
        inputs = pad_tokens([ids[:-1] for ids in stretches], pad_to=pad_to)
        length = inputs["token_ids"].shape[1]
        targets = pad_tokens([ids[1:] for ids in stretches], pad_to=length)["token_ids"]
        weights = inputs["padding_mask"].astype(np.float32)
        # The loss is a mean over all positions: make that the mean over those in use.
        weights *= weights.size / weights.sum()
        return Batch(inputs, targets, weights, {"token_ids": whole})

    def build(
        self,
        model: str,
        settings: Any,
        assets: CausalAssets,
        *,
        backbone: keras.Model | None = None,
    ) -> keras.Model:
        from aitk.nlp.models import check_length
        from aitk.nlp.models.causal import NextTokens, build_causal_backbone, check_causal

        if backbone is None:
            backbone = build_causal_backbone(model, settings, assets.tokenizer.vocabulary_size)
        else:
            check_causal(backbone)
        check_length(backbone, assets.max_length)
        return NextTokens(backbone, name="next_tokens")

    def objective(self, assets: CausalAssets) -> Any:
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def teach_batch(self, batch: Batch, outputs: Any, assets: CausalAssets) -> Batch:
        targets = np.asarray(batch.targets, np.float32)[..., None]
        return dataclasses.replace(batch, targets=np.concatenate([targets, outputs], axis=-1))

    def taught_objective(self, assets: CausalAssets, *, teacher: CausalAssets) -> Any:
        own, other = (each.tokenizer.engine.get_vocab() for each in (assets, teacher))
        if own != other:
            raise UsageError(
                "a model learns from one of the same vocabulary alone",
                where="--distill",
                hint="Give the tokenizer, vocabulary_size and lowercase of the run with --set",
            )
        return super().taught_objective(assets, teacher=teacher)

    def infer(
        self,
        batch: Batch,
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: CausalAssets,
        *,
        top_k: int = 1,
        asked: GenerationAnswers | None = None,
    ) -> Any:
        if asked is None:
            return predict(batch.inputs)
        prompts = [_without_end(ids, assets) for ids in batch.context["token_ids"]]
        # A text draws the same numbers in whatever company it is continued.
        rngs = [
            np.random.default_rng([asked.seed, number, own_rng(ids).integers(2**32)])
            for ids in prompts
            for number in range(top_k)
        ]
        written = write_on(
            [ids.tolist() for ids in prompts for _ in range(top_k)],
            predict,
            tokens=asked.tokens,
            max_length=assets.max_length,
            end_id=assets.end_id,
            never=assets.unwritten,
            choose=lambda row, logits: choose_token(
                logits, temperature=asked.temperature, top_p=asked.top_p, rng=rngs[row]
            ),
        )
        return Written([written[at : at + top_k] for at in range(0, len(written), top_k)])

    def decode(
        self,
        batch: Batch,
        outputs: Any,
        assets: CausalAssets,
        *,
        top_k: int = 1,
        asked: GenerationAnswers | None = None,
    ) -> list[dict[str, Any]]:
        """What follows each text; of logits, the likeliest token at each of its places."""
        if not isinstance(outputs, Written):
            used = batch.inputs["padding_mask"] > 0
            likeliest = outputs.argmax(-1)
            return [
                {"prediction": assets.tokenizer.decode(ids[inside])}
                for ids, inside in zip(likeliest, used, strict=True)
            ]
        answers = []
        for ids, several in zip(batch.context["token_ids"], outputs.continuations, strict=True):
            prompt = _without_end(ids, assets).tolist()
            told = [_told(prompt, written, assets) for written in several]
            answers.append(told[0] | ({"others": told[1:]} if top_k > 1 else {}))
        return answers

    def shown(self, fields: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        return {"foretold, token by token": answer["prediction"]}

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
        """See ``LanguageModelTask``; a text longer than the model reads is scored by its last."""
        found = np.zeros(len(texts))
        encoded = [
            example.inputs["token_ids"] for example in self.encode_many(_rows(texts), assets)
        ]
        if not ended:
            encoded = [_without_end(ids, assets) for ids in encoded]
        encoded = [ids[-assets.max_length - 1 :] for ids in encoded]
        asked = [place for place, ids in enumerate(encoded) if len(ids) > 1]
        asked.sort(key=lambda place: len(encoded[place]))
        for at in range(0, len(asked), SCORED_AT_ONCE):
            places = asked[at : at + SCORED_AT_ONCE]
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

        frequencies = Frequencies(self, assets, train, never=assets.unwritten)
        return [each(frequencies, self, assets) for each in (unigram_baseline, bigram_baseline)]

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: CausalAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        """Which words led to the token that follows the text, by taking each out."""
        from aitk.nlp.explain.occlusion import explain_text

        text = fields["text"]

        def following(texts: Sequence[str]) -> np.ndarray:
            encoded = self.encode_many(_rows(texts), assets)
            places = [
                min(len(_without_end(each.inputs["token_ids"], assets)), assets.max_length) - 1
                for each in encoded
            ]
            rows = predict(_rows(texts))
            logits = [np.array(row[place]) for row, place in zip(rows, places, strict=True)]
            for each in logits:
                each[assets.unwritten] = -np.inf
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


def _stretch(ids: np.ndarray, size: int, rng: np.random.Generator | None) -> np.ndarray:
    """At most ``size`` ids of a text."""
    beyond = len(ids) - size
    start = int(rng.integers(beyond + 1)) if rng is not None and beyond > 0 else 0
    return ids[start : start + size]


def _without_end(ids: np.ndarray, assets: CausalAssets) -> np.ndarray:
    return ids[:-1] if len(ids) > 1 and ids[-1] == assets.end_id else ids


def _told(prompt: Sequence[int], written: Sequence[int], assets: CausalAssets) -> dict[str, Any]:
    ended = bool(written) and written[-1] == assets.end_id
    known = assets.tokenizer.decode(prompt)
    whole = assets.tokenizer.decode([*prompt, *written])
    # Units are joined as in the whole text: a word that the text began is ended by what is new.
    new = whole[len(known) :] if whole.startswith(known) else assets.tokenizer.decode(written)
    return {"prediction": new.strip(), "whole": whole, "ended": ended}


def _named(index: int, assets: CausalAssets) -> str:
    return "(end)" if index == assets.end_id else assets.tokenizer.token(index)
