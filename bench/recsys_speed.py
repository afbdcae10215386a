"""Time aitk's item neighbours on a log: the fit, and the best items of all users.

    python bench/recsys_speed.py SEQUENCES          # a user a line, item ids between spaces

prints one line of JSON. It is the work of ``recsys_peers.py implicit SEQUENCES``: run both in turn
and compare the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

USERS_AT_ONCE = 256


def read_log(sequences: Path) -> Any:
    """The log as a SciPy CSR array (users, items) of ones."""
    from scipy.sparse import csr_array

    rows = [line.split() for line in sequences.read_text(encoding="utf-8").splitlines()]
    names, numbers = np.unique([item for row in rows for item in row], return_inverse=True)
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    ones = np.ones(len(numbers), np.float32)
    return csr_array((ones, numbers.astype(np.int32), starts), shape=(len(rows), len(names)))


def top_of_all(log: Any, votes: Any, *, top: int) -> np.ndarray:
    """The best items of every user that are not in the history: (users, top)."""
    from aitk.recsys.decoding.top_items import top_items
    from aitk.recsys.losses.blocks import map_blocks

    def work(block: slice) -> np.ndarray:
        own = log[block]
        seen = np.split(own.indices, own.indptr[1:-1])
        return top_items((own @ votes).toarray(), k=top, seen=seen)[0]

    return np.concatenate(map_blocks(work, log.shape[0], size=USERS_AT_ONCE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sequences", type=Path)
    parser.add_argument("--neighbours", type=int, default=100)
    parser.add_argument("--top", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()

    from aitk.recsys.losses.similarities import item_neighbours
    from aitk.recsys.models.closed_form.array_scores import votes

    log = read_log(given.sequences)
    fits, answers = [], []
    for repeat in range(given.repeats + 1):
        started = time.perf_counter()
        found = item_neighbours(log, similarity="cosine", neighbours=given.neighbours)
        fitted = time.perf_counter()
        top_of_all(log, votes(*found), top=given.top)
        if repeat:  # the first round warms up
            fits.append(fitted - started)
            answers.append(time.perf_counter() - fitted)
    print(
        json.dumps(
            {
                "users": log.shape[0],
                "items": log.shape[1],
                "events": log.nnz,
                "fit_s": round(statistics.median(fits), 3),
                "top_s": round(statistics.median(answers), 3),
            }
        )
    )


if __name__ == "__main__":
    main()
