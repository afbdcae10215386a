"""The assets of a recommender are saved and restored, and damage is reported."""

import json

import numpy as np
import pyarrow
import pytest

from aitk.core.contract.errors import ArtifactError
from aitk.recsys.data.tables import read_table, write_table
from aitk.recsys.features.assets import (
    check_catalogue,
    histories_of,
    histories_table,
    load_log_assets,
    pack_histories,
)


def test_saved_and_loaded_is_the_same(make_assets, tmp_path):
    assets = make_assets(model="ease", settings={"l2": 3.0}, max_length=7, sampled_negatives=9)
    assets.save(tmp_path)
    again = load_log_assets(tmp_path)
    assert again.attributes.equals(assets.attributes)
    assert again.counts.tolist() == assets.counts.tolist()
    assert again.histories.of("ann")[1].tolist() == [5, 3]
    for name in ("kinds", "users", "protocol", "rating_range", "model", "settings", "max_length"):
        assert getattr(again, name) == getattr(assets, name)
    assert again.sampled_negatives == 9


def test_numbers_of_items_are_from_0_and_of_users_from_1(make_assets):
    assets = make_assets()
    assert assets.item_numbers["b"] == 1
    assert assets.user_numbers == {"ann": 1, "bob": 2}
    assert assets.titles == ["Alpha", "Beta", "Gamma", None, "Alpha"]


def test_of_an_unknown_user_nothing_is_known(make_assets):
    items, ratings = make_assets().histories.of("eve")
    assert (len(items), len(ratings)) == (0, 0)


def test_histories_grow_by_user(make_assets):
    new = {"bob": (np.array([2, 0]), np.array([4.0, 1.0])), "eve": (np.array([4]), np.array([2.0]))}
    grown = make_assets().histories.with_events(new)
    assert grown.users == ("ann", "bob", "eve")
    assert [grown.of(user)[0].tolist() for user in grown.users] == [[0, 1], [2, 0], [4]]
    assert grown.of("bob")[1].tolist() == [4, 1]


def test_histories_without_users_survive():
    empty = histories_of(histories_table(pack_histories({})))
    assert empty.users == () and len(empty.items) == 0


def test_missing_and_damaged_files_are_named(make_assets, tmp_path):
    make_assets().save(tmp_path)
    values = json.loads((tmp_path / "log.json").read_text())
    (tmp_path / "log.json").write_text(json.dumps(values | {"surprise": 1}))
    with pytest.raises(ArtifactError, match="log.json: is damaged.*surprise"):
        load_log_assets(tmp_path)
    (tmp_path / "log.json").write_text(json.dumps(values))
    (tmp_path / "counts.npy").write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match="damaged"):
        load_log_assets(tmp_path)
    (tmp_path / "counts.npy").unlink()
    with pytest.raises(ArtifactError, match="counts.npy is missing"):
        load_log_assets(tmp_path)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (
            "items.parquet",
            lambda table: table.slice(0, 3),
            "does not have 3 counts|outside the catalogue",
        ),
        ("items.parquet", lambda table: table.drop_columns("item"), "no column item"),
        ("items.parquet", lambda table: table.take([0, 0, 1, 2, 3]), "a duplicate one"),
        ("histories.parquet", lambda table: table.drop_columns("items"), "damaged"),
        (
            "histories.parquet",
            lambda table: table.set_column(1, "items", pyarrow.array([[0, 10**6], [1]])),
            "outside the catalogue of 5",
        ),
    ],
)
def test_tables_that_do_not_fit_each_other_are_refused(make_assets, tmp_path, file, change, said):
    make_assets().save(tmp_path)
    table, kinds = read_table(tmp_path / file)
    write_table(tmp_path / file, change(table), kinds if file == "items.parquet" else None)
    with pytest.raises(ArtifactError, match=said):
        load_log_assets(tmp_path)


@pytest.mark.parametrize("counts", [[1, 2], [[1] * 5], [-1] * 5, [0.5] * 5])
def test_counts_that_are_not_of_the_catalogue_are_refused(make_assets, tmp_path, counts):
    make_assets().save(tmp_path)
    np.save(tmp_path / "counts.npy", np.array(counts))
    with pytest.raises(ArtifactError, match=r"counts.npy: does not have 5 counts"):
        load_log_assets(tmp_path)


def test_counts_that_claim_more_than_the_file_holds_are_refused(make_assets, tmp_path):
    make_assets().save(tmp_path)
    content = (tmp_path / "counts.npy").read_bytes().replace(b"(5,), ", b"(5000000000,), ", 1)
    (tmp_path / "counts.npy").write_bytes(content)
    with pytest.raises(ArtifactError, match="counts.npy"):
        load_log_assets(tmp_path)


def test_rows_of_another_catalogue_are_distinguished(make_assets, tmp_path):
    assets, path = make_assets(), tmp_path / "items.parquet"
    write_table(path, assets.attributes.slice(0, 3))
    check_catalogue(path, assets)
    write_table(path, assets.attributes.take([1, 0, 2]))
    with pytest.raises(ArtifactError, match="items.parquet: its item numbers differ"):
        check_catalogue(path, assets)
