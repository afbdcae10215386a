"""Attributes of items and users: what kind each column is, and its values."""

import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.recsys.data.attributes import guess_kind, read_attributes


@pytest.fixture
def read(tmp_path):
    """Write a file and read its attributes."""

    def write_and_read(content, name="items.csv", notes=None, encoding="utf-8", **more):
        path = tmp_path / name
        path.write_bytes(content.encode(encoding))
        return read_attributes(
            str(path),
            key_names=("item_id", "item", "id"),
            what="item",
            note=(lambda sentence: None) if notes is None else notes.append,
            **more,
        )

    return write_and_read


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", None], "number"),
        ([True, False], "number"),
        (["Alien and the like", "Brazil", "Cube, a film"], "text"),
        (["red", "blue", "red", "blue"], "tags"),
        (["Action|Comedy", "Drama", "War"], "tags"),
        (["tea, hot", "tea, cold", "hot, sweet", "sweet, cold"], "tags"),
        ([["a"], ["b", "c"]], "tags"),
        ([[0.1, 0.2], [0.3, 0.4]], "vector"),
        ([[1, 2], [3]], "tags"),
        (["a.png", "b/c.JPG"], "picture"),
        (["a.wav", "b.flac", None], "audio"),
        (["https://a.example/1", "http://b.example/2"], None),
        (["https://a.example/1.png", "https://a.example/2.png"], None),
        ([None, None], None),
    ],
)
def test_kinds_are_guessed_from_values(cells, kind):
    assert guess_kind(cells) == kind


def test_a_table_of_items(read):
    notes = []
    found = read(
        'item,title,tags,price\na,"Tea, hot",hot|drink,2.5\nb,Rum,drink| cold |drink,\nc,,,3\n',
        notes=notes,
    )
    assert found.ids == ["a", "b", "c"]
    assert found.kinds == {"title": "text", "tags": "tags", "price": "number"}
    assert found.values == {
        "title": ["Tea, hot", "Rum", None],
        "tags": [["hot", "drink"], ["drink", "cold"], None],
        "price": [2.5, None, 3.0],
    }
    assert any("'price' is number, missing in 1 of 3" in note for note in notes)
    assert found.of(["c", "x", "a"])["price"] == [3.0, None, 2.5]


def test_json_lines_with_late_columns(read):
    found = read('{"id": 1, "mood": ["a", "b"]}\n{"id": 2, "size": [1, 2]}\n', name="i.jsonl")
    assert found.ids == ["1", "2"]
    assert found.values == {"mood": [["a", "b"], None], "size": [None, [1.0, 2.0]]}
    assert found.kinds == {"mood": "tags", "size": "vector"}


def test_the_first_of_repeated_ids_is_used_and_invalid_lines_are_reported(read):
    notes = []
    found = read("item,title\na,One\na,Two\n,Three\n", notes=notes)
    assert (found.ids, found.values["title"]) == (["a"], ["One"])
    assert any("1 lines repeat an earlier item" in note for note in notes)
    assert any("1 lines omitted, first at line 4: it has no item" in note for note in notes)


def test_recbole_items(read):
    rows = "".join(f"{n}\tNights{n} and days{n}\t199{n % 10}\tWar Drama\n" for n in range(9))
    head = "item_id:token\ttitle:token_seq\tyear:token\tclass:token_seq\n"
    found = read(head + rows, name="ml.item")
    assert found.kinds == {"title": "text", "year": "number", "class": "tags"}
    assert found.values["class"][0] == ["War", "Drama"]


def test_movielens_files(read):
    found = read("1::Alien (1979)::Horror|Sci-Fi\n2::Amélie (2001)::Comedy\n", name="movies.dat")
    assert found.values == {
        "title": ["Alien (1979)", "Amélie (2001)"],
        "genres": [["Horror", "Sci-Fi"], ["Comedy"]],
    }
    flags = "|".join("1" if place in (1, 11) else "0" for place in range(19))
    lines = f"1|Alien (1979)|01-Jan-1979||http://a.example|{flags}\n"
    lines += f"2|Amélie (2001)|||http://a.example|{flags}\n"
    found = read(lines, name="u.item", encoding="latin-1")
    assert found.values == {
        "title": ["Alien (1979)", "Amélie (2001)"],
        "year": [1979.0, None],
        "genres": [["Action", "Horror"]] * 2,
    }


def test_images_are_found_next_to_the_file_and_nowhere_else(read, tmp_path):
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "a.png").write_bytes(b"x")
    (tmp_path.parent / "secret.png").write_bytes(b"x")
    found = read("item,shot\na,shots/a.png\nb,../secret.png\nc,shots/none.png\nd,/etc/b.png\n")
    assert found.kinds == {"shot": "picture"}
    assert found.values["shot"] == [str(tmp_path / "shots" / "a.png"), None, None, None]


def test_kinds_as_given(read):
    content = "item,year,note,code\na,1999,red,1\nb,2000,red,2\n"
    found = read(content, given_kinds=["year=tags", "note=text", "code=none"])
    assert found.kinds == {"year": "tags", "note": "text"}
    assert found.values == {"year": [["1999"], ["2000"]], "note": ["red", "red"]}
    with pytest.raises(UsageError, match="unknown attribute 'yeer'. Did you mean 'year'"):
        read(content, given_kinds=["yeer=tags"])
    with pytest.raises(UsageError, match="unknown kind of attribute 'tag'. Did you mean 'tags'"):
        read(content, given_kinds=["year=tag"])
    with pytest.raises(UsageError, match="Use NAME=KIND"):
        read(content, given_kinds=["year"])


def test_files_that_tell_nothing(read):
    with pytest.raises(DataError, match="cannot tell which column is the item"):
        read("name,title\nx,One more\n")
    with pytest.raises(DataError, match="no line has the id of a item"):
        read("item,title\n,One\n")


def test_codes_with_leading_zeros_are_tags_and_no_numbers():
    assert guess_kind(["09", "10", "11", "09"]) == "tags"
    assert guess_kind(["0.9", "10", "0"]) == "number"


def test_a_image_whose_path_is_no_text_is_missing(read, tmp_path):
    (tmp_path / "caf\udce9.png").write_bytes(b"x")
    (tmp_path / "b.png").write_bytes(b"x")
    found = read("item,shot\n1,café.png\n2,b.png\n")
    assert found.values["shot"] == [None, str(tmp_path / "b.png")]
