"""The converting process: ``python -m aitk.core.convert FOLDER``, called by ``core.export``.

Reads ``job.json`` and the calibration batches in FOLDER, writes the target and ``result.json``.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.errors import ArtifactError
from aitk.core.silence import silence
from aitk.core.task import ONLY_OUTPUT

#: Recurrent loops are compiled for a fixed number of rows: one signature for a single row, one
#: for a batch. Both share their weights in the file.
LOOP_BATCHES = (1, 32)
#: Full int8 is kept if its outputs differ by less than this share of their own spread.
TOLERANCE = 0.1

Inputs = Mapping[str, np.ndarray]


def main(folder: Path) -> None:
    """Do the job described in the folder."""
    silence()
    from aitk.core.keras_file import load_keras

    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    target, quantize = Path(job["target"]), job["quantize"]
    model = load_keras(Path(job["source"]))
    if job["format"] == "litert":
        arithmetic = write_litert(model, target, quantize=quantize, calibration=Calibration(folder))
    elif job["format"] == "onnx":
        from aitk.core.onnx_file import write_onnx

        arithmetic = write_onnx(model, target, quantize=quantize)
    elif job["format"] == "saved_model":
        arithmetic = write_saved_model(model, target)
    else:
        from aitk.core.quantize import save_quantized

        save_quantized(model, target)
        arithmetic = "int8 weights and activations in dense layers"
    (folder / "result.json").write_text(json.dumps({"arithmetic": arithmetic}), encoding="utf-8")


class Calibration:
    """The batches that set the ranges of full int8, read one at a time."""

    def __init__(self, folder: Path):
        self._paths = sorted(folder.glob("batch-*.npz"))

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[Inputs]:
        for path in self._paths:
            with np.load(path, allow_pickle=False) as batch:
                yield dict(batch)


def write_saved_model(model: Any, target: Path) -> str:
    """Write a TensorFlow SavedModel with one signature, ``serving_default``."""
    import tensorflow as tf

    module = tf.Module()
    module.model = model
    function = serving_function(model).get_concrete_function(signature(model))
    named = tf.function(lambda **inputs: function(inputs), autograph=False)
    tf.saved_model.save(
        module,
        str(target),
        signatures={"serving_default": named.get_concrete_function(**signature(model))},
    )
    return "float32"


def write_litert(model: Any, target: Path, *, quantize: str, calibration: Calibration) -> str:
    """Write a LiteRT file that takes any length, and any number of rows where it can.

    ``int8`` means full int8 for convolutional networks, if it keeps their outputs, and int8
    weights with activations quantised on the fly for all others: for attention, full int8 was
    both slower and wrong, and a recurrent loop crashes the converter.

    A layer that makes the answer out of what a network tells, as boxes that compete, says so by an
    attribute ``answers``. It stays in float32: in full int8 a good detector found nothing more.
    """
    answering = [layer.name for layer in model.layers if getattr(layer, "answers", False)]
    operations = _operations(freeze(model, batch=None), apart_from=answering)
    batches = LOOP_BATCHES if any(op.startswith("TensorList") for op in operations) else (None,)
    convolutional = bool({"Conv2D", "DepthwiseConv2dNative"} & operations) and not (
        {"Softmax", "TensorListReserve"} & operations
    )
    with tempfile.TemporaryDirectory(prefix="aitk-frozen-") as folder:
        names = _save_frozen(model, folder, batches)
        if quantize == "int8" and convolutional and len(calibration):
            if not answering:
                target.write_bytes(_litert(folder, names, quantize="full", calibration=calibration))
                if _keeps_outputs(model, target, calibration):
                    return "int8 weights and activations"
            # Which answers come out may hang by a hair, so what they are made of is compared.
            elif _can_be_int8(_before_answers(model), calibration):
                target.write_bytes(_partly_int8(folder, names, calibration, apart_from=answering))
                return "int8 weights and activations, answers in float32"
        target.write_bytes(_litert(folder, names, quantize=quantize))
    return {
        "none": "float32",
        "float16": "float16 weights, float32 arithmetic",
    }.get(quantize, "int8 weights, activations quantised on the fly")


def serving_function(model: Any) -> Any:
    """The model without dropout, from a dict of inputs to its outputs in float32."""
    import keras
    import tensorflow as tf

    @tf.function(autograph=False)
    def call(inputs: Mapping[str, Any]) -> Any:
        given = keras.tree.map_structure(lambda spec: inputs[spec.name], model.input)
        outputs = model(given, training=False)
        if not isinstance(outputs, Mapping):
            outputs = {ONLY_OUTPUT: outputs}
        return {name: tf.cast(array, tf.float32) for name, array in outputs.items()}

    return call


def output_names(model: Any) -> list[str]:
    """The names of what ``serving_function`` gives, in the order of a flattened dict."""
    return sorted(model.output) if isinstance(model.output, Mapping) else [ONLY_OUTPUT]


def signature(model: Any, *, batch: int | None = None) -> dict[str, Any]:
    """The specs of the model's inputs for a number of rows."""
    import tensorflow as tf

    return {
        spec.name: tf.TensorSpec((batch, *spec.shape[1:]), spec.dtype, name=spec.name)
        for spec in model.inputs
    }


