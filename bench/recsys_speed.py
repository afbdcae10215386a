"""Time aitk's item neighbours on a log: the fit, and the best items of all users.

    python bench/recsys_speed.py SEQUENCES          # a user a line, item ids between spaces

prints one line of JSON. It is the work of ``recsys_peers.py implicit SEQUENCES``: run both in turn
and compare the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
BATCH = 32  # as `evaluate` and `predict` take them


def read_log(sequences: Path) -> Any:
    """The log as a SciPy CSR array (users, items) of ones."""
    from scipy.sparse import csr_array

    rows = [line.split() for line in sequences.read_text(encoding="utf-8").splitlines()]
    names, numbers = np.unique([item for row in rows for item in row], return_inverse=True)
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    ones = np.ones(len(numbers), np.float32)
    return csr_array((ones, numbers.astype(np.int32), starts), shape=(len(rows), len(names)))


def batches(log: Any) -> list[tuple[dict[str, np.ndarray], list[np.ndarray]]]:
    """What the scorer reads of all users, users with histories of near-equal length together."""
    from aitk.recsys.features.batching import pad_left

    order = np.argsort(np.diff(log.indptr), kind="stable")
    made = []
    for start in range(0, len(order), BATCH):
        seen = [
            log.indices[log.indptr[u] : log.indptr[u + 1]] for u in order[start : start + BATCH]
        ]
        history = pad_left([row + 1 for row in seen], np.int32)
        inputs = {"history": history, "history_weights": (history > 0).astype(np.float32)}
        made.append((inputs, seen))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sequences", type=Path)
    parser.add_argument("--neighbours", type=int, default=100)
    parser.add_argument("--top", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()

    from aitk.core.inference.predictors import KerasPredictor
    from aitk.recsys.decoding.top_items import top_items
    from aitk.recsys.losses.similarities import item_neighbours
    from aitk.recsys.models.closed_form.sparse import sparse_scorer

    log = read_log(given.sequences)
    fits, answers = [], []
    for repeat in range(given.repeats + 1):
        started = time.perf_counter()
        found = item_neighbours(log, similarity="cosine", neighbours=given.neighbours)
        fitted = time.perf_counter()
        predict = KerasPredictor(sparse_scorer(*found))
        asked = batches(log)
        predict(asked[0][0])  # the graph is traced once
        ready = time.perf_counter()
        for inputs, seen in asked:
            top_items(predict(inputs), k=given.top, seen=seen)
        if repeat:  # the first round warms up
            fits.append(fitted - started)
            answers.append(time.perf_counter() - ready)
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
