"""Every format, for a network with a gather and a GELU and for one with a loop."""

import numpy as np
import pytest

from aitk.core.convert import Calibration, write_litert, write_saved_model
from aitk.core.errors import ArtifactError, UsageError
from aitk.core.export import choose_format, export_model
from aitk.core.onnx_file import write_onnx
from aitk.core.run import MODEL_FILES, Run
from aitk.core.runtime import KerasPredictor, open_predictor

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


def write(model, folder, *, format, quantize):
    path = folder / MODEL_FILES[format]
    if format == "litert":
        write_litert(model, path, quantize=quantize, calibration=Calibration(folder))
    elif format == "onnx":
        write_onnx(model, path, quantize=quantize)
    else:
        write_saved_model(model, path)
    return path


@pytest.mark.parametrize(
    ("format", "quantize", "smaller", "tolerance"),
    [
        ("litert", "none", 0.7, 1e-5),
        ("litert", "float16", 1.6, 2e-3),
        ("litert", "int8", 2.5, 5e-2),
        ("onnx", "none", 0.7, 1e-5),
        ("onnx", "float16", 1.6, 2e-3),
        ("onnx", "int8", 2.5, 5e-2),
        ("saved_model", "none", 0, 1e-5),
    ],
)
def test_outputs_are_kept_for_any_batch(model, tmp_path, format, quantize, smaller, tolerance):
    path = write(model, tmp_path, format=format, quantize=quantize)
    exact, near = (
        KerasPredictor(model),
        open_predictor(Run(tmp_path, {"format": format}, trusted=True)),
    )
    for rows, length in ((1, 1), (3, 7), (40, 5)):
        inputs = batch(rows, length)
        assert near(inputs) == pytest.approx(exact(inputs), abs=tolerance)
    if smaller:
        assert 4 * model.count_params() / path.stat().st_size > smaller


def test_a_converted_run_needs_no_tensorflow(tmp_path, python):
    model = text_model(recurrent=True)
    for format in ("litert", "onnx"):
        write(model, tmp_path, format=format, quantize="int8")
        done = python(
            "import sys\n"
            "from pathlib import Path\n"
            "import numpy as np\n"
            "from aitk.core.run import Run\n"
            "from aitk.core.runtime import open_predictor\n"
            "x = np.ones((2, 3))\n"
            "run = Run(Path(sys.argv[1]), {'format': sys.argv[2]}, trusted=True)\n"
            "print(open_predictor(run)({'token_ids': x, 'padding_mask': x}).shape)\n"
            "print({'tensorflow', 'keras'} & set(sys.modules))",
            tmp_path,
            format,
        )
        assert done.stdout == "(2, 3)\nset()\n"
        assert done.stderr == ""


def test_keras_int8_is_rebuilt_exactly(tmp_path):
    from aitk.core.quantize import save_quantized

    model = text_model(recurrent=False)
    inputs = batch(4, 6)
    exact = KerasPredictor(model)(inputs)
    save_quantized(model, tmp_path / "model.weights.h5")
    quantized = KerasPredictor(model)(inputs)
    rebuilt = open_predictor(Run(tmp_path, {"format": "keras-quantized"}))(inputs)
    assert rebuilt.tolist() == quantized.tolist()
    assert rebuilt == pytest.approx(exact, abs=5e-2)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"model\.json"):
        open_predictor(Run(tmp_path, {"format": "keras-quantized"}))


@pytest.mark.parametrize("masked", [False, True])
def test_full_int8_is_taken_for_convolutions_that_bear_it(tmp_path, masked):
    import keras

    keras.utils.set_random_seed(0)
    inputs = {"x": keras.Input((8, 8, 3), name="x")}
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs["x"])
    if masked:  # one huge value leaves no steps for the others
        x = keras.ops.where(x > 0.5, x, -1e9)
    x = keras.ops.max(x, axis=(1, 2))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    rng = np.random.default_rng(0)
    for number in range(4):
        np.savez(tmp_path / f"batch-{number}.npz", x=rng.normal(size=(8, 8, 8, 3)).astype("f4"))
    way = write_litert(
        model, tmp_path / "model.tflite", quantize="int8", calibration=Calibration(tmp_path)
    )
    assert way.startswith("int8 weights and activations") != masked


