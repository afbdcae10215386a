"""Charts over pixels: marks are at their axis positions, and files are well-formed XML."""

from __future__ import annotations

import base64
from xml.etree import ElementTree

import numpy as np
import pytest

from aitk.core.io.images import decode_image
from aitk.core.reporting.image_charts import Axis, Panel, drawing, shades

SVG = "{http://www.w3.org/2000/svg}"
PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def drawn(panel: Panel) -> ElementTree.Element:
    return ElementTree.fromstring(drawing([panel], width=200, height=100, label="<a> & b"))


def panel(**axes: Axis) -> Panel:
    chosen = {"x": Axis(0, 10), "y": Axis(0, 1)} | axes
    return Panel(left=50, top=10, width=100, height=50, pixels=PIXELS, **chosen)


def test_the_pixels_are_held_as_they_are():
    image = drawn(panel()).find(f"{SVG}image")
    data = base64.b64decode(image.get("href").removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(decode_image(data, ""), PIXELS)


def test_a_rectangle_is_at_its_axis_position():
    made = panel()
    made.rectangle((2, 4), (0.5, 1.0), colour="#123456", opacity=0.5, framed=True, title="a < b")
    (found,) = (each for each in drawn(made).iter(f"{SVG}rect") if each.get("fill") == "#123456")
    places = [float(found.get(name)) for name in ("x", "y", "width", "height")]
    assert places == [70, 10, 20, 25]
    assert (found.get("stroke"), found.find(f"{SVG}title").text) == ("#123456", "a < b")


def test_lines_and_texts_follow_an_axis_that_runs_down():
    made = panel(y=Axis(4, 0, ticks=[(1, "one")]))
    made.line([0, 10], [0, 4], colour="#000")
    root = drawn(made)
    assert root.find(f"{SVG}polyline").get("points") == "50.0,10.0 150.0,60.0"
    (tick,) = (each for each in root.iter(f"{SVG}text") if each.text == "one")
    assert float(tick.get("y")) == pytest.approx(10 + 50 / 4 + 4)


@pytest.mark.parametrize("words", ["<b>&", "\x00\x1b", "词", "$x$", '"'])
def test_any_text_keeps_the_file_well_formed(words):
    made = panel(x=Axis(0, 10, ticks=[(5, words)], turned=True))
    made.text(5, 0.5, words)
    found = [each.text for each in drawn(made).iter(f"{SVG}text")]
    wanted = words if words.isprintable() else "\ufffd\ufffd"
    assert found.count(wanted) == 2


def test_shades_run_evenly_between_colours():
    found = shades(np.array([[0.0, 0.25, 1.0]]), [(0, 0, 0), (100, 0, 0), (100, 200, 0)])
    assert found.tolist() == [[[0, 0, 0], [50, 0, 0], [100, 200, 0]]]
