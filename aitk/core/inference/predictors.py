"""Prediction with models of any format: named arrays in, float32 arrays out.

A model with one output returns an array, one with several a dict of arrays.

LiteRT and ONNX runs are predicted without TensorFlow.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.artifacts.run import Run, check_trusted
from aitk.core.artifacts.run_layout import DECODING_FILES
from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.model_spec import ONLY_OUTPUT
from aitk.core.runtime.environment import usable_cpus
from aitk.core.runtime.silence import suppress_stderr

if TYPE_CHECKING:
    import keras

    from aitk.core.decoding.incremental import Decoder

#: Inputs by name, each (batch, ...), to outputs (batch, ...) float32, by name if several.
Predictor = Callable[[Mapping[str, np.ndarray]], Any]

#: Before the name of an output of an ONNX file that replaces the input of that name.
NEXT = "next_"
#: A model file whose signature accepts any number of rows.
ANY_BATCH = -1


def open_predictor(run: Run) -> Predictor:
    """Open a run's model for prediction.

    Raises:
        ArtifactError: the model's file is damaged, or is an untrusted program.
    """
    check_trusted(run)
    openers: dict[str, Callable[[Path], Predictor]] = {
        "keras": open_keras,
        "keras-quantized": _open_quantized,
        "litert": LiteRTPredictor,
        "onnx": OnnxPredictor,
        "saved_model": SavedModelPredictor,
    }
    return openers[run.format](run.model_path)


def run_errors(format: str) -> tuple[type[Exception], ...]:
    """The errors that models of this format raise for unsuitable inputs."""
    errors: tuple[type[Exception], ...] = (LookupError, ValueError, TypeError, RuntimeError)
    if format == "onnx":
        from onnxruntime.capi import onnxruntime_pybind11_state as raised

        errors += (raised.Fail, raised.InvalidArgument, raised.RuntimeException)
    elif tensorflow := sys.modules.get("tensorflow"):
        errors += (tensorflow.errors.InvalidArgumentError, tensorflow.errors.InternalError)
        errors += (tensorflow.errors.FailedPreconditionError, tensorflow.errors.NotFoundError)
    return errors


class KerasPredictor:
    """A Keras model behind one compiled function for all batch shapes.

    ``Model.predict`` costs 100 ms per call, and a function without free axes is retraced for every
    length. Weights are read at each call, so that a model can be used while it is trained.
    """

    def __init__(self, model: keras.Model):
        import keras

        self._model = model
        self._specs = {spec.name: spec for spec in model.inputs}
        self._call = model.predict_on_batch
        if keras.backend.backend() == "tensorflow":
            self._call = _compiled(model)

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> Any:
        cast = {name: _cast(inputs, name, spec.dtype) for name, spec in self._specs.items()}
        outputs = self._call(cast)
        return _named(outputs if isinstance(outputs, Mapping) else {ONLY_OUTPUT: outputs})

    @functools.cached_property
    def decoder(self) -> Decoder | None:
        """The model as a token-by-token decoder with a cache; None if unsupported."""
        from aitk.core.decoding.incremental import Decodes, KerasDecoder

        incremental = self._model.incremental() if isinstance(self._model, Decodes) else None
        return None if incremental is None else KerasDecoder(incremental)


class SavedModelPredictor:
    """The ``serving_default`` signature of a TensorFlow SavedModel."""

    def __init__(self, path: Path):
        import tensorflow as tf

        from aitk.core.artifacts.keras_file import damaged

        try:
            self._loaded = tf.saved_model.load(str(path))
            self._serve = self._loaded.signatures["serving_default"]
        except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
            raise damaged(path, error) from error
        self._dtypes = {
            name: spec.dtype.as_numpy_dtype
            for name, spec in self._serve.structured_input_signature[1].items()
        }

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> Any:
        import tensorflow as tf

        cast = {
            name: tf.constant(_cast(inputs, name, dtype)) for name, dtype in self._dtypes.items()
        }
        return _named(self._serve(**cast))


class LiteRTPredictor:
    """A LiteRT model with one signature for any batch, or one per batch size."""

    def __init__(self, path: Path):
        from ai_edge_litert.interpreter import Interpreter

        from aitk.core.artifacts.keras_file import damaged

        try:
            with suppress_stderr():
                self._interpreter = Interpreter(model_path=str(path), num_threads=usable_cpus())
                self._interpreter.allocate_tensors()
                named = {
                    name: self._interpreter.get_signature_runner(name)
                    for name in self._interpreter.get_signature_list()
                }
        except (ValueError, RuntimeError) as error:
            raise damaged(path, error) from error
        self._decoding = {name: named.pop(name) for name in ("start", "step") if name in named}
        if not named:
            raise ArtifactError("has no signature", where=str(path), hint="Compress the run again")
        self._runners = {}
        for runner in named.values():
            details = runner.get_input_details()
            self._dtypes = {name: detail["dtype"] for name, detail in details.items()}
            batch = int(next(iter(details.values()))["shape_signature"][0])
            self._runners[batch] = runner

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> Any:
        cast = {name: _cast(inputs, name, dtype) for name, dtype in self._dtypes.items()}
        if ANY_BATCH in self._runners:
            return _named(self._runners[ANY_BATCH](**cast))
        rows = len(next(iter(cast.values())))
        sizes = sorted(self._runners)
        parts, start = [], 0
        while start < rows:
            size = next((size for size in sizes if size >= rows - start), sizes[-1])
            part = {name: _rows(array, start, size) for name, array in cast.items()}
            outputs = self._runners[size](**part)
            parts.append({name: array[: rows - start] for name, array in outputs.items()})
            start += size
        return _named({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    @functools.cached_property
    def decoder(self) -> Decoder | None:
        """The model as a token-by-token decoder with a cache; None if the file lacks the
        signatures."""
        from aitk.core.decoding.incremental import FunctionDecoder

        if len(self._decoding) < 2:
            return None

        def call(name: str) -> Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]:
            runner = self._decoding[name]
            wanted = runner.get_input_details()
            return lambda given: runner(
                **{each: np.ascontiguousarray(given[each]) for each in wanted}
            )

        return FunctionDecoder(call("start"), call("step"))


class OnnxPredictor:
    """An ONNX model, run by ONNX Runtime on the CPU."""

    def __init__(self, path: Path):
        self._path = path
        self._run = _open_onnx(path)

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> Any:
        return _named(self._run(inputs))

    @functools.cached_property
    def decoder(self) -> Decoder | None:
        """The model as a token-by-token decoder with a cache; None if the run lacks the files."""
        from aitk.core.decoding.incremental import FunctionDecoder

        paths = [self._path.with_name(name) for name in DECODING_FILES.values()]
        if not all(path.is_file() for path in paths):
            return None
        start, step = map(_open_onnx, paths)
        return FunctionDecoder(start, step)


def _open_onnx(path: Path) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """The function of named arrays in an ONNX file."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as raised

    from aitk.core.artifacts.keras_file import damaged

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cpus()
    options.log_severity_level = 3
    try:
        graph = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (
        raised.InvalidProtobuf,
        raised.InvalidGraph,
        raised.InvalidArgument,
        raised.NoSuchFile,
        raised.Fail,
        raised.NotImplemented,
    ) as error:
        raise damaged(path, error) from error
    dtypes = {item.name: _ONNX_TYPES[item.type] for item in graph.get_inputs()}
    names = [item.name.removeprefix(NEXT) for item in graph.get_outputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        cast = {name: _cast(inputs, name, dtype) for name, dtype in dtypes.items()}
        return dict(zip(names, graph.run(None, cast), strict=True))

    return run


_ONNX_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
    "tensor(uint8)": np.uint8,
}