def test_answers_are_made_in_float_of_what_an_int8_network_tells(tmp_path):
    import keras
    from ai_edge_litert.interpreter import Interpreter

    class Best(keras.layers.Layer):
        """The place of the likeliest of many, in pixels: 8 bits could not tell it."""

        answers = True

        def call(self, x):
            places = keras.ops.arange(256, dtype="float32") * 40
            return keras.ops.sum(keras.ops.softmax(x) * places, axis=-1, keepdims=True)

    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 3), name="x")
    hidden = keras.layers.Conv2D(8, 3, activation="relu", name="inside")(x)
    other = keras.layers.Dense(2, name="other")(keras.layers.GlobalAveragePooling2D()(hidden))
    told = keras.layers.Dense(256)(keras.layers.Flatten()(hidden))
    model = keras.Model({"x": x}, {"best": Best(name="best")(told), "other": other})
    rng = np.random.default_rng(0)
    for number in range(4):
        np.savez(tmp_path / f"batch-{number}.npz", x=rng.normal(size=(8, 8, 8, 3)).astype("f4"))
    path = tmp_path / "model.tflite"
    way = write_litert(model, path, quantize="int8", calibration=Calibration(tmp_path))
    assert way == "int8 weights and activations, answers in float32"
    interpreter = Interpreter(model_path=str(path))
    types = {each["index"]: each["dtype"] for each in interpreter.get_tensor_details()}
    made = {each["op_name"]: types[each["outputs"][0]] for each in interpreter._get_ops_details()}
    assert made["CONV_2D"] == made["FULLY_CONNECTED"] == np.int8
    assert made["SOFTMAX"] == made["SUM"] == np.float32
    inputs = {"x": rng.normal(size=(16, 8, 8, 3)).astype("f4")}
    found, exact = (
        predict(inputs)
        for predict in (open_predictor(Run(tmp_path, {"format": "litert"})), KerasPredictor(model))
    )
    assert found["best"] == pytest.approx(exact["best"], rel=0.02)
    assert found["other"] == pytest.approx(exact["other"], abs=0.1)


def test_converting_is_a_process_of_its_own(tmp_path):
    model = text_model(recurrent=False)
    model.save(tmp_path / "model.keras")
    target = tmp_path / "model.tflite"
    found = export_model(
        tmp_path / "model.keras",
        target,
        format="litert",
        quantize="int8",
        calibration=[batch(4, 6)],
    )
    assert found == {"arithmetic": "int8 weights, activations quantised on the fly"}
    assert (tmp_path / "model.keras").stat().st_size / target.stat().st_size > 3
    (tmp_path / "model.keras").write_bytes(b"not a model")
    with pytest.raises(ArtifactError, match="not a zip file"):
        export_model(tmp_path / "model.keras", target, format="onnx")


def test_a_crash_of_the_converter_is_one_line(tmp_path, monkeypatch):
    crash = tmp_path / "python"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(crash))
    with pytest.raises(ArtifactError, match="crashed: SIGSEGV") as raised:
        export_model(tmp_path / "model.keras", tmp_path / "model.tflite", format="litert")
    assert "\n" not in raised.value.line


def test_a_full_disk_is_no_fault_of_the_model(tmp_path, monkeypatch):
    full = tmp_path / "python"
    full.write_text("#!/bin/sh\necho 'OSError: [Errno 28] No space left on device' >&2; exit 1\n")
    full.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(full))
    with pytest.raises(OSError, match="No space left"):
        export_model(tmp_path / "model.keras", tmp_path / "model.tflite", format="litert")


@pytest.mark.parametrize(
    ("format", "quantize", "chosen"),
    [
        (None, "none", "keras"),
        (None, "int8", "litert"),
        (None, "float16", "litert"),
        ("onnx", "dynamic", "onnx"),
        ("keras", "int8", "keras-quantized"),
    ],
)
def test_the_format_that_is_written(format, quantize, chosen):
    assert choose_format(format, quantize) == chosen


def test_what_a_format_cannot_hold_is_refused():
    with pytest.raises(UsageError, match=r"saved_model cannot hold int8.*keras or litert or onnx"):
        choose_format("saved_model", "int8")


@pytest.mark.parametrize("format", ["litert", "onnx", "saved_model", "keras"])
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
    model.save(path) if format == "keras" else write(
        model, tmp_path, format=format, quantize="none"
    )
    found = open_predictor(Run(tmp_path, {"format": format}, trusted=True))(given)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name] == pytest.approx(array, abs=1e-5)
