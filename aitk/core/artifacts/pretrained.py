"""Pretrained weights: what was loaded, what was skipped, and why.

A source is a run; a Keras Hub preset by name, ``kaggle://`` or ``hf://``; a local Keras Hub,
Hugging Face or timm folder; or a ``.keras``, ``.weights.h5`` or ``.h5`` file. Only preset names and
the two schemes download anything. The task's head is always new.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.artifacts.keras_file import (
    LARGEST_CONFIG_BYTES,
    LIBRARY_ERRORS,
    bounded_weights,
    damaged,
    load_keras,
    register_layers,
)
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.model_spec import BACKBONE, TrainedModel
from aitk.core.contract.options import describe, unknown_name
from aitk.core.io.json_files import read_json

if TYPE_CHECKING:
    import keras

    from aitk.core.contract.task import Task

#: The model name of backbones from Keras Hub, Hugging Face or timm.
HUB = "hub"
#: Suffixes of weights files.
WEIGHT_FILES = (".safetensors", ".h5", ".keras")


@dataclass(frozen=True)
class Pretrained:
    """An opened source of weights.

    Attributes:
        source: the value of ``--from``.
        kind: ``run``, ``hub`` (Keras Hub), ``hugging-face``, ``timm``, ``keras`` or ``weights``.
        model: the matching model of the task.
        folder: folder of its other files (tokeniser).
        backbone: the encoder; None for bare weights, which ``fill`` assigns to a built model.
        settings: the model's settings, if known to the source.
        config: the source's own description of its architecture.
        loaded: names of the loaded arrays.
        skipped: (name, reason) of the skipped ones.
        tokenizer: converts rows to the pretrained model's inputs, if available.
    """

    source: str
    kind: str
    model: str
    folder: Path
    backbone: keras.Model | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    loaded: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    tokenizer: Any = None

    def report(self) -> list[str]:
        """Report lines for the user, also recorded in ``run.json``."""
        return [
            f"loaded {len(self.loaded)} arrays from {self.source} ({self.kind})",
            *(f"not taken: {name} ({reason})" for name, reason in self.skipped),
        ]

    def fill(self, model: keras.Model) -> Pretrained:
        """Assign bare weights to the backbone of a model; does nothing for other sources.

        Returns:
            This source, with what was loaded and skipped.

        Raises:
            ArtifactError: no array of the file matches.
        """
        if self.backbone is not None:
            return self
        from aitk.core.artifacts.weights_file import load_weights

        loaded, skipped = load_weights(model.get_layer(BACKBONE), Path(self.source))
        return dataclasses.replace(self, loaded=tuple(loaded), skipped=(*self.skipped, *skipped))


def load_pretrained(source: str, *, model: str | None, task: Task) -> Pretrained:
    """Open a source of weights for a task.

    Args:
        source: see the module docstring.
        model: name of the model to load into; required only for a bare file.
        task: one of its ``models`` must match, and adopts the source.

    Raises:
        ArtifactError: the source does not exist, is damaged, or does not match the task.
        UsageError: ``model`` is missing or contradicts the source.
    """
    path = Path(source)
    if "://" in source:
        found = _from_folder(_fetch(source), source, model, task)
    elif (path / "run.json").is_file() or path.with_name(path.name + ".part").is_dir():
        found = _from_run(path, task)
    elif path.is_dir():
        found = _from_folder(path, source, model, task)
    elif path.is_file():
        found = _from_file(path, model)
    else:
        found = _from_folder(_fetch_preset(source), source, model, task)
    found = _for_task(found, model, task)
    spec = task.models[found.model]
    if not isinstance(spec, TrainedModel):
        raise UsageError(
            f"{found.model} is a closed-form model, which cannot start from weights", where="--from"
        )
    inherited = {item.name for item in describe(spec.settings) if item.inherited}
    settings = {key: value for key, value in found.settings.items() if key in inherited}
    return spec.adopt(dataclasses.replace(found, settings=settings))


def _for_task(found: Pretrained, model: str | None, task: Task) -> Pretrained:
    """The source as one of the task's models.

    A backbone belongs to the model it was trained in, or to the model given by name. A head model
    (``TrainedModel.any_backbone``) accepts any backbone.
    """
    if found.model in task.models and model in (None, found.model):
        return found
    under = found.settings.get(BACKBONE, found.model)  # the network below the head
    for name, spec in task.models.items():
        if model in (None, name) and isinstance(spec, TrainedModel) and spec.any_backbone:
            names = spec.backbone_settings
            kept = {key: found.settings[key] for key in names if key in found.settings}
            return dataclasses.replace(found, model=name, settings=kept | {BACKBONE: under})
    if found.model not in task.models and under in task.models and model in (None, under):
        return dataclasses.replace(found, model=under)
    if found.model not in task.models:
        raise ArtifactError(
            f"is a {found.model!r} model, which {task.name} does not have",
            where=found.source,
            hint="It has " + ", ".join(task.models),
        )
    raise UsageError(
        f"--model is {model!r}, but {found.source} is a {found.model!r}",
        where="--model",
        hint="Omit --model",
    )


def _from_run(folder: Path, task: Task) -> Pretrained:
    from aitk.core.artifacts.run import load_run

    run = load_run(folder)
    if run.task.partition(".")[0] != task.name.partition(".")[0]:
        raise ArtifactError(f"is a run of {run.task}, not of {task.name}", where=str(folder))
    if run.format != "keras":
        raise ArtifactError(
            f"is a compressed run ({run.format}), which cannot be trained",
            where=str(folder),
            hint=f"Use the run it was made from: {run.manifest.get('parent')}",
        )
    backbone, skipped = _take_backbone(load_keras(run.model_path), run.model_path)
    return Pretrained(
        source=str(folder),
        kind="run",
        model=run.model,
        folder=run.assets,
        backbone=backbone,
        settings=run.settings,
        loaded=tuple(weight.path for weight in backbone.weights),
        skipped=tuple(skipped),
    )


def _from_file(path: Path, model: str | None) -> Pretrained:
    if not path.name.endswith((".keras", ".h5")):
        raise ArtifactError(
            "is not a weights file",
            where=str(path),
            hint="--from accepts .keras, .weights.h5 and .h5 files, and folders",
        )
    if model is None:
        raise UsageError(f"the model of {path.name} is unknown", hint="Add --model NAME")
    if not path.name.endswith(".keras"):
        from aitk.core.artifacts.weights_file import read_arrays

        read_arrays(path)  # detect a damaged file before building a model for it
        return Pretrained(str(path), "weights", model, path.parent)
    backbone, skipped = _take_backbone(load_keras(path), path)
    return Pretrained(
        source=str(path),
        kind="keras",
        model=model,
        folder=path.parent,
        backbone=backbone,
        loaded=tuple(weight.path for weight in backbone.weights),
        skipped=tuple(skipped),
    )


def _take_backbone(model: keras.Model, path: Path) -> tuple[keras.Model, list[tuple[str, str]]]:
    """The layer named ``backbone`` (or a model that is only a backbone), and the skipped layers."""
    layers = {layer.name: layer for layer in model.layers}
    if BACKBONE not in layers:
        if model.name == BACKBONE:
            return model, []
        raise ArtifactError(
            f"has no layer named {BACKBONE!r}", where=str(path), hint="Was it written by aitk?"
        )
    backbone = layers.pop(BACKBONE)
    rest = [
        (name, "the head; the task's own is new") for name, layer in layers.items() if layer.weights
    ]
    return _with_current_policy(backbone), rest


def _with_current_policy(backbone: keras.Model) -> keras.Model:
    """Use the current precision, not that of the saved backbone."""
    import keras

    policy = keras.config.dtype_policy()
    for layer in backbone._flatten_layers():
        layer.dtype_policy = policy
    return backbone


def _from_folder(folder: Path, source: str, model: str | None, task: Task) -> Pretrained:
    """A local folder from Keras Hub, Hugging Face or timm."""
    if not (folder / "config.json").is_file():
        raise ArtifactError(
            "is neither a run nor a model folder: it has no run.json and no config.json",
            where=source,
        )
    config = read_json(folder / "config.json", largest_bytes=LARGEST_CONFIG_BYTES)
    with bounded_weights(stored_bytes(folder), where=source):
        return _open_folder(folder, source, model, task, config)


def stored_bytes(folder: Path) -> int:
    """The size of the weights in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in WEIGHT_FILES)


