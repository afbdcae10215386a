"""Two classifiers that answer as one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.contract.task import Batch, Example
from aitk.core.inference.ensemble import Combination
from aitk.core.metrics.classification import log_softmax
from aitk.stages import options as stages


class Task:
    """Rows are numbers; a model's inputs are these times what its assets say."""

    name = "toy"

    def encode_many(self, rows, assets):
        return [Example({"x": np.array([row * assets])}) for row in rows]

    def length(self, example):
        return int(example.inputs["x"][0])

    def collate(self, examples, assets):
        x = np.stack([example.inputs["x"] for example in examples])
        return Batch({"x": x}, context={"rows": len(examples)})

    def infer(self, batch, predict, assets, *, top_k=1, asked=None):
        return predict(batch.inputs)


def test_log_probabilities_are_added_class_by_class():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 3, 4))
    seen = {}

    def own(inputs):
        seen["own"] = inputs["x"].ravel().tolist()
        return first

    def other(inputs):
        seen["other"] = inputs["x"].ravel().tolist()
        return second

    order = [2, 0, 3, 1]
    task = Combination(Task(), 10, other, order=order, weight=0.25)
    pairs = task.encode_many([1, 2, 3], 1)
    assert [task.length(pair) for pair in pairs] == [1, 2, 3]
    batch = task.collate(pairs, 1)
    assert batch.context["rows"] == 3
    found = task.infer(batch, own, 1, top_k=2, asked=None)
    assert seen == {"own": [1, 2, 3], "other": [10, 20, 30]}
    wanted = log_softmax(first) + 0.25 * log_softmax(second)[:, order]
    np.testing.assert_allclose(found, wanted)
    assert task.name == "toy"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two classifiers of the same texts, one of their moods, and a language model of them."""
    from aitk.core.artifacts.data import load_data
    from aitk.nlp.data.options import ClassifyReading, TextReading
    from aitk.registry import load_task
    from aitk.stages.prepare import prepare
    from aitk.stages.train_run import train_run

    folder = tmp_path_factory.mktemp("runs")
    rows = folder / "rows.csv"
    lines = ["text,label,mood"]
    words = {"pay": "good", "ship": "bad", "ask": "good"}
    for number in range(90):
        label = list(words)[number % 3]
        lines.append(f"please {label} number {number} now,{label},{words[label]}")
    rows.write_text("\n".join(lines))

    def made(name, task, model, reading, *, data=None, source=rows, **settings):
        data = folder / (data or f"{name}-data")
        if not data.exists():
            prepare(
                [str(source)],
                data,
                task=task,
                options=stages.PrepareOptions(),
                reading=reading,
                reporter=Silent(),
            )
        train_run(
            load_task(task),
            load_data(data),
            folder / name,
            options=resolve(stages.TrainingOptions, {"model": model, "epochs": 1}),
            settings=settings,
            reporter=Silent(),
        )

    fewer = folder / "fewer.csv"
    fewer.write_text("\n".join(lines[:60]))
    tiny = {"vocabulary_size": 300, "hidden": 8}
    made("bag", "nlp.classify", "bag", ClassifyReading(), data="data", **tiny)
    made("cnn", "nlp.classify", "cnn", ClassifyReading(), data="data", filters=8, **tiny)
    made("other", "nlp.classify", "bag", ClassifyReading(), source=fewer, **tiny)
    made("mood", "nlp.classify", "bag", ClassifyReading(label_column="mood"), hidden=8)
    made("lm", "nlp.generate", "lstm", TextReading(), vocabulary_size=300, hidden=8)
    return folder


def predicted(runs, name, out, **options):
    from aitk.stages.predict import predict

    predict(
        runs / name,
        [str(runs / "rows.csv")],
        out=str(out),
        domain="nlp",
        options=resolve(stages.PredictOptions, {"top_k": 3} | options),
        write=print,
        reporter=Silent(),
    )
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return [{each["label"]: each["probability"] for each in line["top_k"]} for line in lines]


def test_a_run_predicts_together_with_another(runs, tmp_path):
    bag = predicted(runs, "bag", tmp_path / "bag.jsonl")
    cnn = predicted(runs, "cnn", tmp_path / "cnn.jsonl")
    both = predicted(runs, "bag", tmp_path / "both.jsonl", also=str(runs / "cnn"), also_weight=2.0)
    for one, other, joined in zip(bag, cnn, both, strict=True):
        product = {label: one[label] * other[label] ** 2 for label in one}
        total = sum(product.values())
        assert joined == pytest.approx(
            {label: value / total for label, value in product.items()}, abs=1e-4
        )


def test_an_evaluation_tells_of_the_other_run(runs):
    from aitk.stages.evaluate import evaluate

    evaluate(
        runs / "bag",
        options=resolve(stages.EvaluateOptions, {"resamples": 0, "also": str(runs / "cnn")}),
        reporter=Silent(),
    )
    answering = load_run(runs / "bag").metrics["test"]["answering"]
    assert answering["also"].startswith(str(runs / "cnn")) and "sha256" in answering["also"]
    assert answering["also_weight"] == 1.0
    warnings = load_run(runs / "bag").metrics["test"]["warnings"]
    assert not [each for each in warnings if "baseline" not in each]


def test_a_run_that_was_trained_on_other_data_may_have_seen_the_rows(runs):
    from aitk.stages.evaluate import evaluate

    evaluate(
        runs / "bag",
        options=resolve(stages.EvaluateOptions, {"resamples": 0, "also": str(runs / "other")}),
        reporter=Silent(),
    )
    assert "other data" in load_run(runs / "bag").metrics["test"]["warnings"][0]


@pytest.mark.parametrize(
    ("name", "also", "error", "says"),
    [
        ("bag", "mood", ArtifactError, "other classes"),
        ("bag", "lm", ArtifactError, r"nlp\.generate, not of nlp\.classify"),
        ("bag", "none", ArtifactError, "no such run"),
        ("lm", "lm", UsageError, "not joined"),
    ],
)
def test_what_cannot_answer_together_is_refused(runs, tmp_path, name, also, error, says):
    with pytest.raises(error, match=says):
        predicted(runs, name, tmp_path / "out.jsonl", also=str(runs / also))
