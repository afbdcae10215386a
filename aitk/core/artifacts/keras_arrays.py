"""The single layer with weights in a ``.keras`` file, read without Keras.

A closed-form model is a single layer, which also has a NumPy implementation of a few lines, so
``evaluate`` and ``predict`` need not start TensorFlow for it.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.keras_file import WEIGHTS, damaged, read_config
from aitk.core.artifacts.weights_file import read_arrays
from aitk.core.contract.errors import ArtifactError

#: Weights up to this size are read into memory, larger ones via a temporary file.
SMALL_BYTES = 8_000_000


@dataclass(frozen=True)
class StoredLayer:
    """A layer as stored in a ``.keras`` file.

    Attributes:
        path: path of the file, for errors.
        kind: registered name of its class.
        config: constructor arguments of its class.
        arrays: path below the layer -> weights: ``vars/0``, ``average/vars/1``.
    """

    path: Path
    kind: str
    config: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    def array(self, name: str, *shape: int | None) -> np.ndarray:
        """The weights with a name.

        Args:
            shape: required shape; None for any size.

        Raises:
            ArtifactError: they are missing, or differ in shape.
        """
        found = self.arrays.get(name)
        if found is None or found.ndim != len(shape):
            raise self._damage(f"its layer has no {name} of {len(shape)} dimensions")
        if any(size not in (None, own) for size, own in zip(shape, found.shape, strict=True)):
            raise self._damage(f"its {name} has shape {found.shape} instead of {shape}")
        return found

    def numbers(self, name: str, *shape: int | None, below: int) -> np.ndarray:
        """Whole numbers from 0 to ``below`` (exclusive); otherwise like ``array``."""
        found = self.array(name, *shape)
        if found.dtype.kind not in "iu" or (
            found.size and not 0 <= found.min() <= found.max() < below
        ):
            raise self._damage(f"its {name} has indices out of range")
        return found

    def inside(self, name: str) -> StoredLayer:
        """A layer nested in this one; its arguments are not stored."""
        start = f"{name}/"
        arrays = {
            path.removeprefix(start): array
            for path, array in self.arrays.items()
            if path.startswith(start)
        }
        return StoredLayer(self.path, "", {}, arrays)

    def _damage(self, what: str) -> ArtifactError:
        return ArtifactError(what, where=str(self.path), hint="Train the model again")


def read_layer(path: Path, name: str) -> StoredLayer | None:
    """The layer with this name; None unless it is the only one with weights.

    Raises:
        ArtifactError: the file is damaged.
    """
    config = read_config(path)
    layers = config.get("config", {}).get("layers") if isinstance(config, dict) else None
    found = [
        layer
        for layer in layers or ()
        if isinstance(layer, dict) and layer.get("name") == name and "config" in layer
    ]
    if len(found) != 1 or not isinstance(found[0].get("registered_name"), str):
        return None
    arrays = _weights(path)
    places = {tuple(place.split("/")[:2]) for place in arrays}
    if len(places) != 1 or next(iter(places))[0] != "layers":
        return None
    below = {place.split("/", 2)[2]: array for place, array in arrays.items()}
    return StoredLayer(path, found[0]["registered_name"], found[0]["config"], below)


def read_stored(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    """The configuration of the model in a ``.keras`` file, and its weights by their paths.

    Raises:
        ArtifactError: the file is damaged.
    """
    return read_config(path), _weights(path)


def _weights(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(WEIGHTS).file_size <= SMALL_BYTES:
                return read_arrays(path, io.BytesIO(archive.read(WEIGHTS)))
            with tempfile.TemporaryDirectory(prefix="aitk-weights-") as folder:
                return read_arrays(path, archive.extract(WEIGHTS, folder))
    except (zipfile.BadZipFile, KeyError, OSError, RuntimeError, NotImplementedError) as error:
        raise damaged(path, error) from error