def freeze(model: Any, *, batch: int | None) -> Any:
    """A concrete function whose weights are constants."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    function = serving_function(model).get_concrete_function(signature(model, batch=batch))
    return convert_variables_to_constants_v2(function)


def _operations(function: Any, *, apart_from: Collection[str]) -> set[str]:
    """The kinds of operation of a graph, without those of the layers that are named."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for item in graph.library.function for node in item.node_def)]
    return {node.op for node in nodes if not _is_in(node.name, apart_from)}


def _is_in(name: str, layers: Collection[str]) -> bool:
    """Whether an operation belongs to one of the layers; a copy of a layer is numbered."""
    parts = {re.sub(r"_\d+$", "", part) for part in re.split("[/;]", name)}
    return not parts.isdisjoint(layers)


def _save_frozen(model: Any, folder: str, batches: tuple[int | None, ...]) -> list[str]:
    """Save one signature a batch size, weights as constants.

    The converter drops the weights of variables captured by several signatures, without a word.
    """
    import tensorflow as tf

    signatures = {}
    for batch in batches:
        frozen = freeze(model, batch=batch)
        names = [tensor.name.partition(":")[0] for tensor in frozen.inputs]

        def call(frozen: Any = frozen, names: list[str] = names, **inputs: Any) -> Any:
            outputs = tf.nest.flatten(frozen(*[inputs[name] for name in names]))
            return dict(zip(output_names(model), outputs, strict=True))

        function = tf.function(call, autograph=False)
        signatures[f"batch_{batch or 'any'}"] = function.get_concrete_function(
            **signature(model, batch=batch)
        )
    # Nobody trains this file, and the gradient of Swish cannot be saved from a frozen graph.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(tf.Module(), folder, signatures=signatures, options=options)
    return list(signatures)


def _litert(
    folder: str, names: list[str], *, quantize: str, calibration: Iterable[Inputs] = ()
) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "full":
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
            tf.lite.OpsSet.TFLITE_BUILTINS,
        ]
        converter.representative_dataset = lambda: ((names[0], batch) for batch in calibration)
    return converter.convert()


def _partly_int8(
    folder: str, names: list[str], calibration: Iterable[Inputs], *, apart_from: Collection[str]
) -> bytes:
    """Full int8 of all but the layers that are named, and the outputs that come from them."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter
    from tensorflow.lite.python.convert import mlir_quantize

    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ((names[0], batch) for batch in calibration)
    converter._experimental_calibrate_only = True  # the ranges are in it, nothing is rounded yet
    calibrated = converter.convert()
    interpreter = Interpreter(model_content=calibrated)
    called = {each["index"]: each["name"] for each in interpreter.get_tensor_details()}
    outputs = {each["index"] for each in interpreter.get_output_details()}
    floats: set[int] = set()
    for operation in interpreter._get_ops_details():
        made = [index for index in operation["outputs"] if index in called]
        # The tensor of an output is named as an output, not by its layer.
        if any(_is_in(called[index], apart_from) for index in made) or (
            outputs.intersection(made) and floats.intersection(operation["inputs"])
        ):
            floats.update(made)
    return mlir_quantize(calibrated, denylisted_nodes=[called[index] for index in floats])


def _before_answers(model: Any) -> Any:
    """The network up to the layers that make answers of what it tells."""
    import keras

    def told(output: Any) -> Any:
        layer = output._keras_history.operation
        return layer.input if getattr(layer, "answers", False) else output

    return keras.Model(model.input, keras.tree.map_structure(told, model.output))


def _can_be_int8(model: Any, calibration: Calibration) -> bool:
    """Whether a network in full int8 keeps its outputs."""
    with tempfile.TemporaryDirectory(prefix="aitk-frozen-") as folder:
        names = _save_frozen(model, folder, (None,))
        path = Path(folder) / "int8.tflite"
        path.write_bytes(_litert(folder, names, quantize="full", calibration=calibration))
        return _keeps_outputs(model, path, calibration)


def _keeps_outputs(model: Any, path: Path, calibration: Calibration) -> bool:
    """Whether a file can be run, and its outputs are near enough to the model's."""
    from aitk.core.runtime import KerasPredictor, LiteRTPredictor

    wanted = _outputs_of(KerasPredictor(model), calibration)
    try:
        found = _outputs_of(LiteRTPredictor(path), calibration)
    except (ArtifactError, RuntimeError):  # ranges that no kernel takes, as of a mask of -1e9
        return False
    return all(
        float(np.sqrt(np.mean((found[name] - array) ** 2))) <= TOLERANCE * float(np.std(array))
        for name, array in wanted.items()
    )


def _outputs_of(predict: Any, calibration: Calibration) -> dict[str, np.ndarray]:
    answers = [predict(batch) for batch in calibration]
    named = [item if isinstance(item, dict) else {ONLY_OUTPUT: item} for item in answers]
    return {name: np.concatenate([item[name] for item in named]) for name in named[0]}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
