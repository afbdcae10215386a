"""Write the sample rows of text regression: short reviews in English and Chinese with their stars.

Run ``python sample_data/make_ratings.py`` to write the files again; the same script gives the same
bytes. Everything in them is made up. A review's stars follow from what it says of the goods, of
the delivery and of the price.

    ratings.csv         id, text, stars
    ratings_new.csv     id, text          (to predict)
    ratings_update.csv  as ratings.csv, of other words   (to update with)
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

HERE = Path(__file__).parent
#: Language -> what is said of each subject, by the points that it gives.
SAID = {
    "en": (
        {-1: ["It broke after a week.", "The stitching came apart."], 0: ["It does its job.",
         "The size is as described."], 1: ["I love it.", "The quality is excellent."]},
        {-1: ["The parcel was two weeks late."], 0: ["It came on Tuesday."], 1: ["Fast delivery!"]},
        {-1: ["Far too expensive."], 0: ["An ordinary price."], 1: ["A bargain."]},
    ),
    "zh": (
        {-1: ["用了一周就坏了。"], 0: ["跟描述的一样。"], 1: ["质量非常好,很喜欢。"]},
        {-1: ["快递晚了两个星期。"], 0: ["周二送到的。"], 1: ["送货很快!"]},
        {-1: ["太贵了。"], 0: ["价格一般。"], 1: ["很划算。"]},
    ),
}  # fmt: skip
#: What a later season says of the goods.
LATER = {-1: ["The zip jammed at once."], 0: ["Fits my shelf."], 1: ["Best purchase this year."]}
GOODS = ["shoes", "kettle", "lamp", "backpack", "blanket", "headphones", "desk", "jacket"]
WEIGHTS = (1.0, 0.5, 0.5)  # stars that each subject adds or takes


def write_reviews(count: int, seed: int, *, later: bool = False) -> list[dict[str, str]]:
    """Reviews, no two of them the same."""
    rng = random.Random(seed)
    rows: dict[str, float] = {}
    while len(rows) < count:
        language = rng.choice(("en", "en", "zh"))
        subjects = list(SAID[language])
        if later and language == "en":
            subjects[0] = LATER
        points = [rng.choice((-1, 0, 1)) for _ in subjects]
        said = [rng.choice(each[point]) for each, point in zip(subjects, points, strict=True)]
        order = f"{rng.choice('ABKMRT')}{rng.randint(100, 999)}"
        begin = f"The {rng.choice(GOODS)}, order {order}." if language == "en" else f"订单{order}。"
        rng.shuffle(said)
        stars = 3 + sum(weight * point for weight, point in zip(WEIGHTS, points, strict=True))
        rows[" ".join([begin, *said])] = stars
    return [{"text": text, "stars": f"{stars:g}"} for text, stars in rows.items()]


def write_csv(name: str, rows: list[dict[str, str]]) -> None:
    """Write rows, each with an id."""
    numbered = [{"id": f"r{number:03}"} | row for number, row in enumerate(rows, 1)]
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(numbered[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(numbered)


def main() -> None:
    write_csv("ratings.csv", write_reviews(400, seed=3))
    write_csv("ratings_new.csv", [{"text": row["text"]} for row in write_reviews(12, seed=4)])
    write_csv("ratings_update.csv", write_reviews(60, seed=5, later=True))


if __name__ == "__main__":
    main()
