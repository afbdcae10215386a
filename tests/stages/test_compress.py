"""``compress`` on small runs of real training: quantised, taught, pruned, and made narrower."""

import json

import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.artifacts.run import Run, load_run
from aitk.core.contract.errors import ArtifactError, DataError, Interrupted, UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.stages.compress import compress
from aitk.stages.options import CompressOptions, TrainingOptions

SMALL = {"vocabulary_size": 2000, "hidden": 16}


@pytest.fixture(scope="module")
def run(good_or_bad, tmp_path_factory):
    """A bag of words that tells "good" from "bad"."""
    from aitk.core.artifacts.data import load_data
    from aitk.registry import load_task
    from aitk.stages.training.train_run import train_run

    folder = tmp_path_factory.mktemp("compress")
    train_run(
        load_task("nlp.classify"),
        load_data(good_or_bad),
        folder / "run",
        options=resolve(TrainingOptions, {"model": "bag", "epochs": 8, "learning_rate": 0.02}),
        settings=SMALL,
        reporter=Silent(),
    )
    return folder / "run"


def small(run, out, *, settings=None, training=None, overwrite=False, resume=False,
          reporter=None, **options):  # fmt: skip
    return compress(
        run,
        out,
        options=resolve(CompressOptions, {"resamples": 20, "calibration_rows": 8} | options),
        training=resolve(TrainingOptions, {"epochs": 2, "batch_size": 16} | (training or {})),
        settings=settings or {},
        overwrite=overwrite,
        resume=resume,
        reporter=reporter or Silent(),
    )


@pytest.fixture(scope="module")
def quantized(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "int8"
    return small(run, out, quantize="int8", max_drop=0.0), load_run(out)


def test_the_table_shows_both_sides(quantized):
    outcome, _ = quantized
    before, after = outcome.table
    assert (before["run"], after["run"]) == ("before", "after")
    assert before["MB"] > 3 * after["MB"] > 0
    assert before["low"] <= before["accuracy"] <= before["high"]
    assert 0 < after["1 row, ms"] <= after["1 row, p95"]
    assert outcome.facts["same_predictions"] == 1
    assert outcome.facts["verdict"].startswith("accuracy is unchanged on")
    assert outcome.exit_code == 0


def test_the_result_is_a_run_with_a_parent(quantized, run):
    _, made = quantized
    assert made.format == "litert" and made.manifest["parent"] == str(run)
    assert made.manifest["options"]["quantize"] == "int8"
    assert made.metrics["test"]["metrics"]["accuracy"]["value"] == 1
    for page in ("report.html", "README.md"):
        assert "Before and after" in (made.folder / page).read_text(encoding="utf-8")


@pytest.mark.onnx
def test_an_onnx_run_is_scored_as_well(run, tmp_path):
    outcome = small(run, tmp_path / "onnx", quantize="int8", format="onnx")
    made = load_run(tmp_path / "onnx")
    assert made.format == "onnx" and made.model_bytes() < load_run(run).model_bytes()
    assert outcome.facts["same_predictions"] == 1
    assert made.metrics["test"]["metrics"]["accuracy"]["value"] == 1


def test_what_was_tried_and_what_was_quantised_is_recorded(quantized):
    _, made = quantized
    kept = made.manifest["compression"]
    assert kept["scheme"] == "dynamic"
    assert kept["arithmetic"].startswith("matrix products: ")
    assert [line["result"] for line in kept["tried"]] == [
        "it gains nothing without convolutions",
        "within the budget: selected",
    ]
    assert "it gains nothing without convolutions" in (made.folder / "README.md").read_text()


def test_a_compressed_run_is_not_compressed_again(quantized, tmp_path):
    _, made = quantized
    with pytest.raises(UsageError, match="the uncompressed run"):
        small(made.folder, tmp_path / "out", quantize="int8")


def test_interrupted_in_any_of_its_parts_it_goes_on_to_the_same_weights(
    run, tmp_path, interrupting, monkeypatch
):
    how = {"distill": "bag", "prune": 0.5, "settings": SMALL}
    small(run, tmp_path / "whole", **how)
    with pytest.raises(Interrupted, match="--resume"):  # of the teaching
        small(run, tmp_path / "cut", reporter=interrupting(2, 3), **how)

    class Pruning(interrupting):
        def note(self, text):
            self.at = ("epoch 1/", 8)

    with pytest.raises(Interrupted, match="epoch 1, step 8.*--resume"):
        small(run, tmp_path / "cut", reporter=Pruning(0, 0), resume=True, **how)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):  # of the last part
        patch.setattr(Run, "add_evaluation", killed)
        small(run, tmp_path / "cut", resume=True, **how)
    assert not (tmp_path / "cut").exists()
    small(run, tmp_path / "cut", resume=True, **how)
    assert load_run(tmp_path / "cut").metrics
    models = [load_keras(tmp_path / name / "model.keras") for name in ("whole", "cut")]
    weights = zip(*(model.get_weights() for model in models), strict=True)
    assert all(np.array_equal(*pair) for pair in weights)
    assert not (tmp_path / "cut" / "state").exists()


