"""Suppression by a matrix keeps what the greedy loop keeps, in every format a model is saved in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitk.vision.features.boxes import overlaps
from aitk.vision.models.detectors.suppression import ROUNDS, Suppression, keep, suppress


def greedy(boxes, kinds, overlap):
    """Textbook non-maximum suppression: a loop over boxes, best first."""
    shared = overlaps(boxes, boxes)
    kept = []
    for place in range(len(boxes)):
        if all(shared[other, place] <= overlap or kinds[other] != kinds[place] for other in kept):
            kept.append(place)
    return [float(place in kept) for place in range(len(boxes))]


def kept_by_matrix(boxes, kinds, overlap):
    from keras import ops

    boxes, kinds = np.asarray(boxes, np.float32)[None], np.asarray(kinds, np.float32)[None]
    found = keep(ops.convert_to_tensor(boxes), ops.convert_to_tensor(kinds), overlap=overlap)
    return ops.convert_to_numpy(found)[0].tolist()


def crowd(rng, count, *, room, side=20):
    corners = rng.integers(0, room, (count, 2))
    sides = rng.integers(side // 2, side, (count, 2))
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)


# Boxes on whole pixels, so that no IoU is the threshold itself but for rounding.
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, ROUNDS),
    st.sampled_from([0.31, 0.47, 0.63]),
    st.integers(5, 40),
)
@settings(max_examples=40, deadline=None)
def test_few_boxes_are_always_kept_as_the_greedy_loop_does(seed, count, overlap, room):
    rng = np.random.default_rng(seed)
    boxes, kinds = crowd(rng, count, room=room), rng.integers(0, 2, count)
    assert kept_by_matrix(boxes, kinds, overlap) == greedy(boxes, kinds, overlap)


@pytest.mark.parametrize("room", [30, 100, 300])
def test_so_are_crowds(room):
    rng = np.random.default_rng(room)
    boxes, kinds = crowd(rng, 300, room=room), rng.integers(0, 3, 300)
    assert kept_by_matrix(boxes, kinds, 0.47) == greedy(boxes, kinds, 0.47)


def test_a_dropped_box_drops_no_other():
    # Each overlaps the next, not the one after.
    boxes = [[start, 0, start + 10, 10] for start in (0, 4, 8, 12)]
    assert kept_by_matrix(boxes, [0] * 4, 0.4) == [1, 0, 1, 0]


def test_boxes_of_another_class_are_left_alone():
    boxes = [[0, 0, 10, 10]] * 3
    assert kept_by_matrix(boxes, [0, 1, 0], 0.5) == [1, 1, 0]


def test_the_best_come_first_and_the_rest_is_empty():
    boxes = np.array([[[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]]], np.float32)
    scores = np.array([[[0.9, 0.1], [0.8, 0.05], [0.2, 0.95]]], np.float32)
    how = Suppression(candidates=4, detections=6, overlap=0.5)
    table = np.asarray(suppress(boxes, scores, how))
    assert table.shape == (1, 6, 6)
    assert table[0, :, 4] == pytest.approx([0.95, 0.9, 0.2, 0, 0, 0])
    assert table[0, :3, 5].tolist() == [1, 0, 0]
    assert table[0, 0, :4].tolist() == [50, 50, 60, 60]
    assert not table[0, 3:].any()


@pytest.fixture(scope="module")
def model():
    import keras
    from keras import layers, ops

    class Suppressed(layers.Layer):
        def call(self, x):
            how = Suppression(candidates=40, detections=12, overlap=0.5)
            boxes = ops.concatenate([x[..., :2], x[..., :2] + ops.exp(x[..., 2:4])], axis=-1)
            return suppress(boxes, ops.sigmoid(x[..., 4:]), how)

    inputs = keras.Input((60, 7), name="rows")
    return keras.Model(inputs, Suppressed()(inputs))


@pytest.mark.parametrize("format", ["litert", pytest.param("onnx", marks=pytest.mark.onnx)])
def test_a_converted_model_carries_it(model, tmp_path, format):
    from aitk.core.artifacts.run import Run
    from aitk.core.artifacts.run_layout import MODEL_FILES
    from aitk.core.compression.convert import write
    from aitk.core.inference.predictors import KerasPredictor, open_predictor

    path = tmp_path / MODEL_FILES[format]
    write(model, path, format=format, scheme="none")
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3, 60, 7)) * [9, 9, 0.5, 0.5, 2, 2, 2] + [0, 0, 3, 3, 0, 0, 0]
    wanted = KerasPredictor(model)({"rows": rows})
    near = open_predictor(Run(tmp_path, {"format": format}, trusted=True))
    assert near({"rows": rows}) == pytest.approx(wanted, abs=1e-4)
    assert near({"rows": rows[:1]}) == pytest.approx(wanted[:1], abs=1e-4)
