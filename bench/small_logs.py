"""Every recommender at its defaults on small logs, beside the most popular items and the averages.

    python bench/small_logs.py OUT                          # logs that are made here
    python bench/small_logs.py OUT --movielens ML100K_INTER # and 300 users of MovieLens-100K
    python bench/small_logs.py OUT --logs flat --models ease,als,popular

Five kinds of log are made, each of a size at which people try a recommender first. A user's taste
is a vector of a few dimensions, an item's character another; what a user takes follows Zipf's law
and, more or less, how well the two agree. How strong the taste is was set before any model was run,
and for no model's sake. In ``weak`` there is next to none: nothing should beat popularity by much
there, and nothing should fall far behind it.

Prints a line for each log and model: NDCG@10 or RMSE on test rows, and how far it is above the
baseline, with the paired 95% interval, as `aitk evaluate` has them.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

YEAR_START, YEAR_S = 1735689600, 365 * 86400
#: Taken apart from the log: the sparsest users have so many events.
FEWEST = 3


@dataclass(frozen=True)
class Kind:
    """What a made log is like.

    Attributes:
        users: how many.
        items: in the catalogue.
        events: about how many in all.
        zipf: exponent of the popularity of items; 0 makes all alike.
        taste: how much the logarithm of an item's odds follows the user's taste.
        noise: standard deviation of a rating that neither user nor item explains.
    """

    users: int
    items: int
    events: int
    zipf: float
    taste: float
    noise: float


KINDS = {
    "filmtrust-like": Kind(1508, 2071, 35_000, 1.3, 1.0, 0.7),
    "dense": Kind(300, 200, 15_000, 0.8, 1.0, 0.8),
    "sparse": Kind(2000, 1000, 16_000, 1.0, 1.5, 0.8),
    "flat": Kind(600, 500, 18_000, 0.3, 1.5, 0.8),
    "weak": Kind(800, 600, 16_000, 1.0, 0.3, 0.9),
}
DIMENSIONS = 6
COMPUTED = ("ease", "slim", "item-knn", "user-knn", "als", "bpr-sgd")
TRAINED = ("bpr", "two-tower", "neumf", "sasrec", "esasrec", "gru4rec", "bert4rec", "dcn", "dlrm")
RATERS = ("biased-mf", "item-knn", "user-knn", "neumf", "dcn")


def make_log(kind: Kind, path: Path, *, seed: int) -> None:
    """Write user, item, rating (.5 to 4 in halves), time."""
    rng = np.random.default_rng(seed)
    users = rng.normal(size=(kind.users, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    items = rng.normal(size=(kind.items, DIMENSIONS))
    popular = -kind.zipf * np.log1p(rng.permutation(kind.items))
    user_means, item_means = rng.normal(0, 0.4, kind.users), rng.normal(0, 0.4, kind.items)
    activity = rng.lognormal(0, 1, kind.users)
    counts = FEWEST + (kind.events - FEWEST * kind.users) * activity / activity.sum()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "rating", "time"])
        for user in range(kind.users):
            liking = items @ users[user]
            # The items with the largest noisy odds are a draw without replacement (Gumbel).
            odds = popular + kind.taste * liking + rng.gumbel(size=kind.items)
            count = min(int(rng.poisson(counts[user] - FEWEST) + FEWEST), kind.items // 2)
            times = np.sort(rng.integers(YEAR_S, size=count)) + YEAR_START
            for item, time in zip(rng.permutation(np.argsort(-odds)[:count]), times, strict=True):
                rating = 2.8 + user_means[user] + item_means[item] + 0.4 * liking[item]
                rating = np.clip(round(2 * (rating + rng.normal(0, kind.noise))) / 2, 0.5, 4.0)
                writer.writerow([f"u{user}", f"i{item}", rating, time])


def take_users(source: Path, path: Path, *, users: int, seed: int) -> None:
    """Write the events of some users of a RecBole ``.inter`` file."""
    with source.open(encoding="utf-8") as file:
        names = [name.partition(":")[0] for name in file.readline().rstrip("\n").split("\t")]
        rows = [dict(zip(names, line.rstrip("\n").split("\t"), strict=True)) for line in file]
    every = sorted({row["user_id"] for row in rows})
    chosen = set(np.random.default_rng(seed).choice(every, users, replace=False).tolist())
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "rating", "time"])
        writer.writerows(
            [row["user_id"], row["item_id"], row["rating"], row["timestamp"]]
            for row in rows
            if row["user_id"] in chosen
        )


def aitk(*arguments: str) -> dict:
    """Run a command and return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "aitk", *arguments, "--quiet", "--json"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"aitk {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def scores(data: Path, models: list[str], metric: str, out: Path) -> Iterator[str]:
    """Train and evaluate each model at its defaults; a line each."""
    for model in models:
        run = out / model
        if not run.exists():
            aitk("recsys", "finetune", str(data), "--model", model, "--out", str(run))
        found = aitk("recsys", "evaluate", str(run))
        score, baseline = found["metrics"][metric]["value"], found["baselines"][-1]
        gain = baseline["gain"]
        yield (
            f"| {data.parent.name} | `{model}` | {score:.4f} | {baseline['value']:.4f} |"
            f" {gain['value']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}] |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--movielens", type=Path)
    parser.add_argument("--logs", default=",".join(KINDS))
    parser.add_argument("--models", default=",".join([*COMPUTED, *TRAINED]))
    parser.add_argument("--raters", default=",".join(RATERS))
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    logs = {}
    for name in filter(None, asked.logs.split(",")):
        logs[name] = asked.out / name / "log.csv"
        logs[name].parent.mkdir(parents=True, exist_ok=True)
        make_log(KINDS[name], logs[name], seed=asked.seed)
    if asked.movielens:
        path = asked.out / "movielens-300-users" / "log.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        take_users(asked.movielens, path, users=300, seed=asked.seed)
        logs[path.parent.name] = path
    for task, metric, models in (
        ("recommend", "ndcg@10", asked.models),
        ("rate", "rmse", asked.raters),
    ):
        if not models:
            continue
        print(f"| log | model | {metric} | baseline | gain per user |\n|---|---|---|---|---|")
        for path in logs.values():
            data = path.parent / task
            if not data.exists():
                aitk("recsys", "prepare", str(path), "--task", task, "--out", str(data))
            for line in scores(data, models.split(","), metric, path.parent / f"{task}-runs"):
                print(line, flush=True)


if __name__ == "__main__":
    main()
