"""Extractive question answering: the answer is a span of the context, or there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Evaluation, Example, Metric, Note, Task
from aitk.core.metrics.baselines import Baseline, Rows
from aitk.nlp.data.languages import language_of
from aitk.nlp.data.options import QaPredictOptions, QaReading
from aitk.nlp.data.qa_quality import QaInspector
from aitk.nlp.data.qa_reading import ask_about, read_questions
from aitk.nlp.decoding.answers import Answers, row_answers
from aitk.nlp.features.passages import (
    FORBIDDEN,
    QaAssets,
    answer_tokens,
    check_room,
    cut,
    encode_passages,
    first_context_token,
    load_qa_assets,
    pad_windows,
    pick_window,
    span_targets,
    windows_of,
)
from aitk.nlp.features.tokenizers.learning import train_subwords
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer
from aitk.nlp.metrics.qa import best_match, choose_threshold, rules_for, score_answers
from aitk.nlp.models.span_specs import SpanModel, SpanTransformer
from aitk.nlp.tasks.settings import QaHubSettings, QaTransformerSettings

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained

Predict = Callable[[Mapping[str, np.ndarray]], Any]


@dataclass(frozen=True)
class _Answered:
    """Targets of a question for training and scoring.

    Attributes:
        answers: the correct answers; empty if the context has none.
        tokens: first and last token of the first answer.
    """

    answers: tuple[str, ...]
    tokens: tuple[int, int] | None


class QuestionAnswering(Task[QaAssets]):
    """Predicts the start and end of the answer to a question in its context."""

    name = "nlp.qa"
    reading = QaReading
    predict_options = QaPredictOptions
    models = {
        "transformer": SpanTransformer(
            QaTransformerSettings, "aitk.nlp.models.transformer:build_backbone"
        ),
        "hub": SpanModel(QaHubSettings),
    }
    metric = Metric("f1")

    def read(
        self, sources: Sequence[str], reading: QaReading, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        return read_questions(sources, reading, labelled=labelled, note=note)

    def key(self, fields: Mapping[str, Any]) -> str:
        return f"{fields['question']}\n{fields['context']}"

    def language(self, fields: Mapping[str, Any]) -> str:
        """See ``HasLanguages``."""
        return language_of(fields["context"])

    def inspector(self, reading: QaReading) -> QaInspector:
        return QaInspector(reading)

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        return {
            "id": tfds.features.Text(),
            "context": tfds.features.Text(),
            "question": tfds.features.Text(),
            "answers": tfds.features.Sequence(tfds.features.Text()),
            "answer_starts": tfds.features.Sequence(np.int32),
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
    ) -> QaAssets:
        if balance:
            raise UsageError("questions have no classes to balance", where="--balance")
        tokenizer = start.tokenizer if start else None
        if tokenizer is None:
            tokenizer = train_subwords(_texts(rows), settings)
        if not isinstance(tokenizer, SubwordTokenizer):
            raise UsageError("its tokeniser is not a subword tokeniser", where="--from")
        assets = QaAssets(
            tokenizer,
            max_length=settings.max_length,
            overlap=settings.overlap,
            max_question=settings.max_question,
            max_answer=settings.max_answer,
            no_answer=bool(summary.get("unanswerable", {}).get("train")),
        )
        check_room(assets)
        return assets

    def load_assets(self, folder: Path) -> QaAssets:
        return load_qa_assets(folder)

    # Batches --------------------------------------------------------------

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: QaAssets) -> list[Example]:
        examples = []
        for row, inputs in zip(rows, encode_passages(rows, assets), strict=True):
            length = assets.pair_frame.size + sum(
                len(inputs[name]) for name in ("question_ids", "context_ids")
            )
            kept = {
                "context": np.array(row["context"], object),
                "length": np.array(min(length, assets.max_length)),
            }
            target = None
            if "answers" in row:
                answers = tuple(row["answers"])
                tokens = None
                if answers:
                    start = int(row["answer_starts"][0])
                    tokens = answer_tokens(inputs["offsets"], start, answers[0])
                target = _Answered(answers, tokens)
            examples.append(Example(inputs | kept, target))
        return examples

    def length(self, example: Example) -> int:
        return int(example.inputs["length"])

    def collate(
        self,
        examples: Sequence[Example],
        assets: QaAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Pad. For a long context, training draws a window, usually with the answer; otherwise the
        first window is used, and ``infer`` reads the others."""
        windows = [windows_of(each.inputs, assets) for each in examples]
        picked = [
            each[pick_window(each, example.target and example.target.tokens, rng)]
            if rng is not None
            else each[0]
            for each, example in zip(windows, examples, strict=True)
        ]
        ids = [
            cut(example.inputs, window, assets)
            for example, window in zip(examples, picked, strict=True)
        ]
        inputs = pad_windows(ids, pad_to)
        context = {"examples": list(examples), "windows": windows}
        if any(each.target is None for each in examples):
            return Batch(inputs, context=context)
        targets = np.full((*inputs["token_ids"].shape, 2), FORBIDDEN, np.float32)
        for row, example, window, own in zip(targets, examples, picked, ids, strict=True):
            first = first_context_token(example.inputs, assets)
            found = span_targets(len(own), window, first, example.target.tokens)
            row[: len(own)] = found[: len(row)]
        return Batch(inputs, targets, np.ones(len(examples), np.float32), context)

    def infer(
        self,
        batch: Batch,
        predict: Predict,
        assets: QaAssets,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> list[list[np.ndarray]]:
        """The scores of every window of each row."""
        del top_k, options
        examples, windows = batch.context["examples"], batch.context["windows"]
        outputs = [[each] for each in np.asarray(predict(batch.inputs))]
        waiting = [(row, window) for row, each in enumerate(windows) for window in each[1:]]
        for start in range(0, len(waiting), len(examples)):
            part = waiting[start : start + len(examples)]
            ids = [cut(examples[row].inputs, window, assets) for row, window in part]
            for (row, _), scores in zip(part, np.asarray(predict(pad_windows(ids))), strict=True):
                outputs[row].append(scores)
        return outputs

    # Predictions ----------------------------------------------------------

    def decode(
        self,
        batch: Batch,
        outputs: Any,
        assets: QaAssets,
        *,
        top_k: int = 1,
        options: QaPredictOptions | None = None,
    ) -> list[dict[str, Any]]:
        """``prediction``, the answer ("" for none), its ``probability`` among the best 20,
        ``start`` and ``end`` in characters of the context, ``evidence``, its sentence;
        ``no_answer`` if the model supports it; with ``top_k`` > 1 ``others``."""
        from aitk.nlp.explain.evidence import evidence_sentence

        assets = _with_options(assets, options)
        predictions = []
        for example, answers in row_answers(batch, outputs, assets):
            context, offsets = str(example.inputs["context"]), example.inputs["offsets"]
            shares, none = answers.probabilities(no_answer=assets.no_answer)
            found = []
            for (first, last), share in list(zip(answers.spans, shares, strict=False))[:top_k]:
                start, end = int(offsets[first][0]), int(offsets[last][1])
                found.append(
                    {
                        "prediction": context[start:end].strip(),
                        "probability": round(float(share), 6),
                        "start": start,
                        "end": end,
                        "evidence": evidence_sentence(context, start, end),
                    }
                )
            silent = not found or _is_silent(answers, assets)
            best = found[0] if not silent else {"prediction": "", "probability": round(none, 6)}
            others = found if silent else found[1:]
            predictions.append(
                best
                | ({"no_answer": round(none, 6)} if assets.no_answer else {})
                | ({"others": others[: top_k - 1]} if top_k > 1 else {})
            )
        return predictions

    def measure(self, batch: Batch, outputs: Any, assets: QaAssets) -> dict[str, np.ndarray]:
        columns: dict[str, list[float]] = {
            name: [] for name in ("f1", "exact", "answered_f1", "margin", "silent", "unanswerable")
        }
        for example, answers in row_answers(batch, outputs, assets):
            context, offsets = str(example.inputs["context"]), example.inputs["offsets"]
            text = ""
            if answers.spans:
                first, last = answers.spans[0]
                text = context[int(offsets[first][0]) : int(offsets[last][1])].strip()
            silent = not answers.spans or _is_silent(answers, assets)
            rules, right = rules_for(context), example.target.answers
            exact, f1 = best_match("" if silent else text, right, rules)
            columns["exact"].append(exact)
            columns["f1"].append(f1)
            columns["answered_f1"].append(best_match(text, right, rules)[1])
            columns["margin"].append(answers.margin)
            columns["silent"].append(silent)
            columns["unanswerable"].append(not right)
        return {name: np.array(values, np.float32) for name, values in columns.items()}

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: QaAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        return score_answers(measured, resamples=resamples, seed=seed)

    def calibrate(self, measured: Mapping[str, np.ndarray], assets: QaAssets) -> QaAssets:
        """See ``Calibrates``: the "no answer" threshold with the best F1."""
        unanswerable = measured["unanswerable"].astype(bool)
        if not assets.no_answer or not unanswerable.any():
            return assets
        threshold = choose_threshold(
            measured["margin"].astype(float), measured["answered_f1"].astype(float), unanswerable
        )
        return assets.with_threshold(round(threshold, 6))

    # Further capabilities -------------------------------------------------

    def rows_in_options(self, options: QaPredictOptions, reading: QaReading) -> Sequence[Row]:
        """See ``ReadsOptions``: ``--question`` about ``--context``."""
        if options.question is None and options.context is None:
            return []
        if options.question is None or options.context is None:
            lacking = "--question" if options.question is None else "--context"
            raise UsageError("a question needs its context, and vice versa", where=lacking)
        return [ask_about(options.context, options.question, reading)]

    def configure(self, assets: QaAssets, options: Any, *, open_scorer: Any) -> QaAssets:
        """See ``Configurable``: another "no answer" threshold."""
        del open_scorer
        return _with_options(assets, options)

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: QaAssets,
        known: Rows,
        *,
        reading: Any,
    ) -> tuple[QaAssets, Iterator[Row | Refusal]]:
        """See ``Updatable``: nothing is extended."""
        del known, reading
        return assets, items

    def summarize(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Summarizable``."""
        return {"predicted": prediction["prediction"]}

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: QaAssets
    ) -> Iterable[Baseline]:
        """See ``HasBaselines``: the sentence that shares most words with the question."""
        from aitk.nlp.metrics.qa_baseline import closest_sentence

        del train, summary, assets
        yield Baseline("sentence with most words of the question", closest_sentence)

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: QaAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        """Which sentence of the context holds the answer (``evidence``), and which sentences and
        words of the question contributed to it. ``target``: a part of the context to explain
        instead of the model's answer."""
        from aitk.nlp.explain.evidence import explain_answer

        del model
        return explain_answer(self, fields, predict, assets, target=target)


def _texts(rows: Rows) -> Iterator[str]:
    """The texts of rows; a context shared by several questions occurs once."""
    before = None
    for row in rows:
        if row["context"] != before:
            yield row["context"]
        before = row["context"]
        yield row["question"]


def _with_options(assets: QaAssets, options: QaPredictOptions | None) -> QaAssets:
    threshold = options.no_answer_threshold if options is not None else None
    return assets if threshold is None else assets.with_threshold(threshold)


def _is_silent(answers: Answers, assets: QaAssets) -> bool:
    return assets.no_answer and answers.margin > assets.threshold
