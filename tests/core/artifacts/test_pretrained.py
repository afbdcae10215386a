"""Pretrained weights: every source opens, every mismatch is reported, nothing loads partially."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.artifacts.pretrained import Pretrained, _for_task, load_pretrained
from aitk.core.artifacts.weights_file import load_weights
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.model_spec import ClosedFormModel, TrainedModel
from aitk.core.contract.options import option


@dataclass(frozen=True)
class Settings:
    """Of a model that a toy task has."""

    width: int = 4
    noise: float = option(0.5, "how rows vary", inherited=False)


class Network(TrainedModel):
    """A model with a backbone of its own."""

    def build(self, settings, assets, *, backbone=None):
        raise NotImplementedError("no test builds it")

    def loss(self, assets):
        raise NotImplementedError("no test trains it")


class Head(Network):
    """A model that takes any backbone."""

    any_backbone = True
    backbone_settings = ("filters",)


class Sums(ClosedFormModel):
    """A model that is computed at once."""

    def fit(self, settings, assets, rows, *, seed, reporter):
        raise NotImplementedError("no test fits it")


class ToyTask:
    name = "toy.classify"
    models = {"dense": Network(Settings), "hub": Network(Settings), "sums": Sums(Settings)}


TASK = ToyTask()


def backbone(width: int = 4, *, seed: int = 1):
    import keras

    keras.utils.set_random_seed(seed)
    inputs = keras.Input((3,), name="x")
    x = keras.layers.Dense(width, name="first")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, name="second")(x), name="backbone")


def whole(width: int = 4, *, seed: int = 1):
    import keras

    inputs = keras.Input((3,), name="x")
    features = backbone(width, seed=seed)(inputs)
    return keras.Model(inputs, keras.layers.Dense(5, name="head")(features))


def values(model) -> list[np.ndarray]:
    return [np.asarray(weight) for weight in model.weights]


def same(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(values(one), values(other), strict=True))


def write_run(folder, trained, **changes):
    (folder / "assets").mkdir(parents=True)
    trained.save(folder / "model.keras")
    manifest = {
        "version": 1,
        "task": "toy.other",
        "model": "dense",
        "settings": {"width": 4, "of_the_other_task": 1},
        "format": "keras",
        "data": {"folder": "data", "fingerprint": "f", "reading": {}},
    }
    (folder / "run.json").write_text(json.dumps(manifest | changes))
    return folder


def test_a_run_gives_its_backbone_and_its_settings(tmp_path):
    model = whole()
    run = write_run(tmp_path / "run", model)
    found = load_pretrained(str(run), model=None, task=TASK)
    assert (found.kind, found.model) == ("run", "dense")
    assert found.settings == {"width": 4}  # what this task's model does not have stays behind
    assert same(found.backbone, model.get_layer("backbone"))
    assert found.skipped == (("head", "the head; the task's own is new"),)
    assert found.report()[0] == f"loaded 4 arrays from {run} (run)"


def test_how_rows_varied_is_not_inherited(tmp_path):
    run = write_run(tmp_path / "run", whole(), settings={"width": 4, "noise": 0.0})
    assert load_pretrained(str(run), model=None, task=TASK).settings == {"width": 4}


def test_a_model_in_closed_form_starts_from_nothing(tmp_path):
    run = write_run(tmp_path / "run", whole(), model="sums")
    with pytest.raises(UsageError, match="sums is a closed-form model"):
        load_pretrained(str(run), model=None, task=TASK)


def test_a_run_that_does_not_fit_is_refused(tmp_path):
    model = whole()
    other = write_run(tmp_path / "other", model, task="vision.classify")
    with pytest.raises(ArtifactError, match=r"vision\.classify"):
        load_pretrained(str(other), model=None, task=TASK)
    unknown = write_run(tmp_path / "unknown", model, model="conv")
    with pytest.raises(ArtifactError, match="'conv'"):
        load_pretrained(str(unknown), model=None, task=TASK)
    run = write_run(tmp_path / "run", model)
    with pytest.raises(UsageError, match="--model"):
        load_pretrained(str(run), model="hub", task=TASK)


def test_a_keras_file_needs_its_model_named(tmp_path):
    model = whole()
    model.save(tmp_path / "other.keras")
    with pytest.raises(UsageError, match="--model"):
        load_pretrained(str(tmp_path / "other.keras"), model=None, task=TASK)
    found = load_pretrained(str(tmp_path / "other.keras"), model="dense", task=TASK)
    assert same(found.backbone, model.get_layer("backbone"))


@pytest.mark.parametrize("make", [backbone, whole])
def test_weights_fill_the_backbone_from_either_file(make, tmp_path):
    make(seed=1).save_weights(tmp_path / "w.weights.h5")
    model = whole(seed=2)
    found = load_pretrained(str(tmp_path / "w.weights.h5"), model="dense", task=TASK)
    report = found.fill(model)
    assert len(report.loaded) == 4
    assert len(report.skipped) == (0 if make is backbone else 2)  # the other model's head
    assert same(model.get_layer("backbone"), backbone(seed=1))


def test_an_older_file_is_matched_by_name(tmp_path):
    import h5py

    source = backbone(seed=1)
    with h5py.File(tmp_path / "old.h5", "w") as file:
        for weight in source.weights:
            file[f"model_weights/backbone/{weight.path}:0"] = np.asarray(weight)
    target = backbone(seed=2)
    loaded, skipped = load_weights(target, tmp_path / "old.h5")
    assert (len(loaded), skipped) == (4, [])
    assert same(target, source)


def test_every_mismatch_is_reported(tmp_path):
    source = backbone(width=4, seed=1)
    source.save_weights(tmp_path / "w.weights.h5")
    target = backbone(width=6, seed=2)
    before = values(target)
    loaded, skipped = load_weights(target, tmp_path / "w.weights.h5")
    assert loaded == ["layers/dense_1/vars/1"]  # the second layer's bias alone has its shape
    assert dict(skipped)["layers/dense/vars/0"] == "(3, 4) in the file, (3, 6) in the model"
    assert len(skipped) == 3
    np.testing.assert_array_equal(values(target)[0], before[0])


def test_weights_of_nothing_alike_are_refused(tmp_path):
    import keras

    inputs = keras.Input((7,))
    keras.Model(inputs, keras.layers.Conv1D(2, 1)(inputs[..., None])).save_weights(
        tmp_path / "w.weights.h5"
    )
    with pytest.raises(ArtifactError, match="no array matches"):
        load_weights(backbone(), tmp_path / "w.weights.h5")


@pytest.mark.parametrize("name", ["model.keras", "w.weights.h5"])
@pytest.mark.parametrize("keep", [0, 100, 0.7])
def test_a_truncated_file_is_one_line(name, keep, tmp_path):
    path = tmp_path / name
    model = whole()
    model.save(path) if name.endswith(".keras") else model.save_weights(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")) as caught:
        load_pretrained(str(path), model="dense", task=TASK)
    assert "\n" not in caught.value.line


def test_code_in_a_file_is_refused(tmp_path):
    import keras

    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)).save(tmp_path / "m.keras")
    with pytest.raises(ArtifactError):
        load_keras(tmp_path / "m.keras")


def test_a_source_that_is_nothing_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="no such run, folder, file or Keras Hub preset"):
        load_pretrained("runs/none", model=None, task=TASK)
    with pytest.raises(ArtifactError, match="Did you mean 'bert_base_en_uncased'"):
        load_pretrained("bert_base_uncased_en", model=None, task=TASK)
    with pytest.raises(ArtifactError, match="ftp://"):
        load_pretrained("ftp://somewhere/model", model=None, task=TASK)
    with pytest.raises(ArtifactError, match=r"no run\.json and no config\.json"):
        load_pretrained(str(tmp_path), model=None, task=TASK)
    (tmp_path / "weights.bin").write_bytes(b"x")
    with pytest.raises(ArtifactError, match="is not a weights file"):
        load_pretrained(str(tmp_path / "weights.bin"), model="dense", task=TASK)


def test_what_is_fetched_is_a_folder_like_any_other(tmp_path, monkeypatch):
    import huggingface_hub
    import kagglehub

    asked = []

    def missing(handle, **_):
        asked.append(handle)
        raise OSError("no connection\nto anywhere")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", missing)
    monkeypatch.setattr(kagglehub, "model_download", missing)
    for source in ("hf://someone/bert", "bert_tiny_en_uncased"):
        with pytest.raises(ArtifactError, match=r"cannot be fetched \(no connection\)"):
            load_pretrained(source, model=None, task=TASK)
    assert asked[0] == "someone/bert"
    assert asked[1].startswith("keras/bert/keras/bert_tiny_en_uncased")
    hub_preset(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda handle, **_: tmp_path)
    assert load_pretrained("hf://someone/bert", model=None, task=TASK).model == "hub"


def hub_preset(folder):
    import keras_hub

    model = keras_hub.models.BertBackbone(
        vocabulary_size=20, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16,
        max_sequence_length=16,
    )  # fmt: skip
    model.save_to_preset(folder)
    return model


class Reader(Network):
    """Reads folders of its own kind."""

    def open_folder(self, folder, config, *, source):
        if config["model_type"] != "own":
            return None
        return Pretrained(source, "hugging-face", "own", folder, backbone=backbone())

    def adopt(self, found):
        return dataclasses.replace(found, tokenizer="adopted")


def test_a_model_reads_folders_of_its_own_kind_and_adopts_them(tmp_path):
    class Task(ToyTask):
        models = {**ToyTask.models, "own": Reader(Settings)}

    (tmp_path / "config.json").write_text('{"model_type": "own"}')
    found = load_pretrained(str(tmp_path), model=None, task=Task())
    assert (found.model, found.tokenizer) == ("own", "adopted")
    with pytest.raises(UsageError, match="--model is 'dense', but .* is a 'own'"):
        load_pretrained(str(tmp_path), model="dense", task=Task())


def test_a_keras_hub_folder_opens(tmp_path):
    model = hub_preset(tmp_path)
    found = load_pretrained(str(tmp_path), model=None, task=TASK)
    assert (found.kind, found.skipped) == ("hub", ())
    assert same(found.backbone, model)


def write_hugging_face(folder, *, leave_out=()):
    """A BERT of one layer as Hugging Face saves it."""
    from safetensors.numpy import save_file

    config = {
        "model_type": "bert", "vocab_size": 20, "num_hidden_layers": 1, "hidden_size": 8,
        "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 16,
        "hidden_act": "gelu",
    }  # fmt: skip
    shapes = {
        "embeddings.word_embeddings.weight": (20, 8),
        "embeddings.position_embeddings.weight": (16, 8),
        "embeddings.token_type_embeddings.weight": (2, 8),
        "pooler.dense.weight": (8, 8),
        "pooler.dense.bias": (8,),
        "cls.predictions.bias": (20,),
    }
    layer = "encoder.layer.0"
    for norm in (
        "embeddings.LayerNorm",
        f"{layer}.attention.output.LayerNorm",
        f"{layer}.output.LayerNorm",
    ):
        shapes |= {f"{norm}.weight": (8,), f"{norm}.bias": (8,)}
    for dense, shape in {
        "attention.self.query": (8, 8),
        "attention.self.key": (8, 8),
        "attention.self.value": (8, 8),
        "attention.output.dense": (8, 8),
        "intermediate.dense": (16, 8),
        "output.dense": (8, 16),
    }.items():
        shapes |= {f"{layer}.{dense}.weight": shape, f"{layer}.{dense}.bias": shape[:1]}
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.normal(size=shape).astype("float32")
        for name, shape in shapes.items()
        if name not in leave_out
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return tensors


def test_a_hugging_face_folder_opens_and_reports_unused_weights(tmp_path):
    tensors = write_hugging_face(tmp_path)
    found = load_pretrained(str(tmp_path), model=None, task=TASK)
    assert (found.kind, found.model) == ("hugging-face", "hub")
    assert set(found.loaded) == set(tensors) - {"cls.predictions.bias"}
    assert found.skipped == (("cls.predictions.bias", "not part of the encoder"),)
    assert found.config["hidden_act"] == "gelu"


def test_a_damaged_hugging_face_folder_is_one_line(tmp_path):
    write_hugging_face(tmp_path, leave_out=("encoder.layer.0.output.dense.bias",))
    with pytest.raises(ArtifactError, match=r"output\.dense\.bias"):
        load_pretrained(str(tmp_path), model=None, task=TASK)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ArtifactError, match=r"model\.safetensors"):
        load_pretrained(str(tmp_path), model=None, task=TASK)
    (tmp_path / "config.json").write_text('{"model_type": "unheard-of"}')
    with pytest.raises(ArtifactError):
        load_pretrained(str(tmp_path), model=None, task=TASK)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"config\.json"):
        load_pretrained(str(tmp_path), model=None, task=TASK)


class Heads:
    """A task whose models take any backbone."""

    name = "vision.heads"
    models = {"first": Head(Settings), "second": Head(Settings)}


class Networks:
    name = "vision.networks"
    models = {"resnet": Network(Settings), "vit": Network(Settings)}


def found_in(model, **settings):
    return Pretrained("runs/x", "run", model, Path("runs/x"), settings=settings)


def test_a_network_goes_under_any_head():
    found = _for_task(found_in("resnet", filters=8, image_size="32"), None, Heads)
    assert (found.model, found.settings) == ("first", {"filters": 8, "backbone": "resnet"})
    assert _for_task(found_in("resnet"), "second", Heads).model == "second"


def test_what_is_under_a_head_goes_under_another_and_alone():
    source = found_in("first", backbone="vit")
    assert _for_task(source, None, Heads) is source
    assert _for_task(source, "second", Heads).settings == {"backbone": "vit"}
    assert _for_task(source, None, Networks).model == "vit"


def test_a_network_that_the_task_lacks_is_refused():
    with pytest.raises(ArtifactError, match="'bag' model, which vision.networks does not have"):
        _for_task(found_in("bag"), None, Networks)
    with pytest.raises(UsageError, match="--model is 'vit', but runs/x is a 'resnet'"):
        _for_task(found_in("resnet"), "vit", Networks)
