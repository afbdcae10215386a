"""Tables next to the rows preserve the kinds of their columns."""

import pyarrow
import pytest

from aitk.core.contract.errors import ArtifactError
from aitk.recsys.data.tables import read_table, write_table


def test_a_table_comes_back_with_its_kinds(tmp_path):
    table = pyarrow.table({"item": ["a", "b"], "genres": [["x"], None]})
    write_table(tmp_path / "tables" / "items.parquet", table, {"genres": "tags"})
    again, kinds = read_table(tmp_path / "tables" / "items.parquet")
    assert again.to_pylist() == table.to_pylist()
    assert kinds == {"genres": "tags"}


def test_a_table_without_kinds_has_none(tmp_path):
    write_table(tmp_path / "plain.parquet", pyarrow.table({"user": ["u"]}))
    assert read_table(tmp_path / "plain.parquet")[1] == {}


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and then nonsense PAR1"])
def test_a_missing_or_damaged_table_is_named(tmp_path, content):
    path = tmp_path / "items.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match="items.parquet: cannot be read"):
        read_table(path)
