"""Behaviour shared by image tasks: stored rows, examples, batches, assets, new classes."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from aitk.core.artifacts.data import DataWriter, Rows
from aitk.core.contract.errors import DataError
from aitk.core.contract.label_task import UNSEEN
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Metric, Task
from aitk.core.inference.prediction import predict_rows
from aitk.core.io.images import encode_jpeg, encode_png
from aitk.vision.data.formats.masks import encode_mask
from aitk.vision.data.items import ClassMask
from aitk.vision.data.options import ClassifyImages
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.augment_settings import AugmentSettings
from aitk.vision.features.geometry import GREY, VOID, Fit
from aitk.vision.features.sample import soft_labels
from aitk.vision.models.settings import ImageSettings
from aitk.vision.models.specs import ImageModel
from aitk.vision.tasks.classify import Classify
from aitk.vision.tasks.image_task import ImageTask

SETTINGS = ImageSettings(image_size="16x24", fit="letterbox", shift=0.0, flip=1.0, contrast=0.0,
                           brightness=0.0, saturation=0.0)  # fmt: skip


class Fake(ImageTask):
    """A task that hands its samples on as they are."""

    name = "vision.fake"
    metric = Metric("accuracy")

    def __init__(self, *annotation_kinds: str):
        super().__init__()
        self.annotation_kinds = frozenset(annotation_kinds)

    def targets(self, samples, assets):
        if "mask" in self.annotation_kinds:
            return np.stack([sample.mask for sample in samples]), None
        if "boxes" in self.annotation_kinds:
            return np.array([len(sample.boxes) for sample in samples]), np.full(len(samples), 2.0)
        return soft_labels(samples, len(assets.labels)), None

    def teacher_outputs(self, teacher, student):
        return teacher

    def add_soft_targets_to_batch(self, batch, outputs, assets):
        return dataclasses.replace(batch, targets=np.append(batch.targets, outputs, axis=-1))


class Net(ImageModel):
    """A convolution and two dense layers."""

    def loss(self, assets):
        return None

    def build(self, settings, assets, *, backbone=None):
        import keras

        if backbone is None:
            inputs = keras.Input((*assets.size, 3), dtype="uint8", name="image")
            scaled = keras.layers.Rescaling(1 / 255)(inputs)
            backbone = keras.Model(inputs, keras.layers.Conv2D(4, 3)(scaled), name="backbone")
        inputs = keras.Input((*assets.size, 3), dtype="uint8", name="image")
        pooled = keras.layers.GlobalAveragePooling2D()(backbone(inputs))
        hidden = keras.layers.Dense(6, name="hidden")(pooled)
        return keras.Model(inputs, keras.layers.Dense(len(assets.labels), name="classes")(hidden))


SPEC = Net(ImageSettings)
# What a concrete task adds and these tests have no use for.
Fake.__abstractmethods__ = frozenset()


def row(height: int = 32, width: int = 24, **fields) -> dict:
    """A red image, lossless."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 200
    return {
        "image": encode_png(image), "name": "a.png", "height": height, "width": width, **fields
    }  # fmt: skip


def boxed(*boxes: list[float], labels=None, **fields) -> dict:
    return row(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        box_labels=labels or ["cell"] * len(boxes),
        crowd=[0] * len(boxes),
        **fields,
    )


def masked(mask: np.ndarray, names: tuple[str, ...] = ("sky", "road")) -> dict:
    return row(*mask.shape, mask=encode_mask(ClassMask(mask, names)))


def summary(*labels: str, **more) -> dict:
    return {"labels": list(labels), "label_counts": {"train": dict.fromkeys(labels, 10)}, **more}


def mixed_summary(label=(), boxes=(), mask=()) -> dict:
    sets = {"label": list(label), "boxes": list(boxes), "mask": list(mask)}
    return {"labels": list(label or boxes or mask), "label_sets": sets}


def stored(task: Task, found: dict, rows: list[dict], folder) -> list[dict]:
    """The rows after they were written to disk and read back."""
    import tensorflow_datasets as tfds

    writer = DataWriter(folder, task.features(found), description="a test")
    writer.write("train", rows)
    writer.close()
    return Rows(tfds.builder_from_directory(str(folder)).as_data_source("train"), where="data")[:]


def assert_same(read: dict, written: dict) -> None:
    assert set(read) == set(written)
    for name, value in written.items():
        found = read[name]
        if isinstance(found, np.ndarray):
            assert found.tolist() == np.asarray(value, found.dtype).tolist()
            assert found.shape == np.shape(value)
        else:
            assert found == value


def test_labelled_rows_come_back_from_disk(tmp_path):
    rows = [row(label="cat"), row(label="dog"), row(label="newt")]
    found = summary("cat", "dog")
    found["label_counts"]["test"] = {"newt": 1}
    read = stored(Fake("label"), found, rows, tmp_path)
    for one, other in zip(read, rows, strict=True):
        assert_same(one, other)


