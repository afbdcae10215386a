"""Make a large log of events, to measure speed and memory on.

    python bench/recsys_made.py log.csv                             # 5 million events, 110 MB
    python bench/recsys_made.py log.csv --users 5000 --items 2000 --events 200000

Columns user, item, time (unix seconds of one year); a user after the other, each one's events
oldest first, no item twice for a user. What items are popular follows Zipf's law; how much users
do is log-normal; four events in five are of the user's few tastes, the others of what is popular
with everybody. It is written while it is made: memory does not grow with users or events. The same
seed and sizes give the same bytes.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

TASTES = 100
OWN_SHARE = 0.8
FEWEST = 5
YEAR_START = 1735689600  # 2025-01-01, UTC
YEAR_S = 365 * 86400


class Market:
    """Items that lie taste by taste on a line, each as long as it is popular."""

    def __init__(self, items: int, random: np.random.Generator):
        self.random = random
        taste = np.sort(random.integers(TASTES, size=items))
        self.ends = np.cumsum(1.0 / (1.0 + random.permutation(items)))
        edges = np.concatenate([[0.0], self.ends])
        # Where on the line a taste begins and ends; those without any item are left out.
        bounds = edges[np.searchsorted(taste, np.arange(TASTES + 1))]
        self.tastes = [pair for pair in itertools.pairwise(bounds) if pair[1] > pair[0]]

    def user(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """One user's items, all different, and times, oldest first: ``(count,)`` each."""
        random = self.random
        liked = random.choice(len(self.tastes), size=min(random.integers(1, 5), len(self.tastes)))
        bounds = np.array([self.tastes[taste] for taste in liked])
        share = random.dirichlet(np.ones(len(liked)))
        found: dict[int, None] = {}
        draws = 2 * count
        while len(found) < count:
            place = bounds[random.choice(len(liked), size=draws, p=share)]
            # A taste may hold fewer items than are wanted: each round asks more of everybody.
            place[random.random(draws) >= OWN_SHARE] = (0.0, self.ends[-1])
            point = random.uniform(place[:, 0], place[:, 1])
            found |= dict.fromkeys(np.searchsorted(self.ends, point, side="right").tolist())
            draws *= 2
        times = np.sort(random.integers(YEAR_S, size=count)) + YEAR_START
        return np.array(list(found)[:count]), times


def made_lines(users: int, items: int, events: int, *, seed: int) -> Iterator[str]:
    """The lines of the log, without its header; about as many as are asked for."""
    random = np.random.default_rng(seed)
    market = Market(items, random)
    activity = random.lognormal(sigma=1.0, size=users)
    counts = FEWEST + activity / activity.sum() * max(0, events - FEWEST * users)
    for user, count in enumerate(np.clip(np.rint(counts), FEWEST, items // 4).astype(int), 1):
        for item, time in zip(*market.user(count), strict=True):
            yield f"u{user},i{item + 1},{time}\n"


def main() -> None:
    """Write the log and print what was written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("log", type=Path)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    if told.items < 4 * FEWEST:
        parser.error(f"--items: at least {4 * FEWEST}")
    written = 0
    with told.log.open("w", encoding="utf-8", newline="") as file:
        file.write("user,item,time\n")
        for line in made_lines(told.users, told.items, told.events, seed=told.seed):
            file.write(line)
            written += 1
    facts = {"log": str(told.log), "users": told.users, "items": told.items, "events": written}
    print(json.dumps(facts | {"bytes": told.log.stat().st_size}))


if __name__ == "__main__":
    main()
