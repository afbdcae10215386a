"""The columns of texts and labels, by name, by number and by content."""

import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal
from aitk.nlp.data.options import ClassifyReading
from aitk.nlp.data.reading import read_texts


@pytest.fixture
def write(tmp_path):
    """Write a file below the test's folder, return its name."""

    def write_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write_file


def read(*sources, labelled=True, label=True, notes=None, **options):
    """Rows as (text, label, split), refusals as their reason."""
    rows = read_texts(
        [str(source) for source in sources],
        ClassifyReading(**options),
        labelled=labelled,
        label=label,
        note=([] if notes is None else notes).append,
    )
    return [
        row.reason
        if isinstance(row, Refusal)
        else (row.fields["text"], row.fields.get("label"), row.split)
        for row in rows
    ]


def test_columns_by_name_and_number(write):
    source = write("a.csv", "x,y,z\n1,late,where is it\n")
    assert read(source, text_column=["z"], label_column="2") == [("where is it", "late", None)]
    with pytest.raises(UsageError, match="no column 'w'"):
        read(source, text_column=["w"])
    with pytest.raises(DataError, match="cannot tell which column is the text"):
        read(source)
    with pytest.raises(UsageError, match="both text and label"):
        read(source, text_column=["z"], label_column="3")


def test_two_columns_without_header_are_identified_by_content_with_a_note(write):
    notes = []
    source = write("dev.tsv", "0\ta dull film\n1\ta great film\n")
    assert read(source, notes=notes) == [
        ("a dull film", "0", "validation"),
        ("a great film", "1", "validation"),
    ]
    assert any("the text is in column '2', the label in '1'" in note for note in notes)


def test_a_column_of_texts_that_is_not_used_is_reported(write):
    notes = []
    source = write("a.csv", "label,title,text\nx,It came much too late,Never again.\n")
    read(source, notes=notes)
    assert any("--text-column title,text joins them" in note for note in notes)


def test_of_two_columns_without_a_usual_name_the_one_that_repeats_itself_is_the_label(write):
    path = "Electronics > Phones and tablets > Accessories"
    lines = "".join(f"{path},case {n}\n" for n in range(6))
    assert read(write("a.csv", f"where,what\n{lines}"))[0] == ("case 0", path, None)


def test_another_column_that_could_be_the_label_is_reported(write):
    notes = []
    read(write("a.csv", "text,sentiment,category\na b,pos,phone\n"), notes=notes)
    assert any("the label is in 'category', not in ['sentiment']" in note for note in notes)
