"""Tables: supported forms of files, and refusals."""

import csv
import gzip
import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal
from aitk.core.io.tables import find_column, open_table


@pytest.fixture
def write(tmp_path):
    """Write a file, return its name."""

    def write_file(name, content, encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return str(path)

    return write_file


def records(source, **options):
    """All records without their line numbers, refusals as their reason."""
    return [
        item.reason if isinstance(item, Refusal) else item[1]
        for item in open_table(source, **options)
    ]


def test_csv_fields_may_hold_delimiters_quotes_and_line_ends(write):
    source = write("a.csv", 'text,label\n"Hi, ""you""\nthere",x\nplain,y\n')
    assert list(open_table(source)) == [
        (2, {"text": 'Hi, "you"\nthere', "label": "x"}),
        (4, {"text": "plain", "label": "y"}),
    ]


def test_json_lines_keep_their_types(write):
    source = write("a.jsonl", '{"text": "a", "n": 1}\n\n{"text": "b", "tags": ["c"]}\n')
    table = open_table(source)
    assert table.columns == ["text", "n", "tags"]
    assert list(table) == [(1, {"text": "a", "n": 1}), (3, {"text": "b", "tags": ["c"]})]


def test_parquet_values_become_json(tmp_path):
    import pyarrow
    from pyarrow import parquet

    source = str(tmp_path / "a.parquet")
    columns = {"text": ["a", None], "score": [0.5, float("nan")], "raw": [b"x", b"y"]}
    parquet.write_table(pyarrow.table(columns), source, row_group_size=1)
    assert records(source) == [
        {"text": "a", "score": 0.5, "raw": "x"},
        {"text": None, "score": None, "raw": "y"},
    ]


def test_stdin_and_gzip_are_detected_by_their_content(monkeypatch, write):
    packed = gzip.compress(b'{"text": "a"}\n')
    assert records(write("a.jsonl.gz", packed)) == [{"text": "a"}]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(packed)))
    assert records("-") == [{"text": "a"}]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"id;text\n1;a, b\n")))
    assert records("-", names={"text"}) == [{"id": "1", "text": "a, b"}]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "naïve café"),
        ("utf-8-sig", "naïve café"),
        ("utf-16", "naïve 你好"),
        ("utf-16-le", "naïve 你好"),
        ("cp1252", "Le café est très bon, l’hôtel déjà fermé"),
        ("gb18030", "这个产品很好用，我不喜欢，太贵了"),
        ("big5", "這個產品很好用，我不喜歡，太貴了"),
        ("cp932", "この商品はとても良いです"),
        ("cp1251", "Очень хороший товар, мне понравилось"),
    ],
)
def test_encodings_are_detected_and_named(write, encoding, text):
    told = "utf-16-le" if encoding == "utf-16-le" else None  # has no mark to tell it by
    source = write("a.tsv", f"text\tlabel\n{text}\tx\n", encoding)
    table = open_table(source, encoding=told)
    assert list(table) == [(2, {"text": text, "label": "x"})]
    assert table.notes == [f"{source}: encoding {encoding}"]


def test_a_line_in_another_encoding_is_refused_and_no_other(write):
    source = write("a.csv", "text,label\nça,x\n".encode() + "été,y\n".encode("cp1252") + b"a,z\n")
    assert list(open_table(source)) == [
        (2, {"text": "ça", "label": "x"}),
        Refusal(source, 3, "byte 0xe9 is not utf-8"),
        (4, {"text": "a", "label": "z"}),
    ]


def test_lines_in_two_encodings_are_not_guessed_at(write):
    lines = ["text,label", "garçon,x", "hôtel très cher,x", "déjà fermé,x"]
    content = b"\n".join([line.encode("cp1252") for line in lines] + ["été,x\n".encode()])
    with pytest.raises(DataError, match="mixes lines in utf-8 and in cp1252"):
        open_table(write("a.csv", content))


def test_old_macintosh_line_ends(write):
    assert records(write("a.csv", "text,label\ra,x\rb,y\r")) == [
        {"text": "a", "label": "x"},
        {"text": "b", "label": "y"},
    ]


