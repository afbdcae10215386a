"""Every detector learns, is saved, and is exported with its suppression inside."""

import numpy as np
import pytest

from aitk.vision.models.detectors.suppression import Suppression

HOW = Suppression(candidates=30, detections=10, overlap=0.5)
SIZE = (32, 40)
STRIDES = (4, 8)
SIDES = [[[8, 8], [12, 10]], [[10, 14], [14, 14]]]
PLACES = 8 * 10 + 4 * 5


def backbone():
    """A network of two stages, ``stride_4`` and ``stride_8``."""
    from aitk.vision.models import build_backbone
    from aitk.vision.models.settings import CnnSettings

    settings = CnnSettings(filters=8, blocks="1,1", stem_stride=4)
    return build_backbone("cnn", settings, SIZE)


def images(count, *, seed=0):
    """Grey images with a red and a blue block: (count, 32, 40, 3) uint8 and (count, 4, 6)."""
    rng = np.random.default_rng(seed)
    made = np.full((count, *SIZE, 3), 120, np.uint8)
    objects = np.zeros((count, 4, 6), np.float32)
    for image, rows in zip(made, objects, strict=True):
        for kind, column in enumerate((0, 20)):
            width, height = rng.integers(8, 15, 2)
            left, top = column + rng.integers(0, 20 - width), rng.integers(0, SIZE[0] - height)
            colour = [230, 20, 20] if kind == 0 else [20, 20, 230]
            image[top : top + height, left : left + width] = colour
            rows[kind] = [left, top, left + width, top + height, kind, 1]
    return made, objects


def train(model, loss, *, steps):
    """Train on eight images; the losses of the steps."""
    import keras

    made, objects = images(8)
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=loss, jit_compile=False)
    return [float(model.train_on_batch({"image": made}, objects)) for _ in range(steps)]


def average_precision(predict):
    """``map50`` on the eight images."""
    from aitk.vision.metrics.average_precision import score_detections

    made, objects = images(8)
    found = predict({"image": made})
    truth = [rows[rows[:, 5] > 0].astype(float) for rows in objects]
    return (
        score_detections(list(found.astype(float)), truth, ["red", "blue"]).metrics["map50"].value
    )


def make(name):
    from aitk.vision.models.detectors.faster_rcnn import faster_rcnn
    from aitk.vision.models.detectors.ssd import ssd
    from aitk.vision.models.detectors.yolo import yolo

    shared = {"size": SIZE, "classes": 2, "strides": STRIDES, "width": 16, "suppression": HOW}
    if name == "yolo":
        return yolo(backbone(), **shared)
    if name == "ssd":
        return ssd(backbone(), sides=SIDES, **shared)
    return faster_rcnn(backbone(), sides=SIDES, hidden=32, **shared)


@pytest.fixture(scope="module", params=["yolo", "ssd", "faster-rcnn"])
def trained(request):
    """The name, the model and the losses of its steps."""
    import keras

    from aitk.vision.losses.detection import LOSSES

    keras.utils.set_random_seed(0)
    model = make(request.param)
    return request.param, model, train(model, LOSSES[request.param](), steps=90)


def test_it_learns(trained):
    from aitk.core.inference.predictors import KerasPredictor

    _, model, losses = trained
    assert np.mean(losses[-5:]) < losses[0] / 3
    assert average_precision(KerasPredictor(model)) > 0.9


def test_detections_are_in_order_and_inside(trained):
    made, _ = images(3, seed=1)
    found = np.asarray(trained[1]({"image": made}, training=False))
    assert found.shape == (3, 10, 6)
    assert (np.diff(found[:, :, 4], axis=1) <= 0).all()
    assert (found[..., :4] >= 0).all()
    assert (found[..., [0, 2]] <= SIZE[1]).all()
    assert (found[..., [1, 3]] <= SIZE[0]).all()
    assert set(np.unique(found[..., 5])) <= {0, 1}


def test_training_gives_the_raw_rows(trained):
    from aitk.vision.models.detectors.faster_rcnn import PROPOSALS

    name, model, _ = trained
    made, _ = images(2)
    shapes = {
        "yolo": (PLACES, 3 + 4 * 16 + 2),
        "ssd": (2 * PLACES, 4 + 4 + 1 + 2),
        "faster-rcnn": (2 * PLACES + PROPOSALS.detections, 4 + 4 + 1 + 2),
    }
    assert np.asarray(model({"image": made}, training=True)).shape == (2, *shapes[name])


def test_copies_and_files_are_the_same(trained, tmp_path):
    from aitk.core.artifacts.keras_file import load_keras

    model = trained[1]
    made, _ = images(2)
    wanted = np.asarray(model({"image": made}, training=False))
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    assert np.asarray(copy({"image": made}, training=False)).tolist() == wanted.tolist()
    model.save(tmp_path / "model.keras")
    loaded = load_keras(tmp_path / "model.keras")
    assert np.asarray(loaded({"image": made}, training=False)).tolist() == wanted.tolist()
    assert loaded.get_layer("backbone").count_params() > 0


@pytest.mark.parametrize("format", ["litert", pytest.param("onnx", marks=pytest.mark.onnx)])
def test_exports_find_the_same_boxes(trained, tmp_path, format):
    from aitk.core.artifacts.run import Run
    from aitk.core.artifacts.run_layout import MODEL_FILES
    from aitk.core.compression.convert import write
    from aitk.core.inference.predictors import KerasPredictor, open_predictor

    made, _ = images(3)
    wanted = KerasPredictor(trained[1])({"image": made})
    path = tmp_path / MODEL_FILES[format]
    write(trained[1], path, format=format, scheme="none")
    near = open_predictor(Run(tmp_path, {"format": format}, trusted=True))
    for count in (1, 3):
        found = near({"image": made[:count]})
        # Of boxes that are hardly told the order may differ.
        assert found[:, :2] == pytest.approx(wanted[:count, :2], abs=1e-2)


@pytest.mark.parametrize("format", ["litert", pytest.param("onnx", marks=pytest.mark.onnx)])
def test_int8_keeps_the_boxes_and_the_scores_apart(trained, tmp_path, format):
    from aitk.core.artifacts.run import Run
    from aitk.core.artifacts.run_layout import MODEL_FILES
    from aitk.core.compression.arithmetic import count_layers
    from aitk.core.compression.calibration import Calibration
    from aitk.core.compression.convert import write
    from aitk.core.inference.predictors import KerasPredictor, open_predictor

    made, _ = images(8)
    np.savez(tmp_path / "batch-0.npz", image=made)
    path = tmp_path / MODEL_FILES[format]
    write(trained[1], path, format=format, scheme="static", calibration=Calibration(tmp_path))
    assert count_layers(path, format=format)["convolutions"]["int8"] >= 8
    near = open_predictor(Run(tmp_path, {"format": format}))
    found, exact = near({"image": made}), KerasPredictor(trained[1])({"image": made})
    assert average_precision(near) > 0.9
    # Scores of one scale with the boxes were a few values for all boxes of all images.
    assert len(np.unique(found[..., 4])) > 0.8 * len(np.unique(exact[..., 4]))
