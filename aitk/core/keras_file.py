"""Reading a ``.keras`` file that may be damaged, hostile, or made of layers of this package."""

from __future__ import annotations

import importlib
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.errors import ArtifactError

if TYPE_CHECKING:
    import keras

#: The packages whose layers a file may name. A file from elsewhere makes nothing else import.
PACKAGES = ("aitk", "keras_hub")
#: The weights inside of a ``.keras`` file.
WEIGHTS = "model.weights.h5"
LARGE_BYTES = 500_000_000


def load_keras(path: Path) -> keras.Model:
    """Load a model, with the layers of ``aitk`` and Keras Hub that it is made of.

    Keras' safe mode stays on: a file that would run code of its own is refused.

    Raises:
        ArtifactError: the file is missing, damaged, refused, or holds no model.
    """
    import keras

    config = _config(path)
    register_layers(config)
    try:
        if path.stat().st_size > LARGE_BYTES:
            model = _load_large(path, config)
        else:
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise damaged(path, error) from error
    if not isinstance(model, keras.Model):
        raise ArtifactError(f"holds a {type(model).__name__}, not a model", where=str(path))
    return model


def _load_large(path: Path, config: Any) -> Any:
    """Read the weights from a file of their own: Keras reads them into memory, twice."""
    import keras

    model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    with (
        tempfile.TemporaryDirectory(prefix="aitk-weights-") as folder,
        zipfile.ZipFile(path) as archive,
    ):
        model.load_weights(archive.extract(WEIGHTS, folder))
    return model


def register_layers(config: Any) -> None:
    """Import the modules that define the registered layers a model's configuration names."""
    for module in sorted(set(_modules(config))):
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise ArtifactError(
                f"needs {module}, which this version does not have",
                hint="Use the aitk version that wrote it",
            ) from error


def damaged(path: Path | str, error: Exception) -> ArtifactError:
    """The one line for a weights file that a library could not read."""
    lines = str(error).strip().splitlines()
    reason = lines[0].rstrip(".") if lines else type(error).__name__
    return ArtifactError(
        f"cannot be read as a model ({reason})",
        where=str(path),
        hint="It may be truncated or made by another version",
    )


def _config(path: Path) -> Any:
    if not path.is_file():
        raise ArtifactError("no such file", where=str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise damaged(path, error) from error


def _modules(config: Any) -> Iterator[str]:
    """Every module of ``PACKAGES`` named anywhere in a configuration."""
    if isinstance(config, dict):
        module = config.get("module")
        if isinstance(module, str) and module.partition(".")[0] in PACKAGES:
            # Keras Hub registers its layers when it is imported whole.
            yield module if module.startswith("aitk.") else module.partition(".")[0]
        for value in config.values():
            yield from _modules(value)
    elif isinstance(config, list):
        for value in config:
            yield from _modules(value)