def test_rows_with_boxes_or_without_any_come_back_from_disk(tmp_path):
    rows = [boxed([1, 2, 10, 20], [3, 3, 9.5, 9], labels=["cell", "dirt"]), boxed(), boxed([0] * 4)]
    for one, other in zip(
        stored(Fake("boxes"), summary("cell", "dirt"), rows, tmp_path), rows, strict=True
    ):
        assert_same(one, other)
    assert rows[1]["boxes"].shape == (0, 4)


def test_masks_come_back_from_disk(tmp_path):
    rows = [masked(np.full((8, 8), 1, np.uint8))]
    (read,) = stored(Fake("mask"), summary("sky", "road"), rows, tmp_path)
    assert_same(read, rows[0])


def test_rows_with_some_annotation_come_back_from_disk(tmp_path):
    rows = [
        boxed(label="", mask=b"", boxes_known=1),
        boxed([1, 1, 5, 5], label="cat", mask=b"", boxes_known=1),
        boxed(label="dog", boxes_known=0, mask=masked(np.zeros((32, 24), np.uint8))["mask"]),
    ]
    found = mixed_summary(["cat", "dog"], ["cell"], ["sky", "road"])
    read = stored(Fake("label", "boxes", "mask"), found, rows, tmp_path)
    for one, other in zip(read, rows, strict=True):
        assert_same(one, other)


def test_images_alone_come_back_from_disk(tmp_path):
    (read,) = stored(Fake(), {"rows": {"train": 1}}, [row()], tmp_path)
    assert_same(read, row())


def test_data_without_enough_classes_is_refused():
    with pytest.raises(DataError, match="only the class 'cat'"):
        Fake("label").features(summary("cat"))
    with pytest.raises(DataError, match=r"no class \(boxes\)"):
        Fake("boxes").features(summary())
    with pytest.raises(DataError, match="no label, no boxes and no mask"):
        Fake("label", "boxes", "mask").features(mixed_summary())
    Fake("label", "boxes", "mask").features(mixed_summary(boxes=["cell"]))


def test_the_same_image_under_another_name_has_the_same_key():
    task = Fake("label")
    assert task.key(row()) == task.key(row() | {"name": "b.png"}) != task.key(row(31))


def test_assets_are_learnt_from_the_settings_and_the_summary():
    assets = Fake("label").learn([], summary("cat", "dog"), SETTINGS, note=print)
    assert assets.size == (16, 24) and assets.fit == "letterbox"
    assert assets.augment == AugmentSettings(flip=1.0)
    assert assets.labels == ("cat", "dog") and assets.weights == ()


def test_balance_weights_classes_by_the_inverse_of_their_rows():
    found = summary("cat", "dog") | {"label_counts": {"train": {"cat": 30, "dog": 10}}}
    assets = Fake("label").learn([], found, SETTINGS, balance=True, note=print)
    assert assets.weights == pytest.approx((40 / 60, 40 / 20))
    (example,) = Classify().encode([row(label="dog")], assets)
    assert example.weight == 2.0
    assert Fake("label").collate([example], assets).weights.tolist() == [2.0]


def test_a_task_without_labels_learns_none():
    assert Fake().learn([], {"rows": {"train": 1}}, SETTINGS, balance=True, note=print).labels == ()


def test_an_image_is_decoded_and_fitted():
    assets = Fake("label").learn([], summary("cat", "dog"), SETTINGS, note=print)
    (example,) = Classify().encode([row(32, 24, label="dog")], assets)
    image = example.inputs["image"]
    assert image.shape == (16, 24, 3) and image.dtype == np.uint8
    assert image[8, 12].tolist() == [200, 0, 0] and image[8, 2].tolist() == [GREY] * 3
    assert Fit.from_array(example.inputs["fit"]) == Fit(0.5, 0.5, 6.0, 0.0, 32, 24)
    assert example.target == 1


def test_a_label_that_training_never_saw_has_no_number():
    assets = Fake("label").learn([], summary("cat", "dog"), SETTINGS, balance=True, note=print)
    (example,) = Classify().encode([row(label="newt")], assets)
    assert example.target == UNSEEN and example.weight == 1.0


def test_many_images_are_encoded_as_each_by_itself():
    assets = Fake("label").learn([], summary("cat", "dog"), SETTINGS, note=print)
    rows = [row(100 + number, 90, label="cat") for number in range(30)]
    task = Fake("label")
    for one, other in zip(
        task.encode(rows, assets), [task.encode([each], assets)[0] for each in rows], strict=True
    ):
        assert (one.inputs["image"] == other.inputs["image"]).all()
        assert (one.inputs["fit"] == other.inputs["fit"]).all()


