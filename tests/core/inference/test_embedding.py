"""Embeddings by any encoder: of a run, of a text encoder, of an image preset."""

from __future__ import annotations

import json
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.contract.model_spec import TrainedModel
from aitk.core.contract.progress import Silent
from aitk.core.contract.task import Batch, Example
from aitk.core.inference.embedding import embed
from aitk.registry import ENCODERS, load_task


@dataclass(frozen=True)
class Settings:
    """Of the toy's model."""


class Network(TrainedModel):
    def build(self, settings, assets, *, backbone=None):
        raise NotImplementedError("no test builds it")

    def loss(self, assets):
        raise NotImplementedError("no test trains it")


class Numbers:
    """A toy: values are lists of numbers, and a model gives each number two features."""

    name = "speech.numbers"
    content = "numbers"
    models = {"dense": Network(Settings)}

    def load_assets(self, folder):
        return None

    def encode(self, rows, assets):
        if {"numbers": [13]} in rows:
            raise DataError("is unlucky", where="numbers")
        return [Example({"x": np.array(row["numbers"], np.float32)}) for row in rows]

    def length(self, example):
        return len(example.inputs["x"])

    def collate(self, examples, assets, *, rng=None, pad_to=None):
        length = max(self.length(each) for each in examples)
        x = np.full((len(examples), length), 99, np.float32)  # padding that would show
        mask = np.zeros((len(examples), length), np.int32)
        for row, each in enumerate(examples):
            x[row, : self.length(each)] = each.inputs["x"]
            mask[row, : self.length(each)] = 1
        return Batch({"x": x, "padding_mask": mask})


class Heard(Silent):
    def __init__(self):
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)


def write_run(folder, built, task, **changes):
    (folder / "assets").mkdir(parents=True)
    built.save(folder / "model.keras")
    manifest = {"version": 1, "task": task, "model": "dense", "settings": {}, "format": "keras"}
    manifest |= {"data": {"folder": "data", "fingerprint": "f", "reading": {}}} | changes
    (folder / "run.json").write_text(json.dumps(manifest))
    return str(folder)


@pytest.fixture(scope="module")
def numbers_run(tmp_path_factory):
    """Features of a number x: (x, 2 - x)."""
    import keras

    x = keras.Input((None,), name="x")
    mask = keras.Input((None,), dtype="int32", name="padding_mask")
    dense = keras.layers.Dense(2, name="dense")
    features = dense(keras.ops.expand_dims(x, -1))
    dense.set_weights([np.array([[1.0, -1.0]]), np.array([0.0, 2.0])])
    backbone = keras.Model({"x": x, "padding_mask": mask}, features, name="backbone")
    inputs = {"x": keras.Input((None,), name="x"), "padding_mask": mask}
    head = keras.layers.Dense(3, name="head")(backbone(inputs))
    folder = tmp_path_factory.mktemp("runs") / "numbers"
    return write_run(folder, keras.Model(inputs, head), "speech.numbers")


def embed_numbers(run, values, reporter=None):
    return embed(
        run,
        values,
        kind="audio",
        encoders=ENCODERS,
        task_of=lambda name: Numbers(),
        reporter=reporter or Silent(),
    )


def embed_with_registry(source, values, kind, reporter=None):
    return embed(
        str(source),
        values,
        kind=kind,
        encoders=ENCODERS,
        task_of=load_task,
        reporter=reporter or Silent(),
    )


def test_an_embedding_is_the_mean_over_what_is_not_padding(numbers_run):
    found = embed_numbers(numbers_run, [[3], [1, 2, 6], None, [0, 4]])
    means = np.array([[3, -1], [3, -1], [0, 0], [2, 0]], float)
    expected = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_neighbours_and_batches_do_not_matter(numbers_run):
    rng = np.random.default_rng(0)
    values = [rng.integers(0, 9, rng.integers(1, 7)).tolist() for _ in range(1100)]
    together = embed_numbers(numbers_run, values)
    for place in (0, 31, 32, 1023, 1024, 1099):
        alone = embed_numbers(numbers_run, [values[place]])[0]
        np.testing.assert_allclose(together[place], alone, atol=1e-6)


def test_unreadable_inputs_are_reported_and_become_zero(numbers_run):
    heard = Heard()
    found = embed_numbers(numbers_run, [[1], [13], [1]], heard)
    assert found.any(axis=1).tolist() == [True, False, True]
    assert heard.warnings == ["numbers: is unlucky"]