def test_taught_and_pruned(run, tmp_path):
    outcome = small(
        run,
        tmp_path / "cnn",
        distill="cnn",
        prune=0.7,
        settings={"vocabulary_size": 300, "hidden": 16, "filters": 8},
    )
    made = load_run(tmp_path / "cnn")
    assert (made.model, made.format) == ("cnn", "keras")
    assert made.settings["filters"] == 8
    assert outcome.facts["distilled_from"] == "bag"
    assert outcome.facts["zero_share"] == pytest.approx(0.7, abs=1e-3)
    assert outcome.facts["gzip_bytes"] < made.model_bytes()
    assert json.loads((made.folder / "run.json").read_text())["compression"]["table"]


@pytest.fixture(scope="module")
def picture_run(tmp_path_factory):
    """A network for pictures that are bright or dark."""
    import cv2
    import numpy as np

    from aitk.core.artifacts.data import load_data
    from aitk.registry import TASKS, load, load_task
    from aitk.stages.options import PrepareOptions
    from aitk.stages.prepare import prepare
    from aitk.stages.training.train_run import train_run

    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(60):
        path = folder / "shades" / ("bright" if number % 2 else "dark") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shade = rng.integers(0, 80, (16, 16, 3)) + 150 * (number % 2)
        cv2.imwrite(str(path), shade.astype(np.uint8))
    prepare(
        [str(folder / "shades")],
        folder / "data",
        task="vision.classify",
        options=PrepareOptions(),
        reading=resolve(load(TASKS["vision.classify"].reading), {}),
        reporter=Silent(),
    )
    train_run(
        load_task("vision.classify"),
        load_data(folder / "data"),
        folder / "run",
        options=resolve(TrainingOptions, {"model": "resnet", "epochs": 1}),
        settings={"image_size": "16", "filters": 12, "blocks": "1,1"},
        reporter=Silent(),
    )
    return folder / "run"


def test_channels_are_taken_out_and_the_run_goes_on(picture_run, tmp_path):
    old = load_run(picture_run)
    # Of 12 and 24 channels inside of the two blocks 8 and 14 are left; the weights are kept.
    outcome = small(picture_run, tmp_path / "a", prune_channels=0.4, training={"epochs": 0})
    made = load_run(tmp_path / "a")
    assert outcome.facts["channels_removed"] == 4 + 10
    assert outcome.facts["parameters_before"] == old.manifest["parameters"]
    assert made.manifest["parameters"] == outcome.facts["parameters"] < old.manifest["parameters"]
    assert made.settings == old.settings and made.format == "keras"
    outcome = small(made.folder, tmp_path / "b", prune_channels=0.2, prune=0.5)
    assert outcome.facts["channels_removed"] == 3  # 8 are the least, 14 become 11
    assert outcome.facts["zero_share"] == pytest.approx(0.5, abs=1e-3)
    assert load_run(tmp_path / "b").model_bytes() < made.model_bytes() < old.model_bytes()


def test_a_network_is_trained_for_int8(picture_run, tmp_path):
    outcome = small(picture_run, tmp_path / "a", quantize="int8", qat=1)
    made = load_run(tmp_path / "a")
    assert (made.format, outcome.facts["scheme"]) == ("litert", "static")
    _, trained, after = outcome.table
    assert trained["run"] == "trained for int8"
    assert after["accuracy"] == trained["accuracy"] and after["MB"] < trained["MB"]
    with pytest.raises(UsageError, match="Add --quantize int8"):
        small(picture_run, tmp_path / "b", qat=1)


def test_channels_of_a_model_without_convolutions_are_not_taken_out(run, tmp_path):
    with pytest.raises(UsageError, match="no convolution whose channels"):
        small(run, tmp_path / "out", prune_channels=0.5)
    assert not (tmp_path / "out").exists()


def test_a_budget_that_is_missed_is_said_and_the_run_written(run, tmp_path):
    outcome = small(
        run,
        tmp_path / "bare",
        distill="bag",
        settings=SMALL,
        max_drop=0.01,
        training={"epochs": 1, "learning_rate": 1e-9},
    )
    assert outcome.exit_code == 7 and "--max-drop 0.01" in outcome.missed
    assert load_run(tmp_path / "bare").format == "keras"


def test_wrong_calls_are_refused_before_anything_starts(run, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="nothing to do"):
        small(run, out)
    with pytest.raises(UsageError, match="Did you mean 'lstm'"):
        small(run, out, distill="lstn")
    with pytest.raises(UsageError, match="settings, not hidden"):
        small(run, out, quantize="int8", settings={"hidden": 8})
    with pytest.raises(UsageError, match="saved_model cannot store"):
        small(run, out, quantize="int8", format="saved_model")
    assert not out.exists()


