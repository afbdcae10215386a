"""Write the sample pictures: metal surfaces and parts as a camera above a belt would see them.

Run ``python sample_data/make_pictures.py`` to write the files again (with OpenCV 5.0.0; another
version may compress a little differently). Everything on them is drawn by this script.

    surfaces.zip          a folder per class: ok, scratch, dent          (to classify)
    surfaces_new.zip      pictures alone                                 (to predict)
    surfaces_update.zip   another light, and a new class: stain          (to update with)
    parts.zip             nuts, bolts and washers, boxes in boxes.json   (COCO; to detect)
    parts_new.zip         pictures alone
    parts_update.zip      as parts.zip, another light, and a new class: clip
    coatings.zip          images/, masks/, classes.txt                   (to segment)
    coatings_new.zip      pictures alone
    coatings_update.zip   as coatings.zip, another light
    castings.zip          rows.jsonl: finish, fittings and damage, each row with some of them
    castings_new.zip      rows.jsonl: pictures alone
    castings_update.zip   as castings.zip, another light
    wear.zip              wear.csv: how much of each surface is damaged  (to score)
    wear_new.zip          pictures alone
    wear_update.zip       as wear.zip, another light
    steel.zip             surfaces that nobody sorted                    (to pretrain on)
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).parent
FINER = 4  # everything is drawn so many times as large
JPEG_QUALITY = 85
FINISHES = ("brushed", "blasted", "turned")
DAMAGE = ("background", "scratch", "stain")
PARTS = ("bolt", "nut", "washer")
FITTINGS = ("hole", "stud")

Image = np.ndarray


@dataclass(frozen=True)
class Light:
    """How bright it is, and of what colour."""

    level: float = 1.0
    red: float = 1.0
    blue: float = 1.0

    def on(self, grey: Image) -> Image:
        """(h, w) in [0, 1] -> (h, w, 3) uint8 RGB."""
        colour = np.array([self.red, 1.0, self.blue]) * self.level
        return np.clip(grey[..., None] * colour * 255, 0, 255).astype(np.uint8)


USUAL, LATER = Light(), Light(level=0.85, red=1.08, blue=0.9)


class Painter:
    """Draws surfaces and what lies on them, each time a little different."""

    def __init__(self, seed: int, height: int, width: int):
        self.random = np.random.default_rng(seed)
        self.size = (height * FINER, width * FINER)

    def surface(self, finish: str = "brushed") -> Image:
        """A plate of metal, (h, w) float32 in [0, 1]."""
        height, width = self.size
        noise = self.random.normal(0, 1, self.size).astype(np.float32)
        if finish == "brushed":
            grain = cv2.GaussianBlur(noise, (0, 0), sigmaX=14 * FINER, sigmaY=0.5 * FINER)
        elif finish == "blasted":
            grain = cv2.GaussianBlur(noise, (0, 0), 0.8 * FINER)
        else:
            y, x = np.mgrid[:height, :width].astype(np.float32)
            middle_x, middle_y = self.random.uniform(-0.3, 1.3, 2) * [width, height]
            radius = np.hypot(x - middle_x, y - middle_y) / (4.5 * FINER)
            grain = np.sin(2 * np.pi * radius + self.random.uniform(0, 6))
        grain *= 0.05 / grain.std()
        slope = self.random.uniform(-0.12, 0.12, 2)
        shade = np.add.outer(
            np.linspace(-slope[0], slope[0], height), np.linspace(-slope[1], slope[1], width)
        )
        return (self.random.uniform(0.45, 0.6) + shade + grain).astype(np.float32)

    def scratch(self) -> Image:
        """Where a scratch is, (h, w) float32 from 0 to 1."""
        shape = np.zeros(self.size, np.float32)
        height, width = self.size
        start = self.random.uniform(0.15, 0.85, 2) * [width, height]
        angle = self.random.uniform(0, np.pi)
        length = self.random.uniform(0.35, 0.7) * width
        steps = np.linspace(-0.5, 0.5, 12) * length
        bend = self.random.uniform(-0.15, 0.15) * length * (2 * steps / length) ** 2
        points = np.stack(
            [
                start[0] + steps * math.cos(angle) - bend * math.sin(angle),
                start[1] + steps * math.sin(angle) + bend * math.cos(angle),
            ],
            axis=1,
        )
        thick = round(self.random.uniform(1.6, 2.6) * FINER)
        cv2.polylines(shape, [np.round(points).astype(np.int32)], False, 1.0, thick, cv2.LINE_AA)
        return shape

    def stain(self) -> Image:
        """Where a stain is, (h, w) float32 from 0 to 1: a few blots that run together."""
        shape = np.zeros(self.size, np.float32)
        height, width = self.size
        middle = self.random.uniform(0.2, 0.8, 2) * [width, height]
        for _ in range(5):
            place = middle + self.random.normal(0, 0.08, 2) * width
            axes = self.random.uniform(0.05, 0.13, 2) * width
            cv2.ellipse(
                shape,
                tuple(np.round(place).astype(int).tolist()),
                tuple(np.round(axes).astype(int).tolist()),
                float(self.random.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA,
            )  # fmt: skip
        return shape

    def dent(self) -> Image:
        """How light falls into a dent, (h, w) float32 around 0: one side dark, the other bright."""
        height, width = self.size
        y, x = np.mgrid[:height, :width].astype(np.float32)
        middle_x, middle_y = self.random.uniform(0.25, 0.75, 2) * [width, height]
        radius = self.random.uniform(0.1, 0.2) * width
        across, down = (x - middle_x) / radius, (y - middle_y) / radius
        return (across + down) * np.exp(-(across**2) - down**2)

    def damaged(self, surface: Image, damage: str, shape: Image) -> Image:
        """The surface with a scratch, which glints or is dark, or with a dull stain."""
        if damage == "scratch":
            return surface + shape * self.random.choice([-0.3, 0.35])
        dull = cv2.GaussianBlur(surface, (0, 0), 2 * FINER)
        return surface * (1 - shape) + shape * (dull * self.random.uniform(0.62, 0.74))

    def part(self, kind: str, side: float) -> tuple[Image, Image]:
        """A part in the middle of a picture of its own: its grey levels, and where it is."""
        across = int(side * FINER * 1.6)
        grey, inside = (
            np.zeros((across, across), np.float32),
            np.zeros((across, across), np.float32),
        )
        middle, radius = across // 2, side * FINER / 2
        turn = self.random.uniform(0, 2 * np.pi)

        def ring(corners: int, outer: float, inner: float) -> None:
            angles = turn + np.arange(corners) * 2 * np.pi / corners
            points = middle + outer * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            cv2.fillPoly(inside, [np.round(points).astype(np.int32)], 1.0, cv2.LINE_AA)
            cv2.circle(inside, (middle, middle), round(inner), 0.0, -1, cv2.LINE_AA)

        if kind == "nut":
            ring(6, radius, 0.42 * radius)
        elif kind == "washer":
            ring(60, radius, 0.6 * radius)
        elif kind == "clip":
            ring(3, radius, 0.3 * radius)
        else:
            along = np.array([math.cos(turn), math.sin(turn)])
            head, tip = middle - 0.8 * radius * along, middle + 0.95 * radius * along
            ends = [tuple(np.round(end).astype(int).tolist()) for end in (head, tip)]
            cv2.line(inside, *ends, 1.0, max(2, round(0.38 * radius)), cv2.LINE_AA)
            cv2.circle(inside, ends[0], round(0.42 * radius), 1.0, -1, cv2.LINE_AA)
        height = cv2.GaussianBlur(inside, (0, 0), FINER)
        light = np.gradient(height, axis=0) + np.gradient(height, axis=1)
        grey[:] = self.random.uniform(0.68, 0.85) - 1.2 * light
        return grey, inside

    def smaller(self, picture: Image) -> Image:
        """What the camera sees of what was drawn."""
        height, width = (side // FINER for side in self.size)
        return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


class Archive:
    """A ZIP file whose members are written in order, all at the same moment."""

    def __init__(self, name: str):
        self._zip = zipfile.ZipFile(HERE / name, "w")

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    def add(self, name: str, content: bytes, *, packed: bool = False) -> None:
        info = zipfile.ZipInfo(name)  # of 1980
        how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        self._zip.writestr(info, content, how, 9 if packed else None)

    def add_picture(self, name: str, picture: Image) -> None:
        """A JPEG of (h, w, 3) uint8 RGB."""
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        _, data = cv2.imencode(".jpg", picture[..., ::-1], options)
        self.add(name, data.tobytes())

    def add_mask(self, name: str, mask: Image) -> None:
        """A PNG of (h, w) uint8 class numbers."""
        _, data = cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        self.add(name, data.tobytes())

    def add_lines(self, name: str, rows: list[dict]) -> None:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        self.add(name, text.encode(), packed=True)


def draw_surface(painter: Painter, label: str, light: Light) -> Image:
    """A surface of one class."""
    surface = painter.surface()
    if label == "dent":
        surface = surface + 0.45 * painter.dent()
    elif label != "ok":
        shape = painter.scratch() if label == "scratch" else painter.stain()
        surface = painter.damaged(surface, label, shape)
    return light.on(painter.smaller(surface))


def write_surfaces(name: str, counts: Mapping[str, int], *, seed: int, light: Light) -> None:
    """A folder per class, or the pictures alone where the class is not to be told."""
    painter = Painter(seed, 48, 48)
    with Archive(f"{name}.zip") as archive:
        for label, count in counts.items():
            for number in range(1, count + 1):
                archive.add_picture(
                    f"{name}/{label}/{number:03}.jpg", draw_surface(painter, label, light)
                )


def write_mixed(name: str, count: int, *, seed: int) -> None:
    """Surfaces of all classes, unsorted."""
    painter = Painter(seed, 48, 48)
    with Archive(f"{name}.zip") as archive:
        for number in range(1, count + 1):
            label = str(painter.random.choice(["ok", "scratch", "dent"]))
            archive.add_picture(f"{name}/{number:03}.jpg", draw_surface(painter, label, USUAL))


def draw_parts(painter: Painter, kinds: tuple[str, ...], light: Light) -> tuple[Image, list]:
    """Parts on a belt, and for each its kind and its box x, y, width, height in pixels."""
    height, width = painter.size
    belt = 0.22 + 0.25 * (painter.surface("blasted") - 0.5)
    taken: list[tuple[float, float, float]] = []
    found = []
    for _ in range(int(painter.random.integers(1, 6))):
        kind = str(painter.random.choice(kinds))
        side = painter.random.uniform(18, 30)
        grey, inside = painter.part(kind, side)
        room = inside.shape[0]
        for _ in range(20):
            top = int(painter.random.integers(0, height - room))
            left = int(painter.random.integers(0, width - room))
            apart = (side * FINER * 0.55 + other * FINER * 0.55 for *_, other in taken)
            if all(
                math.hypot(left + room / 2 - x, top + room / 2 - y) > least
                for (x, y, _), least in zip(taken, apart, strict=True)
            ):
                break
        else:
            continue
        taken.append((left + room / 2, top + room / 2, side))
        part = belt[top : top + room, left : left + room]
        part[:] = part * (1 - inside) + grey * inside
        rows, columns = np.flatnonzero(inside.max(axis=1)), np.flatnonzero(inside.max(axis=0))
        box = [left + columns[0], top + rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
        found.append((kind, [round(float(value) / FINER, 2) for value in box]))
    return light.on(painter.smaller(belt)), found


def write_parts(
    name: str, count: int, *, seed: int, light: Light, kinds: tuple[str, ...], told: bool = True
) -> None:
    """Pictures, and their boxes as one COCO file."""
    painter = Painter(seed, 80, 96)
    numbers = {kind: number for number, kind in enumerate(kinds, 1)}
    coco: dict[str, list] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": kind} for kind, number in numbers.items()],
    }
    with Archive(f"{name}.zip") as archive:
        for number in range(1, count + 1):
            picture, parts = draw_parts(painter, kinds, light)
            file = f"images/{number:03}.jpg"
            archive.add_picture(file, picture)
            coco["images"].append({"id": number, "file_name": file, "height": 80, "width": 96})
            for kind, box in parts:
                coco["annotations"].append(
                    {
                        "id": len(coco["annotations"]) + 1,
                        "image_id": number,
                        "category_id": numbers[kind],
                        "bbox": box,
                        "area": round(box[2] * box[3], 2),
                        "iscrowd": 0,
                    }
                )
        if told:
            archive.add("boxes.json", json.dumps(coco).encode(), packed=True)


def draw_damage(painter: Painter, finish: str) -> tuple[Image, Image]:
    """A surface with up to four flaws, (h, w) float32, and the class of each pixel."""
    surface = painter.surface(finish)
    mask = np.zeros(tuple(side // FINER for side in painter.size), np.uint8)
    for _ in range(int(painter.random.integers(0, 5))):
        damage = str(painter.random.choice(DAMAGE[1:]))
        shape = painter.scratch() if damage == "scratch" else painter.stain()
        surface = painter.damaged(surface, damage, shape)
        mask[painter.smaller(shape) > 0.4] = DAMAGE.index(damage)
    return surface, mask


def write_coatings(name: str, count: int, *, seed: int, light: Light, told: bool = True) -> None:
    """Pictures and masks of the same names."""
    painter = Painter(seed, 64, 64)
    with Archive(f"{name}.zip") as archive:
        for number in range(1, count + 1):
            surface, mask = draw_damage(painter, "brushed")
            archive.add_picture(f"images/{number:03}.jpg", light.on(painter.smaller(surface)))
            if told:
                archive.add_mask(f"masks/{number:03}.png", mask)
        if told:
            archive.add("classes.txt", ("\n".join(DAMAGE) + "\n").encode())


def write_wear(name: str, count: int, *, seed: int, light: Light, told: bool = True) -> None:
    """Pictures, and a table that says which percentage of each is damaged."""
    painter = Painter(seed, 48, 48)
    lines = ["picture,damaged_percent"]
    with Archive(f"{name}.zip") as archive:
        for number in range(1, count + 1):
            surface, mask = draw_damage(painter, "brushed")
            file = f"{number:03}.jpg"
            archive.add_picture(file, light.on(painter.smaller(surface)))
            lines.append(f"{file},{100 * float((mask > 0).mean()):.1f}")
        if told:
            archive.add("wear.csv", ("\n".join(lines) + "\n").encode(), packed=True)


def add_fittings(painter: Painter, surface: Image) -> list[dict]:
    """Drill holes and set studs; their boxes in pixels."""
    height, width = painter.size
    found = []
    for _ in range(int(painter.random.integers(0, 4))):
        kind = str(painter.random.choice(FITTINGS))
        radius = float(painter.random.uniform(4, 7)) * FINER
        x, y = painter.random.uniform(radius + 4, [width - radius - 4, height - radius - 4])
        place = (round(x), round(y))
        if kind == "hole":
            cv2.circle(surface, place, round(radius), 0.12, -1, cv2.LINE_AA)
        else:
            cv2.circle(surface, place, round(radius), 0.9, -1, cv2.LINE_AA)
            cv2.circle(surface, place, round(0.55 * radius), 0.7, -1, cv2.LINE_AA)
        box = [(x - radius), (y - radius), (x + radius), (y + radius)]
        found.append({"label": kind, "box": [round(value / FINER, 2) for value in box]})
    return found


def write_castings(name: str, count: int, *, seed: int, light: Light, told: bool = True) -> None:
    """A table of pictures, each row with its finish, its fittings or its damage, or several."""
    painter = Painter(seed, 64, 64)
    rows = []
    with Archive(f"{name}.zip") as archive:
        for number in range(1, count + 1):
            finish = str(painter.random.choice(FINISHES))
            surface, mask = draw_damage(painter, finish)
            fittings = add_fittings(painter, surface)
            file = f"images/{number:03}.jpg"
            archive.add_picture(file, light.on(painter.smaller(surface)))
            row: dict = {"image": file}
            known = painter.random.random(3) < 0.6
            known[painter.random.integers(3)] = True
            if told and known[0]:
                row["label"] = finish
            if told and known[1]:
                row["boxes"] = fittings
            if told and known[2]:
                row["mask"] = f"masks/{number:03}.png"
                archive.add_mask(row["mask"], mask)
            rows.append(row)
        archive.add_lines("rows.jsonl", rows)
        if told:
            archive.add("classes.txt", ("\n".join(DAMAGE) + "\n").encode())


def main() -> None:
    """Write all files."""
    sorted_surfaces = {"ok": 80, "scratch": 80, "dent": 80}
    write_surfaces("surfaces", sorted_surfaces, seed=1, light=USUAL)
    write_mixed("surfaces_new", 24, seed=2)
    write_surfaces(
        "surfaces_update", {"ok": 12, "scratch": 12, "dent": 12, "stain": 12}, seed=3, light=LATER
    )
    write_mixed("steel", 240, seed=4)

    write_parts("parts", 200, seed=5, light=USUAL, kinds=PARTS)
    write_parts("parts_new", 16, seed=6, light=USUAL, kinds=PARTS, told=False)
    write_parts("parts_update", 30, seed=7, light=LATER, kinds=("bolt", "clip", "nut", "washer"))

    makers: dict[str, Callable] = {"coatings": write_coatings, "castings": write_castings}
    for seed, (name, write) in enumerate(makers.items()):
        write(name, 160, seed=10 + 3 * seed, light=USUAL)
        write(f"{name}_new", 16, seed=11 + 3 * seed, light=USUAL, told=False)
        write(f"{name}_update", 24, seed=12 + 3 * seed, light=LATER)

    write_wear("wear", 160, seed=20, light=USUAL)
    write_wear("wear_new", 16, seed=21, light=USUAL, told=False)
    write_wear("wear_update", 24, seed=22, light=LATER)


if __name__ == "__main__":
    main()
