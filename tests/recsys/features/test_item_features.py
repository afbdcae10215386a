"""Features of items, on tables that can be checked by eye."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import UsageError
from aitk.recsys.features.item_features import (
    item_features,
    number_bins,
    reduced,
    unit_rows,
    words_of,
)

KINDS = {
    "title": "text",
    "genres": "tags",
    "year": "number",
    "poster": "picture",
    "poster_vector": "vector",
    "clip": "audio",
}
TABLE = pa.table(
    {
        "item": ["a", "b", "c", "d"],
        "title": ["The red fox", "A red hen", "blue whale", None],
        "genres": [["Drama"], ["drama", "War"], ["War"], None],
        "year": [1990.0, 1991.0, 2020.0, None],
        "poster": ["a.png", None, None, None],
        "poster_vector": pa.array([[3.0, 4.0], None, [0.0, 2.0], None], pa.list_(pa.float32(), 2)),
        "clip": pa.array([None] * 4, pa.string()),
    }
)


def cosines(feature):
    dense = feature if isinstance(feature, np.ndarray) else feature.toarray()
    return dense @ dense.T


@pytest.mark.parametrize("name", ["title", "genres", "year", "poster_vector"])
def test_rows_have_length_one_or_zero_where_nothing_is_known(name):
    lengths = np.sqrt(np.diag(cosines(item_features(TABLE, KINDS)[name])))
    # The third title has no word in common with another.
    known = [value not in (None, "blue whale") for value in TABLE.column(name).to_pylist()]
    np.testing.assert_allclose(lengths, np.array(known, float), atol=1e-6)


def test_titles_are_alike_by_the_words_they_share():
    alike = cosines(item_features(TABLE, KINDS)["title"])
    assert alike[0, 1] == pytest.approx(1)  # red is all that any two share
    assert alike[0, 2] == 0


def test_a_rare_tag_weighs_more():
    table = pa.table({"tags": [["x"], ["x"], ["x", "y"]]})
    feature = item_features(table, {"tags": "tags"})["tags"].toarray()
    rare, common = math.log(4 / 2) + 1, math.log(4 / 4) + 1
    expected = np.array([common, rare]) / math.hypot(common, rare)
    np.testing.assert_allclose(sorted(feature[2]), expected, rtol=1e-6)


def test_tags_are_the_same_regardless_of_their_case():
    alike = cosines(item_features(TABLE, KINDS)["genres"])
    assert 0 < alike[0, 1] < 1
    assert alike[0, 2] == 0


def test_near_numbers_are_alike():
    alike = cosines(item_features(TABLE, KINDS)["year"])
    assert alike[0, 2] == pytest.approx(0)
    bins = number_bins(np.arange(1000.0))
    assert bins[100] @ bins[110] > bins[100] @ bins[140] > bins[100] @ bins[300] == 0


def test_a_number_that_all_share_and_numbers_that_are_none():
    assert number_bins(np.array([7.0, 7.0, np.nan])).tolist() == [[1], [1], [0]]
    assert number_bins(np.array([np.nan, np.inf])) is None


@given(st.lists(st.floats(-1e300, 1e300) | st.just(math.nan), min_size=1, max_size=40))
def test_bins_of_any_numbers_have_length_one(values):
    bins = number_bins(np.array(values))
    if bins is not None:
        expected = [0 if math.isnan(value) else 1 for value in values]
        np.testing.assert_allclose(np.linalg.norm(bins, axis=1), expected, atol=1e-5)


def vectors_of(rows):
    column = pa.array(rows, pa.list_(pa.float32(), 2))
    return item_features(pa.table({"v": column}), {"v": "vector"})["v"]


def test_vectors_are_compared_by_how_they_differ_from_their_mean():
    found = vectors_of([[10, 10], None, [13, 14], [7, 6], [0, 0]])
    np.testing.assert_allclose(found, [[0, 0], [0, 0], [0.6, 0.8], [-0.6, -0.8], [0, 0]])


def test_a_lone_vector_and_broken_ones():
    np.testing.assert_allclose(vectors_of([[0, 5], [np.nan, 1], None]), [[0, 1], [0, 0], [0, 0]])


def test_equal_vectors_tell_nothing_apart():
    assert not vectors_of([[0.1, 0.7]] * 3).any()


def test_vectors_of_a_slice_of_a_table_are_its_own():
    vectors = item_features(TABLE.slice(2), KINDS, wanted="poster_vector")["poster_vector"]
    np.testing.assert_allclose(vectors, [[0, 1], [0, 0]])


def test_items_without_attributes_change_nothing_about_the_others():
    nothing = pa.Table.from_pylist([{}] * 3, schema=TABLE.schema)
    longer = item_features(pa.concat_tables([nothing, TABLE, nothing]), KINDS)
    for name, feature in item_features(TABLE, KINDS).items():
        np.testing.assert_array_equal(cosines(feature), cosines(longer[name])[3:-3, 3:-3])
        assert not cosines(longer[name])[:3].any()


@pytest.mark.parametrize(
    ("row", "expected"),
    [([3e30, 4e30], [0.6, 0.8]), ([0, 0], [0, 0]), ([1, np.nan], [0, 0]), ([np.inf, 1], [0, 0])],
)
def test_unit_rows_of_large_missing_and_broken_vectors(row, expected):
    np.testing.assert_allclose(unit_rows(np.array([row], np.float32))[0], expected, rtol=1e-6)


def test_words_of_any_script():
    assert words_of("The Red-Fox_2") == ["the", "red", "fox", "2", "the red", "red fox", "fox 2"]
    assert words_of("红色小狐") == ["红", "色", "小", "狐", "红色", "色小", "小狐"]
    assert words_of("看Python书 ok") == ["看", "python", "书", "ok"]
    assert words_of("हिन्दी भाषा") == ["हिन्दी", "भाषा", "हिन्दी भाषा"]
    assert words_of("CAFÉ café") == ["café", "café", "café café"]
    assert words_of("… !?") == []


@given(st.text())
def test_words_come_of_any_text(text):
    assert all(word.strip() for word in words_of(text))


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("auto", ["title", "genres", "year", "poster_vector"]),
        ("none", []),
        ("year, title", ["title", "year"]),
        ("poster", ["poster_vector"]),
    ],
)
def test_features_are_those_requested_in_the_order_of_the_table(wanted, names):
    assert list(item_features(TABLE, KINDS, wanted=wanted)) == names


def test_an_unknown_feature_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="unknown feature 'genre'. Did you mean 'genres'"):
        item_features(TABLE, KINDS, wanted="genre")


def test_audio_without_vectors_cannot_be_compared():
    with pytest.raises(UsageError, match="'clip' is of kind audio, but .* no vectors"):
        item_features(TABLE, KINDS, wanted="clip")


def test_what_no_item_has_is_passed_over_unless_it_was_requested():
    table = pa.table({"title": pa.array([None, None], pa.string()), "year": [1.0, 2.0]})
    kinds = {"title": "text", "year": "number"}
    assert list(item_features(table, kinds)) == ["year"]
    with pytest.raises(UsageError, match="items share no values of 'title'"):
        item_features(table, kinds, wanted="title")


def test_texts_that_share_no_word_have_no_feature():
    assert item_features(pa.table({"title": ["one", "two"]}), {"title": "text"}) == {}


def test_reduced_features_keep_who_is_like_whom():
    rng = np.random.default_rng(0)
    topics = [["sun", "sand", "sea"], ["snow", "ice", "ski"]]
    titles = [
        " ".join(rng.choice(topics[number % 2], 2, replace=False)) for number in range(60)
    ] + [None]
    features = item_features(pa.table({"title": titles}), {"title": "text"})
    small = reduced(features, size=4)["title"]
    assert small.shape == (61, 4)
    assert small.dtype == np.float32
    alike = small @ small.T
    same = (np.arange(60)[:, None] - np.arange(60)) % 2 == 0
    assert alike[:60, :60][same].mean() > 0.5 > 0.1 > np.abs(alike[:60, :60][~same]).mean()
    assert not small[60].any()
    np.testing.assert_array_equal(small, reduced(features, size=4)["title"])


def test_narrow_features_are_not_changed_by_reducing():
    features = item_features(TABLE, KINDS)
    for name, dense in reduced(features, size=50).items():
        np.testing.assert_array_equal(cosines(dense), cosines(features[name]))
