"""Attention of a translation: its most watched words, and a chart with both sides."""

from xml.etree import ElementTree

import numpy as np

from aitk.nlp.explain.alignment import explain_alignment


def test_each_target_word_names_the_source_word_it_looks_at_most():
    weights = np.array([[0.9, 0.1], [0.2, 0.8]])
    found = explain_alignment(["the", "lamp"], ["die", "<Lampe>"], weights)
    assert [each["source"] for each in found["alignment"]] == ["the", "lamp"]
    assert [part["weight"] for part in found["parts"]] == [0.55, 0.45]
    root = ElementTree.fromstring(found["pictures"][0]["svg"])
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["die", "<Lampe>", "the", "lamp"]
