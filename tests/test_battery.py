"""One battery over every task in the table: what each must do to belong there.

A new task is tested here by being in the table, and a model that another package adds to a task by
being installed (``tests/plugin``). The chain is walked once for each, in order, on the sample rows.
"""

from __future__ import annotations

import csv
import functools
import itertools
import json
import re
import shutil
from pathlib import Path

import pytest

from aitk.core.artifacts.run import Run, load_run
from aitk.core.artifacts.run_layout import MODEL_FILES
from aitk.core.contract.capabilities import (
    DependsOnReading,
    DistillsBatches,
    Explainable,
    Grouped,
    HasBaselines,
    Updatable,
)
from aitk.core.contract.entry_points import MODEL_GROUP, plugins
from aitk.core.contract.model_spec import TrainedModel
from aitk.core.contract.multi_label import MultiLabelTask
from aitk.core.contract.options import known_names, resolve
from aitk.core.contract.progress import Silent
from aitk.registry import TASKS, load, load_task
from aitk.stages import options as stage_options

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow  # every chain begins with a training
#: A task, or ``TASK:MODEL``: then the model is the only one of the task. And the classifier of
#: texts on rows with any number of labels: each message has its intent and its sentiment.
MANY_LABELS = "nlp.classify with many labels"
CHAINS = [*TASKS, MANY_LABELS, *(plugin.name for plugin in plugins(MODEL_GROUP))]
ROWS = 240
#: Samples in these files are cut after so many lines; others are small as they are.
TEXTS = {".csv", ".txt", ".jsonl"}
#: A converted file holds its graph as well: weights of less than this cannot pay for it.
GRAPH_BYTES = 64_000
#: Tasks that no simple predictor can be compared with.
WITHOUT_BASELINES = {"vision.detect", "vision.masked-image", "speech.masked-speech"}
#: Settings that keep a model of any task small, used where the model has them.
SMALL = {
    "vocabulary_size": 500,
    "hidden": 16,
    "filters": 16,
    "max_length": 48,
    "max_question": 8,
    "size": "tiny",
    "layers": 1,
    "decoder_layers": 1,
    "stacks": 1,
    "depth": 0.1,
    "image_size": "64",
    "strides": "4,8",
    "boxes_width": 16,
    "mask_width": 8,
}


def small(settings: type) -> dict:
    """Settings of a small model: most of a test's time is spent on tracing its layers."""
    made = {key: SMALL[key] for key in known_names(settings) & set(SMALL)}
    if "max_question" in made:
        made["overlap"] = 8  # of windows over a context; the overlap of detectors is another
    blocks = getattr(settings, "blocks", None)
    if isinstance(blocks, int):
        made["blocks"] = 1
    elif blocks:  # of each stage; a detector has two, and others as many as before
        made["blocks"] = "1,1" if "strides" in made else re.sub(r"\d+", "1", blocks)
    return made


def first_rows(name: str, folder: Path, *, many_labels: bool) -> Path:
    """The head of the task's sample rows, with their sidecar files."""
    row = TASKS[name]
    root = Path(row.samples).parent if row.samples else ROOT
    for file in row.sidecar_files:
        shutil.copy(root / file, folder)
    source = root / row.sample
    path = folder / source.name
    if source.suffix not in TEXTS:
        return Path(shutil.copy(source, folder))
    with source.open(encoding="utf-8") as file:
        path.write_text("".join(itertools.islice(file, ROWS)), encoding="utf-8")
    if many_labels:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "labels"])
            writer.writerows(
                [each["text"], f"{each['intent']}|{each['sentiment']}"] for each in rows
            )
    return path


