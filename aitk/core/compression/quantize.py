"""Weight-only quantisation: matrices of 8 or 4 bits, with a range for each group of weights.

Every kernel and embedding table is rounded, whatever the layer: Keras' own ``quantize`` leaves out
attention, recurrent cells and convolutions, and a head that is tied to an embedding would read its
integers as they are. A weight of a group of ``GROUPS`` inputs of one output is ``low + code *
scale``, rounded to the nearest (Dettmers and Zettlemoyer 2023 on the size of groups). The file is
small; the model that is rebuilt from it computes in float32. Embedding tables have 8 bits in either
case: of a language model they are also the weights of all outputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.artifacts.keras_file import (
    LARGEST_CONFIG_BYTES,
    LIBRARY_ERRORS,
    bounded_weights,
    damaged,
    register_layers,
)
from aitk.core.artifacts.weights_file import read_arrays
from aitk.core.compression.arithmetic import CONVOLUTION, PRODUCT, TABLE
from aitk.core.contract.errors import ArtifactError
from aitk.core.io.json_files import read_text
from aitk.core.io.values import parse_json

if TYPE_CHECKING:
    import keras

CONFIGURATION = "model.json"
#: Scheme -> bits of a weight.
BITS = {"weights": 8, "int4": 4}
#: Bits -> the weights that share a range, which takes 32 bits.
GROUPS = {8: 64, 4: 32}
#: Smaller arrays, and those with one axis, stay in float32.
LEAST_WEIGHTS = 1024


@dataclass(frozen=True)
class Codes:
    """A matrix of rounded weights.

    Attributes:
        bits: 8 or 4.
        codes: (inputs, outputs) uint8; of 4 bits two rows in one.
        low: (groups, outputs) float16, the lowest weight of each group.
        scale: (groups, outputs) float16, the step between two codes.
    """

    bits: int
    codes: np.ndarray
    low: np.ndarray
    scale: np.ndarray

    def matrix(self, inputs: int) -> np.ndarray:
        """The float32 weights (inputs, outputs)."""
        codes = self.codes
        if self.bits == 4:
            both = np.stack([codes & 15, codes >> 4], axis=1)
            codes = both.reshape(-1, codes.shape[1])[:inputs]
        low, scale = (
            np.repeat(each.astype(np.float32), GROUPS[self.bits], axis=0)[:inputs]
            for each in (self.low, self.scale)
        )
        return low + codes * scale


def round_weights(matrix: np.ndarray, *, bits: int) -> Codes:
    """Round (inputs, outputs) weights to 2^bits values for each group of inputs of an output."""
    size, most = GROUPS[bits], 2**bits - 1
    inputs, outputs = matrix.shape
    padded = np.pad(matrix, [(0, -inputs % size), (0, 0)], mode="edge")
    groups = padded.reshape(-1, size, outputs)
    low = groups.min(axis=1).astype(np.float16)
    scale = ((groups.max(axis=1) - low.astype(np.float32)) / most).astype(np.float16)
    step = scale.astype(np.float32)[:, None]
    steps = np.divide(
        groups - low.astype(np.float32)[:, None], step, out=np.zeros_like(groups), where=step > 0
    )
    codes = steps.round().clip(0, most).astype(np.uint8).reshape(-1, outputs)
    if bits == 4:
        codes = codes[0::2] | (codes[1::2] << 4)
        inputs = -(-inputs // 2)
    return Codes(bits, codes[:inputs], low, scale)


def save_quantized(model: keras.Model, weights: Path, *, scheme: str) -> None:
    """Write ``weights`` of a float model, with ``model.json`` next to it.

    Args:
        scheme: a name in ``BITS``.
    """
    import h5py

    configuration = weights.with_name(CONFIGURATION)
    configuration.write_text(model.to_json(), encoding="utf-8")
    with h5py.File(weights, "w") as file:
        file["bits"] = np.array([BITS[scheme]])
        for number, variable in enumerate(model.weights):
            values = np.asarray(variable)
            if not _is_rounded(variable):
                file[f"{number}/values"] = values
                continue
            bits = _bits_of(variable, BITS[scheme])
            codes = round_weights(_as_matrix(variable, values, bits), bits=bits)
            for name in ("codes", "low", "scale"):
                file[f"{number}/{name}"] = getattr(codes, name)


def count_quantized(model: keras.Model, *, scheme: str) -> dict[str, dict[str, int]]:
    """The number of matrices per number format (see ``arithmetic``)."""
    counts: dict[str, Counter[str]] = {}
    for variable in model.weights:
        if len(variable.shape) < 2:
            continue
        kind = PRODUCT
        if variable.name == "embeddings":
            kind = TABLE
        elif len(variable.shape) > 3:
            kind = CONVOLUTION
        stored = (
            f"int{_bits_of(variable, BITS[scheme])} weights" if _is_rounded(variable) else "float32"
        )
        counts.setdefault(kind, Counter())[stored] += 1
    return {kind: dict(each) for kind, each in counts.items()}


def load_quantized(weights: Path) -> keras.Model:
    """Rebuild a model written by ``save_quantized``.

    Raises:
        ArtifactError: a file is missing or damaged, or the two do not match.
    """
    import keras

    configuration = weights.with_name(CONFIGURATION)
    if not configuration.is_file():
        raise ArtifactError(f"{CONFIGURATION} is missing", where=str(weights.parent))
    try:
        text = read_text(configuration, largest_bytes=LARGEST_CONFIG_BYTES)
        register_layers(parse_json(text))
        with bounded_weights(weights.stat().st_size, where=str(weights)):
            model = keras.models.model_from_json(text)
    except LIBRARY_ERRORS as error:
        raise damaged(configuration, error) from error
    if not isinstance(model, keras.Model):
        raise ArtifactError("does not describe a model", where=str(configuration))
    arrays = read_arrays(weights)
    try:
        bits = int(arrays["bits"][0])
        for number, variable in enumerate(model.weights):
            variable.assign(_values(variable, arrays, number, bits))
    except LIBRARY_ERRORS as error:
        raise damaged(weights, error) from error
    return model


def _values(variable: Any, arrays: Mapping[str, np.ndarray], number: int, bits: int) -> np.ndarray:
    """The stored values of a variable, in its shape."""
    if not _is_rounded(variable):
        return arrays[f"{number}/values"]
    bits = _bits_of(variable, bits)
    codes = Codes(bits, *(arrays[f"{number}/{name}"] for name in ("codes", "low", "scale")))
    shape = tuple(variable.shape)
    if variable.name == "embeddings":
        return codes.matrix(shape[1]).T
    return codes.matrix(_inputs(shape, bits)).reshape(shape)


def _as_matrix(variable: Any, values: np.ndarray, bits: int) -> np.ndarray:
    """(inputs, outputs): a row of an embedding table is what an output of its tied head sums."""
    if variable.name == "embeddings":
        return values.T.astype(np.float32)
    return values.reshape(_inputs(values.shape, bits), -1).astype(np.float32)


def _inputs(shape: Sequence[int], bits: int) -> int:
    """The fewest leading axes that hold a group: all but the last of a convolution, the first of
    the projections of attention, (inputs, heads, size)."""
    inputs = 1
    for side in shape[:-1]:
        inputs *= side
        if inputs >= GROUPS[bits]:
            break
    return inputs


def _bits_of(variable: Any, bits: int) -> int:
    return 8 if variable.name == "embeddings" else bits


def _is_rounded(variable: Any) -> bool:
    shape = tuple(variable.shape)
    is_float = "float" in str(variable.dtype)
    return is_float and len(shape) > 1 and int(np.prod(shape)) >= LEAST_WEIGHTS