def test_a_file_without_header_has_numbered_columns(write):
    source = write("dev.tsv", 'a dull film\t0\nit \'s "great"\t1\n')
    table = open_table(source)
    assert list(table) == [
        (1, {"1": "a dull film", "2": "0"}),
        (2, {"1": 'it \'s "great"', "2": "1"}),
    ]
    assert "no header" in table.notes[1]


@pytest.mark.parametrize(
    ("content", "first"),
    [
        ("remark,kind\nwhere is my parcel?,delivery\nhello there,other\n", "remark"),
        (",remark,kind\n0,where is my parcel,delivery\n", "1"),
        ("I love it,positive\nnot bad,positive\nawful,negative\n", "1"),
        ("where is my parcel?,delivery\nhello there,other\n", "1"),
        ("Text,3\nhello,4\n", "Text"),
    ],
)
def test_header_is_distinguished_from_rows(write, content, first):
    assert open_table(write("a.csv", content), names={"text"}).columns[0] == first


def test_header_may_be_stated(write):
    source = write("a.csv", "text,label\na,x\n")
    assert open_table(source, header=False).columns == ["1", "2"]
    source = write("b.csv", "1,2\na,x\n")
    assert records(source, header=True) == [{"1": "a", "2": "x"}]


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_the_delimiter_is_detected_and_reported(write, delimiter):
    content = "".join(f"{a}{delimiter}{b}\n" for a, b in [("text", "label"), ("a, b, c", "x")])
    source = write("a.csv", content)
    table = open_table(source)
    assert list(table) == [(2, {"text": "a, b, c", "label": "x"})]
    assert "delimited by" in table.notes[1]


def test_stray_quotes_in_tsv_swallow_no_line(write):
    source = write("a.tsv", '" so it begins\t1\nnice "\t0\n"quoted"\t1\n"a" b\t0\n')
    assert [record["1"] for record in records(source)] == [
        '" so it begins', 'nice "', "quoted", '"a" b',
    ]  # fmt: skip


def test_quoted_line_end_in_tsv(write):
    source = write("a.tsv", 'label\ttext\nx\t"one\ntwo"\ny\tthree\n')
    assert [record["text"] for record in records(source)] == ["one\ntwo", "three"]


def test_after_an_unclosed_quote_reading_continues_with_the_next_line(write):
    source = write("a.csv", 'text,label\n"never closed\nb,x\n"c",y\nsay "hi",z\n"d" e,z\n')
    assert records(source) == [
        "text follows the closing quotation mark of a field",
        {"text": "b", "label": "x"},
        {"text": "c", "label": "y"},
        {"text": 'say "hi"', "label": "z"},
        {"text": '"d" e', "label": "z"},
    ]
    assert records(write("b.csv", 'text,label\n"open\na,x\n'))[0].startswith("a field has")


def test_refused_records_give_the_reason(write):
    lines = ["text,label", "a", "b\0,x", "c,x,y", '"d\xff', 'e",x', "f,x"]
    source = write("a.csv", "\n".join(lines), "latin-1")
    table = open_table(source, encoding="utf-8")
    assert list(table) == [
        Refusal(source, 2, "number of fields: 1, not 2"),
        Refusal(source, 3, "it holds a NUL byte"),
        Refusal(source, 4, "number of fields: 3, not 2"),
        Refusal(source, 5, "byte 0xff is not utf-8"),
        (7, {"text": "f", "label": "x"}),
    ]
    source = write("a.jsonl", '{"a": 1}\n{"a"\n[1]\n{"a": "\\ud800"}\n{"a": NaN}\n' + "[" * 9999)
    assert [str(record)[:20] for record in records(source)] == [
        "{'a': 1}",
        "it is not JSON (Expe",
        "it is JSON, but not ",
        "it is not JSON (has ",
        "{'a': None}",
        "it is not JSON (nest",
    ]


