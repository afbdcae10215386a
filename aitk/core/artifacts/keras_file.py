"""Safe reading of a ``.keras`` file, which may be damaged or hostile."""

from __future__ import annotations

import contextlib
import importlib
import math
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.contract.entry_points import declares
from aitk.core.contract.errors import ArtifactError
from aitk.core.io.values import parse_json
from aitk.core.runtime.precision import is_emulated

if TYPE_CHECKING:
    import keras

#: Packages whose layers a file may name, besides those that declare a task or a model (see
#: ``core.contract.entry_points``). Loading a file imports nothing else.
PACKAGES = ("aitk", "keras_hub")
#: The weights in a ``.keras`` file.
WEIGHTS, CONFIGURATION = "model.weights.h5", "config.json"
LARGE_BYTES = 500_000_000
LARGEST_CONFIG_BYTES = 16 * 1024**2
#: Model state that a file may omit: random states, computed tables.
SPARE_NUMBERS, SPARE_ARRAYS = 4_000_000, 1000
#: Minimum bytes in a file for the name, shape and position of an array.
ARRAY_BYTES = 50
LAYERS_AN_ARRAY = 10  # maximum: many layers have no weights

#: Errors that libraries raise for invalid configurations or weights.
LIBRARY_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
)
DAMAGED = "It may be truncated or made by another version"
#: Keras' mixed-precision policies and what they compute in; their weights are float32.
MIXED = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}


def load_keras(path: Path, *, float32: bool = False) -> keras.Model:
    """Load a model, including layers of ``aitk`` and Keras Hub.

    Keras' safe mode stays on: files with code of their own are refused. A model that was trained in
    mixed precision also predicts in it, but in float32 where the processor would emulate bfloat16.

    Args:
        float32: compute in float32, whatever the precision of the training.

    Raises:
        ArtifactError: the file is missing, damaged, refused, or not a model.
    """
    config = read_config(path)
    import keras

    register_layers(config)
    mixed = MIXED.keys() & set(_strings(config))
    changed = bool(mixed) and (float32 or any(is_emulated(MIXED[name]) for name in mixed))
    try:
        with bounded_weights(path.stat().st_size, where=str(path)):
            if changed or path.stat().st_size > LARGE_BYTES:
                model = _load_parts(path, _in_float32(config) if changed else config)
            else:
                model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except LIBRARY_ERRORS as error:
        raise _unknown_layers(path, config) or damaged(path, error) from error
    if not isinstance(model, keras.Model):
        raise ArtifactError(f"is a {type(model).__name__}, not a model", where=str(path))
    return model


