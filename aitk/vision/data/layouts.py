"""Layouts of file trees: which files are images, and where their annotations are."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal
from aitk.core.io.images import encode_jpeg
from aitk.core.io.names import split_named
from aitk.core.io.tables import Table
from aitk.vision.data.folder_labels import find_split_folders, labels_by_folder, split_of
from aitk.vision.data.formats import coco
from aitk.vision.data.formats.annotation_files import find_annotation_files, read_named
from aitk.vision.data.formats.coco import CocoFile
from aitk.vision.data.formats.idx_files import find_idx, read_idx
from aitk.vision.data.formats.voc import listed_splits
from aitk.vision.data.formats.yolo_splits import find_yolo_splits
from aitk.vision.data.image_finder import split_of_folders, split_of_root
from aitk.vision.data.items import Item
from aitk.vision.data.read_request import MISSING, ReadRequest
from aitk.vision.data.reading_counts import (
    LISTED_MISSING,
    NAMED_TWICE,
    OUTSIDE_SPLITS,
    REFUSED_MEMBERS,
    UNLISTED,
    UNNAMED_IMAGES,
    ReadingCounts,
    count_links,
    count_passed_over,
    kinds_of,
)
from aitk.vision.data.sidecar_files import (
    BOX_FOLDERS,
    IMAGE_SUFFIXES,
    Place,
    find_boxes,
    find_images,
    find_masks,
    is_image,
    pair,
    place_of,
)
from aitk.vision.data.sidecars import Boxes, Masks
from aitk.vision.data.tables import MAX_BYTES as MAX_TABLE_BYTES
from aitk.vision.data.tables import is_table, names_images, open_images, read_table
from aitk.vision.data.trees import Folder, Members, Tree
from aitk.vision.data.video import is_video, read_frames


def read_tree(tree: Tree, request: ReadRequest) -> Iterator[Item | Refusal]:
    """The images of a folder or archive, in the layout detected from its files.

    Raises:
        DataError: it has nothing to read, or an annotation file is unreadable.
    """
    if isinstance(tree, Members):
        for name, reason in tree.refused.items():
            if is_image(name) or is_video(name):
                yield Refusal(tree.source, 1, f"{name} {reason}")
            else:
                request.counts.add(REFUSED_MEMBERS, f"{name} {reason}")
    named = request.labelled and request.option("annotations")
    if not named and (tables := _tables(tree, request)):
        yield from _read_tables(tables, tree, request)
        if isinstance(tree, Folder):
            count_links(tree, request.counts)
        return
    if files := find_idx(tree):
        classes = request.class_list(tree)
        for name in files:
            yield from read_idx(
                tree,
                name,
                annotation_kinds=request.annotation_kinds,
                labelled=request.labelled,
                classes=classes,
            )
        return
    masks = {} if request.whole_image else find_masks(tree.names)
    images = find_images(tree.names, masks)
    videos = [name for name in tree.names if is_video(name)]
    if not images and not videos:
        kinds = kinds_of(tree.names)
        hint = f"Expected {', '.join(IMAGE_SUFFIXES[:7])} files or videos"
        hint += f"; {kinds} files are not supported" if kinds else ""
        raise DataError("holds no image", where=tree.source, hint=hint)
    if {"boxes", "mask"} & set(request.required_kinds):
        found = find_annotation_files(tree, images, request.option("annotations"), request.counts)
        if found.files:
            yield from _read_coco(found.files, tree, images, masks, request, is_source=True)
            used = [*images, *masks.values(), *found.names]
            count_passed_over(tree, used, request.counts)
            return
        if found.unread and not masks and not pair(find_boxes(tree.names), map(place_of, images)):
            raise found.unread
    yield from _read_files(tree, images, masks, request)
    for name in videos:
        yield from _read_video(tree, name, request)


def _tables(tree: Tree, request: ReadRequest) -> list[tuple[str, Table]]:
    """The tables in a tree that name its images."""
    found = []
    for name in tree.names:
        if not is_table(name) or name.lower().endswith(".parquet"):
            continue
        try:
            content = tree.read(name, max_bytes=MAX_TABLE_BYTES)
            table = open_images(tree.location(name), request.reading, content=content)
        except DataError:  # unrelated or damaged tables are not needed
            continue
        if names_images(table, request.reading, annotation_kinds=request.required_kinds):
            found.append((name, table))
    return found


def _read_tables(
    tables: Sequence[tuple[str, Table]], tree: Tree, request: ReadRequest
) -> Iterator[Item | Refusal]:
    """The images named by tables; other images in the tree are counted."""
    named: set[str] = set()
    for name, table in tables:
        request.note_all(table.notes)
        yield from read_table(
            table,
            tree,
            posixpath.dirname(name),
            request.reading,
            annotation_kinds=request.annotation_kinds,
            labelled=request.labelled,
            split=split_named(posixpath.basename(name)) or split_of(name),
            classes=request.mask_classes(tree),
            named=named,
            counts=request.counts,
        )
    for name in filter(is_image, tree.names):
        if name not in named:
            request.counts.add(UNNAMED_IMAGES, name)


def read_annotation_file(path: Path, request: ReadRequest) -> Iterator[Item | Refusal] | None:
    """The images of an annotation file given as the source; None for other files.

    The images are below its folder, or next to it if that folder is named ``annotations``.
    """
    root = path.parent
    if root.name.lower() in BOX_FOLDERS:
        root = root.parent
    tree = request.folder(root)
    file = read_named(path, tree, lambda: find_images(tree.names, {}), request.counts)
    if file is None:
        return None
    masks = find_masks(tree.names) if "mask" in request.required_kinds else {}
    images = find_images(tree.names, masks)
    split = file.split or split_named(path.resolve().parent.name)
    count_links(tree, request.counts)
    file = dataclasses.replace(file, split=split)
    return _read_coco([file], tree, images, masks, request, is_source=False)


def _read_coco(
    files: Sequence[CocoFile],
    tree: Tree,
    images: Sequence[str],
    masks: Mapping[Place, str],
    request: ReadRequest,
    *,
    is_source: bool,
) -> Iterator[Item | Refusal]:
    """The images of COCO files. Files without outlines are combined with separate masks.

    Args:
        is_source: the user gave the tree, so its unlisted images are counted.
    """
    masks_next_to = Masks(tree, masks, request)
    named: set[str] = set()
    for file in files:
        joined = masks_next_to.found and not coco.tells_outlines(file.content)
        annotation_kinds = (
            set(request.required_kinds) - {"mask"} if joined else request.required_kinds
        )
        found = 0
        for item in coco.read_coco(
            file,
            tree,
            images,
            annotation_kinds=annotation_kinds,
            ignored=request.ignored,
            crowd=request.crowd,
            counts=request.counts,
        ):
            if isinstance(item, Item):
                if item.name in named:
                    request.counts.add(NAMED_TWICE, item.name)
                named.add(item.name)
                mask = masks_next_to.of(place_of(item.name))
                found += mask is not None
                item = dataclasses.replace(item, mask=mask) if joined else item
            yield item
        if found:
            what = "added to it" if joined else "ignored, because it has outlines of its own"
            request.note(f"{file.where}: {found:,} masks next to the images {what}")
    if is_source:
        for name in sorted(set(images) - named):
            request.counts.add(UNNAMED_IMAGES, name)


def _read_files(
    tree: Tree, images: Sequence[str], masks: Mapping[Place, str], request: ReadRequest
) -> Iterator[Item | Refusal]:
    """Images with annotation files of the same name, labelled by folder."""
    annotation_kinds = request.required_kinds
    places = [place_of(name) for name in images]
    boxes = Boxes(tree, places, request) if "boxes" in annotation_kinds else None
    outlines = boxes or (Boxes(tree, places, request) if "mask" in annotation_kinds else None)
    ids = (
        _image_ids(tree, images, request.counts)
        if "boxes" in request.annotation_kinds and not annotation_kinds
        else {}
    )
    masks_next_to = Masks(tree, masks, request)
    annotated = any(name.lower().endswith(".xml") for name in tree.names)
    lists = (
        listed_splits(tree, segmentation="boxes" not in annotation_kinds)
        if masks or masks_next_to.found or annotated
        else {}
    )
    named = find_yolo_splits(tree, images) if outlines and not lists else {}
    folders = find_split_folders(images)
    label_of = (
        labels_by_folder(tree, images, folders, mixed=len(request.annotation_kinds) > 1)
        if "label" in annotation_kinds
        else None
    )
    for name, place in zip(images, places, strict=True):
        file, line = tree.where(name)
        split = lists.get(place[1])
        if lists and split is None:
            request.counts.add(UNLISTED, name)
            continue
        if set(annotation_kinds) == {"label"} and folders.passes_over(name):
            request.counts.add(OUTSIDE_SPLITS, name)
            continue
        size = found = mask = None
        try:
            if boxes is not None:
                found, size = boxes.of(place)
            if "mask" in annotation_kinds:
                mask = masks_next_to.of(place)
                if mask is None and outlines is not None:
                    mask = outlines.mask_of(place)
        except DataError as error:
            yield Refusal(file, line, f"{posixpath.basename(name)}: {error.line}")
            continue
        yield Item(
            image=lambda name=name: tree.read(name),  # type: ignore[misc]
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
    used = [*images, *masks.values(), *(outlines.used if outlines else ())]
    count_passed_over(tree, used, request.counts)
    if outlines:
        outlines.count_orphans()
    if lists:
        here = {place[1] for place in places}
        for listed in sorted(set(lists) - here):
            request.counts.add(LISTED_MISSING, listed)


def _image_ids(tree: Tree, images: Sequence[str], counts: ReadingCounts) -> dict[str, coco.Id]:
    """The ids of images from the COCO files in a tree."""
    ids: dict[str, coco.Id] = {}
    for name in tree.names:
        if name.lower().endswith(".json"):
            parsed = coco.parse_coco(tree.read(name, max_bytes=coco.MAX_BYTES), tree.location(name))
            if parsed is not None:
                file = CocoFile(name, name, split_of_folders(name), parsed)
                counts.add_categories(coco.category_ids(file))
                ids |= coco.image_ids(file, images)
    return ids


def _read_video(tree: Tree, name: str, request: ReadRequest) -> Iterator[Item | Refusal]:
    """The frames of a video, labelled by its folder."""
    file, line = tree.where(name)
    annotation_kinds = request.required_kinds
    label = None
    if "label" in annotation_kinds:
        folders = find_split_folders([name])
        label = labels_by_folder(tree, [name], folders, mixed=len(request.annotation_kinds) > 1)(
            name
        )
    if annotation_kinds and label is None:
        needed = next(iter(sorted(annotation_kinds)))
        yield Refusal(file, line, f"{posixpath.basename(name)}: {MISSING[needed]}")
        return
    reading = request.reading
    try:
        for number, frame in read_frames(tree, name, every=reading.every, scenes=reading.scenes):
            yield Item(
                image=lambda frame=frame: encode_jpeg(frame),  # type: ignore[misc]
                name=f"{name}#{number}",
                file=file,
                line=number + 1,
                split=split_of(name),
                label=label,
            )
    except DataError as error:
        yield Refusal(file, line, f"{posixpath.basename(name)} {error.what}")
