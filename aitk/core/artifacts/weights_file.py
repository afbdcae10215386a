"""Matching of bare arrays in a file to the weights of a model, with a report on each."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.artifacts.keras_file import damaged
from aitk.core.contract.errors import ArtifactError

if TYPE_CHECKING:
    import h5py
    import keras

LARGEST_EXPANSION = 100  # relative to the stored bytes, for compressed arrays
SMALL_BYTES = 1024**2

Skipped = list[tuple[str, str]]


def load_weights(backbone: keras.Model, path: Path) -> tuple[list[str], Skipped]:
    """Fill a backbone from a ``.weights.h5`` or an older ``.h5`` file.

    An array matches if its path and shape equal those of a weight; the file may contain the
    backbone alone or a whole model around it. Names are Keras': ``layers/dense/vars/0`` in
    ``.weights.h5``, ``dense/kernel`` in ``.h5``.

    Returns:
        What was loaded, and (name, reason) of what was skipped.

    Raises:
        ArtifactError: the file is damaged, or no array matches.
    """
    arrays = read_arrays(path)
    if any("/vars/" in name for name in arrays):
        return _load_current(backbone, arrays, path)
    targets = {f"{weight.path}:0": weight for weight in backbone.weights}
    pairs, skipped = _match({name: weight.shape for name, weight in targets.items()}, arrays, path)
    for name, array in pairs.items():
        targets[name].assign(array)
    return list(pairs), skipped


def _load_current(
    backbone: keras.Model, arrays: dict[str, np.ndarray], path: Path
) -> tuple[list[str], Skipped]:
    """Keras 3's layout: replace arrays in a file saved by the model, and load that."""
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "backbone.weights.h5"
        backbone.save_weights(draft)
        own = {name: array.shape for name, array in read_arrays(draft).items()}
        pairs, skipped = _match(own, arrays, path)
        with h5py.File(draft, "r+") as file:
            for name, array in pairs.items():
                file[name][...] = array
        backbone.load_weights(draft)
    return list(pairs), skipped


def _match(
    wanted: Mapping[str, tuple[int, ...]], arrays: Mapping[str, np.ndarray], path: Path
) -> tuple[dict[str, np.ndarray], Skipped]:
    """The array for each weight, and why others do not match."""
    prefix = _prefix(wanted, arrays)
    pairs, skipped, used = {}, [], set()
    for name, shape in wanted.items():
        array = arrays.get(prefix + name)
        if array is None:
            skipped.append((name, "not in the file"))
            continue
        used.add(prefix + name)
        if array.shape == tuple(shape):
            pairs[name] = array
        else:
            skipped.append((name, f"{array.shape} in the file, {tuple(shape)} in the model"))
    if not pairs:
        raise ArtifactError(
            "no array matches this model",
            where=str(path),
            hint=f"For example, {skipped[0][0]}: {skipped[0][1]}" if skipped else None,
        )
    left = [name for name in arrays if name not in used]
    return pairs, [*skipped, *((name, "no such weight in the backbone") for name in left)]


def _prefix(wanted: Mapping[str, tuple[int, ...]], arrays: Mapping[str, np.ndarray]) -> str:
    """The group of the file in which most of the backbone's arrays match.

    A single group for all: names such as ``layers/dense`` recur in every part of a model.
    """
    fitting: Counter[str] = Counter({"": 0})
    for name, shape in wanted.items():
        for other, array in arrays.items():
            if other.endswith(name) and array.shape == tuple(shape):
                fitting[other.removesuffix(name)] += 1
    return max(fitting, key=lambda prefix: (fitting[prefix], -len(prefix)))


def read_arrays(path: Path, content: Any = None) -> dict[str, np.ndarray]:
    """Every weight of an HDF5 file by path, without optimizer and dropout states.

    Args:
        content: the open file, if ``path`` only names it for errors.

    Raises:
        ArtifactError: the file is damaged.
    """
    import h5py

    arrays: dict[str, np.ndarray] = {}

    def keep(name: str, item: object) -> None:
        passing = name.startswith("optimizer") or "seed_generator" in name
        if isinstance(item, h5py.Dataset) and not passing:
            _check_stored(name, item, path)
            arrays[name] = item[()]

    try:
        with h5py.File(path if content is None else content, "r") as file:
            file.visititems(keep)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise damaged(path, error) from error
    return arrays


def _check_stored(name: str, item: h5py.Dataset, path: Path) -> None:
    """Refuse an array whose data are not in the file: external, or sparse."""
    if item.external or item.is_virtual:
        raise ArtifactError(f"its {name} is stored in another file", where=str(path))
    most = LARGEST_EXPANSION * item.id.get_storage_size() + SMALL_BYTES
    if item.size * item.dtype.itemsize > most or item.dtype.hasobject:
        raise ArtifactError(f"its {name} declares more numbers than it has", where=str(path))


def match_tensors(backbone: keras.Model, paths: Iterable[Path]) -> tuple[list[str], Skipped]:
    """Verify a third-party conversion: which tensors of the files are in the backbone?

    Arrays are compared by size, sum and sum of squares, which are invariant to transposition.

    Raises:
        ArtifactError: none is found.
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
