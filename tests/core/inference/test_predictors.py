"""Predictors: any batch shape in, float32 out, and one line for a damaged file."""

import numpy as np
import pytest

from aitk.core.artifacts.run import Run
from aitk.core.artifacts.run_layout import MODEL_FILES
from aitk.core.contract.errors import ArtifactError
from aitk.core.inference.predictors import KerasPredictor, LiteRTPredictor, open_predictor


class Doubling:
    """A signature that takes exactly ``size`` rows and doubles them."""

    def __init__(self, size):
        self.size, self.calls = size, 0

    def get_input_details(self):
        return {"x": {"dtype": np.float32, "shape_signature": np.array([self.size, -1])}}

    def __call__(self, x):
        assert len(x) == self.size
        self.calls += 1
        return {"outputs": 2 * x}


@pytest.mark.parametrize(
    ("rows", "ones", "fours"), [(1, 1, 0), (3, 0, 1), (4, 0, 1), (5, 1, 1), (9, 1, 2)]
)
def test_rows_are_cut_and_padded_to_the_batches_a_file_was_made_for(
    monkeypatch, tmp_path, rows, ones, fours
):
    one, four = Doubling(1), Doubling(4)

    class Interpreter:
        def __init__(self, **_):
            pass

        def allocate_tensors(self):
            pass

        def get_signature_list(self):
            return [one, four]

        def get_signature_runner(self, runner):
            return runner

    monkeypatch.setattr("ai_edge_litert.interpreter.Interpreter", Interpreter)
    x = np.arange(rows * 2).reshape(rows, 2)
    outputs = LiteRTPredictor(tmp_path)({"x": x})
    assert outputs.dtype == np.float32 and outputs.tolist() == (2 * x).tolist()
    assert (one.calls, four.calls) == (ones, fours)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1c\0\0\0TFL3" + bytes(100)])
@pytest.mark.parametrize("format", ["litert", "onnx", "keras"])
def test_a_damaged_file_is_given_in_one_line(tmp_path, format, content):
    path = tmp_path / MODEL_FILES[format]
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=path.name) as raised:
        open_predictor(Run(tmp_path, {"format": format}))
    assert "\n" not in raised.value.line


def test_a_live_model_is_traced_once_and_followed():
    import keras

    traces = []

    class Counting(keras.layers.Layer):
        def call(self, x):
            traces.append(x.shape)
            return keras.ops.sum(x, axis=1, keepdims=True)

    inputs = {"x": keras.Input((None,), name="x")}
    head = keras.layers.Dense(1, kernel_initializer="ones")
    model = keras.Model(inputs, head(Counting()(inputs["x"])))
    predict = KerasPredictor(model)
    traces.clear()
    for shape in ((1, 3), (2, 5), (7, 4)):
        assert predict({"x": np.ones(shape)}).tolist() == [[shape[1]]] * shape[0]
    assert len(traces) == 1
    head.set_weights([np.array([[10.0]]), np.array([1.0])])
    assert predict({"x": np.ones((1, 2))}).tolist() == [[21.0]]


def test_a_model_with_a_list_of_inputs_is_fed_by_name():
    import keras

    a, b = keras.Input((1,), name="b_first"), keras.Input((1,), name="a_second")
    predict = KerasPredictor(keras.Model([a, b], a - b))
    outputs = predict({"b_first": np.array([[5.0]]), "a_second": np.array([[3.0]])})
    assert outputs.tolist() == [[2.0]]