class Chain:
    """A task with the folders that its stages have written."""

    def __init__(self, name: str, folder: Path):
        many_labels = name == MANY_LABELS
        name, _, model = name.partition(" ")[0].partition(":")
        self.name, self.folder = name, folder
        self.domain = name.partition(".")[0]
        self.rows = first_rows(name, folder, many_labels=many_labels)
        self.data, self.run = folder / "data", folder / "run"
        row = TASKS[name]
        told = {
            key: str(ROOT / value) if value in row.sidecar_files else value
            for key, value in row.options.items()
        }
        if many_labels:
            told = {"label_column": "labels", "label_separator": "|"}
        self.reading = resolve(load(row.reading), told)
        self.task = load_task(name)
        if isinstance(self.task, DependsOnReading):
            self.task = self.task.for_reading(self.reading)
        if model:
            self.task.models = {model: self.task.models[model]}

    def train(self, out: Path, *, model: str, **given) -> None:
        from aitk.core.artifacts.data import load_data
        from aitk.stages.training.train_run import train_run

        train_run(
            self.task,
            load_data(self.data),
            out,
            options=resolve(stage_options.TrainingOptions, {"model": model, "epochs": 1} | given),
            settings=small(self.task.models[model].settings),
            reporter=Silent(),
        )


@pytest.fixture(scope="module")
def chains(tmp_path_factory, small_transformers):
    """Prepared data and a trained run of a task's first model, made once: ``chains(name)``."""
    from aitk.stages.prepare import prepare

    @functools.cache
    def chain_of(name):
        made = Chain(name, tmp_path_factory.mktemp(re.sub("[.: ]", "-", name)))
        prepare(
            [str(made.rows)],
            made.data,
            task=made.name,
            options=stage_options.PrepareOptions(),
            reading=made.reading,
            reporter=Silent(),
        )
        made.train(made.run, model=next(iter(made.task.models)))
        return made

    return chain_of


@pytest.fixture(scope="module", params=CHAINS)
def chain(request, chains):
    return chains(request.param)


def test_tasks_learn_from_new_rows_and_explain_theirs():
    """Behaviour of every registered task, except pretraining objectives."""
    for name, row in TASKS.items():
        task = load_task(name)
        assert row.objective or isinstance(task, Updatable), f"{name} is not Updatable"
        assert row.objective or isinstance(task, Explainable), f"{name} is not Explainable"


def test_the_data_records_its_options(chain):
    manifest = json.loads((chain.data / "dataset.json").read_text(encoding="utf-8"))
    assert manifest["task"] == chain.name
    if not isinstance(chain.task, Grouped) and chain.rows.suffix in TEXTS:
        records = len(chain.rows.read_text(encoding="utf-8").splitlines())
        assert sum(manifest["rows"].values()) + manifest["refused"] > records / 2
    assert set(manifest["rows"]) == {"train", "validation", "test"}
    assert manifest["sources"][0]["sha256"]
    assert {finding["grade"] for finding in manifest["findings"]} <= {
        "ok",
        "skipped",
        "warning",
        "error",
    }
    assert (chain.data / "rejects.jsonl").exists()
    assert "<html" in (chain.data / "report.html").read_text(encoding="utf-8")


def test_tfds_reads_the_data_by_itself(chain):
    import tensorflow_datasets as tfds

    source = tfds.builder_from_directory(str(chain.data)).as_data_source("train")
    assert len(source) > 0


def test_preparing_again_gives_the_same_rows(chain, tmp_path):
    from aitk.stages.prepare import prepare

    outcome = prepare(
        [str(chain.rows)],
        tmp_path / "again",
        task=chain.name,
        options=stage_options.PrepareOptions(),
        reading=chain.reading,
        reporter=Silent(),
    )
    first = json.loads((chain.data / "dataset.json").read_text(encoding="utf-8"))
    assert outcome.facts["fingerprint"] == first["fingerprint"]