def _compiled(model: keras.Model) -> Callable[[Mapping[str, Any]], Any]:
    import keras
    import tensorflow as tf

    signature = {
        spec.name: tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in model.inputs
    }

    @tf.function(input_signature=[signature], autograph=False)
    def call(inputs: Mapping[str, Any]) -> Any:
        # A model may have its inputs as a dict or a list: use its own structure.
        given = keras.tree.map_structure(lambda spec: inputs[spec.name], model.input)
        return model(given, training=False)

    return call


def open_keras(path: Path) -> Predictor:
    """Open a ``.keras`` file for prediction."""
    from aitk.core.artifacts.keras_file import load_keras

    return KerasPredictor(load_keras(path))


def _open_quantized(path: Path) -> Predictor:
    from aitk.core.compression.quantize import load_quantized

    return KerasPredictor(load_quantized(path))


def _named(outputs: Mapping[str, Any]) -> Any:
    """A single output as an array, several as a dict."""
    arrays = {name: np.asarray(array, np.float32) for name, array in outputs.items()}
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _cast(inputs: Mapping[str, np.ndarray], name: str, dtype: Any) -> np.ndarray:
    return np.ascontiguousarray(inputs[name], dtype)


def _rows(array: np.ndarray, start: int, size: int) -> np.ndarray:
    """``size`` rows from ``start`` on, padded by repeating the last one."""
    part = array[start : start + size]
    missing = size - len(part)
    return part if not missing else np.concatenate([part, part[-1:].repeat(missing, axis=0)])
