"""Weights from elsewhere: what was loaded, what was skipped, and why.

A source is a run; a Keras Hub preset by name, ``kaggle://`` or ``hf://``; a local Keras Hub,
Hugging Face or timm folder; or a ``.keras``, ``.weights.h5`` or ``.h5`` file. Only the names of
presets and the two schemes fetch anything. Whatever the source, the task's head is new.
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

#: The model name of a backbone that comes from Keras Hub, Hugging Face or timm.
HUB = "hub"
#: Files that hold weights, by their suffix.
WEIGHT_FILES = (".safetensors", ".h5", ".keras")


@dataclass(frozen=True)
class Pretrained:
    """A source of weights, opened.

    Attributes:
        source: the value of ``--from``.
        kind: ``run``, ``hub`` (Keras Hub), ``hugging-face``, ``timm``, ``keras`` or ``weights``.
        model: which of the task's models it is.
        folder: where its other files lie (tokeniser).
        backbone: the encoder; None for bare weights, which ``fill`` puts into a built model.
        settings: the model's settings, where the source knows them.
        config: the source's own description of its architecture.
        loaded: names of what was loaded.
        skipped: (name, reason) of what was not.
        tokenizer: what turns rows into the inputs it was trained on, where there is one.
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
        """Lines for the user, which ``run.json`` records too."""
        return [
            f"loaded {len(self.loaded)} arrays from {self.source} ({self.kind})",
            *(f"not taken: {name} ({reason})" for name, reason in self.skipped),
        ]

    def fill(self, model: keras.Model) -> Pretrained:
        """Put bare weights into the backbone of a model; nothing to do for other sources.

        Returns:
            This source, with what was loaded and skipped.

        Raises:
            ArtifactError: no array of the file fits.
        """
        if self.backbone is not None:
            return self
        from aitk.core.artifacts.weights_file import load_weights

        loaded, skipped = load_weights(model.get_layer(BACKBONE), Path(self.source))
        return dataclasses.replace(self, loaded=tuple(loaded), skipped=(*self.skipped, *skipped))


def load_pretrained(source: str, *, model: str | None, task: Task) -> Pretrained:
    """Open a source of weights for a task.

    Args:
        source: see the head of this file.
        model: name of the model to load it into; only a bare file needs one.
        task: it must be one of its ``models``, which adopts it.

    Raises:
        ArtifactError: there is no such source, it is damaged, or it does not fit the task.
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
            f"{found.model} is computed at once: it starts from nothing", where="--from"
        )
    inherited = {item.name for item in describe(spec.settings) if item.inherited}
    settings = {key: value for key, value in found.settings.items() if key in inherited}
    return spec.adopt(dataclasses.replace(found, settings=settings))


def _for_task(found: Pretrained, model: str | None, task: Task) -> Pretrained:
    """The source as one of the task's models.

    A backbone belongs to the model it was trained in, or to that named as it is. A model that is a
    head (``TrainedModel.any_backbone``) takes any.
    """
    if found.model in task.models and model in (None, found.model):
        return found
    under = found.settings.get(BACKBONE, found.model)  # the network under the head
    for name, spec in task.models.items():
        if model in (None, name) and isinstance(spec, TrainedModel) and spec.any_backbone:
            names = spec.backbone_settings
            kept = {key: found.settings[key] for key in names if key in found.settings}
            return dataclasses.replace(found, model=name, settings=kept | {BACKBONE: under})
    if found.model not in task.models and under in task.models and model in (None, under):
        return dataclasses.replace(found, model=under)
    if found.model not in task.models:
        raise ArtifactError(
            f"holds a {found.model!r} model, which {task.name} does not have",
            where=found.source,
            hint="It has " + ", ".join(task.models),
        )
    raise UsageError(
        f"{model!r} was asked for, but {found.source} is a {found.model!r}",
        where="--model",
        hint="Leave --model out",
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
            hint="--from takes .keras, .weights.h5 and .h5 files, and folders",
        )
    if model is None:
        raise UsageError(
            f"the model that {path.name} belongs to is not known", hint="Add --model NAME"
        )
    if not path.name.endswith(".keras"):
        from aitk.core.artifacts.weights_file import read_arrays

        read_arrays(path)  # report a damaged file before a model is built for it
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
    """The layer named ``backbone`` (or a model that is nothing else), and what is left behind."""
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
    """Compute in the precision asked for now, not in the one it was saved with."""
    import keras

    policy = keras.config.dtype_policy()
    for layer in backbone._flatten_layers():
        layer.dtype_policy = policy
    return backbone


def _from_folder(folder: Path, source: str, model: str | None, task: Task) -> Pretrained:
    """A Keras Hub preset, a Hugging Face folder or a timm folder, on this disk."""
    if not (folder / "config.json").is_file():
        raise ArtifactError(
            "is neither a run nor a model folder: it has no run.json and no config.json",
            where=source,
        )
    config = read_json(folder / "config.json", largest_bytes=LARGEST_CONFIG_BYTES)
    with bounded_weights(stored_bytes(folder), where=source):
        return _open_folder(folder, source, model, task, config)


def stored_bytes(folder: Path) -> int:
    """How large the weights in a folder are."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in WEIGHT_FILES)


def _open_folder(
    folder: Path, source: str, model: str | None, task: Task, config: dict[str, Any]
) -> Pretrained:
    import keras_hub
    from safetensors import SafetensorError

    # Several models may share a reader: the one that is asked for comes first.
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
        # A converter may tell of every array it moves, on what is kept for data.
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
    """The folder of a Keras Hub preset known by name."""
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
    """Download a ``kaggle://`` or ``hf://`` model, or find it in that library's cache."""
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
    raise ArtifactError(f"{scheme}:// is not known", where=address, hint="Use hf:// or kaggle://")
