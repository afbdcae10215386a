"""A task without TensorFlow, with data and runs to evaluate: a word determines the label, or
misleads."""

import json
import os
import signal
import sys
import types
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from aitk import registry as tasks
from aitk.core.artifacts.data import DataWriter
from aitk.core.contract.model_spec import ClosedFormModel
from aitk.core.contract.options import as_dict, option, resolve
from aitk.core.contract.progress import Silent
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Example, Metric, PredictOptions, Task
from aitk.core.metrics.baselines import majority_class
from aitk.core.metrics.classification import score_classification

LABELS = ["no", "yes"]


@dataclass(frozen=True)
class WordReading:
    lower: bool = option(False, "fold case")


@dataclass(frozen=True)
class WordPredictOptions(PredictOptions):
    contrary: bool = option(False, "take no for yes", scored=True)
    note: str | None = option(None, "a file of notes", scored=True)
    loud: bool = option(False, "write labels in capitals")


@dataclass(frozen=True)
class WordSettings:
    """No settings."""


class CountWords(ClosedFormModel):
    """Runs of it are written by ``write_run``."""

    def fit(self, settings, assets, rows, *, seed, reporter):
        raise NotImplementedError


class WordTask(Task):
    """Counts of "yes" and "no" in a text."""

    name = "toy.words"
    reading = WordReading
    predict_options = WordPredictOptions
    models: ClassVar = {"counts": CountWords(WordSettings)}
    metric = Metric("accuracy")

    def read(self, sources, reading, *, labelled, note):
        for source in sources:
            with open(source, encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    label, comma, text = line.strip().partition(",")
                    if not comma:
                        yield Refusal(source, number, "no label")
                        continue
                    text = text.lower() if reading.lower else text
                    fields = {"text": text} | ({"label": label} if labelled else {})
                    yield Row(fields, source, number)

    def key(self, fields):
        return fields["text"]

    def load_assets(self, folder):
        return json.loads((folder / "labels.json").read_text())

    def encode(self, rows, assets):
        examples = []
        for fields in rows:
            label = fields.get("label")
            target = None if label is None else assets.index(label) if label in assets else -1
            counts = [fields["text"].split().count(word) for word in LABELS]
            examples.append(Example({"counts": np.array(counts, np.float32)}, target))
        return examples

    def length(self, example):
        return int(example.inputs["counts"].sum())

    def collate(self, examples, assets, *, rng=None, pad_to=None):
        inputs = {"counts": np.stack([item.inputs["counts"] for item in examples])}
        return Batch(inputs, np.array([-1 if e.target is None else e.target for e in examples]))

    def infer(self, batch, predict, assets, *, top_k=1, options=None):
        outputs = predict(batch.inputs)
        return outputs[:, ::-1] if options and options.contrary else outputs

    def decode(self, batch, outputs, assets, *, top_k=1, options=None):
        odds = probabilities(outputs)
        return [
            {"prediction": assets[row.argmax()], "probability": float(row.max())} for row in odds
        ]

    def measure(self, batch, outputs, assets):
        return {"target": batch.targets, "probabilities": probabilities(outputs)}

    def score(self, measured, assets, *, resamples=0, seed=0):
        return score_classification(
            measured["target"], measured["probabilities"], assets, resamples=resamples, seed=seed
        )

    def baselines(self, train, summary, assets):
        counts = Counter(row["label"] for row in train)
        return [majority_class(counts, assets)]

    def explain(self, fields, predict, assets, *, target=None, model=None):
        from aitk.nlp.explain.occlusion import explain_text

        index = assets.index(target) if target else int(predict([fields])[0].argmax())
        return {"explained": assets[index]} | explain_text(
            fields["text"],
            lambda texts: probabilities(predict([{"text": text} for text in texts]))[:, index],
        )

    def _unused(self, *args, **kwargs):
        raise NotImplementedError

    def features(self, summary):
        return {"text": None, "label": None}

    inspector = learn = _unused


def probabilities(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.fixture
def word_task(monkeypatch):
    """Register the task; a run's "model" is a file with the weight of each word."""
    module = types.ModuleType("word_task")
    module.WordTask = WordTask
    monkeypatch.setitem(sys.modules, "word_task", module)
    row = tasks.Row(task="word_task:WordTask", reading="", summary="", sample="")
    monkeypatch.setitem(tasks.BUILT_IN, "toy.words", row)

    def open_predictor(run):
        weights = np.array(json.loads(run.model_path.read_text()), np.float32)
        return lambda inputs: inputs["counts"] * weights

    monkeypatch.setattr("aitk.core.artifacts.opening.open_predictor", open_predictor)
    return WordTask()


@pytest.fixture
def write_data(tmp_path, word_task):
    """Write prepared data: ``write_data("name", test=[("text", "label"), ...])``."""

    def write(name, *, task="toy.words", fingerprint="f1", **splits):
        import tensorflow_datasets as tfds

        folder = tmp_path / name
        folder.mkdir()
        names = sorted({label for rows in splits.values() for _, label in rows} | set(LABELS))
        features = {
            "text": tfds.features.Text(),
            "label": tfds.features.ClassLabel(names=names),
        }
        writer = DataWriter(folder, features, description="words")
        for split, rows in splits.items():
            writer.write(split, [{"text": text, "label": label} for text, label in rows])
        writer.close()
        manifest = {
            "task": task,
            "reading": {},
            "summary": {"labels": LABELS},
            "fingerprint": fingerprint,
            "rows": {split: len(rows) for split, rows in splits.items()},
        }
        (folder / "dataset.json").write_text(json.dumps(manifest))
        return folder

    return write


@pytest.fixture
def write_run(tmp_path, word_task):
    """Write a run whose model weighs "no" and "yes": ``write_run("name", data, [1, 1])``."""

    def write(name, data, weights, /, **manifest):
        folder = tmp_path / name
        (folder / "assets").mkdir(parents=True)
        (folder / "assets" / "labels.json").write_text(json.dumps(LABELS))
        (folder / "model.onnx").write_text(json.dumps(weights))
        (folder / "history.csv").write_text("epoch,step,loss,accuracy\n1,10,0.5,0.8\n2,20,0.4,\n")
        values = {
            "version": 1,
            "task": "toy.words",
            "model": "counts",
            "settings": {},
            "options": {"epochs": 2},
            "format": "onnx",
            "main_metric": "accuracy",
            "data": {
                "folder": str(data),
                "fingerprint": "f1",
                "reading": {},
                "rows": {"train": 2},
                "labels": LABELS,
            },
        }
        (folder / "run.json").write_text(json.dumps(values | manifest))
        return folder

    return write


class Heard:
    """A reporter that records its messages."""

    def __init__(self):
        self.notes, self.warnings = [], []

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)

    def track(self, items, what, *, total=None):
        yield from items

    def update(self, what, done, total, detail=""):
        pass

    def status(self, text):
        pass

    def epoch(self, row, *, best, epochs):
        pass


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture(scope="session")
def good_or_bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared rows whose label is determined by one word: "good" or "bad"."""
    from aitk.nlp.data.options import ClassifyReading
    from aitk.stages.options import PrepareOptions
    from aitk.stages.prepare import prepare

    folder = tmp_path_factory.mktemp("good-or-bad")
    rows = [f"the {'good' if n % 2 else 'bad'} thing {n * n},{n % 2}" for n in range(200)]
    (folder / "rows.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    prepare(
        [str(folder / "rows.csv")],
        folder / "data",
        task="nlp.classify",
        options=PrepareOptions(),
        reading=ClassifyReading(),
        reporter=Silent(),
    )
    return folder / "data"


def log_events(users=range(24)):
    """Lines of a log: users of two kinds, each taking five of the six items of their kind in turn,
    with ratings."""
    lines = []
    for user in users:
        kind = "pq"[user % 2]
        for place in range(5):
            item = (user + place) % 6
            rating = 1 + (user + 2 * item) % 5
            lines.append(f"u{user},{kind}{item},{rating},{1_700_000_000 + 100 * user + place}")
    return lines


@pytest.fixture(scope="session")
def write_log():
    """Write events as a CSV file: ``write_log(path, ["u1,p1,5,1700000000"])``."""

    def write(path, lines):
        path.write_text("user,item,rating,time\n" + "".join(f"{line}\n" for line in lines))
        return path

    return write


@pytest.fixture(scope="session")
def prepare_log(tmp_path_factory, write_log):
    """Prepare the log of ``log_events``: ``prepare_log("recommend", protocol="time")``."""
    from aitk.core.contract.options import resolve
    from aitk.registry import TASKS, load
    from aitk.stages.options import PrepareOptions
    from aitk.stages.prepare import prepare

    def made(task, *, lines=None, reporter=None, split="80/10/10", **reading):
        folder = tmp_path_factory.mktemp("log")
        source = write_log(folder / "log.csv", log_events() if lines is None else lines)
        prepare(
            [str(source)],
            folder / "data",
            task=f"recsys.{task}",
            options=PrepareOptions(split=split),
            reading=resolve(load(TASKS[f"recsys.{task}"].reading), reading),
            reporter=reporter or Silent(),
        )
        return folder / "data"

    return made


@pytest.fixture(scope="session")
def choices(prepare_log):
    """Prepared rows of choices."""
    return prepare_log("recommend")


@pytest.fixture(scope="session")
def train_log():
    """Train on a prepared log: ``train_log(data, out, model="ease", settings={"l2": 3})``."""
    from aitk.core.contract.options import resolve
    from aitk.stages.finetune import finetune
    from aitk.stages.options import TrainingOptions
    from aitk.stages.pretrain import pretrain

    def train(data, out, *, settings=None, reporter=None, objective=None, **options):
        told = {} if objective is None else {"objective": objective}
        (finetune if objective is None else pretrain)(
            data,
            out,
            domain="recsys",
            options=resolve(TrainingOptions, {"epochs": 1} | options),
            settings=settings or {},
            reporter=reporter or Silent(),
            **told,
        )
        return out

    return train


@pytest.fixture(scope="session")
def ease_run(choices, train_log, tmp_path_factory):
    """A computed model of the log: other items of the same kind are recommended."""
    return train_log(choices, tmp_path_factory.mktemp("ease") / "run", model="ease",
                     settings={"l2": 5.0})  # fmt: skip


class Interrupting(Silent):
    """A reporter that simulates Ctrl-C, once, at a step of an epoch."""

    def __init__(self, epoch, step):
        self.at = (f"epoch {epoch}/", step)

    def update(self, what, done, total, detail=""):
        if self.at and what.startswith(self.at[0]) and done == self.at[1]:
            self.at = None
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def interrupting():
    return Interrupting


@pytest.fixture(scope="session")
def onnx_run(tmp_path_factory):
    """A run that adds 2 to its logit of "up" for each "good", and of "down" for each "bad"."""
    pytest.importorskip("onnx", reason="the extra onnx is not installed")
    from onnx import TensorProto, helper, numpy_helper, save

    task = tasks.load_task("nlp.classify")
    settings = resolve(task.models["cnn"].settings, {"tokenizer": "word", "vocabulary_size": 300})
    rows = [{"text": word, "label": "up"} for word in ("good", "bad", "day")]
    assets = task.learn(rows, {"labels": ["down", "up"]}, settings, note=Silent().note)
    folder = tmp_path_factory.mktemp("runs") / "run"
    assets.save(folder / "assets")

    table = np.zeros((assets.tokenizer.vocabulary_size, 2), np.float32)
    good, bad = assets.tokenizer.encode_many(["good", "bad"], 8)
    table[good, 1] = table[bad, 0] = 2
    shape = ["batch", "length"]
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "token_ids"], ["found"]),
            helper.make_node("ReduceSum", ["found", "axis"], ["logits"], keepdims=0),
        ],
        "words",
        [helper.make_tensor_value_info("token_ids", TensorProto.INT32, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([1]), "axis"),
        ],
    )
    opset = [helper.make_opsetid("", 18)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=9), folder / "model.onnx")
    manifest = {
        "version": 1,
        "task": "nlp.classify",
        "model": "cnn",
        "settings": {},
        "format": "onnx",
        "data": {"folder": "", "reading": as_dict(task.reading()), "fingerprint": "f"},
    }
    (folder / "run.json").write_text(json.dumps(manifest))
    return folder
