"""Embedding: vectors of words and texts, close to those of similar texts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Evaluation, Example, Metric, Note, Task
from aitk.core.io.prediction_files import PredictionLines
from aitk.core.metrics.baselines import Baseline, Rows
from aitk.core.privacy.redaction import redactor_of
from aitk.nlp.data.embed_reading import EmbedInspector, read_rows
from aitk.nlp.data.formats.vectors import NpyLines, VectorLines
from aitk.nlp.data.options import SCORED, TEXTS, EmbedOptions, EmbedReading
from aitk.nlp.features.batching import sif_weights
from aitk.nlp.features.embed_assets import Arrays, EmbedAssets, load_embed_assets
from aitk.nlp.features.word_units import learn_word_units
from aitk.nlp.losses.word_corpus import all_texts
from aitk.nlp.metrics.common_words import common_words
from aitk.nlp.metrics.similarity import score_analogies, score_retrieval, score_similarity
from aitk.nlp.models.embed_specs import SentenceEncoder, StaticTable, WordVectors
from aitk.nlp.tasks.embed_search import (
    AnalogyResults,
    Found,
    complete_analogies,
    search_texts,
    search_words,
    with_index,
)
from aitk.nlp.tasks.embed_settings import (
    FastTextSettings,
    GloveSettings,
    SentenceHubSettings,
    SentenceTransformerSettings,
    StaticSettings,
    Word2VecSettings,
    WordVectorSettings,
)

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained

SIDES = ("text", "pair", "negative")


@dataclass(frozen=True)
class Halves:
    """The vectors of the two halves of each text (rows, 2, d), compared in evaluation."""

    vectors: np.ndarray


class Embed(Task[EmbedAssets]):
    """Vectors of words and texts.

    Plain texts are evaluated by retrieval of the second half of a held-out text by its first half
    (Lee et al. 2019, inverse cloze task).
    """

    name = "nlp.embed"
    reading = EmbedReading
    predict_options = EmbedOptions
    models = {
        "word2vec": WordVectors(Word2VecSettings, "aitk.nlp.losses.skipgram:train_vectors"),
        "fasttext": WordVectors(FastTextSettings, "aitk.nlp.losses.skipgram:train_vectors"),
        "glove": WordVectors(GloveSettings, "aitk.nlp.losses.glove:train_glove"),
        "transformer": SentenceEncoder(
            SentenceTransformerSettings, "aitk.nlp.models.transformer:build_backbone"
        ),
        "hub": SentenceEncoder(SentenceHubSettings),
        "static": StaticTable(StaticSettings),
    }
    metric = Metric("recall@1", selection="mrr")
    content = "text"
    prediction_formats: Mapping[str, Callable[[], PredictionLines]] = {
        ".vec": VectorLines,
        ".npy": NpyLines,
    }
    prediction_fields = ("prediction",)

    def for_reading(self, reading: EmbedReading) -> Task[EmbedAssets]:
        """See ``DependsOnReading``."""
        return ScoredEmbed() if reading.form == SCORED else self

    def read(
        self, sources: Sequence[str], reading: EmbedReading, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        return read_rows(sources, reading, labelled=labelled, note=note)

    def key(self, fields: Mapping[str, Any]) -> str:
        return "\0".join(fields[side] for side in SIDES if side in fields)

    def inspector(self, reading: EmbedReading) -> EmbedInspector:
        return EmbedInspector(reading)

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        text = tfds.features.Text
        return {
            "texts": {"text": text()},
            "pairs": {"text": text(), "pair": text()},
            "triplets": {"text": text(), "pair": text(), "negative": text()},
            "scored": {"text": text(), "pair": text(), "score": tfds.features.Scalar(np.float64)},
        }[summary["form"]]

    # Assets ---------------------------------------------------------------

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
    ) -> EmbedAssets:
        from aitk.nlp.features.tokenizers.learning import train_tokenizer

        shared: dict[str, Any] = {
            "form": summary.get("form", TEXTS),
            "max_length": settings.max_length,
            "scores": tuple(summary.get("scores", ())),
        }
        if isinstance(settings, WordVectorSettings):
            if getattr(settings, "min_ngram", 1) > getattr(settings, "max_ngram", 1):
                raise UsageError("min_ngram is above max_ngram", where="--set min_ngram")
            units = learn_word_units(all_texts(rows), settings)
            return EmbedAssets(units=units, sif=settings.sif, **shared)
        tokenizer: Any = start.tokenizer if start else None
        if tokenizer is None:
            if start is not None:
                raise ArtifactError("has no tokeniser", where=start.source)
            if not hasattr(settings, "tokenizer"):
                raise UsageError(
                    "the model needs a pretrained encoder; none is given",
                    where="--model",
                    hint="Name the encoder with --from",
                )
            tokenizer = train_tokenizer(all_texts(rows), settings)
        shared |= {"tokenizer": tokenizer, "temperature": settings.temperature}
        shared["ranked"] = settings.scored_loss == "ranking"
        if not isinstance(settings, StaticSettings):
            return EmbedAssets(**shared)
        assets = EmbedAssets(bare=True, **shared)

        def encode(taken: Rows) -> Iterator[np.ndarray]:
            yield from (each["ids"] for each in assets.encode(list(all_texts(taken))))

        weights = sif_weights(rows, encode, tokenizer, sif=settings.sif)
        return dataclasses.replace(assets, token_weights=weights)

    def load_assets(self, folder: Path) -> EmbedAssets:
        return load_embed_assets(folder)

    def configure(
        self, assets: EmbedAssets, options: EmbedOptions | None, *, open_scorer: Any
    ) -> EmbedAssets:
        """See ``Configurable``: the file to search."""
        return assets if options is None else with_index(assets, options)

    def rows_in_options(self, options: EmbedOptions, reading: EmbedReading) -> Sequence[Row]:
        """See ``ReadsOptions``: the text whose neighbours are requested."""
        if options.nearest is None:
            return []
        if not options.nearest.strip():
            raise UsageError("is empty", where="--nearest")
        redactor = redactor_of(reading)
        fields = {"text": redactor(options.nearest) if redactor else options.nearest}
        return [Row(fields, "--nearest", 1, record=fields)]

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: EmbedAssets,
        known: Rows,
        *,
        reading: EmbedReading,
    ) -> tuple[EmbedAssets, Iterator[Row | Refusal]]:
        """See ``Updatable``: word vectors are retrained on all rows with the same vocabulary; an
        encoder is trained further with the same tokens."""
        del known, reading
        return assets, items

    # Batches --------------------------------------------------------------

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: EmbedAssets) -> list[Example]:
        texts = [_sides(row) for row in rows]
        encoded = iter(assets.encode([text for sides in texts for text in sides]))
        examples = []
        for row, sides in zip(rows, texts, strict=True):
            inputs = {
                f"{name}_{side}": array
                for side in range(len(sides))
                for name, array in next(encoded).items()
            }
            target: Any = row.get("score")
            if "analogy" in row:
                target = (row["section"], sides)
            examples.append(Example(inputs, target))
        return examples

    def length(self, example: Example) -> int:
        return max(len(ids) for name, ids in example.inputs.items() if name.startswith("ids"))

    def collate(
        self,
        examples: Sequence[Example],
        assets: EmbedAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """The texts of all rows, those of a row adjacent: more texts than rows.

        In training, a text without a partner occurs twice, as two views by dropout.
        """
        sides = [_arrays(example) for example in examples]
        if rng is not None:
            sides = [texts * 2 if len(texts) == 1 else texts for texts in sides]
        texts = [text for each in sides for text in each]
        context: dict[str, Any] = {"sides": [len(each) for each in sides], "texts": texts}
        targets: Any = [example.target for example in examples]
        if any(isinstance(target, tuple) for target in targets):
            return Batch(assets.pad(texts, pad_to=pad_to), context=context | {"analogies": targets})
        if any(target is not None for target in targets):
            context["scores"] = np.array(
                [math.nan if target is None else target for target in targets], np.float64
            )
        if rng is None:
            return Batch(assets.pad(texts, pad_to=pad_to), context=context)
        if "scores" in context:
            low, high = assets.scores
            scaled = (context["scores"] - low) / max(high - low, 1e-9)
            numbers = np.repeat(scaled.clip(0, 1), context["sides"])
        else:
            found = [text["ids"].tobytes() for text in texts]
            numbers = np.unique(np.array(found, dtype=object), return_inverse=True)[1]
        weights = np.ones(len(texts), np.float32)
        inputs = assets.pad(texts, pad_to=pad_to)
        return Batch(inputs, numbers.astype(np.float32), weights, context)

    # Predictions ----------------------------------------------------------

    def infer(
        self,
        batch: Batch,
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: EmbedAssets,
        *,
        top_k: int = 1,
        options: EmbedOptions | None = None,
    ) -> Any:
        """Vectors of the texts; their nearest neighbours, or halves, if required."""
        if "analogies" in batch.context:
            return complete_analogies(batch.context["analogies"], predict, assets)
        if options is None and max(batch.context["sides"]) == 1:
            halves = [half for text in batch.context["texts"] for half in assets.halves(text)]
            vectors = predict(assets.pad(halves))
            return Halves(vectors.reshape(-1, 2, vectors.shape[-1]))
        vectors = predict(batch.inputs)
        if options is None:
            return vectors
        first = np.cumsum([0, *batch.context["sides"][:-1]])
        if assets.index is not None:
            return search_texts(
                vectors[first], assets.index, predict, assets, self,
                count=top_k, approximate=options.approximate,
            )  # fmt: skip
        if options.neighbours or options.nearest is not None:
            queries = [batch.context["texts"][place] for place in first]
            return search_words(vectors[first], queries, predict, assets, count=top_k)
        return vectors

    def decode(
        self,
        batch: Batch,
        outputs: Any,
        assets: EmbedAssets,
        *,
        top_k: int = 1,
        options: EmbedOptions | None = None,
    ) -> list[dict[str, Any]]:
        """The vector of a text, the cosine of a pair, or the nearest neighbours of a text."""
        if isinstance(outputs, Found):
            return [
                {"prediction": found[0]["text"] if found else None, "nearest": found}
                for found in outputs.rows
            ]
        if isinstance(outputs, AnalogyResults):
            return [{"prediction": word} for word in outputs.words]
        if isinstance(outputs, Halves):
            cosines = _cosines(outputs.vectors[:, 0], outputs.vectors[:, 1])
            return [{"prediction": round(float(cosine), 6)} for cosine in cosines]
        digits = EmbedOptions.digits if options is None else options.digits
        predictions: list[dict[str, Any]] = []
        ends = np.cumsum(batch.context["sides"])
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            if end - start == 1:
                numbers = outputs[start].tolist()
                predictions.append({"prediction": [float(f"{x:.{digits}g}") for x in numbers]})
            else:
                cosine = _cosines(outputs[start], outputs[start + 1])
                predictions.append({"prediction": round(float(cosine), 6)})
        return predictions

    def summarize(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Summarizable``: a vector is not shown."""
        value = prediction["prediction"]
        return {"prediction": f"{len(value)} numbers" if isinstance(value, list) else value}

    def measure(self, batch: Batch, outputs: Any, assets: EmbedAssets) -> dict[str, np.ndarray]:
        if isinstance(outputs, AnalogyResults):
            sections = [section for section, _ in batch.context["analogies"]]
            return {
                "correct": outputs.correct,
                "known": outputs.known,
                "section": np.array(sections, dtype=object),
            }
        if isinstance(outputs, Halves):
            return {"left": outputs.vectors[:, 0], "right": outputs.vectors[:, 1]}
        first = np.cumsum([0, *batch.context["sides"][:-1]])
        left, right = outputs[first], outputs[first + 1]
        if "scores" in batch.context:
            return {"cosine": _cosines(left, right), "score": batch.context["scores"]}
        return {"left": left, "right": right}

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: EmbedAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        if "correct" in measured:
            return score_analogies(
                measured["correct"], measured["known"], measured["section"].tolist()
            )
        if "cosine" in measured:
            cosines = measured["cosine"].astype(np.float64)
            return score_similarity(cosines, measured["score"], resamples=resamples, seed=seed)
        return score_retrieval(measured["left"], measured["right"], resamples=resamples, seed=seed)

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: EmbedAssets
    ) -> Iterator[Baseline]:
        """See ``HasBaselines``: the words that two texts share."""
        yield Baseline("words in common", common_words)

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: EmbedAssets,
        *,
        target: str | None = None,
        model: Callable[[], keras.Model] | None = None,
    ) -> dict[str, Any]:
        """Words of a text that make it similar to its pair, to ``target``, or to itself."""
        from aitk.nlp.explain.occlusion import explain_text

        other = target or fields.get("pair") or fields["text"]
        reference = predict([{"text": other}])[0]

        def similarity(texts: Sequence[str]) -> np.ndarray:
            return _cosines(predict([{"text": text} for text in texts]), reference[None])

        cosine = round(float(similarity([fields["text"]])[0]), 6)
        facts = {"prediction": cosine, "explained": other}
        return facts | explain_text(fields["text"], similarity)


class ScoredEmbed(Embed):
    """Embedding of pairs with a similarity score."""

    metric = Metric("spearman")

    def for_reading(self, reading: EmbedReading) -> Task[EmbedAssets]:
        return self


def _sides(row: Mapping[str, Any]) -> list[str]:
    if "analogy" in row:
        return list(row["analogy"])
    return [row[side] for side in SIDES if side in row]


def _arrays(example: Example) -> list[Arrays]:
    """The encoded texts of a row."""
    sides: dict[int, Arrays] = {}
    for name, array in example.inputs.items():
        part, _, side = name.rpartition("_")
        sides.setdefault(int(side), {})[part] = array
    return [sides[side] for side in sorted(sides)]


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(..., d), (..., d) -> (...)."""
    lengths = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    return (left * right).sum(axis=-1) / np.maximum(lengths, 1e-9)
