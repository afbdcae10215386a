"""Every format, for a network with a gather and a GELU and for one with a loop."""

import signal

import numpy as np
import pytest

from aitk.core.artifacts.run import Run
from aitk.core.artifacts.run_layout import MODEL_FILES
from aitk.core.compression.arithmetic import count_layers
from aitk.core.compression.calibration import Calibration, Unsuitable
from aitk.core.compression.convert import write as write_format
from aitk.core.compression.export import choose_format, export_model
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.inference.predictors import KerasPredictor, open_predictor
from aitk.core.runtime.forking import Ended

WORDS, WIDTH = 8000, 32


def text_model(*, recurrent):
    import keras
    from keras import layers, ops

    inputs = {
        name: keras.Input((None,), dtype="int32", name=name)
        for name in ("token_ids", "padding_mask")
    }
    mask = ops.cast(inputs["padding_mask"], "float32")
    x = layers.Embedding(WORDS, WIDTH, embeddings_initializer="normal")(inputs["token_ids"])
    if recurrent:
        loop = layers.LSTM(WIDTH, return_sequences=True)
        x = layers.Bidirectional(loop)(x, mask=ops.cast(mask, "bool"))
    x = layers.Dense(64)(x)
    x = ops.gelu(x, approximate=False)
    x = ops.sum(x * ops.expand_dims(mask, -1), axis=1) / ops.sum(mask, axis=1, keepdims=True)
    return keras.Model(inputs, layers.Dense(3)(x))


def batch(rows, length, *, seed=0):
    rng = np.random.default_rng(seed)
    real = rng.integers(1, length + 1, rows)
    mask = np.arange(length) < real[:, None]
    ids = rng.integers(1, WORDS, (rows, length)) * mask
    return {"token_ids": ids.astype(np.int32), "padding_mask": mask.astype(np.int32)}


@pytest.fixture(scope="module", params=[False, True], ids=["pooled", "recurrent"])
def model(request):
    import keras

    keras.utils.set_random_seed(0)
    return text_model(recurrent=request.param)


def write(model, folder, *, format, scheme):
    path = folder / MODEL_FILES[format]
    write_format(model, path, format=format, scheme=scheme, calibration=Calibration(folder))
    return path


def test_a_model_trained_in_bfloat16_is_exported_in_float32(tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        trained = text_model(recurrent=False)
    finally:
        keras.config.set_dtype_policy("float32")
    trained.save(tmp_path / "model.keras")
    export_model(tmp_path / "model.keras", tmp_path / MODEL_FILES["litert"], format="litert")
    rows = batch(3, 7)
    found = open_predictor(Run(tmp_path, {"format": "litert"}))(rows)
    assert np.allclose(found, np.asarray(trained(rows), "float32"), atol=2e-2)


@pytest.mark.parametrize(
    ("format", "scheme", "smaller", "tolerance"),
    [
        ("litert", "none", 0.7, 1e-5),
        ("litert", "float16", 1.6, 2e-3),
        ("litert", "dynamic", 2.5, 5e-2),
        pytest.param("onnx", "none", 0.7, 1e-5, marks=pytest.mark.onnx),
        pytest.param("onnx", "float16", 1.6, 2e-3, marks=pytest.mark.onnx),
        pytest.param("onnx", "dynamic", 2.5, 5e-2, marks=pytest.mark.onnx),
        ("saved_model", "none", 0, 1e-5),
    ],
)
def test_outputs_are_kept_for_any_batch(model, tmp_path, format, scheme, smaller, tolerance):
    path = write(model, tmp_path, format=format, scheme=scheme)
    exact, near = (
        KerasPredictor(model),
        open_predictor(Run(tmp_path, {"format": format}, trusted=True)),
    )
    for rows, length in ((1, 1), (3, 7), (40, 5)):
        inputs = batch(rows, length)
        assert near(inputs) == pytest.approx(exact(inputs), abs=tolerance)
    if smaller:
        assert 4 * model.count_params() / path.stat().st_size > smaller


@pytest.mark.onnx
def test_a_converted_run_needs_no_tensorflow(tmp_path, python):
    model = text_model(recurrent=True)
    for format in ("litert", "onnx"):
        write(model, tmp_path, format=format, scheme="dynamic")
        done = python(
            "import sys\n"
            "from pathlib import Path\n"
            "import numpy as np\n"
            "from aitk.core.artifacts.run import Run\n"
            "from aitk.core.inference.predictors import open_predictor\n"
            "x = np.ones((2, 3))\n"
            "run = Run(Path(sys.argv[1]), {'format': sys.argv[2]}, trusted=True)\n"
            "print(open_predictor(run)({'token_ids': x, 'padding_mask': x}).shape)\n"
            "print({'tensorflow', 'keras'} & set(sys.modules))",
            tmp_path,
            format,
        )
        assert done.stdout == "(2, 3)\nset()\n"
        assert done.stderr == ""


@pytest.mark.parametrize(("scheme", "most"), [("weights", 2e-3), ("int4", 5e-2)])
def test_rounded_weights_are_rebuilt_near_the_model(tmp_path, scheme, most):
    from aitk.core.compression.quantize import count_quantized, save_quantized

    model = text_model(recurrent=False)
    inputs = batch(4, 6)
    exact = KerasPredictor(model)(inputs)
    save_quantized(model, tmp_path / "model.weights.h5", scheme=scheme)
    counts = count_quantized(model, scheme=scheme)
    assert any("weights" in stored for kind in counts.values() for stored in kind)
    rebuilt = open_predictor(Run(tmp_path, {"format": "keras-quantized"}))(inputs)
    assert rebuilt == pytest.approx(exact, abs=most)
    assert rebuilt.tolist() != exact.tolist()
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"model\.json"):
        open_predictor(Run(tmp_path, {"format": "keras-quantized"}))


