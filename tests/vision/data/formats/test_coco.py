"""COCO JSON: boxes, polygons, run lengths, and the images they are of."""

import contextlib
import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError
from aitk.vision.data.formats.masks import decode_mask, mask_names
from aitk.vision.data.formats.shapes import fill_shapes, shape_mask
from aitk.vision.data.options import DetectImages, MultitaskImages, SegmentImages
from aitk.vision.data.reading import read_images
from aitk.vision.data.reading_counts import ReadingCounts

CATEGORIES = [{"id": 7, "name": "nut"}, {"id": 3, "name": "bolt"}]
SQUARE = [[2, 2, 10, 2, 10, 8, 2, 8]]


def coco(*annotations, images=None):
    images = images or [{"id": 1, "file_name": "1.png", "height": 20, "width": 30}]
    return json.dumps(
        {"images": images, "annotations": list(annotations), "categories": CATEGORIES}
    )


def note(category=7, bbox=(2, 3, 10, 5), image=1, **more):
    box = {} if bbox is None else {"bbox": list(bbox)}
    return {"image_id": image, "category_id": category, **box, **more}


def boxes(source, **told):
    return list(
        read_images(
            [str(source)],
            DetectImages(**told),
            annotation_kinds={"boxes"},
            labelled=True,
            note=print,
        )
    )


def masks(source, **told):
    return list(
        read_images(
            [str(source)],
            SegmentImages(**told),
            annotation_kinds={"mask"},
            labelled=True,
            note=print,
        )
    )


def test_a_box_is_two_corners(save, tmp_path):
    save("in/1.png"), save("in/boxes.json", coco(note(), note(3, (0, 0, 4, 4), iscrowd=1)))
    (row,) = boxes(tmp_path / "in")
    assert row.fields["boxes"].tolist() == [[2, 3, 12, 8], [0, 0, 4, 4]]
    assert row.fields["box_labels"] == ["nut", "bolt"]
    assert row.fields["crowd"] == [0, 1]


def test_the_json_itself_is_a_source(save, tmp_path):
    save("in/images/1.png")
    path = save("in/annotations/val.json", coco(note()))
    (row,) = boxes(path)
    assert row.split == "validation"
    assert row.fields["name"] == "images/1.png"


def test_the_json_may_lie_elsewhere(save, tmp_path):
    save("in/1.png")
    (row,) = boxes(tmp_path / "in", annotations=str(save("boxes.json", coco(note()))))
    assert row.fields["box_labels"] == ["nut"]


def test_an_image_without_annotations_has_no_boxes(save, tmp_path):
    save("in/1.png"), save("in/boxes.json", coco())
    (row,) = boxes(tmp_path / "in")
    assert row.fields["boxes"].shape == (0, 4)


def test_the_image_of_the_nearest_path_is_used(save, tmp_path):
    save("in/train/1.png"), save("in/val/1.png", height=22)
    images = [{"id": 1, "file_name": "val/1.png"}]
    save("in/boxes.json", coco(note(), images=images))
    (row,) = boxes(tmp_path / "in")
    assert row.fields["name"] == "val/1.png"


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (note(9), "unknown category 9"),
        (note(bbox=(2, 3, -1, 5)), "has no area"),
        (note(bbox=(2, 3, 40, 5)), "extends beyond"),
        (note(bbox=(2, 3)), "is not x, y, width, height"),
        (note(bbox=(2, 3, 10**400, 5)), "is not x, y, width, height"),
        (note([7]), "unknown category [7]"),
    ],
)
def test_a_wrong_annotation_refuses_its_image(save, tmp_path, annotation, reason):
    save("in/1.png")
    path = save("in/boxes.json", coco(annotation))
    (bad,) = boxes(tmp_path / "in")
    assert reason in bad.reason
    assert (bad.file, bad.line) == (str(path), 1)


def counted(source, **told):
    """The boxes of a source, and what was omitted: name of the check -> count."""
    counts = ReadingCounts()
    rows = list(
        read_images(
            [str(source)], DetectImages(**told), annotation_kinds={"boxes"}, labelled=True,
            note=print,
            counts=counts,
        )
    )  # fmt: skip
    return rows, {kind.check: count for kind, count in counts.counts.items()}