def test_nothing_to_encode_gives_zeros(numbers_run):
    assert not embed_numbers(numbers_run, [None, None]).any()
    assert embed_numbers(numbers_run, []).shape[0] == 0


def test_a_task_that_embeds_nothing_is_refused(numbers_run):
    other = type("Other", (), {name: getattr(Numbers, name) for name in ("name", "models")})
    other.load_assets = Numbers.load_assets
    with pytest.raises(ArtifactError, match="speech.numbers has no encoder"):
        embed(
            numbers_run,
            [[1]],
            kind="audio",
            encoders=ENCODERS,
            task_of=lambda name: other(),
            reporter=Silent(),
        )


def test_wrong_sources_are_refused(numbers_run, tmp_path):
    def refused(source, kind, match):
        with pytest.raises(ArtifactError, match=match):
            embed_with_registry(source, ["a"], kind)

    refused(numbers_run, "text", "is a run of speech.numbers, which does not read text")
    refused(numbers_run, "picture", "which does not read picture")
    refused(tmp_path / "none", "audio", "no such run")
    refused(tmp_path, "picture", "neither a run nor a model folder")
    (tmp_path / "model.keras").write_bytes(b"")
    refused(tmp_path / "model.keras", "text", "is a file")


def write_text_run(folder, name, model):
    """An untrained run of a text task, its weights random."""
    from aitk.core.contract.options import as_dict

    task = load_task(name)
    texts = ["the red fox", "a blue whale in the sea", "the old man and the sea"]
    spec = task.models[model]
    settings = spec.settings(vocabulary_size=300, max_length=16)
    rows = [{"text": text} for text in texts]
    assets = task.learn(rows, {"labels": ["a", "b"]}, settings, note=print)
    built = spec.build(settings, assets)
    run = write_run(folder, built, name, model=model, settings=as_dict(settings))
    assets.save(folder / "assets")
    return run, built.get_layer("backbone"), assets


@pytest.mark.parametrize("name", ["nlp.classify", "nlp.masked-lm"])
def test_texts_are_encoded_by_runs_of_any_text_task(tmp_path, name):
    run, backbone, assets = write_text_run(tmp_path / "run", name, "transformer")
    texts = ["the red sea", None, "a whale", "  "]
    found = embed_with_registry(run, texts, "text")
    assert found.any(axis=1).tolist() == [True, False, True, False]
    tokenizer = getattr(assets, "text", assets).tokenizer
    ids = np.array(tokenizer.encode_many(["the red sea"], 16), np.int32)
    features = np.asarray(backbone({"token_ids": ids, "padding_mask": np.ones_like(ids)}))[0]
    expected = features.mean(axis=0)
    np.testing.assert_allclose(found[0], expected / np.linalg.norm(expected), atol=1e-5)


@pytest.fixture(scope="module")
def picture_preset(tmp_path_factory):
    """A tiny convolutional backbone, saved as Keras Hub saves them."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    backbone.save_to_preset(str(folder))
    converter = keras_hub.layers.ResNetImageConverter(image_size=(16, 16), scale=1 / 255)
    converter.save_to_preset(str(folder))
    return str(folder), backbone


def test_images_are_encoded_by_a_preset(tmp_path, picture_preset):
    folder, backbone = picture_preset
    picture = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture[..., ::-1])
    (tmp_path / "broken.png").write_bytes(b"hello")
    heard = Heard()
    values = [None, str(tmp_path / "broken.png"), str(tmp_path / "a.png")]
    found = embed_with_registry(folder, values, "picture", heard)
    expected = np.asarray(backbone(picture[None] / np.float32(255))).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(found[2], expected / np.linalg.norm(expected), atol=1e-5)
    assert not found[:2].any()
    assert heard.warnings == [f"{values[1]}: is not a JPEG, PNG, WebP, GIF, BMP or TIFF image"]


def test_a_large_image_and_a_small_one_of_the_same_are_alike(tmp_path, picture_preset):
    colours = np.random.default_rng(0).integers(0, 255, (4, 4, 3), np.uint8)
    paths = []
    for side in (32, 640):
        paths.append(str(tmp_path / f"{side}.png"))
        large = cv2.resize(colours, (side, side), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(paths[-1], large)
    found = embed_with_registry(picture_preset[0], paths, "picture")
    assert found[0] @ found[1] > 0.99
