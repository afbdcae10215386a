"""Importance over many rows."""

import numpy as np

from aitk.core.reporting.importance import global_importance, heat_chart, mean_heat


def test_parts_are_summed_within_a_row_and_averaged_over_rows():
    rows = [
        {"explained": "a",
         "parts": [{"text": "Good", "weight": 0.5}, {"text": "good", "weight": 0.1},
                   {"text": " ", "weight": 9.0}]},
        {"explained": "a",
         "parts": [{"text": "good", "weight": 0.2}, {"text": "once", "weight": 1}]},
        {"explained": "b", "parts": [{"text": "good", "weight": -0.9}]},
    ]  # fmt: skip
    (found,) = global_importance(rows)  # in one row alone: "once", and "good" for b
    assert found == {"explained": "a", "part": "good", "rows": 2, "mean_weight": 0.4}


def test_maps_of_heat_are_averaged_and_drawn():
    heat = mean_heat([{"heat": [[0, 1], [0, 0]]}, {"heat": [[1, 1], [0, 0]]}, {"parts": []}])
    np.testing.assert_array_equal(heat, [[0.5, 1.0], [0.0, 0.0]])
    assert heat_chart(heat).count("<rect") == 4 + 2  # and the scale
    assert mean_heat([{"parts": []}]) is None
