"""Embeddings of texts, images or audio by any encoder: a run's, or a pretrained model's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.artifacts.opening import open_assets, open_task
from aitk.core.contract.capabilities import Embeddable
from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Example, Note, Task

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained

BATCH_SIZE = 32
_WINDOW = 32 * BATCH_SIZE  # window within which values are sorted by length

#: Embeds values, in order; None for unreadable values, which are reported.
Encoder = Callable[[Sequence[Any]], Iterator["np.ndarray | None"]]


def embed(
    source: str,
    values: Sequence[Any],
    *,
    kind: str,
    encoders: Mapping[str, str],
    task_of: Callable[[str], Task],
    reporter: Reporter,
) -> np.ndarray:
    """Embed the values of a column.

    An encoder's output is averaged over its positions (for text and audio without padding, for
    images all) and scaled to unit length.

    Args:
        source: a run's folder; for texts also any source of ``load_pretrained`` except bare files;
            for images a Keras Hub preset: a folder, a name, ``hf://`` or ``kaggle://``.
        values: texts, or file paths; None and empty texts give zero rows, as do unreadable files,
            for which the reporter warns.
        kind: ``text``, ``picture`` or ``audio``.
        encoders: kind -> the task whose domain has such encoders, and which opens those of texts.
        task_of: opens a task by name.

    Returns:
        (values, d) float32.

    Raises:
        ArtifactError: the encoder is missing or damaged, or reads another kind of value.
    """
    encode = _open(source, kind, encoders[kind], task_of, reporter)
    known = [
        place for place, value in enumerate(values) if value is not None and str(value).strip()
    ]
    vectors: list[np.ndarray | None] = []
    windows = range(0, len(known), _WINDOW)
    encoded = itertools.chain.from_iterable(
        encode([values[place] for place in known[start : start + _WINDOW]]) for start in windows
    )
    vectors.extend(reporter.track(encoded, f"encoding by {Path(source).name}", total=len(known)))
    size = next((len(vector) for vector in vectors if vector is not None), 1)
    matrix = np.zeros((len(values), size), np.float32)
    for place, vector in zip(known, vectors, strict=True):
        if vector is not None:
            matrix[place] = vector / max(float(np.linalg.norm(vector)), np.finfo(np.float32).tiny)
    return matrix


def _open(
    source: str, kind: str, opener: str, task_of: Callable[[str], Task], reporter: Reporter
) -> Encoder:
    from aitk.core.artifacts.run import load_run

    path = Path(source)
    if path.is_file():
        raise ArtifactError(
            "is a file", where=source, hint="Give a run, or the folder of a pretrained model"
        )
    if (path / "run.json").is_file():
        run = load_run(path)
        if run.task.partition(".")[0] != opener.partition(".")[0]:
            raise ArtifactError(f"is a run of {run.task}, which does not read {kind}", where=source)
        if kind != "text":
            task = open_task(run, task_of)
            return _task_encoder(source, task, lambda _: open_assets(task, run), reporter)
    if kind == "text":
        task = task_of(opener)  # independently of its training task

        def assets_of(found: Pretrained) -> Any:
            return _text_assets(task, found, reporter.note)

        return _task_encoder(source, task, assets_of, reporter)
    if kind == "picture":
        return _image_encoder(source, reporter)
    raise ArtifactError("no such run", where=source, hint=f"Give a run of a task such as {opener}")


def _text_assets(task: Task, found: Pretrained, note: Note) -> Any:
    """Assets of a text encoder: its tokeniser and lengths, without labels."""
    from aitk.core.contract.options import resolve

    if found.tokenizer is None:
        raise ArtifactError("has no tokeniser", where=found.source)
    settings: Any = resolve(task.models[found.model].settings, found.settings)
    return task.learn([], {"labels": []}, settings, start=found, note=note)


def _task_encoder(
    source: str, task: Task, assets_of: Callable[[Pretrained], Any], reporter: Reporter
) -> Encoder:
    """An encoder that a task can open."""
    from aitk.core.artifacts.pretrained import load_pretrained

    if not isinstance(task, Embeddable):
        raise ArtifactError(f"{task.name} has no encoder of single values", where=source)
    found = load_pretrained(source, model=None, task=task)
    for name, reason in found.skipped:
        if found.kind != "run":  # for a run, only its unused head is skipped
            reporter.note(f"{source}: not taken: {name} ({reason})")
    assets = assets_of(found)
    mean, field = mean_over_positions(found.backbone, source), task.content

    def encode(values: Sequence[Any]) -> Iterator[np.ndarray | None]:
        examples = _encoded(values, field, task, assets, reporter)
        places = [place for place, example in enumerate(examples) if example is not None]
        places.sort(key=lambda place: task.length(examples[place]))  # type: ignore[arg-type]
        vectors: list[np.ndarray | None] = [None] * len(values)
        for start in range(0, len(places), BATCH_SIZE):
            inside = places[start : start + BATCH_SIZE]
            batch = task.collate([examples[place] for place in inside], assets)  # type: ignore[misc]
            for place, vector in zip(inside, mean(batch.inputs), strict=True):
                vectors[place] = vector
        yield from vectors

    return encode


def _encoded(
    values: Sequence[Any], field: str, task: Task, assets: Assets, reporter: Reporter
) -> list[Example | None]:
    """The encoded values; None for unreadable ones.

    Args:
        field: row field of the value.
    """
    rows = [{field: value} for value in values]
    try:
        return list(task.encode(rows, assets))
    except DataError:
        pass
    examples: list[Example | None] = []
    for row in rows:
        try:
            examples += task.encode([row], assets)
        except DataError as error:
            reporter.warn(error.line)
            examples.append(None)
    return examples


def _image_encoder(source: str, reporter: Reporter) -> Encoder:
    """The backbone of a Keras Hub image model, with its image converter."""
    import cv2
    import keras
    import keras_hub

    from aitk.core.artifacts.keras_file import (
        LIBRARY_ERRORS,
        bounded_weights,
        damaged,
        register_layers,
    )
    from aitk.core.artifacts.pretrained import stored_bytes
    from aitk.core.io.images import read_image
    from aitk.core.io.json_files import read_json

    if Path(source).is_dir():
        if not (Path(source) / "config.json").is_file():
            raise ArtifactError(
                "is neither a run nor a model folder: it has no run.json and no config.json",
                where=source,
            )
        register_layers(read_json(Path(source) / "config.json"))
    elif "://" not in source and source not in keras_hub.models.Backbone.presets:
        raise ArtifactError("no such run, folder or Keras Hub preset", where=source)
    folder = Path(source)
    guard = (
        bounded_weights(stored_bytes(folder), where=source) if folder.is_dir() else nullcontext()
    )
    try:
        with guard:
            backbone = keras_hub.models.Backbone.from_preset(source)
        convert = keras_hub.layers.ImageConverter.from_preset(source)
    except LIBRARY_ERRORS as error:
        raise damaged(source, error) from error
    if len(backbone.inputs) != 1 or len(backbone.inputs[0].shape) != 4:
        raise ArtifactError(
            f"a {type(backbone).__name__} needs inputs other than images", where=source
        )
    (name,) = (spec.name for spec in backbone.inputs)
    height, width = convert.image_size or (224, 224)
    mean = mean_over_positions(backbone, source)

    def read(path: str) -> np.ndarray | None:
        try:
            image = read_image(path)
        except DataError as error:
            reporter.warn(error.line)
            return None
        # The converter samples pixels: shrink a large image by averaging first.
        scale = 2 * max(height / image.shape[0], width / image.shape[1])
        if scale < 1:
            size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        image = keras.ops.convert_to_numpy(convert(image.astype(np.float32)))
        if image.shape[:2] != (height, width):
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        return image

    def encode(values: Sequence[Any]) -> Iterator[np.ndarray | None]:
        for start in range(0, len(values), BATCH_SIZE):
            images = [read(str(value)) for value in values[start : start + BATCH_SIZE]]
            there = [image for image in images if image is not None]
            vectors = iter(mean({name: np.stack(there)}) if there else ())
            yield from (None if image is None else next(vectors) for image in images)

    return encode


def row_vectors(
    backbone: keras.Model,
    task: Task,
    assets: Assets,
    rows: Sequence[Mapping[str, Any]],
    *,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """A backbone's features of rows, averaged over their positions: (rows, d) float32.

    Raises:
        ArtifactError: its output is not one array of features.
    """
    mean = mean_over_positions(backbone, backbone.name)
    examples = task.encode(rows, assets)
    places = sorted(range(len(examples)), key=lambda place: task.length(examples[place]))
    vectors: list[Any] = [None] * len(examples)
    for start in range(0, len(places), batch_size):
        inside = places[start : start + batch_size]
        batch = task.collate([examples[place] for place in inside], assets)
        for place, vector in zip(inside, mean(batch.inputs), strict=True):
            vectors[place] = vector
    return np.stack(vectors).astype(np.float32)


def mean_over_positions(
    backbone: keras.Model | None, source: str
) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """A backbone's features (batch, ..., d), averaged over all positions that are not padding.

    Raises:
        ArtifactError: its output is not one array of features.
    """
    import keras

    from aitk.core.inference.predictors import KerasPredictor

    if backbone is None or not isinstance(backbone.output, keras.KerasTensor):
        raise ArtifactError("does not have one array of features as its output", where=source)
    predict = KerasPredictor(backbone)

    def mean(inputs: dict[str, np.ndarray]) -> np.ndarray:
        features = predict(inputs)
        mask = inputs.get("padding_mask")
        if mask is None or features.shape[:-1] != mask.shape:
            return features.mean(axis=tuple(range(1, features.ndim - 1)))
        weights = mask / np.maximum(mask.sum(axis=1, keepdims=True), 1)
        return np.einsum("bt,btd->bd", weights.astype(np.float32), features)

    return mean
