"""Tagging of words: named entities, parts of speech."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.label_task import stored_labels
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Evaluation, Example, Metric, Note, Task
from aitk.core.metrics.baselines import Baseline, Rows
from aitk.nlp.data.formats.tag_schemes import is_plain, spans_of
from aitk.nlp.data.languages import language_of
from aitk.nlp.data.options import TagReading
from aitk.nlp.data.tag_quality import TagInspector
from aitk.nlp.data.tag_reading import read_tagged, refuse_new_tags
from aitk.nlp.decoding.tagging import (
    best_tags,
    chain_of,
    describe_spans,
    marginals,
    span_probabilities,
    spans_in,
)
from aitk.nlp.features.tag_assets import (
    IGNORED,
    UNLABELLED,
    TagAssets,
    load_tag_assets,
    without_broken_start,
)
from aitk.nlp.features.tokenizers.learning import train_tokenizer
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer
from aitk.nlp.features.word_readers import (
    Subwords,
    WordReader,
    best_window,
    embed_words,
    learn_words,
    words_in,
)
from aitk.nlp.metrics.spans import gold_spans, score_spans
from aitk.nlp.models.span_specs import SubwordTagger, WordTagger
from aitk.nlp.tasks.settings import BilstmCrfSettings, TagHubSettings, TagTransformerSettings

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained

TEACHER_SHARE = 0.5
_SHOWN = 12  # spans per row in the table of the worst rows
Predict = Callable[[Mapping[str, np.ndarray]], Any]


class Tag(Task[TagAssets]):
    """One tag per word; IOB2 tags form spans."""

    name = "nlp.tag"
    reading = TagReading
    models = {
        "bilstm-crf": WordTagger(BilstmCrfSettings),
        "transformer": SubwordTagger(
            TagTransformerSettings, "aitk.nlp.models.transformer:build_backbone"
        ),
        "hub": SubwordTagger(TagHubSettings),
    }
    metric = Metric("f1")
    prediction_formats: Mapping[str, Any] = {}
    prediction_fields = ("spans.score",)

    def read(
        self, sources: Sequence[str], reading: TagReading, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        return read_tagged(sources, reading, labelled=labelled, note=note)

    def key(self, fields: Mapping[str, Any]) -> str:
        return fields["text"]

    def language(self, fields: Mapping[str, Any]) -> str:
        """See ``HasLanguages``."""
        return language_of(fields["text"])

    def inspector(self, reading: TagReading) -> TagInspector:
        return TagInspector(reading)

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        tag = tfds.features.ClassLabel(names=stored_labels(summary))
        return {
            "text": tfds.features.Text(),
            "starts": tfds.features.Sequence(np.int32),
            "ends": tfds.features.Sequence(np.int32),
            "tags": tfds.features.Sequence(tag),
        }

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
    ) -> TagAssets:
        if balance:
            raise UsageError("tags of words cannot be balanced", where="--balance")
        known = start.tokenizer if start else None
        reader: WordReader
        embeddings = None
        if isinstance(settings, BilstmCrfSettings):
            if known is not None and settings.embeddings is not None:
                raise UsageError("the weights of --from include embeddings", where="--embeddings")
            reader = known or learn_words(rows, vocabulary_size=settings.vocabulary_size)
            if settings.embeddings is not None:
                reader, embeddings = embed_words(
                    reader, settings.embeddings, settings.vocabulary_size, note=note
                )
        else:
            tokenizer = known or train_tokenizer((row["text"] for row in rows), settings)
            if not isinstance(tokenizer, SubwordTokenizer):
                raise UsageError("its tokeniser is not a subword tokeniser", where="--from")
            reader = Subwords(tokenizer)
        return TagAssets(
            reader, settings.max_length, tuple(summary["labels"]), settings.crf, embeddings
        )

    def load_assets(self, folder: Path) -> TagAssets:
        return load_tag_assets(folder)

    # Batches --------------------------------------------------------------

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: TagAssets) -> list[Example]:
        examples = []
        for row, inputs in zip(rows, assets.reader.encode(rows), strict=True):
            kept = {
                "text": np.array(row["text"], object),
                "starts": np.asarray(row["starts"], np.int64),
                "ends": np.asarray(row["ends"], np.int64),
                "length": np.array(assets.reader.length(inputs, assets.max_length)),
            }
            target = assets.targets(row["tags"]) if "tags" in row else None
            examples.append(Example(inputs | kept, target))
        return examples

    def length(self, example: Example) -> int:
        return int(example.inputs["length"])

    def collate(
        self,
        examples: Sequence[Example],
        assets: TagAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Pad. For a sentence longer than the model's input, training draws any window; otherwise
        the first is used, and the context holds the others, which ``infer`` reads."""
        reader, longest = assets.reader, assets.max_length
        windows = [reader.windows(each.inputs, longest) for each in examples]
        picked = [each[int(rng.integers(len(each))) if rng is not None else 0] for each in windows]
        cut = [
            reader.cut(example.inputs, window, longest, rng)
            for example, window in zip(examples, picked, strict=True)
        ]
        inputs = reader.pad(cut, min(pad_to, longest) if pad_to else None)
        words = [each[-1][1] for each in windows]
        further = [
            [reader.cut(example.inputs, window, longest, None) for window in each[1:]]
            for example, each in zip(examples, windows, strict=True)
        ]
        context: dict[str, Any] = {"words": words, "windows": windows, "further": further}
        context["rows"] = [
            (str(each.inputs["text"]), each.inputs["starts"], each.inputs["ends"])
            for each in examples
        ]
        if any(each.target is None for each in examples):
            return Batch(inputs, context=context)
        # As wide as the emissions: the number of words, or of tokens if tokens are words.
        width = inputs.get("word_positions", inputs["token_ids"]).shape[1]
        soft = examples[0].target.ndim == 2  # a teacher's marginals follow the tag
        shape = (len(examples), width, *examples[0].target.shape[1:])
        targets = np.full(shape, IGNORED, np.float32 if soft else np.int32)
        for row, example, (first, last) in zip(targets, examples, picked, strict=True):
            inside = without_broken_start(example.target[first:last], assets.labels)[:width]
            row[: len(inside)] = inside
        context["targets"] = [each.target for each in examples]
        return Batch(inputs, targets, np.ones(len(examples), np.float32), context)

    def infer(
        self,
        batch: Batch,
        predict: Predict,
        assets: TagAssets,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> np.ndarray:
        """The scores of all words, merged from the windows of long sentences."""
        outputs = np.asarray(predict(batch.inputs))
        windows, words = batch.context["windows"], batch.context["words"]
        waiting = [(row, at) for row, each in enumerate(windows) for at in range(1, len(each))]
        if not waiting:
            return outputs
        head = 2 + outputs.shape[-1]  # rows before the emissions
        whole = np.zeros((len(windows), head + max(words), outputs.shape[-1]), outputs.dtype)
        whole[:, :head] = outputs[:, :head]
        chosen = [best_window(each, count) for each, count in zip(windows, words, strict=True)]

        def put(row: int, at: int, emissions: np.ndarray) -> None:
            first = windows[row][at][0]
            inside = np.flatnonzero(chosen[row] == at)
            inside = inside[inside - first < len(emissions)]
            whole[row, head + inside] = emissions[inside - first]

        for row in range(len(windows)):
            put(row, 0, outputs[row, head:])
        size = max(1, len(windows))
        for start in range(0, len(waiting), size):
            places = waiting[start : start + size]
            cut = [batch.context["further"][row][at - 1] for row, at in places]
            found = np.asarray(predict(assets.reader.pad(cut, None)))
            for (row, at), scores in zip(places, found, strict=True):
                put(row, at, scores[head:])
        return whole

    # Predictions ----------------------------------------------------------

    def decode(
        self,
        batch: Batch,
        outputs: Any,
        assets: TagAssets,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> list[dict[str, Any]]:
        """For each row ``spans`` in order: ``start`` and ``end`` in characters, ``text``,
        ``label``, and ``score``, the probability of exactly these tags.

        Plain tags (parts of speech) are returned as one span per word.
        """
        del top_k
        predictions = []
        chains = self._chains(batch, outputs, assets)
        for chain, (text, starts, ends) in zip(chains, batch.context["rows"], strict=True):
            tags = best_tags(chain)
            spans = spans_in(tags, assets.labels)
            scores = span_probabilities(chain, tags, spans)
            predictions.append({"spans": describe_spans(text, starts, ends, spans, scores)})
        return predictions

    def measure(self, batch: Batch, outputs: Any, assets: TagAssets) -> dict[str, np.ndarray]:
        gold, found, correct, words = [], [], [], []
        for chain, targets in zip(
            self._chains(batch, outputs, assets), batch.context["targets"], strict=True
        ):
            tags = best_tags(chain)
            gold.append(gold_spans(targets, assets.labels))
            found.append(spans_in(tags, assets.labels))
            correct.append(int((tags == targets).sum()))
            words.append(len(tags))
        return {
            "gold": _cells(gold),
            "found": _cells(found),
            "correct": np.array(correct),
            "words": np.array(words),
        }

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: TagAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        return score_spans(
            measured["gold"].tolist(),
            measured["found"].tolist(),
            correct_words=measured["correct"].astype(float),
            words=measured["words"].astype(float),
            resamples=resamples,
            seed=seed,
        )

    def _chains(self, batch: Batch, outputs: Any, assets: TagAssets) -> Iterator[Any]:
        for row, words in zip(np.asarray(outputs), batch.context["words"], strict=True):
            yield chain_of(row, assets.legal, words)

    # Further capabilities -------------------------------------------------

    def summarize(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Summarizable``: the correct and the predicted spans in words."""
        tags = list(fields["tags"])
        spans, _ = spans_of(tags, "plain" if is_plain(tags) else "iob2")
        words = words_in(fields)
        right = [f"{' '.join(words[start:end])} [{label}]" for start, end, label in spans]
        found = [f"{each['text']} [{each['label']}]" for each in prediction["spans"]]
        return {"right": "; ".join(right[:_SHOWN]), "predicted": "; ".join(found[:_SHOWN])}

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: TagAssets,
        known: Rows,
        *,
        reading: Any,
    ) -> tuple[TagAssets, Iterator[Row | Refusal]]:
        """See ``Updatable``: the tags are fixed; a row with a new tag is refused."""
        del known, reading
        return assets, refuse_new_tags(items, assets.labels)

    def add_soft_targets(
        self, example: Example, outputs: np.ndarray, assets: TagAssets, *, teacher: TagAssets
    ) -> Example:
        """See ``DistillsRows``: each word's tag, and the teacher's marginals.

        Words outside the teacher's input have the correct tag instead.
        """
        targets = example.target
        read = min(len(targets), len(outputs) - 2 - outputs.shape[-1])
        soft = np.eye(len(assets.labels), dtype=np.float32)[np.maximum(targets, 0)]
        soft[:read] = marginals(chain_of(outputs, teacher.legal, len(targets)))[:read]
        target = np.concatenate([targets[:, None].astype(np.float32), soft], axis=1)
        return Example(example.inputs, target, example.weight)

    def teacher_only(self, example: Example, assets: TagAssets) -> Example:
        """See ``DistillsUnlabelled``."""
        words = len(example.inputs["starts"])
        return Example(example.inputs, np.full(words, UNLABELLED, np.int32), example.weight)

    def distillation_loss(self, assets: TagAssets, *, teacher: TagAssets) -> Any:
        """See ``DistillsRows``."""
        from aitk.nlp.models.crf import CrfLoss, TagDistillationLoss, TokenLoss

        if assets.labels != teacher.labels:
            raise UsageError("the teacher must have the same tags", where="--distill")
        hard = CrfLoss(assets.legal) if assets.learned else TokenLoss()
        legal = assets.legal if assets.learned else None
        return TagDistillationLoss(hard, share=TEACHER_SHARE, legal=legal)

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: TagAssets
    ) -> Iterable[Baseline]:
        """See ``HasBaselines``: the spans of the training rows, matched word by word."""
        from aitk.nlp.metrics.span_dictionary import dictionary_baseline

        del summary
        yield dictionary_baseline(train, assets.labels)

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: TagAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        """Words that contributed to the most certain span, or to that of the label ``target``: the
        decrease of its probability when each is blanked out."""
        from aitk.nlp.explain.word_occlusion import explain_span

        del model
        return explain_span(fields, predict, assets, target=target)


def _cells(values: Sequence[Any]) -> np.ndarray:
    """A column whose cells are lists."""
    cells = np.empty(len(values), object)
    for place, value in enumerate(values):
        cells[place] = value
    return cells