def _open_folder(
    folder: Path, source: str, model: str | None, task: Task, config: dict[str, Any]
) -> Pretrained:
    import keras_hub
    from safetensors import SafetensorError

    # Several models may share a reader: try the requested one first.
    for name in sorted(task.models, key=lambda name: name != model):
        spec = task.models[name]
        if not isinstance(spec, TrainedModel):
            continue
        try:
            found = spec.open_folder(folder, config, source=source)
        except LIBRARY_ERRORS as error:
            raise damaged(folder, error) from error
        if found is not None:
            return found
    foreign = "model_type" in config or "architecture" in config
    if not foreign and "registered_name" not in config:
        raise ArtifactError("config.json describes an unknown model", where=source)
    register_layers(config)
    try:
        # A converter may print every array it maps to stdout, which is reserved for data.
        with contextlib.redirect_stdout(io.StringIO()):
            backbone = keras_hub.models.Backbone.from_preset(str(folder))
    except SafetensorError as error:
        raise damaged(folder / "model.safetensors", error) from error
    except LIBRARY_ERRORS as error:
        raise damaged(folder, error) from error
    if foreign:
        from aitk.core.artifacts.weights_file import match_tensors

        loaded, skipped = match_tensors(backbone, sorted(folder.glob("*.safetensors")))
    else:
        loaded, skipped = [weight.path for weight in backbone.weights], []
    return Pretrained(
        source=source,
        kind=_foreign_kind(config) if foreign else "hub",
        model=HUB,
        folder=folder,
        backbone=backbone,
        config=config if foreign else config.get("config", {}),
        loaded=tuple(loaded),
        skipped=tuple(skipped),
    )


def _foreign_kind(config: Mapping[str, Any]) -> str:
    return "hugging-face" if "model_type" in config else "timm"


def _fetch_preset(name: str) -> Path:
    """The folder of a Keras Hub preset, by name."""
    import keras_hub

    known = keras_hub.models.Backbone.presets
    if name in known:
        return _fetch(known[name]["kaggle_handle"])
    near = unknown_name(name, known, what="preset").hint or ""
    raise ArtifactError(
        "no such run, folder, file or Keras Hub preset",
        where=name,
        hint=near if near.startswith("Did you mean") else "Check the path",
    )


def _fetch(address: str) -> Path:
    """Download a ``kaggle://`` or ``hf://`` model, or find it in the library's cache."""
    scheme, _, handle = address.partition("://")
    try:
        if scheme == "kaggle":
            import kagglehub

            return Path(kagglehub.model_download(handle))
        if scheme == "hf":
            import huggingface_hub

            kept = ["*.json", "*.safetensors", "*.txt", "*.model", "*.h5", "assets/*"]
            return Path(huggingface_hub.snapshot_download(handle, allow_patterns=kept))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise ArtifactError(
            f"cannot be fetched ({reason})",
            where=address,
            hint="Check the name and the connection, or give a local folder",
        ) from error
    raise ArtifactError(
        f"{scheme}:// is not supported", where=address, hint="Use hf:// or kaggle://"
    )