def test_the_run_is_whole(chain):
    run = load_run(chain.run)
    wanted = {
        "task", "model", "settings", "options", "seed", "data", "parent", "packages",
        "wall_s", "cpu_s", "peak_memory_mb", "parameters", "format",
    }  # fmt: skip
    assert wanted <= set(run.manifest)
    for name in (
        "model.keras",
        "assets",
        "metrics.json",
        "history.csv",
        "report.html",
        "README.md",
    ):
        assert (chain.run / name).exists(), name
    assert not (chain.run / "state").exists()


def test_the_model_has_a_backbone_and_no_optimizer(chain):
    from aitk.core.artifacts.keras_file import load_keras

    model = load_keras(load_run(chain.run).model_path)
    assert model.get_layer("backbone").count_params() > 0
    assert not model.compiled


#: Tasks whose networks are those of the task of classes, with a head that their first model has.
SAME_NETWORKS = ("nlp.score", "vision.score")
#: The other models of every task; those that only ``--from`` can start have tests of their own.
OTHER_MODELS = [
    (name, model)
    for name in TASKS
    if name not in SAME_NETWORKS
    for model, spec in itertools.islice(load_task(name).models.items(), 1, None)
    if not (isinstance(spec, TrainedModel) and spec.wraps_pretrained)
]


@pytest.mark.parametrize(("chain", "model"), OTHER_MODELS, indirect=["chain"])
def test_a_model_trains_and_reloads_to_the_same_outputs(chain, model, tmp_path):
    from aitk.core.artifacts.data import load_data
    from aitk.core.inference.prediction import predict_rows
    from aitk.core.inference.predictors import open_predictor

    rows = load_data(chain.data).rows("test")[:4]
    out = tmp_path / model
    chain.train(out, model=model)
    assets = chain.task.load_assets(out / "assets")
    first, second = (
        list(predict_rows(rows, chain.task, assets, open_predictor(load_run(out)), batch_size=size))
        for size in (4, 1)
    )
    # Alone a row is padded less than in company: the outputs must not know.
    for together, alone in zip(first, second, strict=True):
        equal_outputs(together, alone, abs=1e-4)


def test_evaluate_writes_intervals_and_their_method(chain):
    from aitk.stages.evaluate import evaluate

    evaluate(
        chain.run,
        options=resolve(stage_options.EvaluateOptions, {"resamples": 50}),
        domain=chain.domain,
        reporter=Silent(),
    )
    main = load_run(chain.run).metrics["test"]["metrics"][chain.task.metric.name]
    if main.get("interval"):  # few rows have none
        assert main["low"] <= main["value"] <= main["high"]
    else:
        assert "low" not in main


def test_scores_are_compared_with_baselines(chain):
    results = load_run(chain.run).metrics
    for split in ("validation", "test"):
        names = [each["name"] for each in results[split].get("baselines", ())]
        if isinstance(chain.task, HasBaselines):
            assert names, f"no baseline could be scored on the {split} rows"
        else:
            assert chain.name in WITHOUT_BASELINES
    text = (chain.run / "report.html").read_text(encoding="utf-8")
    assert ("baseline" in text) == isinstance(chain.task, HasBaselines)


def test_a_compressed_run_is_a_run(chain, tmp_path):
    from aitk.stages.compress import compress
    from aitk.stages.evaluate import evaluate

    out = tmp_path / "small"
    compress(
        chain.run,
        out,
        options=resolve(
            stage_options.CompressOptions,
            {"quantize": "int8", "format": "litert", "resamples": 50, "calibration_rows": 16},
        ),
        training=resolve(stage_options.TrainingOptions),
        settings={},
        reporter=Silent(),
    )
    run = load_run(out)
    assert run.format == "litert"
    assert run.manifest["parent"]
    before = load_run(chain.run).model_bytes()
    if before > GRAPH_BYTES:
        assert run.model_bytes() < before
    evaluate(
        out,
        options=resolve(stage_options.EvaluateOptions, {"resamples": 0}),
        domain=chain.domain,
        reporter=Silent(),
    )