def test_a_line_beyond_the_limit_is_refused_without_being_held(write):
    source = write("a.csv", b"text,label\na,x\n" + b"b" * 50_000_000 + b",x\nc,x\n")
    assert list(open_table(source)) == [
        (2, {"text": "a", "label": "x"}),
        Refusal(source, 3, "the line is longer than 10,000,000 bytes"),
        (4, {"text": "c", "label": "x"}),
    ]


def test_a_quoted_field_beyond_the_limit_is_refused(write, monkeypatch):
    monkeypatch.setattr("aitk.core.io.delimited.MAX_LINE_BYTES", 100)
    source = write("a.csv", 'text,label\n"' + "word\n" * 30 + "c,x\n")
    found = records(source, names={"text"})
    assert found[0] == "a field has an opening quotation mark but no closing one"
    assert found[-1] == {"text": "c", "label": "x"}


def test_files_that_are_no_tables(write, tmp_path):
    cases = {
        str(tmp_path): "is a folder",
        str(tmp_path / "nosuch.csv"): "no such file",
        write("empty.csv", b""): "is empty",
        write("blank.csv", b" \n\n"): "is empty",
        write("noise.csv", bytes(range(256)) * 9): "binary data",
        write("sheet.csv", b"PK\x03\x04..."): "a ZIP archive",
        write("array.json", b'[{"text": "a"}]'): "one JSON array",
        write("a.parquet", b"PAR1 not really"): "cannot be read as Parquet",
        write(
            "cut.csv.gz", gzip.compress(b"text\n" + bytes(range(65, 91)) * 99)[:40]
        ): "read completely",
    }
    for source, reason in cases.items():
        with pytest.raises(DataError, match=reason) as caught:
            list(open_table(source))
        assert "\n" not in caught.value.line
        assert source in caught.value.line


def test_a_missing_file_suggests_the_nearest_name(write, tmp_path):
    source = write("reviews.csv", "text\n")
    with pytest.raises(DataError, match=f"Did you mean {source}"):
        open_table(str(tmp_path / "review.csv"))


def test_options_that_cannot_be(write):
    source = write("a.csv", "text,label\na,x\n")
    for encoding in ("utf-7000", "idna", "hex"):
        with pytest.raises(UsageError, match=f"unknown encoding '{encoding}'"):
            open_table(source, encoding=encoding)
    with pytest.raises(UsageError, match="not a valid delimiter"):
        open_table(source, delimiter="::")


def test_a_long_delimiter_is_shown_by_its_beginning(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="not a valid delimiter") as error:
        open_table(str(tmp_path / "a.csv"), delimiter="x" * 5000)
    assert len(error.value.line) < 200


def test_columns_are_found_by_name_number_or_habit():
    columns = ["id", "Text", "label"]
    find = {"what": "text", "where": "a.csv"}
    assert find_column(columns, "label", ["text"], **find) == "label"
    assert find_column(columns, "2", ["text"], **find) == "Text"
    assert find_column(columns, None, ["sentence", "text"], **find) == "Text"
    with pytest.raises(UsageError, match="no column 'txt'. Did you mean 'Text'. Columns: id, Text"):
        find_column(columns, "txt", ["text"], **find)
    with pytest.raises(DataError, match="Choose one with --text-column NAME"):
        find_column(columns, None, ["body"], **find)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(write, python):
    program = (
        "import resource, sys; from aitk.core.io.tables import open_table;"
        "count = sum(1 for _ in open_table(sys.argv[1]));"
        "print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    rows = {}
    for size in (100_000, 1_000_000):
        source = write("a.csv", "text,label\n" + "some words here,x\n" * size)
        count, rows[size] = map(int, python(program, source).stdout.split())
        assert count == size
    assert rows[1_000_000] < 1.1 * rows[100_000]


_FIELD = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\r\t"), max_size=8
)


