"""Time exact search by cosine, and a graph index (usearch, HNSW) where it is installed.

    python bench/search.py --rows 1000000 --graph-rows 100000

The vectors are normal around 1,000 centres, so that neighbours are nearer than chance. ``--batch``
queries are searched at once, as ``predict --index`` does. Recall@10 is that of the graph against
the exact search in the same rows. CPU seconds, of as many threads as OMP_NUM_THREADS allows.
"""

from __future__ import annotations

import argparse
import importlib.util
import time

import numpy as np

from aitk.nlp.decoding.neighbours import NeighbourGraph, nearest, unit_rows

CENTRES, BLOCK = 1000, 50_000


def made_vectors(rows: int, size: int, rng: np.random.Generator, centres: np.ndarray) -> np.ndarray:
    """Unit rows (rows, size) around the centres."""
    vectors = np.empty((rows, size), np.float32)
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        noise = rng.standard_normal((count, size), np.float32)
        near = centres[rng.integers(len(centres), size=count)]
        vectors[start : start + count] = unit_rows(near + noise)
    return vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--graph-rows", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--batch", type=int, default=32)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CENTRES, given.size), np.float32)
    vectors = made_vectors(given.rows, given.size, rng, centres)
    queries = made_vectors(2 * given.batch, given.size, rng, centres)
    nearest(queries[:1], vectors[:BLOCK], count=10)
    for batch in (1, given.batch):
        begun = time.process_time()
        for start in (0, batch):
            nearest(queries[start : start + batch], vectors, count=10)
        each = (time.process_time() - begun) / (2 * batch)
        print(
            f"exact, {given.rows:,} x {given.size}, {batch} at once: {1000 * each:.1f} ms a query"
        )
    if importlib.util.find_spec("usearch") is None:
        return
    part = vectors[: given.graph_rows]
    begun = time.process_time()
    graph = NeighbourGraph(part)
    print(f"graph, {len(part):,} rows: built in {time.process_time() - begun:.1f} s")
    begun = time.process_time()
    found, _ = graph.nearest(queries, count=10)
    each = (time.process_time() - begun) / len(queries)
    best, _ = nearest(queries, part, count=10)
    begun = time.process_time()
    nearest(queries[: given.batch], part, count=10)
    exact = (time.process_time() - begun) / given.batch
    same = [len(set(a) & set(b)) / 10 for a, b in zip(best.tolist(), found.tolist(), strict=True)]
    print(
        f"graph: {1000 * each:.2f} ms a query, recall@10 {np.mean(same):.3f};"
        f" exact in the same rows {1000 * exact:.2f} ms"
    )


if __name__ == "__main__":
    main()
