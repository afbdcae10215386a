"""Matching of files: an image, its boxes and its mask.

They share a name and are in one folder, or in twin folders (``images/train/1.jpg``,
``labels/train/1.txt``; ``train/1.png``, ``trainannot/1.png``), or the mask has a suffix in its
name (``1_mask.png``).
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".jpe", ".jfif",
)  # fmt: skip
#: Unsupported image formats: counted, so that their absence is reported.
UNREAD_SUFFIXES = (
    ".avif", ".heic", ".heif", ".jxl", ".jp2", ".j2k", ".jpx", ".jxr", ".hdr", ".exr", ".pfm",
    ".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".tga", ".pcx", ".ico", ".icns", ".psd", ".xcf",
    ".svg", ".eps", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".dcm",
    ".dicom", ".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".fits", ".czi", ".lif", ".nd2", ".svs",
    ".ndpi", ".npy", ".npz",
)  # fmt: skip
MASK_SUFFIXES = (".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")
#: Lossy formats: masks only if their folder or name indicates so.
LOSSY_SUFFIXES = (".jpg", ".jpeg")
#: Folder names that give the kind of the files in them, not their content.
IMAGE_FOLDERS = frozenset(
    ("image", "images", "img", "imgs", "jpegimages", "picture", "pictures", "photo", "photos")
)
MASK_FOLDERS = frozenset(
    ("mask", "masks", "annot", "label", "labels", "annotation", "annotations", "segmentationclass",
     "segmentation", "groundtruth", "gt", "target", "targets")
)  # fmt: skip
BOX_FOLDERS = frozenset(("annotation", "annotations", "label", "labels", "xml", "xmls", "boxes"))
#: VOC's instance masks, which no task here uses.
OBJECT_FOLDERS = frozenset(("segmentationobject",))
#: Suffixes after the name of an image in its folder.
SIDECAR_SUFFIXES = (
    ".xml", ".txt", "_mask.png", "-mask.png", "_masks.png", "_label.png", "_L.png", "_seg.png",
    "_gt.png", "_mask.bmp", "_mask.gif", "_mask.tif", "_mask.jpg",
)  # fmt: skip
_TWIN = re.compile(r"(.+?)[_-]?(?:annot|annotations?|labels?|masks?)", re.IGNORECASE)
_MASK_NAME = re.compile(r"(.+)[_-](?:masks?|labels?|l|seg|segmentation|gt)", re.IGNORECASE)

Place = tuple[str, str]


def is_image(name: str) -> bool:
    """Whether a file's suffix is that of a supported image format."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def is_unread_image(name: str) -> bool:
    """Whether a file's suffix is that of an unsupported image format."""
    return name.lower().endswith(UNREAD_SUFFIXES)


def name_key(name: str) -> str:
    """A canonical spelling of a name: percent-decoded, composed (NFC), lower case."""
    try:
        plain = unquote(name, errors="strict")
    except UnicodeDecodeError:
        plain = name
    return unicodedata.normalize("NFC", plain).casefold()


def place_of(name: str) -> Place:
    """Folder and name of a file without the parts that give its kind; equal places match."""
    folder, file = posixpath.split(name)
    kinds = IMAGE_FOLDERS | MASK_FOLDERS | BOX_FOLDERS
    parts = []
    for part in folder.split("/") if folder else []:
        if part.lower() not in kinds:
            twin = _TWIN.fullmatch(part)
            parts.append(twin[1] if twin else part)
    return "/".join(parts), posixpath.splitext(file)[0]


def pair(files: Mapping[Place, str], images: Iterable[Place]) -> dict[Place, str]:
    """The place of an image -> its matching file.

    An exact name wins over one that only matches in canonical spelling: tools write
    ``Capture_d%C3%A9cran%201.txt``, and composed or decomposed accents.
    """
    places = set(images)
    paired = {place: name for place, name in files.items() if place in places}
    spelt: dict[Place, list[str]] = {}
    for place, name in files.items():
        if place not in places:
            spelt.setdefault(_spelt(place), []).append(name)
    if spelt:
        for place in places - set(paired):
            found = spelt.get(_spelt(place), ())
            if len(found) == 1:
                paired[place] = found[0]
    return paired


def pair_elsewhere(files: Iterable[str], images: Iterable[Place]) -> dict[Place, str]:
    """The same for files in another folder with a possibly different layout.

    Of several files with one name, the longest common folder suffix wins. Ambiguous files, and
    files that match several images, match none.
    """
    named: dict[str, list[str]] = {}
    for name in files:
        named.setdefault(name_key(place_of(name)[1]), []).append(name)
    chosen: dict[str, list[tuple[int, Place]]] = {}
    for place in set(images):
        found = [(_agreeing(place_of(name)[0], place[0]), name)
                 for name in named.get(name_key(place[1]), ())]  # fmt: skip
        best = [name for agreed, name in found if agreed == max(found)[0]]
        if len(best) == 1:
            chosen.setdefault(best[0], []).append((max(found)[0], place))
    paired: dict[Place, str] = {}
    for name, places in chosen.items():
        most = max(places)[0]
        nearest = [place for agreed, place in places if agreed == most]
        if len(nearest) == 1:
            paired[nearest[0]] = name
    return paired


def _agreeing(left: str, right: str) -> int:
    """The number of trailing folders that two paths share."""
    count = 0
    pairs = zip(reversed(left.split("/")), reversed(right.split("/")), strict=False)
    for mine, other in pairs:
        if not mine or name_key(mine) != name_key(other):
            break
        count += 1
    return count


def _spelt(place: Place) -> Place:
    return name_key(place[0]), name_key(place[1])


def find_masks(names: Iterable[str]) -> dict[Place, str]:
    """The place of an image -> its mask, from all files in a tree.

    A file named like a mask that matches no image is not a mask.
    """
    candidates: dict[Place, str] = {}
    images: set[Place] = set()
    for name in names:
        if not is_image(name):
            continue
        place = place_of(name)
        is_mask = _is_in_mask_folder(name) and name.lower().endswith(
            (*MASK_SUFFIXES, *LOSSY_SUFFIXES)
        )
        marked = _MASK_NAME.fullmatch(place[1])
        is_named = place[1].lower().endswith(("mask", "masks"))  # an ``_l.jpg`` may be an image
        if marked and (name.lower().endswith(MASK_SUFFIXES) or is_named):
            candidates.setdefault((place[0], marked[1]), name)
        if is_mask:
            candidates[place] = name
        else:
            images.add(place)
    return pair(candidates, images)


def find_boxes(names: Iterable[str]) -> dict[Place, str]:
    """The place of an image -> its XML file, else its text file, from all files in a tree."""
    found: dict[Place, str] = {}
    for suffix in (".txt", ".xml"):
        found |= {place_of(name): name for name in names if name.lower().endswith(suffix)}
    return found


def find_images(names: Iterable[str], masks: Mapping[Place, str]) -> list[str]:
    """The images among all files, without masks."""
    taken = set(masks.values())
    parts = (name for name in names if is_image(name) and name not in taken)
    return [name for name in parts if not _parts(name) & OBJECT_FOLDERS]


def _is_in_mask_folder(name: str) -> bool:
    folders = _parts(name)
    if folders & MASK_FOLDERS:
        return True
    return any(_TWIN.fullmatch(part) for part in folders)


def _parts(name: str) -> set[str]:
    return {part.lower() for part in name.split("/")[:-1]}