def test_only_images_of_the_current_batch_are_held():
    task = Fake("label")
    assets = task.learn([], summary("cat", "dog"), SETTINGS, note=print)
    taken = iter(range(100))
    outputs = predict_rows(
        (row(number=next(taken)) for _ in range(50)),
        task,
        assets,
        lambda inputs: inputs["image"],
        batch_size=4,
    )
    assert next(outputs).shape == (16, 24, 3)
    assert next(taken) == 4


def test_jpegs_are_turned_upright_before_boxes_are_placed():
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, :16] = 255  # the left half is white
    jpeg = encode_jpeg(image)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # turn right
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    assets = ImageAssets((32, 16), labels=("white",))
    fields = boxed([0, 0, 16, 16], labels=["white"]) | {"image": turned}
    (example,) = Fake("boxes").encode([fields | {"height": 32, "width": 16}], assets)
    assert (example.inputs["image"][:14] > 200).all()
    assert example.inputs["boxes"].tolist() == [[0, 0, 16, 16]]


def test_boxes_are_kept_in_pixels_of_the_fitted_image():
    assets = Fake("boxes").learn([], summary("cell", "dirt"), SETTINGS, note=print)
    fields = boxed([0, 0, 24, 32], [2, 4, 6, 8], labels=["dirt", "newt"])
    (example,) = Fake("boxes").encode([fields], assets)
    assert example.inputs["boxes"].tolist() == [[6, 0, 18, 16], [7, 2, 9, 4]]
    assert example.inputs["classes"].tolist() == [1, UNSEEN]
    assert example.target == 1
    assert Fake("boxes").encode([row()], assets)[0].target is None


def test_a_batch_has_the_true_boxes_in_pixels_of_the_originals():
    assets = dataclasses.replace(
        Fake("boxes").learn([], summary("cell"), SETTINGS, note=print),
        fit="crop",
        augment=AugmentSettings(),
    )
    rows = [boxed([0, 0, 24, 32], [1, 10, 9, 20]), boxed()]
    task = Fake("boxes")
    batch = task.collate(task.encode(rows, assets), assets)
    for boxes, fields in zip(batch.context["boxes"], rows, strict=True):
        assert boxes == pytest.approx(fields["boxes"], abs=1e-4)
    assert [each.tolist() for each in batch.context["classes"]] == [[0, 0], []]
    assert batch.context["fit"].shape == (2, 6)
    assert batch.targets.tolist() == [2, 0]  # cut at the crop's edges
    assert batch.weights.tolist() == [2.0, 2.0]


def test_masks_are_fitted_and_speak_the_models_numbers():
    assets = Fake("mask").learn([], summary("road", "sky"), SETTINGS, note=print)
    mask = np.zeros((32, 24), np.uint8)
    mask[16:] = 1
    mask[30:] = 2
    (example,) = Fake("mask").encode([masked(mask, ("sky", "road", "newt"))], assets)
    fitted = example.inputs["mask"]
    assert (fitted[:8, 6:18] == 1).all() and (fitted[8:15, 6:18] == 0).all()
    assert (fitted[15, 6:18] == VOID).all() and (fitted[:, :6] == VOID).all()


def test_training_varies_images_and_their_annotation_together():
    assets = dataclasses.replace(
        Fake("mask").learn([], summary("sky", "road"), SETTINGS, note=print), fit="stretch"
    )
    mask = np.zeros((16, 24), np.uint8)
    mask[:, :8] = 1
    fields = masked(mask)
    image = np.repeat(255 * mask[..., None], 3, axis=2)
    fields["image"] = encode_png(image)
    task = Fake("mask")
    examples = task.encode([fields] * 2, assets)
    plain = task.collate(examples, assets)
    varied = task.collate(examples, assets, rng=np.random.default_rng(0))
    assert (plain.targets[0] == mask).all() and (varied.targets[0] == mask[:, ::-1]).all()
    assert (varied.inputs["image"][0] == image[:, ::-1]).all()
    assert plain.inputs["image"].shape == (2, 16, 24, 3)


def test_rows_to_predict_have_no_targets():
    assets = Fake("label").learn([], summary("cat", "dog"), SETTINGS, note=print)
    task = Fake("label")
    batch = task.collate(task.encode([row(), row()], assets), assets)
    assert batch.targets is None and list(batch.inputs) == ["image"]


def test_images_alone_are_their_own_targets():
    assets = Fake().learn([], {}, SETTINGS, note=print)
    batch = Fake().collate(Fake().encode([row()], assets), assets)
    assert batch.targets is not None


