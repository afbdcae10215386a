"""Make items with pictures and texts, and a log of users who like a colour only with a word.

    python bench/recsys_multimodal.py FOLDER

    FOLDER/items.csv             item, text, picture (a path beside the file)
    FOLDER/pictures/             PNG, 32 x 32, one colour under noise
    FOLDER/log/train.csv         user, item, time; of the items that are not cold
    FOLDER/log/valid.csv         of a user two items each that the training rows lack, and two cold
    FOLDER/log/test.csv          likewise; cold items are other ones than in valid.csv

An item has one of six colours, seen in its picture alone, and one of six words, amid filler in
its text. A user likes two pairs of colour and word that have neither in common, say a red "harbour"
and a blue "clock". So red items alone, or "harbour" items, are mostly wrong; and whoever adds up
what the picture and the text say finds a red "clock" as good as a red "harbour". Only both together
tell, and for cold items nothing else does. The line of JSON that is printed gives the recall within
ten, on the test rows, of somebody who knows the tastes: with both, with the picture alone, with the
text alone, and adding the two up. The same seed and sizes give the same log and texts.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

COLOURS = 6
WORDS = ("harbour", "clock", "meadow", "engine", "violin", "pepper")
FILLER = (
    "a new old small large light sturdy simple well made very for with and from our the this "
    "every home day gift piece set box edition season shelf room hand friend year weekend"
).split()
SIDE = 32
NOISE = 18.0
STRAYS = 0.1
START = 1735689600  # 2025-01-01, UTC
HOUR_S = 3600


@dataclass(frozen=True)
class Goods:
    """Every item's colour and word, and which part's cold item it is."""

    colours: np.ndarray  # (items,)
    words: np.ndarray  # (items,)
    cold: np.ndarray  # (items,) 0 = not cold, 1 = of the validation rows, 2 = of the test rows


def make_goods(items: int, *, cold_share: float, random: np.random.Generator) -> Goods:
    """Items of every pair of colour and word, as equal in number as can be."""
    pair = random.permutation(items) % (COLOURS * len(WORDS))
    cold = np.zeros(items, int)
    for own in (np.flatnonzero(pair == each) for each in range(COLOURS * len(WORDS))):
        count = round(cold_share * len(own) / 2)
        cold[own[:count]] = 1
        cold[own[count : 2 * count]] = 2
    return Goods(colours=pair // len(WORDS), words=pair % len(WORDS), cold=cold)


def picture(colour: int, random: np.random.Generator) -> np.ndarray:
    """One colour in some brightness under noise: ``(32, 32, 3)`` uint8, BGR."""
    hue = 180 * colour // COLOURS + random.integers(-5, 6)
    shade = np.array([[[hue % 180, random.integers(150, 256), random.integers(110, 256)]]])
    base = cv2.cvtColor(shade.astype(np.uint8), cv2.COLOR_HSV2BGR).astype(float)
    noisy = base + random.normal(scale=NOISE, size=(SIDE, SIDE, 3))
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def text(word: int, random: np.random.Generator) -> str:
    """Eight words of filler with the one that counts among them."""
    words = random.choice(FILLER, size=8).tolist()
    words.insert(int(random.integers(9)), WORDS[word])
    return " ".join(words)


def write_items(folder: Path, goods: Goods, *, random: np.random.Generator) -> None:
    """Write ``items.csv`` and the pictures."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    with (folder / "items.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["item", "text", "picture"])
        for item, (colour, word) in enumerate(zip(goods.colours, goods.words, strict=True), 1):
            path = f"pictures/i{item}.png"
            cv2.imwrite(str(folder / path), picture(colour, random))
            writer.writerow([f"i{item}", text(word, random), path])


def write_log(
    folder: Path, goods: Goods, *, users: int, history: int, random: np.random.Generator
) -> dict[str, float]:
    """Write the three files of events; the best recall within ten that each view allows."""
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    recalls: dict[str, list[float]] = {"both": [], "picture": [], "text": [], "sum": []}
    for user in range(1, users + 1):
        colours = random.choice(COLOURS, size=2, replace=False)
        words = random.choice(len(WORDS), size=2, replace=False)
        seen_colour = (goods.colours[:, None] == colours).astype(float)  # (items, pairs)
        seen_word = (goods.words[:, None] == words).astype(float)
        liked = (seen_colour * seen_word).max(axis=1)
        warm = random.permutation(np.flatnonzero((liked > 0) & (goods.cold == 0))).tolist()
        strays = np.flatnonzero((liked == 0) & (goods.cold == 0))
        events = {"valid": warm[:2], "test": warm[2:4], "train": warm[4 : 4 + history]}
        events["train"] = [
            int(random.choice(strays)) if random.random() < STRAYS else item
            for item in events["train"]
        ]
        for number, part in enumerate(("valid", "test"), 1):
            cold = np.flatnonzero((liked > 0) & (goods.cold == number))
            events[part] = events[part] + random.permutation(cold)[:2].tolist()
        time = START + int(random.integers(24 * 365)) * HOUR_S
        for part in parts:
            for item in dict.fromkeys(events[part]):
                time += HOUR_S
                parts[part].append(f"u{user},i{item + 1},{time}")
        views = {"both": liked, "picture": seen_colour.max(axis=1), "text": seen_word.max(axis=1)}
        views["sum"] = (seen_colour + seen_word).sum(axis=1)
        known = events["train"] + events["valid"]
        for name, scores in views.items():
            shuffled = scores + random.uniform(high=1e-6, size=len(scores))
            shuffled[known] = -1.0
            best = np.argsort(-shuffled)[:10]
            recalls[name].append(np.isin(events["test"], best).mean())
    for part, lines in parts.items():
        whole = "\n".join(["user,item,time", *lines]) + "\n"
        (folder / f"{part}.csv").write_text(whole, encoding="utf-8")
    return {name: round(float(np.mean(values)), 4) for name, values in recalls.items()}


def main() -> None:
    """Write everything and print what it holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--items", type=int, default=540)
    parser.add_argument("--users", type=int, default=800)
    parser.add_argument("--history", type=int, default=8, help="training events a user")
    parser.add_argument("--cold-share", type=float, default=0.3, help="of items without training")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    random = np.random.default_rng(told.seed)
    goods = make_goods(told.items, cold_share=told.cold_share, random=random)
    write_items(told.folder, goods, random=random)
    best = write_log(
        told.folder / "log", goods, users=told.users, history=told.history, random=random
    )
    facts = {"items": told.items, "cold": int((goods.cold > 0).sum()), "users": told.users}
    print(json.dumps(facts | {"best_recall_at_10": best}))


if __name__ == "__main__":
    main()
