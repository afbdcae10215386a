"""Translation of sentences: shared subwords, an encoder-decoder, beam search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Evaluation, Example, Metric, Note, Task
from aitk.core.decoding.beam_search import Hypothesis, beam_search
from aitk.core.decoding.incremental import Decoder, UncachedDecoder
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Count, read_json
from aitk.core.io.prediction_files import PredictionLines
from aitk.core.metrics.baselines import Baseline, Rows
from aitk.core.metrics.classification import log_softmax
from aitk.nlp.data.formats.text_lines import TextLines
from aitk.nlp.data.languages import language_of, script_of
from aitk.nlp.data.options import TranslateOptions, TranslateReading
from aitk.nlp.features.assets import SubwordAssets, TextAssets, load_text_assets
from aitk.nlp.features.batching import pad_shifted, pad_tokens
from aitk.nlp.features.tokenizers.learning import train_subwords
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer
from aitk.nlp.metrics.translation import (
    DEFAULT_SPLITTER,
    SPLITTERS,
    measure_translations,
    score_translations,
)
from aitk.nlp.tasks.translate_models import HubTranslationModel, TranslationModel
from aitk.nlp.tasks.translate_settings import (
    HubTranslatorSettings,
    LstmTranslatorSettings,
    TransformerTranslatorSettings,
)

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained

#: Maximum length of a translation: this many times the units of its source, plus a constant.
LONGEST_FACTOR, LONGEST_EXTRA = 2, 10
#: Number of references from which the script is determined.
REFERENCES_LOOKED_AT = 1000
DEFAULTS = TranslateOptions()
#: The shape of ``translation.json``.
SHAPE = {"label_smoothing": float, "splitter": str, "starts?": [Count], "prefix?": str}


@dataclass(frozen=True)
class TranslationAssets(SubwordAssets):
    """The subwords and the scoring of translations.

    Attributes:
        text: tokeniser and length.
        label_smoothing: of the loss.
        splitter: sacreBLEU's tokeniser for the target language.
        starts: the tokens that the decoder reads before a translation.
        prefix: text before every source.
    """

    label_smoothing: float
    splitter: str
    starts: tuple[int, ...]
    prefix: str = ""

    def bias(self) -> np.ndarray:
        """Additive mask that excludes special tokens other than the end, (vocabulary,) float32."""
        bias = np.zeros(self.tokenizer.vocabulary_size, np.float32)
        bias[sorted(self.tokenizer.special_ids - {self.end_id})] = -np.inf
        return bias

    def start_rows(self, rows: int) -> np.ndarray:
        """The first tokens of every translation, (rows, starts) int32."""
        return np.tile(np.array(self.starts, np.int32), (rows, 1))

    def save(self, folder: Path) -> None:
        self.text.save(folder)
        values = {"label_smoothing": self.label_smoothing, "splitter": self.splitter}
        more = {"starts": list(self.starts), "prefix": self.prefix}
        write_json(folder / "translation.json", values | more)


@dataclass(frozen=True)
class Translated:
    """The translations of a batch.

    Attributes:
        hypotheses: of each row, best first.
        losses: (rows,) nats of the reference, or None without references.
    """

    hypotheses: Sequence[Sequence[Hypothesis]]
    losses: np.ndarray | None = None


class Translate(Task[TranslationAssets]):
    """Translates sentences of one language into another."""

    name = "nlp.translate"
    reading = TranslateReading
    predict_options = TranslateOptions
    models = {
        "transformer": TranslationModel(TransformerTranslatorSettings),
        "lstm": TranslationModel(LstmTranslatorSettings),
        "hub": HubTranslationModel(HubTranslatorSettings),
    }
    metric = Metric("bleu", is_rate=False)
    prediction_formats: Mapping[str, Callable[[], PredictionLines]] = {".txt": TextLines}
    prediction_fields = ("prediction", "score")

    # Rows -----------------------------------------------------------------

    def read(
        self, sources: Sequence[str], reading: TranslateReading, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        from aitk.nlp.data.pairs import read_pairs

        return read_pairs(sources, reading, labelled=labelled, note=note)

    def key(self, fields: Mapping[str, Any]) -> str:
        return fields["source"]

    def language(self, fields: Mapping[str, Any]) -> str:
        """See ``HasLanguages``: of the translation."""
        return language_of(fields["target"])

    def inspector(self, reading: TranslateReading) -> Any:
        from aitk.nlp.data.pair_quality import PairInspector

        return PairInspector()

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        return {"source": tfds.features.Text(), "target": tfds.features.Text()}

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
    ) -> TranslationAssets:
        tokenizer = start.tokenizer if start else None
        if tokenizer is None:
            texts = (text for row in rows for text in (row["source"], row["target"]))
            tokenizer = train_subwords(texts, settings)
        starts = _starts(tokenizer, pretrained=isinstance(settings, HubTranslatorSettings))
        if not starts or tokenizer.end_id is None:
            raise ArtifactError(
                "its vocabulary has no start and end tokens",
                where=start.source if start else None,
            )
        shown = (rows[at]["target"] for at in range(min(len(rows), REFERENCES_LOOKED_AT)))
        script, _ = Counter(map(script_of, shown)).most_common(1)[0]
        assets = TranslationAssets(
            TextAssets(tokenizer, settings.max_length),
            settings.label_smoothing,
            SPLITTERS.get(script, DEFAULT_SPLITTER),
            starts,
            getattr(settings, "prefix", ""),
        )
        cut = sum(
            max(map(len, tokenizer.encode_bare([row["source"], row["target"]], 1 << 16)))
            > settings.max_length - 2
            for row in rows
        )
        if cut:
            note(f"{cut:,} pairs are truncated to {settings.max_length} units (--set max_length)")
        return assets

    def load_assets(self, folder: Path) -> TranslationAssets:
        path = folder / "translation.json"
        values = read_json(path, SHAPE)
        if values["splitter"] not in (DEFAULT_SPLITTER, *SPLITTERS.values()):
            raise ArtifactError("sacreBLEU has no such tokeniser", where=str(path))
        text = load_text_assets(folder)
        tokenizer: Any = text.tokenizer
        starts = tuple(values.pop("starts", ())) or _starts(tokenizer, pretrained=False)
        if not starts or max(starts) >= tokenizer.vocabulary_size or tokenizer.end_id is None:
            raise ArtifactError("its vocabulary has no start and end tokens", where=str(path))
        return TranslationAssets(text, starts=starts, **values)

    # Batches --------------------------------------------------------------

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: TranslationAssets) -> list[Example]:
        """Subwords of the source, framed; the target is the text and its subwords."""
        texts = [assets.prefix + row["source"] for row in rows]
        sources = assets.tokenizer.encode_many(texts, assets.max_length)
        known = [row.get("target") for row in rows]
        texts = [text for text in known if text is not None]
        longest = assets.max_length - len(assets.starts)
        targets = iter(assets.tokenizer.encode_bare(texts, longest))
        return [
            Example(
                {"token_ids": np.array(ids or [0], np.int32)},
                None if text is None else (text, np.array(next(targets), np.int32)),
            )
            for ids, text in zip(sources, known, strict=True)
        ]

    def length(self, example: Example) -> int:
        target = 0 if example.target is None else len(example.target[1])
        return max(len(example.inputs["token_ids"]), target + 1)

    def collate(
        self,
        examples: Sequence[Example],
        assets: TranslationAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Pad sources and, if given, targets, which are shifted by the start token."""
        inputs = pad_tokens([example.inputs["token_ids"] for example in examples], pad_to=pad_to)
        if any(example.target is None for example in examples):
            return Batch(inputs | {"target_ids": assets.start_rows(len(examples))})
        ids = [example.target[1] for example in examples]
        read, targets, weights = pad_shifted(ids, assets.starts, assets.end_id, pad_to=pad_to)
        context = {"target": [example.target[0] for example in examples]}
        return Batch(inputs | {"target_ids": read}, targets, weights, context)

    # Predictions ----------------------------------------------------------

    def infer(
        self,
        batch: Batch,
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: TranslationAssets,
        *,
        top_k: int = 1,
        options: TranslateOptions | None = None,
    ) -> Translated:
        """Search the translations; also compute the loss of known ones."""
        options = options or DEFAULTS
        sources = {name: batch.inputs[name] for name in ("token_ids", "padding_mask")}
        lengths = sources["padding_mask"].sum(axis=1)
        longest = assets.max_length - len(assets.starts) + 1
        limits = np.minimum(LONGEST_FACTOR * lengths + LONGEST_EXTRA, longest)
        hypotheses = beam_search(
            open_decoder(predict),
            sources,
            starts=assets.start_rows(len(lengths)),
            limits=limits.tolist(),
            end_id=assets.end_id,
            bias=assets.bias(),
            beams=max(options.beams, top_k),
            alpha=options.length_penalty,
            best=top_k,
        )
        if batch.targets is None:
            return Translated(hypotheses)
        chances = log_softmax(np.asarray(predict(batch.inputs), np.float32))
        own = np.take_along_axis(chances, np.asarray(batch.targets)[..., None], -1)[..., 0]
        used = np.asarray(batch.weights) > 0
        return Translated(hypotheses, np.where(used, -own, 0).sum(-1, dtype=np.float64))

    def decode(
        self,
        batch: Batch,
        outputs: Any,
        assets: TranslationAssets,
        *,
        top_k: int = 1,
        options: TranslateOptions | None = None,
    ) -> list[dict[str, Any]]:
        answers = []
        for found in outputs.hypotheses:
            shown = [
                {
                    "prediction": assets.tokenizer.decode(each.ids),
                    "score": round(each.score, 4),
                    **({} if each.ended else {"cut": True}),
                }
                for each in found
            ]
            answers.append(shown[0] | ({"others": shown[1:]} if top_k > 1 else {}))
        return answers

    def measure(
        self, batch: Batch, outputs: Translated, assets: TranslationAssets
    ) -> dict[str, np.ndarray]:
        predicted = [assets.tokenizer.decode(found[0].ids) for found in outputs.hypotheses]
        counts = measure_translations(predicted, batch.context["target"], splitter=assets.splitter)
        tokens = (np.asarray(batch.weights) > 0).sum(-1)
        return counts | {"tokens": tokens, "loss": outputs.losses}

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: TranslationAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        return score_translations(
            measured, splitter=assets.splitter, resamples=resamples, seed=seed
        )

    # Further capabilities -------------------------------------------------

    def with_prediction(
        self, fields: Mapping[str, Any], prediction: Mapping[str, Any]
    ) -> dict[str, Any]:
        """See ``DistillsSequences``: the best translation."""
        return dict(fields) | {"target": prediction["prediction"]}

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: TranslationAssets,
        known: Sequence[Mapping[str, Any]],
        *,
        reading: TranslateReading,
    ) -> tuple[TranslationAssets, Iterator[Row | Refusal]]:
        """See ``Updatable``: the subwords are unchanged and also encode new words."""
        return assets, items

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: TranslationAssets
    ) -> list[Baseline]:
        """The source as its own translation, which preserves names and numbers."""

        def measure(rows: Rows, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            sources, targets = ([row[side] for row in rows] for side in ("source", "target"))
            return measure_translations(sources, targets, splitter=assets.splitter)

        return [Baseline("untranslated source", measure)]

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: TranslationAssets,
        *,
        target: str | None = None,
        model: Callable[[], keras.Model] | None = None,
    ) -> dict[str, Any]:
        """The parts of the source behind each unit of the translation (or of ``target``)."""
        from aitk.core.inference.predictors import KerasPredictor
        from aitk.nlp.explain.alignment import explain_alignment

        if model is None:
            raise UsageError(
                "only the Keras model shows how translation and source are aligned",
                hint="Explain the uncompressed run",
            )
        (example,) = self.encode([{"source": fields["source"]}], assets)
        batch = self.collate([example], assets)
        if target is None:
            found = self.infer(batch, KerasPredictor(model()), assets)
            ids = list(found.hypotheses[0][0].ids)
        else:
            longest = assets.max_length - len(assets.starts)
            (ids,) = assets.tokenizer.encode_bare([target], longest)
        read = np.array([[*assets.starts, *ids]], np.int32)
        framed = example.inputs["token_ids"]
        inside = [at for at, each in enumerate(framed) if each not in assets.tokenizer.special_ids]
        translator: Any = model()
        looks = translator.alignment(batch.inputs | {"target_ids": read})
        # The end token of an empty translation also has weights.
        looks = np.asarray(looks, np.float64)[0, len(assets.starts) - 1 :]
        weights = looks[: max(1, len(ids)), inside]
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
        text = assets.tokenizer.decode(ids)
        if not inside:
            raise DataError("the source has no known unit", where=repr(fields["source"]))
        units = [assets.tokenizer.token(int(framed[at])) for at in inside]
        written = [assets.tokenizer.token(each) for each in ids] or ["(end)"]
        measure = translator.alignment_measure
        return {"prediction": text} | explain_alignment(units, written, weights, measure=measure)


def _starts(tokenizer: SubwordTokenizer, *, pretrained: bool) -> tuple[int, ...]:
    """The tokens before a translation; none if the vocabulary lacks them.

    Args:
        pretrained: for T5, whose decoder starts with padding, and BART, with the end and the start.
    """
    start, end = tokenizer.start_id, tokenizer.end_id
    if start is None:
        return (tokenizer.pad_id,) if pretrained else ()
    return (end, start) if pretrained and end is not None else (start,)


def open_decoder(predict: Any) -> Decoder:
    """The predictor's own decoder, with a cache; otherwise one that rereads the whole prefix."""
    decoder = getattr(predict, "decoder", None)
    if decoder is not None:
        return decoder

    def score(sources: Mapping[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
        return np.asarray(predict({**sources, "target_ids": tokens}))[:, -1]

    return UncachedDecoder(score)