def test_partially_annotated_rows_record_missing_kinds():
    task = Fake("label", "boxes", "mask")
    found = mixed_summary(["cat", "dog"], ["cell"], ["sky", "road"])
    assets = task.learn([], found, SETTINGS, note=print)
    rows = [
        boxed(label="dog", mask=b"", boxes_known=0),
        boxed(label="", boxes_known=1, mask=masked(np.ones((32, 24), np.uint8))["mask"]),
    ]
    first, second = (task._sample(each) for each in task.encode(rows, assets))
    assert (first.label, first.boxes_known, first.mask) == (1, False, None)
    assert (second.label, second.boxes_known) == (None, True)
    assert (second.mask[:, 6:18] == 1).all()


def test_teacher_outputs_use_the_images_of_the_student():
    import keras

    from aitk.core.compression.distill import BatchTeacher

    task = Fake("label")
    assets = task.learn([], summary("cat", "dog"), SETTINGS, note=print)  # every image is mirrored
    keras.utils.set_random_seed(0)
    teacher, student = (SPEC.build(SETTINGS, assets) for _ in range(2))
    examples = Classify().encode([row(label="dog"), row(label="cat")], assets)
    batch = task.collate(examples, assets, rng=np.random.default_rng(0))
    taught = BatchTeacher(teacher, student, task, assets)(batch)
    mirrored = np.stack([example.inputs["image"][:, ::-1] for example in examples])
    assert (taught.inputs["image"] == mirrored).all()
    assert taught.targets[:, :2].tolist() == [[0, 1], [1, 0]]
    np.testing.assert_allclose(taught.targets[:, 2:], np.asarray(teacher(mirrored)), atol=1e-5)


def test_images_are_read_from_a_folder_for_each_class(tmp_path):
    for number, label in enumerate(("cat", "dog")):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.png").write_bytes(row(10 + number)["image"])
    rows = list(Fake("label").read([str(tmp_path)], ClassifyImages(), labelled=True, note=print))
    assert [item.fields["label"] for item in rows] == ["cat", "dog"]
    assert [item.fields["height"] for item in rows] == [10, 11]
    assets = Fake("label").learn([], summary("cat", "dog"), SETTINGS, note=print)
    examples = Classify().encode([item.fields for item in rows], assets)
    assert [example.target for example in examples] == [0, 1]


def test_new_classes_follow_the_known_ones():
    task = Fake("boxes")
    assets = task.learn([], summary("cell"), SETTINGS, note=print)
    refusal = Refusal("b.png", 1, "is damaged")
    fields = boxed([1, 1, 5, 5], [2, 2, 8, 8], labels=["yeast", "cell"])
    grown, items = task.extend(iter([Row(fields, "a.png", 1), refusal]), assets, [], reading=None)
    assert grown.labels == ("cell", "yeast")
    assert [type(item) for item in items] == [Row, Refusal]
    same, _ = task.extend(iter([Row(boxed(), "a.png", 1)]), grown, [], reading=None)
    assert same == grown


def test_new_classes_of_one_kind_among_several():
    task = Fake("label", "boxes", "mask")
    assets = task.learn([], mixed_summary(["cat", "dog"], ["cell"]), SETTINGS, note=print)
    fields = boxed(label="newt", mask=masked(np.zeros((4, 4), np.uint8))["mask"], boxes_known=0)
    grown, _ = task.extend(iter([Row(fields, "a.png", 1)]), assets, [], reading=None)
    assert grown.labels_of("label") == ("cat", "dog", "newt")
    assert grown.labels_of("boxes") == ("cell",)
    assert grown.labels_of("mask") == ()  # the model has no head for masks


def test_a_grown_model_is_unchanged_for_its_old_classes():
    old = ImageAssets((16, 16), labels=("cat", "dog"))
    new = old.with_labels("label", ("cat", "dog", "newt"))
    model = SPEC.build(SETTINGS, old)
    grown = SPEC.grow(model, SETTINGS, old=old, new=new)
    images = np.random.default_rng(0).integers(0, 255, (3, 16, 16, 3)).astype(np.uint8)
    before, after = np.asarray(model(images)), np.asarray(grown(images))
    assert after.shape == (3, 3)
    assert after[:, :2] == pytest.approx(before, abs=1e-6)
    assert grown.get_layer("backbone") is model.get_layer("backbone")
    assert SPEC.grow(model, SETTINGS, old=old, new=old) is model


def test_predictions_are_drawn_on_the_original():
    task = Fake("boxes")
    answer = {"boxes": [{"box": [100, 100, 300, 300], "label": "cell", "score": 0.9}]}
    drawn = task.draw(row(500, 400), answer)
    assert drawn.shape == (500, 400, 3)
    assert (drawn[200, 90:110] != (200, 0, 0)).any()
    assert (cv2.mean(drawn[400:])[:3]) == (200, 0, 0)
