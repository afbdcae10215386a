"""The image of a path in an annotation file."""

import unicodedata

import pytest

from aitk.core.contract.errors import DataError
from aitk.vision.data.image_finder import ImageFinder


def find(told, *images, folder="", split=None, others=()):
    finder = ImageFinder(images, folder=folder, paths=[told, *others], split=split)
    return finder.find(told)


@pytest.mark.parametrize(
    "told",
    [
        "1.jpg",
        "images/1.jpg",
        "..\\..\\media\\upload\\4\\1.jpg",
        "C:\\data\\images\\1.jpg",
        "/home/me/images/1.jpg",
        "./1.JPG",
    ],
)
def test_a_path_may_begin_anywhere(told):
    assert find(told, "images/1.jpg", "images/2.jpg") == "images/1.jpg"


@pytest.mark.parametrize(
    "told", ["d%C3%A9j%C3%A0 1.jpg", unicodedata.normalize("NFD", "déjà 1.jpg")]
)
def test_a_name_may_be_spelt_otherwise(told):
    assert find(told, "déjà 1.jpg", "deja 1.jpg") == "déjà 1.jpg"


def test_an_image_of_the_very_name_wins_over_another_spelling():
    assert find("a%20b.jpg", "a b.jpg", "a%20b.jpg") == "a%20b.jpg"


def test_images_next_to_the_file_come_first():
    assert find("1.jpg", "a/1.jpg", "b/images/1.jpg", folder="b") == "b/images/1.jpg"
    assert find("1.jpg", "1.jpg", "images/1.jpg") == "1.jpg"


def test_an_image_that_is_missing_next_to_the_file_is_not_taken_from_another_source():
    with pytest.raises(DataError, match=r"no image 1.jpg next to .* only b/1.jpg"):
        find("1.jpg", "a/2.jpg", "b/1.jpg", folder="a", others=["2.jpg"])


def test_the_split_of_a_file_decides_between_equal_names():
    assert find("1.jpg", "train/1.jpg", "val/1.jpg", split="validation") == "val/1.jpg"
    with pytest.raises(DataError, match="no image 1.jpg"):
        find("1.jpg", "train/1.jpg", "val/2.jpg", split="validation", others=["2.jpg"])
    assert find("1.jpg", "train/1.jpg", split="validation") == "train/1.jpg"


def test_an_ambiguous_name_is_refused():
    with pytest.raises(DataError, match="may mean 2 images: a/1.jpg, b/1.jpg"):
        find("1.jpg", "a/1.jpg", "b/1.jpg")


def test_a_file_in_an_annotation_folder_refers_to_the_images_next_to_it():
    images = ("a/images/1.jpg", "b/images/1.jpg")
    assert find("1.jpg", *images, folder="b/annotations") == "b/images/1.jpg"