def test_ids_are_compared_by_value(save, tmp_path):
    images = [{"id": number, "file_name": f"{at}.png"} for at, number in enumerate([1, "2", 3.0])]
    notes = [note("7", image="1"), note(7.0, image=2.0), note(3, image="3.0")]
    for at in range(3):
        save(f"in/{at}.png")
    save("in/boxes.json", coco(*notes, images=images))
    rows, left_out = counted(tmp_path / "in")
    assert [row.fields["box_labels"] for row in rows] == [["nut"], ["nut"], ["bolt"]]
    assert left_out == {"annotations": 3}


def test_ids_that_only_their_spelling_distinguishes_stay_apart(save, tmp_path):
    save("in/0.png"), save("in/1.png")
    images = [{"id": "07", "file_name": "0.png"}, {"id": 7, "file_name": "1.png"}]
    save("in/boxes.json", coco(note(7, image="07"), note(3, image=7), images=images))
    rows, _ = counted(tmp_path / "in")
    assert [row.fields["box_labels"] for row in rows] == [["nut"], ["bolt"]]


def test_images_of_one_id_are_refused(save, tmp_path):
    save("in/0.png"), save("in/1.png")
    images = [{"id": 1, "file_name": "0.png"}, {"id": 1, "file_name": "1.png"}]
    save("in/boxes.json", coco(note(), images=images))
    first, second = boxes(tmp_path / "in")
    assert first.reason == second.reason == "another image has the same id 1"


def test_annotations_of_no_image_and_images_of_no_annotation_are_counted(save, tmp_path):
    save("in/1.png"), save("in/2.png")
    save("in/boxes.json", coco(note(), note(image=9), note(image=None), "note"))
    rows, left_out = counted(tmp_path / "in")
    assert len(rows) == 1
    assert left_out == {
        "annotations": 1,
        "annotations of unknown images": 2,
        "malformed annotations": 1,
        "images without annotation": 1,
    }


def test_images_next_to_a_file_that_is_itself_the_source_are_not_missed(save, tmp_path):
    save("in/1.png"), save("in/2.png")
    _, left_out = counted(save("in/boxes.json", coco(note())))
    assert left_out == {"annotations": 1}


def test_a_box_without_area_is_left_out_and_counted(save, tmp_path):
    save("in/1.png"), save("in/boxes.json", coco(note(), note(bbox=(2, 3, 0, 5))))
    (row,), left_out = counted(tmp_path / "in")
    assert len(row.fields["boxes"]) == 1
    assert left_out == {"annotations": 2, "empty boxes": 1}


def test_a_box_follows_from_run_lengths_alone(save, tmp_path):
    save("in/1.png")
    runs = {"size": [20, 30], "counts": [25, 5, 570]}
    save("in/boxes.json", coco(note(bbox=None, segmentation=runs, iscrowd="0")))
    (row,) = boxes(tmp_path / "in")
    assert row.fields["boxes"].tolist() == [[1, 5, 2, 10]]
    assert row.fields["crowd"] == [0]


def test_a_file_in_utf_16_is_read(save, tmp_path):
    save("in/1.png"), save("in/boxes.json", coco(note()).encode("utf-16"))
    assert len(boxes(tmp_path / "in")) == 1


def test_each_file_refers_to_the_images_next_to_it(save, tmp_path):
    for split in ("train", "valid", "test"):
        for at in range(2):
            save(f"in/{split}/images/{at}.png")
        images = [{"id": at, "file_name": f"{at}.png"} for at in range(2)]
        save(f"in/{split}/annotations.json", coco(note(image=0), images=images))
    rows = boxes(tmp_path / "in")
    assert sorted((row.split, row.fields["name"]) for row in rows) == sorted(
        (split, f"{folder}/images/{at}.png")
        for split, folder in (("train", "train"), ("validation", "valid"), ("test", "test"))
        for at in range(2)
    )


def test_crowd_regions_are_objects_where_the_user_reports_it(save, tmp_path):
    save("in/1.png"), save("in/boxes.json", coco(note(iscrowd=1)))
    (row,) = boxes(tmp_path / "in", crowd="objects")
    assert row.fields["crowd"] == [0]