@given(
    st.lists(st.tuples(_FIELD, _FIELD, st.just("end")), min_size=1),
    st.sampled_from([",", ";"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_csv_round_trip(tmp_path_factory, rows, delimiter, line_end, quoting):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
        writer.writerow(["a", "b", "c"])
        writer.writerows(rows)
    table = open_table(str(path), header=True, delimiter=delimiter, encoding="utf-8")
    assert [tuple(record.values()) for _, record in table] == rows


@given(st.lists(st.tuples(_FIELD, _FIELD), min_size=1))
def test_tsv_round_trip_of_single_line_fields(tmp_path_factory, rows):
    rows = [tuple(" ".join(field.split()) + "." for field in row) for row in rows]
    path = tmp_path_factory.mktemp("tsv") / "a.tsv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, "excel-tab").writerows([("a", "b"), *rows])
    table = open_table(str(path), header=True, encoding="utf-8")
    assert [tuple(record.values()) for _, record in table] == rows


@given(st.binary(max_size=300))
def test_any_bytes_end_in_records_refusals_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "a.csv"
    path.write_bytes(content)
    try:
        for item in open_table(str(path)):
            json.dumps(item if isinstance(item, tuple) else item.reason)
    except DataError as error:
        assert "\n" not in error.line


def test_a_first_line_may_declare_the_delimiter(write):
    source = write("a.csv", "sep=|\r\nType|Example\r\npos|a;b;c,d\r\n")
    assert records(source) == [{"Type": "pos", "Example": "a;b;c,d"}]
    assert [line for line, _ in open_table(source)] == [3]


def test_empty_columns_at_the_end_are_left_out(write):
    assert records(write("a.csv", "text,label,,\na,x,,\nb,y,,\n")) == [
        {"text": "a", "label": "x"},
        {"text": "b", "label": "y"},
    ]
    assert records(write("b.csv", "text,label\na,x,\nb,y,\n"))[1] == {"text": "b", "label": "y"}


def test_a_last_column_with_a_name_stays_though_it_is_empty(write):
    assert records(write("a.csv", "text,label,note\na,x,\n"))[0]["note"] == ""


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (["4,5", "3"], ["4.5", "3"]),
        (["1.234,50", "-0,5"], ["1234.50", "-0.5"]),
        (["1,234", "12"], ["1,234", "12"]),
        (["4,5", "good"], ["4,5", "good"]),
        (["4,5", ""], ["4.5", ""]),
    ],
)
def test_decimal_commas_are_found_where_fields_have_another_delimiter(write, cells, read):
    source = write("a.csv", "id;score\n" + "".join(f"k;{cell}\n" for cell in cells))
    assert [record["score"] for record in records(source)] == read


def test_decimal_commas_may_be_stated(write):
    content = 'id,score\nk,"1,234"\n'
    assert records(write("a.csv", content), decimal=",")[0]["score"] == "1.234"
    assert records(write("b.csv", "id;score\nk;4,5\n"), decimal=".")[0]["score"] == "4,5"


def test_a_header_in_between_is_refused(write):
    source = write("a.csv", "x,y\na,1\n\ufeffx,y\nb,2\n")
    rows = list(open_table(source))
    assert [row.reason[:21] if isinstance(row, Refusal) else row[1]["x"] for row in rows] == [
        "a",
        "it repeats the header",
        "b",
    ]


def test_two_columns_of_the_same_name_must_be_distinguished():
    columns = ["text", "label", "label.3"]
    with pytest.raises(DataError, match="two columns have the name 'label'.*--label-column NUMBER"):
        find_column(columns, None, ("label",), what="label", where="a.csv")
    assert find_column(columns, "3", ("label",), what="label", where="a.csv") == "label.3"


def test_the_json_of_label_studio_is_named(write):
    source = write("a.json", '[{"id": 1, "data": {"text": "a"}, "annotations": [{"result": []}]}]')
    with pytest.raises(DataError, match="Label Studio"):
        open_table(source)


def test_a_column_of_a_number_of_thousands_of_digits_is_none():
    with pytest.raises(UsageError, match="no column"):
        find_column(["a"], "1" * 5000, (), what="text", where="a.csv")


def test_json_objects_of_several_lines_are_named(write):
    with pytest.raises(DataError, match="span several lines.*jq"):
        open_table(write("a.jsonl", '{\n "text": "a"\n}\n{\n "text": "b"\n}\n'))