def calibrate(folder, shape, *, batches=4, seed=0):
    """Write calibration batches of one input ``x``, and give one more."""
    rng = np.random.default_rng(seed)
    for number in range(batches):
        np.savez(folder / f"batch-{number}.npz", x=rng.normal(size=(8, *shape)).astype("f4"))
    return {"x": rng.normal(size=(16, *shape)).astype("f4")}


@pytest.mark.parametrize("format", ["litert", pytest.param("onnx", marks=pytest.mark.onnx)])
def test_static_int8_reaches_convolutions_and_products(tmp_path, format):
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 3), name="x")
    hidden = keras.layers.Conv2D(8, 3, activation="relu")(x)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(64, 3)(hidden))
    model = keras.Model({"x": x}, keras.layers.Dense(2)(pooled))
    inputs = calibrate(tmp_path, (8, 8, 3))
    path = write(model, tmp_path, format=format, scheme="static")
    assert count_layers(path, format=format) == {
        "convolutions": {"int8": 2},
        "matrix products": {"int8": 1},
    }
    found = open_predictor(Run(tmp_path, {"format": format}))(inputs)
    assert found == pytest.approx(KerasPredictor(model)(inputs), abs=0.1)


@pytest.mark.onnx
def test_dynamic_onnx_reports_float_convolutions(tmp_path):
    import keras

    x = keras.Input((8, 8, 3), name="x")
    hidden = keras.layers.Conv2D(64, 3, activation="relu")(x)
    model = keras.Model({"x": x}, keras.layers.Dense(2)(keras.layers.Flatten()(hidden)))
    path = write(model, tmp_path, format="onnx", scheme="dynamic")
    assert count_layers(path, format="onnx") == {
        "convolutions": {"float32 from int8 weights": 1},
        "matrix products": {"int8 weights with activations quantised on the fly": 1},
    }
    assert path.stat().st_size < model.count_params() * 2


def test_ranges_that_no_kernel_takes_are_refused(tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 3), name="x")
    hidden = keras.layers.Conv2D(4, 3, activation="relu")(x)
    # One huge value leaves no steps for the others.
    hidden = keras.ops.max(keras.ops.where(hidden > 0.5, hidden, -1e9), axis=(1, 2))
    model = keras.Model({"x": x}, keras.layers.Dense(2)(hidden))
    calibrate(tmp_path, (8, 8, 3))
    with pytest.raises(Unsuitable, match="no kernel supports its ranges"):
        write(model, tmp_path, format="litert", scheme="static")


@pytest.mark.parametrize("scheme", ["static", "int16"])
def test_models_without_convolutions_are_not_calibrated(tmp_path, scheme):
    model = text_model(recurrent=False)
    calibrate(tmp_path, (4,))
    with pytest.raises(Unsuitable, match="without convolutions"):
        write(model, tmp_path, format="litert", scheme=scheme)


def test_a_layer_that_keeps_float32_decodes_the_outputs_of_an_int8_network(tmp_path):
    import keras
    from ai_edge_litert.interpreter import Interpreter

    class Best(keras.layers.Layer):
        """The argmax position in pixels, which 8 bits cannot resolve."""

        keeps_float32 = True

        def call(self, x):
            places = keras.ops.arange(256, dtype="float32") * 40
            return keras.ops.sum(keras.ops.softmax(x) * places, axis=-1, keepdims=True)

    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 3), name="x")
    hidden = keras.layers.Conv2D(8, 3, activation="relu", name="inside")(x)
    other = keras.layers.Dense(2, name="other")(keras.layers.GlobalAveragePooling2D()(hidden))
    told = keras.layers.Dense(256)(keras.layers.Flatten()(hidden))
    model = keras.Model({"x": x}, {"best": Best(name="best")(told), "other": other})
    inputs = calibrate(tmp_path, (8, 8, 3))
    path = write(model, tmp_path, format="litert", scheme="static")
    interpreter = Interpreter(model_path=str(path))
    types = {each["index"]: each["dtype"] for each in interpreter.get_tensor_details()}
    made = {each["op_name"]: types[each["outputs"][0]] for each in interpreter._get_ops_details()}
    assert made["CONV_2D"] == made["FULLY_CONNECTED"] == np.int8
    assert made["SOFTMAX"] == made["SUM"] == np.float32
    found, exact = (
        predict(inputs)
        for predict in (open_predictor(Run(tmp_path, {"format": "litert"})), KerasPredictor(model))
    )
    assert found["best"] == pytest.approx(exact["best"], rel=0.02)
    assert found["other"] == pytest.approx(exact["other"], abs=0.1)