def test_crowd_regions_are_void_in_masks_where_the_user_reports_it(save, tmp_path):
    save("in/1.png")
    runs = {"size": [20, 30], "counts": [20, 20, 560]}
    save("in/shapes.json", coco(note(7, segmentation=runs, iscrowd=1)))
    (row,) = masks(tmp_path / "in", crowd="ignore")
    assert (decode_mask(row.fields["mask"])[:, 1] == 255).all()
    (row,) = masks(tmp_path / "in")
    assert (decode_mask(row.fields["mask"])[:, 1] == 2).all()


@pytest.mark.parametrize(
    "outline",
    [
        [*SQUARE, [4.0, 3.0]],
        [*SQUARE, [4, 3, 5, 3]],
        SQUARE[0],
        [[2, 2], [10, 2], [10, 8], [2, 8]],
    ],
    ids=["a stray point", "a line", "a flat list", "a list of points"],
)
def test_an_outline_loses_degenerate_parts_and_may_be_flat(save, tmp_path, outline):
    save("in/1.png"), save("in/shapes.json", coco(note(7, segmentation=outline)))
    (row,) = masks(tmp_path / "in")
    assert (decode_mask(row.fields["mask"]) > 0).sum() == 8 * 6


def test_a_missing_image_and_one_of_another_size(save, tmp_path):
    save("in/1.png")
    images = [
        {"id": 1, "file_name": "1.png", "height": 40, "width": 60},
        {"id": 2, "file_name": "2.png"},
    ]
    save("in/boxes.json", coco(note(), images=images))
    other, missing = boxes(tmp_path / "in")
    assert "the size 60 x 40, but the upright image has 30 x 20" in other.reason
    assert missing.reason == "there is no image 2.png"


def test_polygons_become_a_mask_and_small_things_stay_visible(save, tmp_path):
    save("in/1.png")
    inner = [[4, 4, 6, 4, 6, 6, 4, 6]]
    save(
        "in/shapes.json",
        coco(note(3, segmentation=inner), note(7, segmentation=SQUARE)),
    )
    (row,) = masks(tmp_path / "in")
    mask = decode_mask(row.fields["mask"])
    assert mask_names(row.fields["mask"]) == ("background", "bolt", "nut")
    assert mask[3, 3] == 2 and mask[5, 5] == 1 and mask[0, 0] == 0
    assert (mask > 0).sum() == 8 * 6


def test_run_lengths_become_a_mask(save, tmp_path):
    save("in/1.png")
    runs = {"size": [20, 30], "counts": [20, 20, 560]}  # the second column
    save("in/shapes.json", coco(note(7, segmentation=runs)))
    (row,) = masks(tmp_path / "in")
    mask = decode_mask(row.fields["mask"])
    assert (mask[:, 1] == 2).all() and (mask != 0).sum() == 20


def test_ignored_classes_are_void(save, tmp_path):
    save("in/1.png")
    save("in/shapes.json", coco(note(3, segmentation=SQUARE)))
    (row,) = masks(tmp_path / "in", ignore=["bolt"])
    assert mask_names(row.fields["mask"]) == ("background", "nut")
    assert decode_mask(row.fields["mask"])[5, 5] == 255


def test_a_polygon_holds_the_pixels_whose_centre_it_holds():
    """Of convex ones: a point is inside if it is on the same side of every edge."""
    rng = np.random.default_rng(0)
    centres = np.stack(np.meshgrid(np.arange(60) + 0.5, np.arange(60) + 0.5), axis=-1)
    for _ in range(20):
        hull = cv2.convexHull(rng.uniform(-3, 63, (6, 2)).astype(np.float32))[:, 0]
        edges = np.roll(hull, -1, axis=0) - hull
        across = np.stack([-edges[:, 1], edges[:, 0]]) / np.linalg.norm(edges, axis=1)
        distances = ((centres[:, :, None] - hull) * across.T).sum(axis=-1)  # (60, 60, edges)
        least = (distances * np.sign(np.median(distances))).min(axis=-1)
        clear = np.abs(least) > 0.25
        inside = shape_mask([hull.ravel().tolist()], height=60, width=60)
        assert (inside != (least > 0))[clear].sum() <= 1  # a tip may be rounded off


