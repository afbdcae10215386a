"""Frames of videos."""

import zipfile

import cv2
import numpy as np
import pytest

from aitk.core.io.images import decode_image
from aitk.vision.data.options import ClassifyImages, DetectImages
from aitk.vision.data.reading import read_images


@pytest.fixture
def video(tmp_path):
    """Twelve frames, red for five, then blue."""
    path = tmp_path / "in/clip.avi"
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(12):
        colour = (0, 0, 250 - number) if number < 5 else (250 - number, 0, 0)
        writer.write(np.full((48, 64, 3), colour, np.uint8))
    writer.release()
    return path


def read(path, reading=None, *, annotation_kinds=("label",), labelled=False):
    reading = reading or ClassifyImages()
    return list(
        read_images(
            [str(path)],
            reading,
            annotation_kinds=annotation_kinds,
            labelled=labelled,
            note=print,
        )
    )


def test_every_nth_frame(video):
    rows = read(video, ClassifyImages(every=4))
    assert [row.record["image"] for row in rows] == ["clip.avi#0", "clip.avi#4", "clip.avi#8"]
    first, _, last = (decode_image(row.fields["image"], "") for row in rows)
    assert first[20, 20, 0] > 200 and last[20, 20, 2] > 200
    assert (rows[1].fields["height"], rows[1].fields["width"], rows[1].line) == (48, 64, 5)


def test_the_first_frame_of_each_scene(video):
    rows = read(video, ClassifyImages(scenes=True))
    assert [row.record["image"] for row in rows] == ["clip.avi#0", "clip.avi#5"]


def test_a_video_in_an_archive_has_the_label_of_its_folder(video, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(video, "traffic/clip.avi")
    rows = read(tmp_path / "a.zip", labelled=True)
    assert [row.fields["label"] for row in rows] == ["traffic"] * 2
    assert rows[0].fields["name"] == "traffic/clip.avi#0"


def test_a_video_has_no_boxes_and_noise_is_no_video(video, save):
    (bad,) = read(video, DetectImages(), annotation_kinds=("boxes",), labelled=True)
    assert "it has no boxes" in bad.reason
    (bad,) = read(save("noise.mp4", bytes(2000)))
    assert bad.reason == "noise.mp4 is not a readable video"


def test_a_video_whose_name_is_no_text_is_refused(video):
    (bad,) = read(video.rename(video.with_name("cl\udce9p.avi")))
    assert "not UTF-8" in bad.reason
