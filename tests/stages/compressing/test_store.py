"""Storing a model: calibration that streams, and the choice of a scheme by held-out rows."""

from typing import ClassVar

import numpy as np
import pytest

from aitk.core.compression.export import Exported
from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.contract.task import Batch, Evaluation, Example, Metric, Score
from aitk.stages.compressing import store as stage
from aitk.stages.compressing.steps import Candidate
from aitk.stages.compressing.store import CALIBRATION_BATCH, calibration_batches, store
from aitk.stages.options import CompressOptions


class Counting:
    """A task of rows of several lengths that counts the encoded rows it has handed out."""

    fixed_length = False
    metric = Metric("accuracy")

    def __init__(self):
        self.most = 0

    def encode(self, rows, assets):
        self.most = max(self.most, len(rows))
        return [Example({"x": np.full(row["length"], row["length"])}) for row in rows]

    def length(self, example):
        return len(example.inputs["x"])

    def collate(self, examples, assets, *, rng=None, pad_to=None):
        x = np.zeros((len(examples), pad_to))
        for line, example in zip(x, examples, strict=True):
            line[: self.length(example)] = example.inputs["x"]
        return Batch({"x": x})


def test_calibration_encodes_a_batch_at_a_time_and_pads_all_to_one_shape():
    task, rows = Counting(), [{"length": length} for length in range(1, 23)]
    batches = calibration_batches(rows, task, None)
    assert next(batches)["x"].shape == (CALIBRATION_BATCH, 20)
    assert all(batch["x"].shape == (CALIBRATION_BATCH, 20) for batch in batches)
    assert task.most == CALIBRATION_BATCH


class Scored(Counting):
    """A task whose rows are correct or wrong depending on the opened file."""

    models: ClassVar = {"cnn": None}

    def score(self, measured, assets, *, resamples=0, seed=0):
        return Evaluation({"accuracy": Score(float(measured.mean()))}, measured)


class Data:
    """Two hundred rows to choose on."""

    def held_out(self, wanted):
        return wanted

    def rows(self, split):
        return [{"length": 3}] * 200


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Store a model whose schemes are correct on a share of the rows; a crash if that is None."""

    def run(shares, **options):
        def export(source, target, *, format, schemes, calibration):
            if shares[schemes[0]] is None:
                raise ArtifactError("the converter crashed: SIGSEGV")
            target.write_text(schemes[0])
            return Exported(schemes[0], f"counted {schemes[0]}", {})

        def right(scheme):
            return (np.arange(200) < 200 * shares[scheme]).astype(float)

        monkeypatch.setattr(stage, "export_model", export)
        monkeypatch.setattr(stage, "open_model", lambda task, run, _: run.model_path.read_text())
        monkeypatch.setattr(stage, "open_file", lambda spec, path: "float")
        monkeypatch.setattr(stage, "measure_rows", lambda *given, **_: right(given[3]))
        target = tmp_path / "run"
        target.mkdir(exist_ok=True)
        told = store(
            Candidate(tmp_path / "model.keras", "cnn", {}, None),
            Scored(),
            Data(),
            target,
            format="litert",
            options=resolve(CompressOptions, {"quantize": "int8", "resamples": 200} | options),
            folder=tmp_path,
            reporter=Silent(),
        )
        return told, (target / "model.tflite").read_text()

    return run


def test_the_next_scheme_is_tried_where_int8_loses_too_much(stored):
    told, kept = stored({"float": 0.9, "static": 0.5, "dynamic": 0.9})
    assert kept == told.facts["scheme"] == "dynamic" and told.missed is None
    assert told.facts["arithmetic"] == "counted dynamic"
    static, dynamic = told.facts["tried"]
    assert static["drop"] == 0.4 and static["result"] == "over the budget, a significant loss"
    assert dynamic["result"] == "within the budget: selected"


def test_a_scheme_that_crashes_the_converter_is_passed_over(stored):
    told, kept = stored({"float": 0.9, "static": None, "dynamic": 0.9})
    assert kept == "dynamic"
    assert told.facts["tried"][0]["result"] == "the converter crashed: SIGSEGV"


def test_the_budget_is_missed_where_no_scheme_keeps_it_and_the_best_is_written(stored):
    shares = {"float": 0.9, "static": 0.5, "dynamic": 0.6, "int16": 0.8, "float16": 0.7}
    told, kept = stored(shares)
    assert kept == "int16"
    assert "no int8 scheme preserves accuracy within 0.01" in told.missed


def test_a_larger_budget_still_prefers_a_scheme_without_a_real_loss(stored):
    told, kept = stored({"float": 0.9, "static": 0.8, "dynamic": 0.9}, max_drop=0.2)
    assert kept == "dynamic" and told.facts["max_drop"] == 0.2


def test_a_named_scheme_is_used_as_given(stored):
    told, kept = stored({"float": 0.9, "static": 0.1}, quantize="static")
    assert kept == "static" and "tried" not in told.facts
