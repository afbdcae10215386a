"""Matching bare arrays in a file to the weights of a model, with an account of every one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aitk.core.errors import ArtifactError
from aitk.core.keras_file import damaged

if TYPE_CHECKING:
    import keras

Skipped = list[tuple[str, str]]


def load_weights(backbone: keras.Model, path: Path) -> tuple[list[str], Skipped]:
    """Fill a backbone from a ``.weights.h5`` or an older ``.h5`` file.

    An array fits where its path and its shape are those of a weight; the file may hold the
    backbone alone or a whole model around it. Names are Keras': ``layers/dense/vars/0`` in
    ``.weights.h5``, ``dense/kernel`` in ``.h5``.

    Returns:
        What was loaded, and (name, reason) of what was not.

    Raises:
        ArtifactError: the file is damaged, or nothing in it fits.
    """
    import h5py

    arrays = read_arrays(path)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "backbone.weights.h5"
        backbone.save_weights(draft)
        with h5py.File(draft, "r+") as file:
            places = _datasets(file)
            names = dict(zip(places, places, strict=True))
            if not any("/vars/" in name for name in arrays):
                names = _legacy_names(backbone, file)
            loaded, skipped = [], []
            for place, dataset in places.items():
                found = _find(names[place], arrays)
                if found is None:
                    skipped.append((names[place], "not in the file"))
                elif arrays[found].shape != dataset.shape:
                    shapes = f"{arrays[found].shape} in the file, {dataset.shape} in the model"
                    skipped.append((names[place], shapes))
                    arrays.pop(found)
                else:
                    dataset[...] = arrays.pop(found)
                    loaded.append(names[place])
        if not loaded:
            raise ArtifactError(
                "nothing in it fits this model",
                where=str(path),
                hint=f"For example: {skipped[0][0]}: {skipped[0][1]}" if skipped else None,
            )
        backbone.load_weights(draft)
    return loaded, [*skipped, *((name, "no such weight in the backbone") for name in arrays)]


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of an HDF5 file by its path; optimizer state is left out."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return {
                name: dataset[()]
                for name, dataset in _datasets(file).items()
                if not name.startswith("optimizer")
            }
    except (OSError, KeyError, RuntimeError) as error:
        raise damaged(path, error) from error


def match_tensors(
    backbone: keras.Model, paths: Iterable[Path]
) -> tuple[list[str], Skipped]:
    """Check a conversion that others wrote: which tensors of the files are in the backbone?

    Arrays are compared by size, sum and sum of squares, which no transposition changes.

    Raises:
        ArtifactError: none of them is there.
    """
    from safetensors import safe_open

    wanted = {weight.path: _signature(np.asarray(weight)) for weight in backbone.weights}
    loaded, skipped = [], []
    absent = dict(wanted)
    for path in paths:
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 - it is no dictionary
                signature = _signature(file.get_tensor(name))
                same = [place for place, other in wanted.items() if _alike(signature, other)]
                for place in same:
                    absent.pop(place, None)
                if same:
                    loaded.append(name)
                else:
                    skipped.append((name, "not part of the encoder"))
    if not loaded:
        raise ArtifactError("none of its tensors reached the model", where=str(backbone.name))
    return loaded, [*skipped, *((place, "no tensor in the file holds it") for place in absent)]


def _signature(array: np.ndarray) -> tuple[int, float, float]:
    values = array.astype(np.float64).ravel()
    return values.size, float(values.sum()), float(values @ values)


def _alike(one: tuple[int, float, float], other: tuple[int, float, float]) -> bool:
    return one[0] == other[0] and bool(np.allclose(one[1:], other[1:], rtol=1e-5, atol=1e-5))


def _datasets(file: object) -> dict:
    import h5py

    found: dict[str, h5py.Dataset] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    file.visititems(keep)  # type: ignore[attr-defined]
    return found


def _find(name: str, arrays: dict[str, np.ndarray]) -> str | None:
    """The array of this name; in a whole model's file it lies below other groups."""
    if name in arrays:
        return name
    below = [other for other in arrays if other.endswith(f"/{name}")]
    return below[0] if len(below) == 1 else None


def _legacy_names(backbone: keras.Model, file: object) -> dict[str, str]:
    """Place in Keras 3's file -> ``layer/variable:0`` as older files have it."""
    values = {weight.path: np.asarray(weight) for weight in backbone.weights}
    names = {}
    for place, dataset in _datasets(file).items():
        same = [path for path, value in values.items() if np.array_equal(value, dataset[()])]
        names[place] = f"{same[0]}:0" if same else place
        if same:
            values.pop(same[0])
    return names