def test_pycocotools_finds_about_the_same_pixels():
    import pycocotools.mask as coco_masks

    points = [10, 5, 50, 20, 30, 55, 5.5, 40]
    theirs = coco_masks.decode(coco_masks.frPyObjects([points], 60, 60))[..., 0].astype(bool)
    ours = shape_mask([points], height=60, width=60)
    assert (theirs & ours).sum() > 0.96 * (theirs | ours).sum()


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=8)
    | st.dictionaries(st.sampled_from(["size", "counts", "id"]), inner, max_size=3),
    max_leaves=20,
))  # fmt: skip
def test_any_outline_is_drawn_or_refused(shape):
    with contextlib.suppress(DataError):
        assert shape_mask(shape, height=5, width=4).shape == (5, 4)


def test_another_json_is_no_coco(save, tmp_path):
    save("in/1.png"), save("in/package.json", '{"name": "x"}')
    (bad,) = boxes(tmp_path / "in")
    assert "it has no boxes" in bad.reason
    with pytest.raises(DataError, match="has no images, annotations"):
        boxes(tmp_path / "in", annotations=str(tmp_path / "in/package.json"))


@pytest.fixture
def scene(save, tmp_path):
    """Two images of nuts with a COCO file; the first has a mask of numbers next to it."""

    def make(*annotations):
        images = [{"id": number, "file_name": f"{number}.png"} for number in (1, 2)]
        numbers = np.zeros((20, 30), np.uint8)
        numbers[3:8, 2:12] = 1
        save("in/images/1.png"), save("in/images/2.png"), save("in/masks/1.png", numbers)
        save("in/classes.txt", "metal\nthread\n")
        save("in/boxes.json", coco(*annotations, images=images))
        return tmp_path / "in"

    return make


def everything(source):
    notes = []
    annotation_kinds = {"label", "boxes", "mask"}
    rows = list(
        read_images(
            [str(source)],
            MultitaskImages(),
            annotation_kinds=annotation_kinds,
            labelled=True,
            note=notes.append,
        )
    )
    return [row.fields for row in rows], notes


@pytest.mark.parametrize("source", [".", "boxes.json"])
def test_masks_next_to_the_images_are_joined_to_boxes(scene, source):
    rows, notes = everything(scene(note(), note(image=2)) / source)
    assert [fields["boxes"].tolist() for fields in rows] == [[[2, 3, 12, 8]]] * 2
    mask = decode_mask(rows[0]["mask"])
    assert (mask[3:8, 2:12] == 1).all() and mask.sum() == 50
    assert mask_names(rows[0]["mask"]) == ("metal", "thread")
    assert rows[1]["mask"] == b""
    assert [text.partition(": ")[2] for text in notes] == ["1 masks next to the images added to it"]


def test_outlines_take_precedence_over_mask_files_with_a_note(scene):
    rows, notes = everything(scene(note(segmentation=SQUARE), note(image=2, segmentation=SQUARE)))
    assert mask_names(rows[0]["mask"]) == ("background", "bolt", "nut")
    assert "1 masks next to the images ignored, because it has outlines of its own" in notes[0]


def test_masks_next_to_boxes_alone_are_rows_to_segment(scene):
    rows = masks(scene(note(), note(image=2)))
    assert decode_mask(rows[0].fields["mask"]).sum() == 50
    assert rows[1].reason.endswith("there is no mask with its name")


def test_boxes_alone_are_read_next_to_masks(scene):
    rows = boxes(scene(note(), note(image=2)))
    assert [row.fields["box_labels"] for row in rows] == [["nut"], ["nut"]]


def test_a_large_outline_is_drawn_in_strips_as_it_is_whole(monkeypatch):
    points = [3.3, -5, 90, 20, 47, 99.5, -8.25, 40]
    whole = shape_mask([points], height=90, width=80)
    monkeypatch.setattr("aitk.vision.data.formats.shapes._MAX_CANVAS", 20_000)
    strips = shape_mask([points], height=90, width=80)
    assert (strips != whole).sum() < 0.01 * whole.sum()  # on the edges, by rounding


def test_a_mask_holds_255_classes():
    square = [[0, 0, 4, 0, 4, 4, 0, 4]]
    assert (fill_shapes([(7, square), (254, square)], height=4, width=4) == 254).all()
    with pytest.raises(DataError, match="a mask holds 255"):
        fill_shapes([(271, square)], height=4, width=4)
