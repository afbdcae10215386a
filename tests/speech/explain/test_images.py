"""Charts of attributions: the colour and position of a region."""

from xml.etree import ElementTree

import numpy as np

from aitk.speech.explain.images import AGAINST, FOR, MAX_TOKENS, attention_chart, occlusion_chart

SVG = "{http://www.w3.org/2000/svg}"


def region(start_s, low_hz, high_hz, weight):
    end_s = start_s + 0.25
    return {"start_s": start_s, "end_s": end_s, "low_hz": low_hz, "high_hz": high_hz,
            "weight": weight}  # fmt: skip


def covered(samples, regions):
    """The frame of the spectrogram, and the rectangles on it by colour."""
    root = ElementTree.fromstring(occlusion_chart(samples, 8000, regions))
    found = {"none": []}
    for each in root.iter(f"{SVG}rect"):
        places = {name: float(each.get(name)) for name in ("x", "y", "width", "height")}
        opacity = float(each.get("fill-opacity", 1))
        found.setdefault(each.get("fill"), []).append(places | {"opacity": opacity})
    return found


def test_blue_is_for_and_orange_against_each_at_its_place():
    noise = 0.1 * np.random.default_rng(0).standard_normal(8000)
    regions = [region(0.0, 20.0, 300.0, 0.4), region(0.75, 2500.0, 4000.0, -0.4),
               region(0.5, 300.0, 600.0, 0.001)]  # fmt: skip
    found = covered(noise.astype("float32"), regions)
    (frame,), (strong, weak), (against,) = found["none"], found[FOR], found[AGAINST]
    assert strong["x"] == frame["x"] and strong["y"] > frame["y"] + 0.6 * frame["height"]
    assert against["x"] > frame["x"] + 0.7 * frame["width"] and against["y"] == frame["y"]
    assert strong["opacity"] == against["opacity"] == 0.8 and weak["opacity"] < 0.01


def test_a_sound_that_nothing_matters_in_is_uncovered():
    found = covered(np.zeros(60, "float32"), [region(0.0, 0.0, 4000.0, 0.0)])
    assert all(each["opacity"] == 0 for each in found.get(AGAINST, []) + found.get(FOR, []))


def test_attention_names_each_token_and_draws_no_more_than_a_limit():
    attention = np.random.default_rng(0).random((MAX_TOKENS + 5, 30))
    labels = [f"t{at}<" for at in range(len(attention))]
    root = ElementTree.fromstring(attention_chart(attention, labels))
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert "t0<" in texts and f"t{MAX_TOKENS}<" not in texts
