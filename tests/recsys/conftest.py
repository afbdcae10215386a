"""A catalogue of five items and two users, small enough to check by hand."""

import numpy as np
import pyarrow
import pytest

from aitk.recsys.features.assets import LogAssets, pack_histories

ITEMS = ["a", "b", "c", "d", "e"]


@pytest.fixture(scope="session")
def make_assets():
    """Assets of the items a to e, numbers 0 to 4: ann had a and b, bob had c."""

    def make(**changes):
        attributes = pyarrow.table(
            {
                "item": ITEMS,
                "title": ["Alpha", "Beta", "Gamma", None, "Alpha"],
                "genres": [["x"], ["x", "y"], ["y"], None, []],
                "price": [10.0, 20.0, 2.5, None, 17.6],
            }
        )
        histories = {
            "ann": (np.array([0, 1], np.int32), np.array([5, 3], np.float32)),
            "bob": (np.array([2], np.int32), np.array([4], np.float32)),
        }
        return LogAssets(
            **{
                "attributes": attributes,
                "kinds": {"title": "text", "genres": "tags", "price": "number"},
                "users": ("ann", "bob"),
                "histories": pack_histories(histories),
                "counts": np.array([3, 1, 2, 0, 1]),
                "protocol": "leave-one-out",
                "rating_range": (1.0, 5.0),
                "rating_mean": 4.0,
            }
            | changes
        )

    return make