def read_config(path: Path) -> Any:
    """The configuration of the model in a ``.keras`` file, without loading the model.

    Raises:
        ArtifactError: the file is missing or damaged, or its parts declare impossible sizes.
    """
    if not path.is_file():
        raise ArtifactError("no such file", where=str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            _check_claims(archive, path)
            return parse_json(archive.read(CONFIGURATION))
    except (
        zipfile.BadZipFile,
        zlib.error,
        KeyError,
        ValueError,
        OSError,
        RuntimeError,  # encrypted
        NotImplementedError,  # unsupported compression
    ) as error:
        raise damaged(path, error) from error


@contextlib.contextmanager
def bounded_weights(stored_bytes: int, *, where: str) -> Iterator[None]:
    """Refuse to build a model that is larger than its stored weights.

    Layers allocate their weights from the configuration before a library reads the file: a few
    characters may request all memory. A stored number takes at least half a byte.

    Raises:
        ArtifactError: the layers built inside are too many, or need more numbers.
    """
    import keras

    numbers = 2 * stored_bytes + SPARE_NUMBERS
    arrays = stored_bytes // ARRAY_BYTES + SPARE_ARRAYS
    layers = LAYERS_AN_ARRAY * arrays
    layer_class = keras.layers.Layer
    start, add_weight = layer_class.__init__, layer_class.add_weight

    def check() -> None:
        if min(numbers, arrays, layers) < 0:
            raise ArtifactError(
                "describes a model larger than its weights", where=where, hint=DAMAGED
            )

    def counted_start(layer: Any, *args: Any, **options: Any) -> None:
        nonlocal layers
        layers -= 1
        check()
        start(layer, *args, **options)

    def counted_weight(layer: Any, *args: Any, **options: Any) -> Any:
        nonlocal numbers, arrays
        shape = options.get("shape", args[0] if args else None) or ()
        numbers -= abs(math.prod(shape if isinstance(shape, tuple | list) else (shape,)))
        arrays -= 1
        check()
        return add_weight(layer, *args, **options)

    layer_class.__init__, layer_class.add_weight = counted_start, counted_weight
    try:
        yield
    finally:
        layer_class.__init__, layer_class.add_weight = start, add_weight


def _strings(config: Any) -> Iterator[str]:
    """All strings that are values in a configuration."""
    if isinstance(config, str):
        yield config
    elif isinstance(config, dict | list):
        for value in config.values() if isinstance(config, dict) else config:
            yield from _strings(value)


def _in_float32(config: Any) -> Any:
    """The configuration with float32 in place of mixed precision."""
    if isinstance(config, dict):
        return {
            key: "float32" if key == "dtype" and value in MIXED.values() else _in_float32(value)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [_in_float32(value) for value in config]
    return "float32" if isinstance(config, str) and config in MIXED else config


def _load_parts(path: Path, config: Any) -> Any:
    """Build a model from its configuration and read its weights via a temporary file, whereas Keras
    would hold them in memory twice."""
    import keras

    with (
        tempfile.TemporaryDirectory(prefix="aitk-weights-") as folder,
        zipfile.ZipFile(path) as archive,
    ):
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        model.load_weights(archive.extract(WEIGHTS, folder))
    return model


def register_layers(config: Any) -> None:
    """Import the modules of the registered layers in a model's configuration.

    Raises:
        ArtifactError: a module is missing.
    """
    for module in sorted(set(_modules(config))):
        if module.partition(".")[0] not in PACKAGES and not declares(module):
            continue
        try:
            importlib.import_module(module)
        except (ImportError, ValueError) as error:
            raise ArtifactError(
                f"needs {module!r}, which this version does not have",
                hint="Use the version of aitk or of the package that wrote it",
            ) from error


def damaged(path: Path | str, error: Exception) -> ArtifactError:
    """The error for a weights file that a library cannot read."""
    lines = str(error).strip().splitlines()
    reason = lines[0].rstrip(".") if lines else type(error).__name__
    return ArtifactError(
        f"cannot be read as a model ({reason})",
        where=str(path),
        hint=DAMAGED,
    )


def _unknown_layers(path: Path, config: Any) -> ArtifactError | None:
    """The error for a model with layers of a package that is not installed, or None."""
    for module in sorted(set(_modules(config))):
        package = module.partition(".")[0]
        if package not in (*PACKAGES, "keras", "builtins") and not declares(module):
            return ArtifactError(
                f"has layers of {package!r}, which is no installed package with tasks or models",
                where=str(path),
                hint="Install the package of its model",
            )
    return None


def _check_claims(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse a file whose parts declare impossible sizes: Keras stores them uncompressed."""
    for part in archive.infolist():
        most = LARGEST_CONFIG_BYTES if part.filename == CONFIGURATION else path.stat().st_size
        if part.file_size > most:
            raise ArtifactError(
                f"its {part.filename} declares {part.file_size:,} bytes",
                where=str(path),
                hint=DAMAGED,
            )


def _modules(config: Any) -> Iterator[str]:
    """All modules named in a configuration."""
    if isinstance(config, dict):
        module = config.get("module")
        if isinstance(module, str):
            # Keras Hub registers its layers when imported as a whole.
            yield "keras_hub" if module.startswith("keras_hub.") else module
        for value in config.values():
            yield from _modules(value)
    elif isinstance(config, list):
        for value in config:
            yield from _modules(value)
