"""Drawn predictions: one file a row, frames as a video."""

import os

import numpy as np

from aitk.core.io.images import read_image
from aitk.core.reporting.drawings import Drawings

RED = np.full((16, 24, 3), (255, 0, 0), np.uint8)


def test_a_image_is_written_under_its_name(tmp_path):
    path = Drawings(tmp_path / "drawn").add("shop/left shelf.jpg", RED)
    assert path.name == "shop_left_shelf.jpg.png"
    assert np.array_equal(read_image(path), RED)


def test_names_never_leave_the_folder_nor_meet(tmp_path):
    drawings = Drawings(tmp_path)
    paths = [drawings.add(name, RED) for name in ("../../etc/x", "../../etc/x", "..", "")]
    assert len(set(paths)) == 4
    assert {path.parent for path in paths} == {tmp_path}


def test_a_long_name_is_cut(tmp_path):
    drawings = Drawings(tmp_path)
    paths = [drawings.add(f"a/{'é' * 250}.jpg", RED) for _ in range(2)]
    assert len({path.name for path in paths}) == 2


def test_what_was_drawn_before_an_interruption_is_counted(tmp_path):
    Drawings(tmp_path).add("road.mp4#0", RED)
    resumed = Drawings(tmp_path)
    resumed.take_up("road.mp4#0")
    resumed.take_up("undrawn.jpg")
    assert resumed.add("road.mp4#0", RED).name == "road.mp4_0-2.png"
    assert resumed.add("undrawn.jpg", RED).name == "undrawn.jpg.png"


def test_frames_become_a_video(tmp_path):
    import cv2

    drawings = Drawings(tmp_path)
    for frame in (0, 10, 20):
        drawings.add(f"road.mp4#{frame}", RED)
    (video,) = drawings.finish()
    read = cv2.VideoCapture(str(video))
    assert video.name == "road.mp4.mp4"
    assert read.get(cv2.CAP_PROP_FRAME_COUNT) == 3


def test_a_long_name_is_cut_to_what_a_file_system_takes(tmp_path):
    drawings = Drawings(tmp_path)
    paths = [drawings.add("类" * 300 + str(number), RED) for number in range(2)]
    paths.append(drawings.add("a" * 300, RED))
    assert len(set(paths)) == 3
    assert all(len(os.fsencode(path.name)) <= 240 for path in paths)
