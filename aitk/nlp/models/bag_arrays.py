"""What ``bag`` computes, in NumPy: predicting with it needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.keras_arrays import read_stored
from aitk.core.layers.sparse_rows import sparse_rows

#: Paths of the weights: inverse frequencies, embeddings, and the head's kernel and bias.
RARITY = "layers/functional/layers/rarity/vars/0"
EMBEDDINGS = "layers/functional/layers/unit_sum/vars/0"
KERNEL, BIAS = "layers/dense/vars/0", "layers/dense/vars/1"
#: The layers with weights or dropout, as a file names them, inside the backbone and outside.
INSIDE = {"aitk.nlp>Rarity", "aitk.nlp>UnitSum", "Dropout"}
OUTSIDE = {"Functional", "Dense"}


def open_bag(path: Path) -> Callable[[Mapping[str, np.ndarray]], np.ndarray] | None:
    """The model in a ``.keras`` file: ``token_ids`` and ``padding_mask`` (batch, length) to logits
    (batch, classes); None if the file holds another network, or one in reduced precision.

    Raises:
        ArtifactError: the file is damaged.
    """
    config, arrays = read_stored(path)
    if set(arrays) != {RARITY, EMBEDDINGS, KERNEL, BIAS} or not _is_bag(config):
        return None
    rarity, embeddings = arrays[RARITY], arrays[EMBEDDINGS]
    kernel, bias = arrays[KERNEL], arrays[BIAS]
    fits = rarity.shape == embeddings.shape[:1] and embeddings.shape[1:] == kernel.shape[:1]
    if not fits or kernel.shape[1:] != bias.shape or kernel.ndim != 2:
        return None

    def predict(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        ids = np.ascontiguousarray(inputs["token_ids"], np.int32)
        if ids.size and ids.min() < 0:
            raise IndexError("a token has a negative number")
        weights = rarity[ids]
        np.multiply(weights, inputs["padding_mask"], out=weights, casting="unsafe")
        # The mean square of the weights becomes 1, and the root of their number divides the sum.
        norm = np.sqrt(np.maximum(np.square(weights).sum(axis=1, keepdims=True), 1))
        sums = sparse_rows(ids, weights, len(embeddings)) @ embeddings
        return (sums / norm) @ kernel + bias

    return predict


def _is_bag(config: Any) -> bool:
    """Whether the layers are those of ``aitk.nlp.models.bag`` with a linear head, in float32."""
    try:
        top = [layer for layer in config["config"]["layers"] if not _is_input(layer)]
        backbone = next(layer for layer in top if layer["class_name"] == "Functional")
        inside = [layer for layer in backbone["config"]["layers"] if not _is_input(layer)]
        head = next(layer for layer in top if layer["class_name"] == "Dense")
        names = [{_name(layer) for layer in layers} for layers in (top, inside)]
        exact = all(_precision(layer) == "float32" for layer in (*inside, head))
        linear = head["config"]["activation"] == "linear" and head["config"]["use_bias"]
    except (KeyError, TypeError, StopIteration):
        return False
    return names == [OUTSIDE, INSIDE] and len(top) == 2 and len(inside) == 3 and exact and linear


def _is_input(layer: Any) -> bool:
    return layer["class_name"] == "InputLayer"


def _name(layer: Any) -> str:
    return layer.get("registered_name") or layer["class_name"]


def _precision(layer: Any) -> Any:
    policy = layer["config"].get("dtype")
    return policy["config"]["name"] if isinstance(policy, dict) else policy
