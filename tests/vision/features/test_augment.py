"""Images varied for training: boxes and masks move with them, labels blend as they do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.vision.features import threads
from aitk.vision.features.affine import clip_sample
from aitk.vision.features.augment import augment
from aitk.vision.features.augment_settings import AugmentSettings, augmentation_settings
from aitk.vision.features.colours import LUMA
from aitk.vision.features.geometry import GREY, VOID
from aitk.vision.features.sample import Sample, soft_labels
from aitk.vision.models.settings import AugmentOptions

HEIGHT, WIDTH = 48, 64
EVERYTHING = AugmentSettings(
    flip=0.5, vertical_flip=0.5, crop=0.5, shift=0.1, scale=0.3, rotate=20.0, brightness=0.2,
    contrast=0.2, saturation=0.2, hue=0.1, cutout=0.2, mosaic=0.5, mixup=0.4,
)  # fmt: skip


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sample(box: tuple[int, int, int, int] = (20, 12, 44, 30), label: int = 0) -> Sample:
    """A white rectangle on black: its box, and its mask of class 1 on 0."""
    left, top, right, bottom = box
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top:bottom, left:right] = 1
    return Sample(
        image=np.repeat(255 * mask[..., None], 3, axis=2),
        label=label,
        boxes=np.array([box], np.float32),
        classes=np.array([4], np.int32),
        crowd=np.array([0], np.int32),
        mask=mask,
    )


def plain(value: int, label: int | None = 0, **more) -> Sample:
    """An image of one grey."""
    image = np.full((HEIGHT, WIDTH, 3), value, np.uint8)
    return Sample(image, label, boxes_known=False, **more)


def around(region: np.ndarray) -> list[int]:
    """The box around what is true in (h, w)."""
    places = np.argwhere(region)
    top, left = places.min(axis=0)
    bottom, right = places.max(axis=0) + 1
    return [left, top, right, bottom]


def test_nothing_changes_by_default():
    before = sample()
    (after,) = augment([before], AugmentSettings(), rng())
    assert (after.image == before.image).all() and (after.mask == before.mask).all()
    assert after.boxes.tolist() == before.boxes.tolist()
    assert after.shares is None


def test_a_flip_mirrors_image_box_and_mask():
    before = sample()
    (after,) = augment([before], AugmentSettings(flip=1.0), rng())
    assert (after.image == before.image[:, ::-1]).all()
    assert (after.mask == before.mask[:, ::-1]).all()
    assert after.boxes.tolist() == [[20, 12, 44, 30]]  # 64 - 44, 64 - 20
    (after,) = augment([before], AugmentSettings(vertical_flip=1.0), rng())
    assert (after.image == before.image[::-1]).all()
    assert after.boxes.tolist() == [[20, 18, 44, 36]]


def test_a_shift_is_by_whole_pixels():
    for seed in range(20):
        (after,) = augment([sample()], AugmentSettings(shift=0.2), rng(seed))
        assert set(np.unique(after.image)) <= {0, GREY, 255}
        assert (after.boxes == np.rint(after.boxes)).all()
        assert around(after.image[..., 0] == 255) == after.boxes[0].tolist()


def test_the_shift_of_cifar_reaches_four_pixels_and_no_more():
    one = Sample(np.zeros((32, 32, 3), np.uint8))
    found = set()
    for after in augment([one] * 300, AugmentSettings(shift=0.125), rng()):
        left, top, right, bottom = around(after.image[..., 0] == 0)
        found |= {left - (32 - right), top - (32 - bottom)}
    assert found == set(range(-4, 5))


@given(
    st.builds(
        AugmentSettings,
        flip=st.sampled_from((0.0, 1.0)),
        vertical_flip=st.sampled_from((0.0, 1.0)),
        crop=st.floats(0, 0.6),
        shift=st.floats(0, 0.1),
        scale=st.floats(0, 0.5),
        rotate=st.floats(0, 180),
    ),
    st.integers(0, 2**32 - 1),
)
def test_boxes_and_masks_move_with_the_image(settings, seed):
    (after,) = augment([sample()], settings, rng(seed))
    white = after.image[..., 0] > 200
    if not len(after.boxes):
        assert white.mean() < 0.1
        return
    assert around(after.mask == 1) == pytest.approx(after.boxes[0], abs=2)
    assert around(white) == pytest.approx(after.boxes[0], abs=2)
    assert (white != (after.mask == 1)).sum() <= 0.02 * white.size + 60  # along the edges
    assert ((after.image == GREY).all(axis=2) | (after.mask != VOID)).mean() > 0.9


def test_a_box_with_less_than_a_fifth_left_is_dropped():
    boxes = np.array([[-50, 0, 10, 10], [-9, 20, 1.5, 30], [50, 20, 80, 40]], np.float32)
    numbers = np.array([1, 2, 3], np.int32)
    found = clip_sample(dataclasses.replace(sample(), boxes=boxes, classes=numbers, crowd=numbers))
    assert found.boxes.tolist() == [[50, 20, 64, 40]]
    assert found.classes.tolist() == found.crowd.tolist() == [3]


def test_a_random_crop_keeps_at_least_the_share_requested():
    batch = [sample((24, 18, 40, 30))] * 200
    areas = [
        np.prod(after.boxes[0, 2:] - after.boxes[0, :2]) / (16 * 12)
        for after in augment(batch, AugmentSettings(crop=0.5), rng())
        if len(after.boxes)
    ]
    assert min(areas) >= 1 and 1.6 < max(areas) <= 2.3  # 1 / (1 - 0.5), give or take the sides


def test_scale_makes_images_larger_and_smaller():
    batch = [sample((24, 18, 40, 30))] * 200
    sides = [
        (after.boxes[0, 2] - after.boxes[0, 0]) / 16
        for after in augment(batch, AugmentSettings(scale=0.5), rng())
    ]
    assert 1 / 1.5 <= min(sides) < 0.7 and 1.4 < max(sides) <= 1.5


def test_brightness_and_contrast_change_values_about_black_and_about_the_mean():
    before = [plain(100)] * 50
    after = [int(each.image[0, 0, 0]) for each in augment(before, _only("brightness"), rng())]
    assert 50 <= min(after) < 60 and 140 < max(after) <= 150
    after = [int(each.image[0, 0, 0]) for each in augment(before, _only("contrast"), rng())]
    assert set(after) == {100}


def test_greys_have_no_colour_to_change():
    for name in ("saturation", "hue"):
        for after in augment([plain(77)] * 5, _only(name), rng()):
            assert (after.image == 77).all()


def test_hue_and_saturation_keep_how_bright_a_colour_is():
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = (120, 100, 90)
    for after in augment([Sample(image)] * 20, _only("hue"), rng()):
        assert after.image[0, 0] @ LUMA == pytest.approx(image[0, 0] @ LUMA, abs=1)
    ranges = [
        int(np.ptp(after.image[0, 0]))
        for after in augment([Sample(image)] * 50, _only("saturation"), rng())
    ]
    assert 14 <= min(ranges) < 20 and 40 < max(ranges) <= 46  # 30, half less to half more


def test_cutout_hides_a_square():
    (after,) = augment([sample()], AugmentSettings(cutout=0.5), rng(3))
    hidden = after.mask == VOID
    left, top, right, bottom = around(hidden)
    assert right - left <= 24 and bottom - top <= 24
    assert (after.image[hidden] == GREY).all()
    assert (after.image[~hidden] == sample().image[~hidden]).all()


def test_a_box_that_cutout_covers_is_dropped():
    batch = [sample((30, 20, 34, 24))] * 60
    for after in augment(batch, AugmentSettings(cutout=0.5), rng()):
        shown = (after.image == 255).all(axis=2).sum()
        assert len(after.boxes) == (shown >= 0.2 * 16)


def test_a_mosaic_shows_four_images_with_their_boxes_and_masks():
    batch = [sample((8 * number, 8, 8 * number + 20, 40), label=number) for number in range(5)]
    for after in augment(batch, AugmentSettings(mosaic=1.0), rng()):
        assert sum(after.shares.values()) == pytest.approx(1)
        assert after.shares[after.label] == max(after.shares.values())
        assert ((after.mask == 1) == (after.image[..., 0] > 127)).mean() > 0.97
        covered = np.zeros((HEIGHT, WIDTH), bool)
        for left, top, right, bottom in np.rint(after.boxes).astype(int):
            covered[top:bottom, left:right] = True
        assert (covered == (after.mask == 1)).mean() > 0.93
        assert (after.mask == VOID).any() == (after.image == GREY).all(axis=2).any()


def test_a_mosaic_joins_only_what_is_annotated_alike():
    labelled = [plain(10, label=0), plain(20, label=1)]
    masked = [plain(200, label=None, mask=np.ones((HEIGHT, WIDTH), np.uint8)) for _ in range(2)]
    for _ in range(5):
        for after in augment([*labelled, *masked], AugmentSettings(mosaic=1.0, mixup=1.0), rng()):
            values = set(np.unique(after.image)) - {GREY}
            if after.mask is None:
                assert after.label is not None and max(values - set(range(60, 115))) <= 60
            else:
                assert after.label is None and after.shares is None and min(values) >= GREY


def test_mixup_blends_images_and_their_labels():
    batch = [plain(0, label=0), plain(200, label=2)]
    found = augment(batch * 4, AugmentSettings(mixup=1.0), rng())
    labels = soft_labels(found, 3)
    assert labels.sum(axis=1) == pytest.approx(1)
    assert (labels[:, 1] == 0).all() and (labels[:, 2] % 1 > 0).any()
    for after, label in zip(found, labels, strict=True):
        assert after.image[0, 0, 0] == pytest.approx(200 * label[2], abs=1)
        assert after.label == (2 if label[2] > 0.5 else 0)


def test_mixup_keeps_the_boxes_of_both_but_of_no_shadow():
    first, second = sample((2, 2, 12, 12)), sample((30, 20, 50, 40))
    found = augment([first, second] * 20, AugmentSettings(mixup=1.0), rng())
    counts = {len(after.boxes) for after in found}
    assert counts == {1, 2}
    for after in found:
        if len(after.boxes) == 2:
            other = int(after.boxes[1, 1] + 2), int(after.boxes[1, 0] + 2)
            assert after.image[other][0] >= 0.25 * 255 - 1


def test_shares_are_there_whenever_images_may_be_joined():
    # Batches of one data set must all have targets of one kind.
    (after,) = augment([plain(5, label=1)], AugmentSettings(mosaic=1e-9), rng())
    assert after.shares == {1: 1.0}


def test_soft_labels_of_samples_without_a_label_are_zeros():
    found = soft_labels([plain(0, label=1), plain(0, label=None), plain(0, label=-1)], 2)
    assert found.tolist() == [[0, 1], [0, 0], [0, 0]]
    assert soft_labels([plain(0, label=-1, shares={-1: 1.0})], 2).tolist() == [[0, 0]]


def test_the_generator_alone_decides(monkeypatch):
    batch = [sample((8 * number, 8, 8 * number + 20, 40), label=number) for number in range(5)]
    first = augment(batch, EVERYTHING, rng(7))
    monkeypatch.setattr(threads, "MIN_PIXELS", 0)
    monkeypatch.setattr(threads, "usable_cpus", lambda: 3)
    second = augment(batch, EVERYTHING, rng(7))
    other = augment(batch, EVERYTHING, rng(8))
    for one, same in zip(first, second, strict=True):
        assert (one.image == same.image).all() and (one.mask == same.mask).all()
        assert one.boxes.tolist() == same.boxes.tolist() and one.shares == same.shares
    assert any((one.image != new.image).any() for one, new in zip(first, other, strict=True))


def test_the_samples_given_stay_as_they_were():
    batch = [sample((8 * number, 8, 8 * number + 20, 40), label=number) for number in range(5)]
    copies = [each.image.copy() for each in batch]
    augment(batch, EVERYTHING, rng())
    for each, copy in zip(batch, copies, strict=True):
        assert (each.image == copy).all() and each.boxes.shape == (1, 4)


def test_every_option_of_the_models_has_its_part():
    names = {each.name for each in dataclasses.fields(AugmentOptions)}
    assert names <= {each.name for each in dataclasses.fields(AugmentSettings)}
    assert augmentation_settings(AugmentOptions(rotate=7.0, mixup=0.1)).rotate == 7.0
    assert augmentation_settings(object()) == AugmentSettings()


def _only(name: str) -> AugmentSettings:
    return AugmentSettings(**{name: 0.5})
