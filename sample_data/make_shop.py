"""Write the sample log of a small shop: who took what and when, what it is, how it was liked.

Run ``python sample_data/make_shop.py`` to write the files again; the same script gives the same
bytes. Everything in them is made up: no customer, product or shop exists.

    shop_events.csv          user, item, rating, time       (a year; unix seconds)
    shop_events_new.csv      user, history                  (to recommend to: one of the two a row)
    shop_events_update.csv   user, item, rating, time       (a month later: new users, new items)
    shop_ratings.csv         user, item, rating, time       (those events that were reviewed)
    shop_ratings_new.csv     user, item                     (whose rating is to be predicted)
    shop_ratings_update.csv  user, item, rating, time       (reviews of the month later)
    shop_items.csv           item, title, tags, price       (the catalogue)
    shop_visits.txt          item ids in order, a visit a line, of unknown people (to pretrain on)

A user cares for two or three departments and for one way of making things, and walks from a thing
to what is needed next; ratings follow the same taste, the thing's quality and the user's mildness.
"""

from __future__ import annotations

import csv
import itertools
import math
import random
from dataclasses import dataclass
from pathlib import Path

from goods import DEPARTMENTS, LATER, STYLES, UNSOLD

HERE = Path(__file__).parent
USERS = 240
NEW_USERS = 15
YEAR_START = 1735689600  # 2025-01-01, UTC
DAY_S = 86400
YEAR_S = 365 * DAY_S
MONTH_S = 31 * DAY_S


@dataclass(frozen=True)
class Item:
    """A thing on the shelf, and what nobody sees of it."""

    id: str
    title: str
    department: str
    style: str
    price: float
    appeal: float
    quality: float

    def record(self) -> dict[str, str]:
        """The catalogue's row."""
        tags = f"{self.department}|{DEPARTMENTS[self.department].tags}|{self.style}"
        return {"item": self.id, "title": self.title, "tags": tags, "price": f"{self.price:.2f}"}


@dataclass(frozen=True)
class User:
    """A customer's taste."""

    id: str
    departments: dict[str, float]
    style: str
    mildness: float
    visits: int


class Shop:
    """Stocks the shelves, lets people in and writes down what they do."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.shelves: dict[str, list[Item]] = {name: [] for name in DEPARTMENTS}
        self.ids = (f"p{number:03}" for number in itertools.count(1))
        for name, department in DEPARTMENTS.items():
            for noun in department.goods.split("|"):
                self.stock(name, noun)

    def stock(self, department: str, noun: str, appeal: float | None = None) -> None:
        """Put one more thing on a shelf; the styles take turns."""
        shelf = self.shelves[department]
        language = DEPARTMENTS[department].language
        style = list(STYLES)[len(shelf) % len(STYLES)]
        dearer, words = STYLES[style]
        word = self.random.choice(words[language].split("|"))
        shelf.append(
            Item(
                id=next(self.ids),
                title=f"{word.capitalize()} {noun}" if language == "en" else f"{word}{noun}",
                department=department,
                style=style,
                price=round(
                    DEPARTMENTS[department].usual_price * dearer * self.random.uniform(0.5, 1.8), 1
                ),
                appeal=appeal or math.exp(self.random.gauss(0.0, 0.7)),
                quality=self.random.gauss(0.0, 0.5),
            )
        )

    def catalogue(self) -> list[Item]:
        """All things, by id."""
        return sorted((item for shelf in self.shelves.values() for item in shelf), key=_id)

    def user(self, name: str) -> User:
        """Somebody new."""
        cares_for = self.random.sample(list(DEPARTMENTS), self.random.choice((2, 2, 3)))
        return User(
            id=name,
            departments={department: self.random.uniform(0.5, 2.0) for department in cares_for},
            style=self.random.choice(list(STYLES)),
            mildness=self.random.gauss(0.0, 0.4),
            visits=min(24, 3 + int(self.random.expovariate(1 / 5))),
        )

    def visit(self, user: User, had: set[str]) -> list[Item]:
        """What is taken in one visit, in order; nothing that the user has had before."""
        stray = self.random.random() < 0.1
        names, weights = zip(*user.departments.items(), strict=True)
        department = (
            self.random.choice(list(DEPARTMENTS))
            if stray
            else self.random.choices(names, weights=weights)[0]
        )
        shelf = self.shelves[department]
        taken: list[Item] = []
        for _ in range(self.random.choice((1, 2, 3, 3, 4))):
            left = [item for item in shelf if item.id not in had]
            if not left:
                break
            following = shelf[(shelf.index(taken[-1]) + 1) % len(shelf)] if taken else None
            if following in left and self.random.random() < 0.5:
                item = following
            else:
                wanted = [item.appeal * (3.0 if item.style == user.style else 1.0) for item in left]
                item = self.random.choices(left, weights=wanted)[0]
            taken.append(item)
            had.add(item.id)
        return taken

    def rating(self, user: User, item: Item) -> int:
        """1 to 5: how the user likes the thing."""
        liking = 3.1 + user.mildness + item.quality
        liking += 0.6 if item.department in user.departments else -1.0
        liking += 0.7 if item.style == user.style else -0.3
        return min(5, max(1, round(liking + self.random.gauss(0.0, 0.4))))

    def events(
        self, user: User, had: set[str], *, start: int, length_s: int, visits: int
    ) -> list[dict[str, str | int]]:
        """A user's rows within a time, oldest first."""
        rows: list[dict[str, str | int]] = []
        for moment in sorted(self.random.randrange(length_s) for _ in range(visits)):
            time = start + moment
            for item in self.visit(user, had):
                rating = self.rating(user, item)
                rows.append({"user": user.id, "item": item.id, "rating": rating, "time": time})
                time += self.random.randrange(20, 600)
        return rows