@pytest.mark.parametrize("format", ["litert", pytest.param("onnx", marks=pytest.mark.onnx)])
def test_outputs_that_are_joined_keep_scales_of_their_own(tmp_path, format):
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 3), name="x")
    hidden = keras.layers.Conv2D(8, 3, activation="relu")(x)
    boxes = keras.layers.Reshape((-1, 4))(keras.layers.Conv2D(4, 1)(hidden)) * 100
    scores = keras.layers.Reshape((-1, 2))(keras.layers.Conv2D(2, 1)(hidden))
    model = keras.Model({"x": x}, keras.layers.Concatenate()([boxes, scores]))
    inputs = calibrate(tmp_path, (8, 8, 3))
    exact = KerasPredictor(model)(inputs)
    write(model, tmp_path, format=format, scheme="static")
    found = open_predictor(Run(tmp_path, {"format": format}))(inputs)
    # With one scale for both, the scores have four values left.
    assert len(np.unique(found[..., 4:])) > 100
    assert found[..., 4:] == pytest.approx(exact[..., 4:], abs=0.25)


def test_converting_is_a_process_of_its_own(tmp_path):
    model = text_model(recurrent=False)
    model.save(tmp_path / "model.keras")
    target = tmp_path / "model.tflite"
    found = export_model(
        tmp_path / "model.keras",
        target,
        format="litert",
        schemes=["static", "dynamic"],
        calibration=iter([batch(4, 6)]),
    )
    assert found.scheme == "dynamic"
    assert found.refused == {"static": "it gains nothing without convolutions"}
    # LiteRT leaves matrices of under 1,024 weights as they are, and so it is told.
    assert found.arithmetic == (
        "matrix products: 1 float32, 1 int8 weights with activations quantised on the fly;"
        " embedding tables: 1 int8"
    )
    assert (tmp_path / "model.keras").stat().st_size / target.stat().st_size > 3
    (tmp_path / "model.keras").write_bytes(b"not a model")
    with pytest.raises(ArtifactError, match="not a zip file"):
        export_model(tmp_path / "model.keras", target, format="onnx")


def ends(monkeypatch, code, errors):
    ended = Ended(code, errors)
    monkeypatch.setattr("aitk.core.compression.export.converter.run", lambda folder: ended)


def test_a_crash_of_the_converter_is_one_line(tmp_path, monkeypatch):
    ends(monkeypatch, -signal.SIGSEGV, "Fatal Python error\n\nThread 0x1\n")
    with pytest.raises(ArtifactError, match="crashed: SIGSEGV") as raised:
        export_model(tmp_path / "model.keras", tmp_path / "model.tflite", format="litert")
    assert "\n" not in raised.value.line


def test_a_full_disk_is_no_fault_of_the_model(tmp_path, monkeypatch):
    ends(monkeypatch, 1, "Traceback\nOSError: [Errno 28] No space left on device\n")
    with pytest.raises(OSError, match="No space left"):
        export_model(tmp_path / "model.keras", tmp_path / "model.tflite", format="litert")


@pytest.mark.parametrize(
    ("format", "quantize", "chosen"),
    [
        (None, "none", "keras"),
        (None, "int8", "litert"),
        (None, "float16", "litert"),
        pytest.param("onnx", "dynamic", "onnx", marks=pytest.mark.onnx),
        ("keras", "int8", "keras-quantized"),
        (None, "int4", "keras-quantized"),
    ],
)
def test_the_format_that_is_written(format, quantize, chosen):
    assert choose_format(format, quantize) == chosen


def test_onnx_without_its_extra_names_the_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'aitk-toolkit\[onnx\]'"):
        choose_format("onnx", "none")
    assert choose_format("litert", "none") == "litert"


def test_what_a_format_cannot_hold_is_refused():
    with pytest.raises(UsageError, match=r"saved_model cannot store int8.*keras or litert or onnx"):
        choose_format("saved_model", "int8")


@pytest.mark.parametrize(
    "format", ["litert", pytest.param("onnx", marks=pytest.mark.onnx), "saved_model", "keras"]
)
def test_several_outputs_keep_their_names(tmp_path, format):
    import keras
    from keras import layers

    x = keras.Input((4,), name="x")
    outputs = {"size": layers.Dense(2)(x), "kind": layers.Dense(3, use_bias=False)(x)}
    model = keras.Model(x, outputs)
    given = {"x": np.ones((5, 4), np.float32)}
    wanted = KerasPredictor(model)(given)
    assert {name: array.shape for name, array in wanted.items()} == {"size": (5, 2), "kind": (5, 3)}
    path = tmp_path / MODEL_FILES[format]
    model.save(path) if format == "keras" else write(model, tmp_path, format=format, scheme="none")
    found = open_predictor(Run(tmp_path, {"format": format}, trusted=True))(given)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name] == pytest.approx(array, abs=1e-5)
