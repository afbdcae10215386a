"""Ensembles of two classifiers."""

from __future__ import annotations

import dataclasses
import inspect
import json

import numpy as np
import pytest

from aitk.core.artifacts.run import Run, load_run
from aitk.core.contract.capabilities import Drawable, Ensemblable, Generative, Summarizable
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.inference.ensemble import combine
from aitk.core.inference.prediction import decode_rows
from aitk.core.metrics.classification import log_softmax
from aitk.stages import options as stages
from tests.core.toy_task import ToyTask


class Scaled(ToyTask):
    """Values are multiplied by the assets, whose labels are those that they name."""

    def encode(self, rows, assets):
        scaled = [np.array(row["values"]) * assets.factor for row in rows]
        return super().encode([{"values": values} for values in scaled], assets)

    def collate(self, examples, assets, *, rng=None, pad_to=None):
        batch = super().collate(examples, assets, rng=rng, pad_to=pad_to)
        return dataclasses.replace(batch, context={"rows": len(examples)})

    def load_assets(self, folder):
        return Factor(10, ("plus", "minus"))

    def class_labels(self, assets):
        return assets.labels

    def draw(self, fields, prediction):
        return None


@dataclasses.dataclass(frozen=True)
class Factor:
    factor: int
    labels: tuple[str, ...] = ("minus", "plus")


@pytest.fixture
def second(tmp_path):
    """A run whose classes are in the other order; its logits are its inputs."""
    manifest = {"task": "toy.sign", "model": "dense", "format": "keras"}
    return Run(tmp_path / "second", manifest)


@pytest.fixture
def ensemble(second, monkeypatch):
    """The toy with a second run, and what the second model was given."""
    seen = []

    def open_model(task, run, assets):
        return lambda inputs: seen.append(inputs["values"].tolist()) or inputs["values"] + [1, 0]

    monkeypatch.setattr("aitk.core.inference.ensemble.open_model", open_model)
    task = Scaled()
    task.note = "of this instance"
    run = Run(second.folder.parent / "first", second.manifest)
    return combine(task, run, Factor(1), second, weight=0.25), seen


def test_log_probabilities_are_added_class_by_class(ensemble):
    task, seen = ensemble
    logits = np.random.default_rng(0).normal(size=(2, 2))
    pairs = task.encode([{"values": [1, 2]}, {"values": [3, 4]}], Factor(1))
    assert [task.length(pair) for pair in pairs] == [2, 2]
    batch = task.collate(pairs, Factor(1))
    assert batch.context["rows"] == 2
    given = []
    found = task.infer(
        batch, lambda inputs: given.append(inputs["values"].tolist()) or logits, None
    )
    assert (given, seen) == ([[[1, 2], [3, 4]]], [[[10, 20], [30, 40]]])
    second = np.array([[11, 20], [31, 40]])[:, [1, 0]]
    np.testing.assert_allclose(found, log_softmax(logits) + 0.25 * log_softmax(second), rtol=1e-6)


def test_an_ensemble_has_the_capabilities_of_its_task(ensemble):
    task, _ = ensemble
    assert isinstance(task, Drawable) and isinstance(task, Ensemblable)
    for name in ("draw", "class_labels"):  # Python 3.12 looks for the methods of a protocol so
        assert inspect.getattr_static(task, name)
    assert isinstance(task, Generative)  # its outputs are those of two models
    assert not isinstance(task, Summarizable)
    assert (task.name, task.note) == ("toy.sign", "of this instance")


def test_an_ensemble_is_predicted_like_any_task(ensemble):
    task, _ = ensemble

    def predict(inputs):
        return np.array([[1.0, 0.0]] * len(inputs["values"]))

    rows = [{"values": [0, 1]}, {"values": [1, 0]}]  # its classes are in the other order
    found = decode_rows(rows, task, Factor(1), predict, batch_size=2, top_k=1)
    assert [each["prediction"] for each in found] == ["minus", "plus"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two classifiers of the same texts, one of their moods, and a language model of them."""
    from aitk.core.artifacts.data import load_data
    from aitk.nlp.data.options import ClassifyReading, GenerateReading
    from aitk.registry import load_task
    from aitk.stages.prepare import prepare
    from aitk.stages.training.train_run import train_run

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
    made("lm", "nlp.generate", "lstm", GenerateReading(), vocabulary_size=300, hidden=8)
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
    both = predicted(
        runs, "bag", tmp_path / "both.jsonl", ensemble_with=str(runs / "cnn"), ensemble_weight=2.0
    )
    for one, other, joined in zip(bag, cnn, both, strict=True):
        product = {label: one[label] * other[label] ** 2 for label in one}
        total = sum(product.values())
        assert joined == pytest.approx(
            {label: value / total for label, value in product.items()}, abs=1e-4
        )


def test_an_evaluation_records_the_other_run(runs):
    from aitk.stages.evaluate import evaluate

    evaluate(
        runs / "bag",
        options=resolve(
            stages.EvaluateOptions, {"resamples": 0, "ensemble_with": str(runs / "cnn")}
        ),
        reporter=Silent(),
    )
    recorded = load_run(runs / "bag").metrics["test"]["predict_options"]
    assert recorded["ensemble_with"].startswith(str(runs / "cnn"))
    assert "sha256" in recorded["ensemble_with"]
    assert recorded["ensemble_weight"] == 1.0
    warnings = load_run(runs / "bag").metrics["test"]["warnings"]
    assert not [each for each in warnings if "baseline" not in each]


def test_a_run_that_was_trained_on_other_data_may_have_seen_the_rows(runs):
    from aitk.stages.evaluate import evaluate

    evaluate(
        runs / "bag",
        options=resolve(
            stages.EvaluateOptions, {"resamples": 0, "ensemble_with": str(runs / "other")}
        ),
        reporter=Silent(),
    )
    assert "other data" in load_run(runs / "bag").metrics["test"]["warnings"][0]


@pytest.mark.parametrize(
    ("name", "second", "error", "says"),
    [
        ("bag", "mood", ArtifactError, "other classes"),
        ("bag", "lm", ArtifactError, r"nlp\.generate, not of nlp\.classify"),
        ("bag", "none", ArtifactError, "no such run"),
        ("lm", "lm", UsageError, "cannot be combined"),
    ],
)
def test_what_cannot_be_combined_is_refused(runs, tmp_path, name, second, error, says):
    with pytest.raises(error, match=says):
        predicted(runs, name, tmp_path / "out.jsonl", ensemble_with=str(runs / second))