def _id(item: Item) -> str:
    return item.id


def _by_time(row: dict[str, str | int]) -> tuple[int, str]:
    return int(row["time"]), str(row["user"])


def write_csv(name: str, rows: list[dict]) -> None:
    """Write rows with the columns of the first one."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Write all files."""
    shop = Shop(seed=11)
    users = [shop.user(f"u{number:03}") for number in range(1, USERS + 1)]
    had: dict[str, set[str]] = {user.id: set() for user in users}
    log = [
        row
        for user in users
        for row in shop.events(
            user, had[user.id], start=YEAR_START, length_s=YEAR_S, visits=user.visits
        )
    ]
    log.sort(key=_by_time)
    write_csv("shop_events.csv", log)
    reviews = [row for row in log if shop.random.random() < 0.8]
    write_csv("shop_ratings.csv", reviews)

    unsold = [
        {"item": next(shop.ids), "title": title, "tags": tags, "price": f"{price:.2f}"}
        for title, tags, price in UNSOLD
    ]
    write_csv("shop_items.csv", [item.record() for item in shop.catalogue()] + unsold)

    asked = sorted(shop.random.sample(users, 24), key=lambda user: user.id)
    new = [{"user": user.id, "history": ""} for user in asked]
    for _ in range(8):
        taken = shop.visit(stranger := shop.user(""), seen := set()) + shop.visit(stranger, seen)
        new.append({"user": "", "history": " ".join(item.id for item in taken)})
    write_csv("shop_events_new.csv", new)
    write_csv(
        "shop_ratings_new.csv",
        [
            {"user": user.id, "item": item.id}
            for user in asked
            for item in shop.random.sample(shop.catalogue(), 2)
            if item.id not in had[user.id]
        ],
    )

    (HERE / "shop_visits.txt").write_text(
        "".join(" ".join(line) + "\n" for line in _visits(shop, 700)), encoding="utf-8"
    )

    # The month after brings things that the catalogue does not know yet.
    for department, noun in LATER:
        shop.stock(department, noun, appeal=5.0)
    later = shop.random.sample(users, 45)
    later += [shop.user(f"u{USERS + number:03}") for number in range(1, NEW_USERS + 1)]
    wave = [
        row
        for user in later
        for row in shop.events(
            user,
            had.setdefault(user.id, set()),
            start=YEAR_START + YEAR_S,
            length_s=MONTH_S,
            visits=3,
        )
    ]
    wave.sort(key=_by_time)
    write_csv("shop_events_update.csv", wave)
    write_csv("shop_ratings_update.csv", [row for row in wave if shop.random.random() < 0.8])


def _visits(shop: Shop, count: int) -> list[list[str]]:
    """Visits of people who gave no name, two shelves at most, three things at least."""
    lines: list[list[str]] = []
    while len(lines) < count:
        stranger, had = shop.user(""), set[str]()
        taken = shop.visit(stranger, had) + shop.visit(stranger, had)
        if len(taken) >= 3:
            lines.append([item.id for item in taken])
    return lines


if __name__ == "__main__":
    main()
