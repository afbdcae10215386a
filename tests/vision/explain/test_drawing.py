"""Boxes, masks and names drawn on images, and sheets of many."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.vision.data.formats.run_lengths import encode_runs
from aitk.vision.explain.drawing import (
    COLOURS,
    MIN_SIDE,
    class_colour,
    contact_sheet,
    draw_prediction,
    draw_sample,
    label_text,
)
from aitk.vision.features.geometry import VOID
from aitk.vision.features.sample import Sample
from aitk.vision.metrics.detection_errors import BoxErrors


def black(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def boxed(*boxes: tuple[int, int, int, int], crowd: int = 0) -> Sample:
    count = len(boxes)
    return Sample(
        black(600, 800),
        boxes=np.array(boxes, np.float32),
        classes=np.arange(count, dtype=np.int32),
        crowd=np.full(count, crowd, np.int32),
    )


def has_colour(image: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((image == colour).all(axis=2).any())


def seen_as(colour: tuple[int, int, int], missing: str) -> np.ndarray:
    """A colour as it looks without the long- or middle-wave cones (Machado et al. 2009)."""
    matrix = {
        "none": np.eye(3),
        "long": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        "middle": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    }[missing]
    linear = (np.array(colour) / 255) ** 2.2
    return np.clip(np.array(matrix) @ linear, 0, 1) ** (1 / 2.2) * 255


@pytest.mark.parametrize("missing", ["none", "long", "middle"])
def test_the_first_colours_are_distinct_for_everybody(missing):
    seen = np.array([seen_as(colour, missing) for colour in COLOURS[:8]])
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 1e9 * np.eye(8)
    assert apart.min() > 35


def test_no_two_classes_share_a_colour_until_all_are_used():
    assert len(set(COLOURS)) == len(COLOURS) == 20
    assert class_colour(20) == class_colour(0)


def test_a_box_is_drawn_where_it_is_in_the_colour_of_its_class():
    drawn = draw_sample(boxed((100, 200, 300, 400), (500, 100, 700, 300)))
    assert drawn.shape == (600, 800, 3)
    for (left, top, right, bottom), number in (
        ((100, 200, 300, 400), 0),
        ((500, 100, 700, 300), 1),
    ):
        colour = class_colour(number)
        assert tuple(drawn[(top + bottom) // 2, left]) == colour
        assert tuple(drawn[(top + bottom) // 2, right - 1]) == colour
        assert tuple(drawn[bottom - 1, (left + right) // 2]) == colour
        assert (drawn[(top + bottom) // 2, (left + right) // 2] == 0).all()


def test_names_and_scores_are_drawn_on_the_image():
    answer = {"boxes": [{"box": [100, 200, 300, 400], "label": "dog", "score": 0.5}]}
    named = draw_prediction(black(600, 800), answer, labels=["dog"])
    other = draw_prediction(
        black(600, 800), {"boxes": [answer["boxes"][0] | {"score": 0.75}]}, labels=["dog"]
    )
    differing = np.argwhere((named != other).any(axis=2))
    assert len(differing) and differing[:, 0].max() <= 200  # in the tag above the box


def test_false_boxes_are_crossed_out_and_missed_objects_have_broken_outlines():
    box = {"label": "dog", "score": 0.5}
    answer = {"boxes": [{"box": [100, 200, 300, 400]} | box, {"box": [500, 200, 700, 400]} | box]}
    missed = {"box": [300, 450, 500, 590], "label": "dog"}
    plain = draw_prediction(black(600, 800), answer, labels=["dog"])
    drawn = draw_prediction(
        black(600, 800), answer, labels=["dog"], errors=BoxErrors((False, True), (missed,))
    )
    colour = class_colour(0)
    assert (drawn[:410, :450] == plain[:410, :450]).all()  # what is right looks as ever
    assert tuple(drawn[300, 600]) == colour and tuple(drawn[300, 500]) == colour
    assert (plain[440:] == 0).all() and tuple(drawn[450, 300]) == colour
    side = (drawn[470:580, 300] == colour).all(axis=1)
    assert 0.3 < side.mean() < 0.8  # dashes and gaps, below the tag


def test_a_box_at_the_edge_keeps_its_name_inside():
    drawn = draw_sample(boxed((0, 0, 60, 60), (780, 580, 800, 600)), names=["top", "bottom"])
    assert has_colour(drawn[:20, :40], class_colour(0))
    assert has_colour(drawn[550:580, 720:], class_colour(1))


def test_an_ignored_box_is_thin():
    def line(crowd: int) -> int:
        drawn = draw_sample(boxed((100, 200, 300, 400), crowd=crowd))
        return int((drawn[300, 80:120] == class_colour(0)).all(axis=1).sum())

    assert line(1) == 1 < line(0)


def test_small_images_are_enlarged_by_whole_numbers():
    assert draw_prediction(black(32, 24), {"prediction": "cat"}).shape == (480, 360, 3)
    assert draw_prediction(black(MIN_SIDE, 100), {}).shape == (MIN_SIDE, 100, 3)


def test_a_prediction_is_written_in_the_corner():
    drawn = draw_prediction(
        black(480, 480), {"prediction": "猫", "probability": 0.9}, labels=["猫"]
    )
    assert has_colour(drawn[:30, :80], class_colour(0))
    assert (drawn[60:] == 0).all()


def test_a_mask_veils_its_classes_and_leaves_void_alone():
    mask = np.full((480, 480), VOID, np.uint8)
    mask[:, 240:] = 1
    drawn = draw_sample(Sample(black(480, 480), mask=mask), names=["sky", "road"])
    assert (drawn[100, 100] == 0).all()
    assert drawn[100, 440].tolist() == [int(0.45 * value) for value in class_colour(1)]
    assert tuple(drawn[100, 240]) == class_colour(1)  # its outline


def test_predicted_masks_are_drawn_like_true_ones():
    mask = np.zeros((480, 480), np.uint8)
    mask[:200] = 1
    parts = [
        {"label": name, **encode_runs(mask == number)} for number, name in enumerate(("a", "b"))
    ]
    answered = draw_prediction(black(480, 480), {"mask": parts}, labels=["a", "b"])
    drawn = draw_sample(Sample(black(480, 480), mask=mask), names=["a", "b"])
    assert (answered == drawn).all()


def test_the_image_given_stays_as_it_was():
    sample = boxed((100, 200, 300, 400))
    draw_sample(sample)
    draw_prediction(sample.image, {"prediction": "cat"})
    assert (sample.image == 0).all()


def test_labels_in_words():
    names = ["cat", "dog"]
    assert label_text(Sample(black(2, 2), label=1), names=names) == "dog"
    assert label_text(Sample(black(2, 2))) == ""
    joined = Sample(black(2, 2), label=1, shares={0: 0.25, 1: 0.75})
    assert label_text(joined, names={"label": names}) == "75% dog + 25% cat"


def test_a_contact_sheet_holds_every_image_and_its_caption():
    samples = [Sample(np.full((20, 40, 3), 40 * n, np.uint8), label=n) for n in range(5)]
    sheet = contact_sheet(samples, names=list("abcde"), columns=3, cell=100)
    assert sheet.shape[1] == 3 * 106 + 6
    assert sheet.shape[0] == 2 * (50 + 21 + 6) + 6
    for number in range(5):
        top, left = 6 + number // 3 * 77, 6 + number % 3 * 106
        assert (sheet[top + 25, left + 50] == 40 * number).all()
        assert (sheet[top + 50 : top + 71, left : left + 20] < 128).any()  # the caption


def test_a_long_caption_is_cut():
    sheet = contact_sheet([Sample(black(50, 50))], captions=["a long name " * 20], cell=100)
    assert sheet.shape[1] == 112 and (sheet[:, 106:] == 255).all()


def test_a_caption_of_a_million_letters_is_cut_at_once():
    sheet = contact_sheet([Sample(black(50, 50))], captions=["w" * 1_000_000], cell=100)
    assert sheet.shape[1] == 112
