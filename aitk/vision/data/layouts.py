"""Trees of files: what the pictures in them are, and where what is known of them stands."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal
from aitk.core.io.images import encode_jpeg
from aitk.core.io.split_names import split_named
from aitk.core.io.tables import Table
from aitk.vision.data.folder_labels import find_split_folders, labels_by_folder, split_of
from aitk.vision.data.formats import coco
from aitk.vision.data.formats.annotation_files import find_annotation_files, read_named
from aitk.vision.data.formats.coco import CocoFile
from aitk.vision.data.formats.idx_files import find_idx, read_idx
from aitk.vision.data.formats.voc import listed_splits
from aitk.vision.data.formats.yolo_splits import find_yolo_splits
from aitk.vision.data.ignored_files import count_links, count_passed_over, kinds_of
from aitk.vision.data.image_finder import split_of_folders, split_of_root
from aitk.vision.data.items import Item
from aitk.vision.data.read_request import MISSING, Wish
from aitk.vision.data.reading_counts import (
    BESIDE_SPLITS,
    LISTED_MISSING,
    NAMED_TWICE,
    REFUSED_MEMBERS,
    UNLISTED,
    UNNAMED_PICTURES,
    ReadingCounts,
)
from aitk.vision.data.sidecar_files import (
    BOX_FOLDERS,
    PICTURE_SUFFIXES,
    Place,
    find_boxes,
    find_masks,
    find_pictures,
    is_picture,
    pair,
    place_of,
)
from aitk.vision.data.sidecars import Boxes, Masks
from aitk.vision.data.tables import MOST_BYTES as MOST_TABLE_BYTES
from aitk.vision.data.tables import is_table, names_pictures, open_pictures, read_table
from aitk.vision.data.trees import Folder, Members, Tree
from aitk.vision.data.video import is_video, read_frames


def read_tree(tree: Tree, wish: Wish) -> Iterator[Item | Refusal]:
    """The pictures of a folder or archive, by the layout that its files show.

    Raises:
        DataError: it holds nothing to read, or an annotation file cannot be read.
    """
    if isinstance(tree, Members):
        for name, reason in tree.refused.items():
            if is_picture(name) or is_video(name):
                yield Refusal(tree.source, 1, f"{name} {reason}")
            else:
                wish.counts.add(REFUSED_MEMBERS, f"{name} {reason}")
    named = wish.labelled and wish.told("annotations")
    if not named and (tables := _tables(tree, wish)):
        yield from _read_tables(tables, tree, wish)
        if isinstance(tree, Folder):
            count_links(tree, wish.counts)
        return
    if files := find_idx(tree):
        classes = wish.class_list(tree)
        for name in files:
            yield from read_idx(
                tree, name, wants=wish.wants, labelled=wish.labelled, classes=classes
            )
        return
    masks = {} if set(wish.wants) == {"label"} else find_masks(tree.names)
    pictures = find_pictures(tree.names, masks)
    videos = [name for name in tree.names if is_video(name)]
    if not pictures and not videos:
        kinds = kinds_of(tree.names)
        hint = f"It should hold {', '.join(PICTURE_SUFFIXES[:7])} files or videos"
        hint += f"; {kinds} files are not read" if kinds else ""
        raise DataError("no picture here", where=tree.source, hint=hint)
    if {"boxes", "mask"} & set(wish.due):
        found = find_annotation_files(tree, pictures, wish.told("annotations"), wish.counts)
        if found.files:
            yield from _read_coco(found.files, tree, pictures, masks, wish, is_source=True)
            used = [*pictures, *masks.values(), *found.names]
            count_passed_over(tree, used, wish.counts)
            return
        if found.unread and not masks and not pair(find_boxes(tree.names), map(place_of, pictures)):
            raise found.unread
    yield from _read_files(tree, pictures, masks, wish)
    for name in videos:
        yield from _read_video(tree, name, wish)


def _tables(tree: Tree, wish: Wish) -> list[tuple[str, Table]]:
    """The tables in a tree that name pictures of it."""
    found = []
    for name in tree.names:
        if not is_table(name) or name.lower().endswith(".parquet"):
            continue
        try:
            content = tree.read(name, most=MOST_TABLE_BYTES)
            table = open_pictures(tree.location(name), wish.reading, content=content)
        except DataError:  # a table of something else, or damaged: the pictures may do without it
            continue
        if names_pictures(table, wish.reading, wants=wish.due):
            found.append((name, table))
    return found


def _read_tables(
    tables: Sequence[tuple[str, Table]], tree: Tree, wish: Wish
) -> Iterator[Item | Refusal]:
    """The pictures that tables name, and how many others lie in their tree."""
    named: set[str] = set()
    for name, table in tables:
        wish.notes.extend(note for note in table.notes if note not in wish.notes)
        yield from read_table(
            table,
            tree,
            posixpath.dirname(name),
            wish.reading,
            wants=wish.wants,
            labelled=wish.labelled,
            split=split_named(posixpath.basename(name)) or split_of(name),
            classes=wish.mask_classes(tree),
            named=named,
            counts=wish.counts,
        )
    for name in filter(is_picture, tree.names):
        if name not in named:
            wish.counts.add(UNNAMED_PICTURES, name)


def read_annotation_file(path: Path, wish: Wish) -> Iterator[Item | Refusal] | None:
    """The pictures of an annotation file that is itself the source; None where it is none.

    They lie below its folder, or beside it where the folder is named ``annotations``.
    """
    root = path.parent
    if root.name.lower() in BOX_FOLDERS:
        root = root.parent
    tree = wish.folder(root)
    file = read_named(path, tree, lambda: find_pictures(tree.names, {}), wish.counts)
    if file is None:
        return None
    masks = find_masks(tree.names) if "mask" in wish.due else {}
    pictures = find_pictures(tree.names, masks)
    split = file.split or split_named(path.resolve().parent.name)
    count_links(tree, wish.counts)
    file = dataclasses.replace(file, split=split)
    return _read_coco([file], tree, pictures, masks, wish, is_source=False)


def _read_coco(
    files: Sequence[CocoFile],
    tree: Tree,
    pictures: Sequence[str],
    masks: Mapping[Place, str],
    wish: Wish,
    *,
    is_source: bool,
) -> Iterator[Item | Refusal]:
    """The pictures that COCO files name; of a file without outlines, with the masks beside them.

    Args:
        is_source: the user named the tree, so that its other pictures are missed.
    """
    beside = Masks(tree, masks, wish)
    named: set[str] = set()
    for file in files:
        joined = beside.found and not coco.tells_outlines(file.content)
        wants = set(wish.due) - {"mask"} if joined else wish.due
        found = 0
        for item in coco.read_coco(
            file,
            tree,
            pictures,
            wants=wants,
            ignored=wish.ignored,
            crowd=wish.crowd,
            counts=wish.counts,
        ):
            if isinstance(item, Item):
                if item.name in named:
                    wish.counts.add(NAMED_TWICE, item.name)
                named.add(item.name)
                mask = beside.of(place_of(item.name))
                found += mask is not None
                item = dataclasses.replace(item, mask=mask) if joined else item
            yield item
        if found:
            what = "joined to it" if joined else "left out, since it tells outlines itself"
            wish.notes.append(f"{file.where}: {found:,} masks beside the pictures {what}")
    if is_source:
        for name in sorted(set(pictures) - named):
            wish.counts.add(UNNAMED_PICTURES, name)


def _read_files(
    tree: Tree, pictures: Sequence[str], masks: Mapping[Place, str], wish: Wish
) -> Iterator[Item | Refusal]:
    """Pictures whose annotations are files of their names, and whose label is their folder."""
    wants = wish.due
    places = [place_of(name) for name in pictures]
    boxes = Boxes(tree, places, wish) if "boxes" in wants else None
    outlines = boxes or (Boxes(tree, places, wish) if "mask" in wants else None)
    ids = _image_ids(tree, pictures, wish.counts) if "boxes" in wish.wants and not wants else {}
    beside = Masks(tree, masks, wish)
    annotated = any(name.lower().endswith(".xml") for name in tree.names)
    lists = (
        listed_splits(tree, segmentation="boxes" not in wants)
        if masks or beside.found or annotated
        else {}
    )
    named = find_yolo_splits(tree, pictures) if outlines and not lists else {}
    folders = find_split_folders(pictures)
    label_of = (
        labels_by_folder(tree, pictures, folders, mixed=len(wish.wants) > 1)
        if "label" in wants
        else None
    )
    for name, place in zip(pictures, places, strict=True):
        file, line = tree.where(name)
        split = lists.get(place[1])
        if lists and split is None:
            wish.counts.add(UNLISTED, name)
            continue
        if set(wants) == {"label"} and folders.passes_over(name):
            wish.counts.add(BESIDE_SPLITS, name)
            continue
        size = found = mask = None
        try:
            if boxes is not None:
                found, size = boxes.of(place)
            if "mask" in wants:
                mask = beside.of(place)
                if mask is None and outlines is not None:
                    mask = outlines.mask_of(place)
        except DataError as error:
            yield Refusal(file, line, f"{posixpath.basename(name)}: {error.line}")
            continue
        yield Item(
            picture=lambda name=name: tree.read(name),  # type: ignore[misc]
            name=name,
            file=file,
            line=line,
            split=split
            or named.get(name)
            or folders.of(name)
            or split_of(name)
            or split_of_root(tree),
            label=label_of(name) if label_of else None,
            boxes=found,
            mask=mask,
            size=size,
            record={"image_id": ids[name]} if name in ids else {},
        )
    used = [*pictures, *masks.values(), *(outlines.used if outlines else ())]
    count_passed_over(tree, used, wish.counts)
    if outlines:
        outlines.count_orphans()
    if lists:
        here = {place[1] for place in places}
        for listed in sorted(set(lists) - here):
            wish.counts.add(LISTED_MISSING, listed)


def _image_ids(tree: Tree, pictures: Sequence[str], counts: ReadingCounts) -> dict[str, coco.Id]:
    """The ids that COCO files in a tree give its pictures."""
    ids: dict[str, coco.Id] = {}
    for name in tree.names:
        if name.lower().endswith(".json"):
            parsed = coco.parse_coco(tree.read(name, most=coco.MOST_BYTES), tree.location(name))
            if parsed is not None:
                file = CocoFile(name, name, split_of_folders(name), parsed)
                counts.add_categories(coco.category_ids(file))
                ids |= coco.image_ids(file, pictures)
    return ids


def _read_video(tree: Tree, name: str, wish: Wish) -> Iterator[Item | Refusal]:
    """The frames of a video, its folder's label theirs."""
    file, line = tree.where(name)
    wants = wish.due
    label = None
    if "label" in wants:
        folders = find_split_folders([name])
        label = labels_by_folder(tree, [name], folders, mixed=len(wish.wants) > 1)(name)
    if wants and label is None:
        needed = next(iter(sorted(wants)))
        yield Refusal(file, line, f"{posixpath.basename(name)}: {MISSING[needed]}")
        return
    reading = wish.reading
    try:
        for number, frame in read_frames(tree, name, every=reading.every, scenes=reading.scenes):
            yield Item(
                picture=lambda frame=frame: encode_jpeg(frame),  # type: ignore[misc]
                name=f"{name}#{number}",
                file=file,
                line=number + 1,
                split=split_of(name),
                label=label,
            )
    except DataError as error:
        yield Refusal(file, line, f"{posixpath.basename(name)} {error.what}")