@pytest.mark.onnx
def test_an_onnx_file_computes_the_same_outputs(chain, tmp_path):
    from aitk.core.artifacts.data import load_data
    from aitk.core.compression.export import export_model
    from aitk.core.inference.prediction import predict_rows
    from aitk.core.inference.predictors import open_predictor

    run = load_run(chain.run)
    (tmp_path / "assets").symlink_to(run.assets)
    export_model(run.model_path, tmp_path / MODEL_FILES["onnx"], format="onnx")
    written = Run(tmp_path, run.manifest | {"format": "onnx"})
    rows = load_data(chain.data).rows("test")[:4]
    assets = chain.task.load_assets(run.assets)
    first, second = (
        list(predict_rows(rows, chain.task, assets, open_predictor(each), batch_size=4))
        for each in (run, written)
    )
    for outputs, others in zip(first, second, strict=True):
        equal_outputs(outputs, others, abs=1e-3, rel=1e-3)


def equal_outputs(outputs, others, **tolerance):
    """Check the outputs for a row, up to the shorter of two paddings."""
    named = outputs if isinstance(outputs, dict) else {"": outputs}
    for name, array in named.items():
        other = others[name] if name else others
        width = min(len(array), len(other))
        assert array[:width] == pytest.approx(other[:width], **tolerance)


def test_a_run_is_distilled_into_a_model_of_its_own_kind(chain, tmp_path):
    from aitk.stages.compress import compress

    if not isinstance(chain.task, DistillsBatches):
        pytest.skip("soft targets of single rows: see the tests of compress")
    model = load_run(chain.run).model
    outcome = compress(
        chain.run,
        tmp_path / "distilled",
        options=resolve(stage_options.CompressOptions, {"distill": model, "resamples": 0}),
        training=resolve(stage_options.TrainingOptions, {"epochs": 1}),
        settings=small(chain.task.models[model].settings),
        reporter=Silent(),
    )
    before, after = outcome.table
    assert chain.task.metric.name in before and chain.task.metric.name in after
    distilled = load_run(tmp_path / "distilled")
    assert distilled.manifest["compression"]["distilled_from"] == model
    assert any("teacher_share" in name for name in distilled.manifest["compression"])


def test_predict_writes_every_row_in_order(chain):
    from aitk.stages.predict import predict

    out = chain.folder / "predictions.jsonl"
    outcome = predict(
        chain.run,
        [str(chain.rows)],
        out=str(out),
        options=resolve(stage_options.PredictOptions, {"top_k": 2}),
        domain=chain.domain,
        write=print,
        reporter=Silent(),
    )
    predictions = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    prepared = json.loads((chain.data / "dataset.json").read_text(encoding="utf-8"))
    records = sum(prepared["rows"].values()) + prepared["refused"]
    if isinstance(chain.task, Grouped):  # a prediction per record, while rows are made of several
        records = len(chain.rows.read_text(encoding="utf-8").splitlines())
        records -= chain.rows.suffix == ".csv"
    assert len(predictions) == records
    assert outcome.refused == sum("error" in each for each in predictions)


def test_explain_names_parts_and_a_page(chain):
    from aitk.stages.explain import explain

    if TASKS[chain.name].objective or not isinstance(chain.task, Explainable):
        pytest.skip("an objective explains only masked input")
    out = chain.folder / "why"
    explain(
        chain.run,
        [str(chain.rows)],
        out,
        options=resolve(stage_options.ExplainOptions, {"rows": 2}),
        domain=chain.domain,
        reporter=Silent(),
    )
    lines = (out / "explanations.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    for line in map(json.loads, lines):
        assert line.get("parts") or line["pictures"]
        assert all((out / picture["file"]).is_file() for picture in line.get("pictures", ()))
        if isinstance(chain.task, MultiLabelTask):
            assert isinstance(line["prediction"], list)
            assert line["explained"]
    assert "<html" in (out / "explanations.html").read_text(encoding="utf-8")