def test_data_that_changed_or_went_is_told(run, tmp_path):
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    manifest = json.loads((copy / "run.json").read_text())
    for change, said in (
        ({"fingerprint": "other"}, "changed"),
        ({"folder": "/gone"}, "is missing"),
    ):
        broken = manifest | {"data": manifest["data"] | change}
        (copy / "run.json").write_text(json.dumps(broken))
        with pytest.raises(ArtifactError, match=said):
            small(copy, tmp_path / "out", quantize="int8")


@pytest.fixture(scope="module")
def attentive(good_or_bad, tmp_path_factory):
    """A tiny transformer on the same rows."""
    from aitk.core.artifacts.data import load_data
    from aitk.registry import load_task
    from aitk.stages.training.train_run import train_run

    folder = tmp_path_factory.mktemp("transformer")
    train_run(
        load_task("nlp.classify"),
        load_data(good_or_bad),
        folder / "run",
        options=resolve(TrainingOptions, {"model": "transformer", "epochs": 1}),
        settings={"size": "tiny", "vocabulary_size": 300, "max_length": 8},
        reporter=Silent(),
    )
    return folder / "run"


def test_a_transformer_loses_heads_and_units(attentive, tmp_path):
    outcome = small(
        attentive, tmp_path / "small", prune_heads=0.5, prune_units=0.5, distill_pruned=True,
        quantize="dynamic", max_bytes=10, max_latency_ms=1e-6, training={"epochs": 1},
    )  # fmt: skip
    before, pruned, after = outcome.table
    assert pruned["run"] == "transformer pruned"
    assert pruned["parameters"] == after["parameters"] < before["parameters"]
    assert after["multiply-adds"] < 0.7 * before["multiply-adds"]
    assert after["MB"] < pruned["MB"] < before["MB"]
    assert after["largest difference"] > 0
    assert outcome.facts["heads_removed"] == 2
    signature = load_run(tmp_path / "small").manifest["signature"]
    assert [each["name"] for each in signature["inputs"]] == ["padding_mask", "token_ids"]
    assert signature["outputs"][0]["shape"] == "(any, 2)" and signature["classes"] == ["0", "1"]
    assert "token_ids" in (tmp_path / "small" / "README.md").read_text()
    assert "--max-bytes 10" in outcome.missed and "--max-latency-ms" in outcome.missed
    load_run(tmp_path / "small")


def test_a_student_learns_from_rows_without_labels_too(run, tmp_path):
    more = tmp_path / "more.csv"
    more.write_text("text\n" + "".join(f"some {word} news\n" for word in ("good", "bad") * 20))
    outcome = small(run, tmp_path / "out", distill="bag", settings=SMALL, unlabelled=str(more),
                    distill_hidden=0.1, training={"epochs": 8, "learning_rate": 0.02})  # fmt: skip
    assert outcome.facts["unlabelled_rows"] == 40 and outcome.table[1]["accuracy"] == 1
    assert outcome.facts["hidden_weight"] == 0.1
    assert load_run(tmp_path / "out").manifest["parameters"] == outcome.table[0]["parameters"]
    more.write_text("text\n")
    with pytest.raises(DataError, match="no row"):
        small(run, tmp_path / "none", distill="bag", unlabelled=str(more))
    with pytest.raises(UsageError, match="no model learns"):
        small(run, tmp_path / "none", quantize="dynamic", unlabelled=str(more))
    with pytest.raises(UsageError, match="write no texts"):
        small(run, tmp_path / "none", distill="bag", distill_sequences=True)


def test_a_transformer_becomes_a_static_table_that_learns_from_it(run, attentive, tmp_path):
    outcome = small(attentive, tmp_path / "table", distill="static", settings={"dimension": 8},
                    training={"epochs": 15, "learning_rate": 0.05})  # fmt: skip
    before, after = outcome.table
    assert after["parameters"] < before["parameters"] and after["accuracy"] > 0.8
    assert outcome.facts["temperature"] == 2
    model = load_keras(load_run(tmp_path / "table").model_path)
    assert [layer.name for layer in model.get_layer("backbone").layers if layer.weights] == [
        "token_embedding"
    ]
    with pytest.raises(UsageError, match="a vector for each token"):
        small(run, tmp_path / "none", distill="static")
    with pytest.raises(UsageError, match="only the model of --distill"):
        small(run, tmp_path / "none", quantize="dynamic", training={"from_": str(attentive)})


def test_half_of_every_four_weights_are_zero(attentive, tmp_path):
    small(attentive, tmp_path / "sparse", prune=0.5, prune_pattern="2:4", training={"epochs": 1})
    model = load_keras(load_run(tmp_path / "sparse").model_path)
    kernel = model.get_layer("backbone").get_layer("layer_0_dense_in").get_weights()[0]
    zeros = (kernel.reshape(-1, 4, kernel.shape[1]) == 0).sum(axis=1)
    assert zeros.min() >= 2
