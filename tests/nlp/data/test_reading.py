"""Reading texts: every layout, with its split and label."""

import io
import os
import sys

import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal
from aitk.core.io.names import split_named
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


def test_a_table_with_usual_columns(write):
    source = write("a.csv", "id,Intent,Review\n1, late ,where is it\n2,other,hello\n")
    assert read(source) == [("where is it", "late", None), ("hello", "other", None)]


def test_predicting_carries_the_record_and_needs_no_label(write):
    source = write("a.jsonl", '{"text": " hi ", "id": 7}\n{"text": "", "id": 8}\n')
    reading = ClassifyReading(label_column="intent")
    first, second = read_texts([source], reading, labelled=False, label=True, note=print)
    assert (first.fields, first.record) == ({"text": "hi"}, {"text": " hi ", "id": 7})
    assert second == Refusal(source, 2, "its text is empty")


def test_text_files_hold_a_text_a_line(write):
    source = write("a.txt", "one, two\n\nthree\n")
    assert read(source, labelled=False, label=False) == [
        ("one, two", None, None),
        ("three", None, None),
    ]
    assert read(source, labelled=False)[1] == "its text is empty"
    with pytest.raises(DataError, match="texts without labels"):
        read(source)


def test_a_text_file_with_tabs_is_a_table_where_labels_are_due(write):
    source = write("a.txt", "ham\tsee you later then\nspam\tyou have won a prize\n")
    assert read(source)[0] == ("see you later then", "ham", None)
    assert read(source, labelled=False, label=False)[0][0] == "ham\tsee you later then"


@pytest.mark.parametrize(
    "content",
    [
        "I like it, really\nnot me\n",
        'id,text\n1,"I like it, really"\n',
        '{"text": "I like it, really"}\n',
    ],
)
def test_stdin_is_detected_by_its_content(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    assert read("-", labelled=False)[0] == ("I like it, really", None, None)


def test_a_folder_per_label(write, tmp_path):
    for name in ("train/pos/2.txt", "train/pos/1.txt", "train/neg/1.txt", "test/neg/1.txt"):
        write(name, f"text of\n{name}")
    write("train/unsup/1.txt", "no label")
    write("README.md", "not data")
    notes = []
    assert read(tmp_path, notes=notes) == [
        ("text of\ntest/neg/1.txt", "neg", "test"),
        ("text of\ntrain/neg/1.txt", "neg", "train"),
        ("text of\ntrain/pos/1.txt", "pos", "train"),
        ("text of\ntrain/pos/2.txt", "pos", "train"),
    ]
    assert notes == [f"{tmp_path}: 4 files read, 2 ignored"]
    assert len(read(tmp_path, labelled=False)) == 5


def test_a_folder_of_tables(write, tmp_path):
    write("test.csv", "text,label\na,x\n")
    write("train.tsv", "text\tlabel\nb\ty\n")
    write("dev/part-1.jsonl", '{"text": "c", "label": "x"}')
    assert read(tmp_path) == [("a", "x", "test"), ("b", "y", "train"), ("c", "x", "validation")]


def test_splits_are_whole_words_of_names():
    assert split_named("my_test.jsonl") == "test"
    assert split_named("train-00000-of-00001.parquet") == "train"
    assert split_named("valid.csv.gz") == "validation"
    assert split_named("latest.csv") is None
    assert split_named("train_and_test.csv") is None


def test_links_out_of_a_folder_are_not_followed(write, tmp_path):
    secret = write("secret.csv", "text,label\nsecret,x\n")
    write("data/a.csv", "text,label\na,x\n")
    os.symlink(secret, tmp_path / "data" / "b.csv")
    os.symlink(tmp_path, tmp_path / "data" / "loop")
    notes = []
    assert read(tmp_path / "data", notes=notes) == [("a", "x", None)]
    assert "points outside the folder" in notes[0]


def test_a_folder_with_nothing_to_read(write, tmp_path):
    write("picture.png", b"\x89PNG")
    with pytest.raises(DataError, match="contains no files to read"):
        read(tmp_path)


def test_bad_rows_are_refused_in_their_place(write):
    source = write(
        "a.jsonl",
        '{"text": "a", "label": 1.0}\n{"text": null, "label": "x"}\n{"text": "b"}\n'
        '{"text": ["c"], "label": "x"}\n{"text": "d", "label": ["x", "y"]}\n'
        '{"text": "e\\u0000", "label": "x"}\n{"text": "f", "label": true}\n',
    )
    assert read(source) == [
        ("a", "1", None),
        "it has no text",
        "it has no label",
        "its text is a list, not a string",
        "its label is a list of 2 values instead of a single value (--multi-label reads several)",
        "it contains a NUL byte",
        ("f", "true", None),
    ]
    source = write("b.csv", "text,label\n<br>,x\n")
    assert read(source, strip_html=True) == ["its text is empty after cleaning"]


def test_documents_that_cannot_be_read_are_refused(write, tmp_path):
    write("pos/1.txt", "\ufeffgood")
    write("pos/2.txt", b"a\0b")
    write("pos/3.txt", b"")
    rows = read(tmp_path, encoding="utf-8-sig")
    assert rows == [("good", "pos", None), "it contains a NUL byte", "its text is empty"]


def test_all_sources_are_looked_for_before_any_is_read(write, tmp_path):
    source = write("a.csv", "text,label\na,x\n")
    rows = read_texts(
        [source, str(tmp_path / "b.csv")],
        ClassifyReading(),
        labelled=True,
        label=True,
        note=print,
    )
    with pytest.raises(DataError, match="no such file. Did you mean .*a.csv"):
        next(rows)


def test_a_tensorflow_data_set(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    class TinyReviews(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            label = tfds.features.ClassLabel(names=["bad", "good"])
            features = {"sentence": tfds.features.Text(), "label": label}
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples(1),
                "validation": self._generate_examples(0),
                "test": self._generate_examples(-1),
            }

        def _generate_examples(self, label):
            yield 0, {"sentence": "café", "label": label}

    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path))
    notes = []
    assert read("tfds:tiny_reviews", notes=notes) == [
        ("café", "good", "train"),
        ("café", "bad", "validation"),
    ]
    assert notes == ["tfds:tiny_reviews[test]: skipped, its labels are not public"]
    assert read("tfds:tiny_reviews/train") == [("café", "good", "train")]
    with pytest.raises(DataError, match="no split 'dev'. Splits: "):
        read("tfds:tiny_reviews/dev")
    with pytest.raises(DataError, match="no such TensorFlow data set"):
        read("tfds:no_such_set_at_all")


def test_several_columns_of_text_are_joined(write):
    source = write("a.csv", "label,title,text\nx,Late,It came late.\ny,,Good.\n")
    assert read(source, text_column=["title", "text"]) == [
        ("Late\nIt came late.", "x", None),
        ("Good.", "y", None),
    ]
    (first, _) = read(source, text_column=["title", "text"], labelled=False)
    assert first == ("Late\nIt came late.", None, None)
    with pytest.raises(UsageError, match="no column 'titel'"):
        read(source, text_column=["titel", "text"])
    with pytest.raises(UsageError, match="both text and label"):
        read(source, text_column=["label", "text"])


def test_fasttext_files(write):
    source = write("a.txt", "__label__pos good phone\n__label__a __label__b c\n__label__neg bad\n")
    assert read(source) == [
        ("good phone", "pos", None),
        "its label is a list of 2 values instead of a single value (--multi-label reads several)",
        ("bad", "neg", None),
    ]
    assert read(source, labelled=False)[1] == ("c", None, None)


def test_labels_with_invisible_characters_are_one_and_missing_ones_refused(write):
    source = write("a.csv", "text,label\na,pos\nb,pos\u200b\nc,nan\nd,1.0\ne,1\n")
    first, second, third, *numbers = read(source)
    assert first[1] == second[1] == "pos" and "missing value" in third
    assert {row[1] for row in numbers} == {"1"}
    assert read(source, keep_na=True)[2][1] == "nan"


def test_a_label_that_is_called_like_a_column_makes_no_header(write):
    lines = "".join(
        f"{'question' if n % 2 == 0 else 'order'}\tnumber {n} of all\n" for n in range(8)
    )
    rows = read(write("a.tsv", lines))
    assert len(rows) == 8 and rows[0] == ("number 0 of all", "question", None)


def test_a_text_that_begins_like_a_header_is_a_text(write):
    source = write("a.txt", "review, not so good\nanother one\nand a third, with a comma, or two\n")
    assert len(read(source, labelled=False)) == 3


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", "text,labels\nhi,a|b\nho,\n", {"label_separator": "|"}),
        ("a.jsonl", '{"text": "hi", "labels": ["a", "b"]}\n{"text": "ho", "labels": []}\n',
         {"multi_label": True}),
        ("a.csv", "a,text,b\n1,hi,1\n0,ho,0\n", {"label_columns": ["a", "b"]}),
        ("a.csv", "words,a,b\nhi,1,1\nho,0,0\n", {"label_columns": ["a", "3"]}),
        ("a.txt", "__label__a __label__b hi\n__label__b ho\n", {"multi_label": True}),
    ],
)  # fmt: skip
def test_a_row_has_any_number_of_labels_where_it_is_requested(write, name, content, options):
    rows = read_texts(
        [write(name, content)], ClassifyReading(**options), labelled=True, label=True, note=print
    )
    first, second = rows
    assert first.fields == {"text": "hi", "labels": ["a", "b"]}
    assert second.fields["text"] == "ho"


PAIRS = "premise,hypothesis,gold\nA dog runs,An animal moves,yes\nA cat,,no\n"


def test_a_second_column_makes_pairs_of_texts(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(PAIRS, encoding="utf-8")
    reading = ClassifyReading(
        text_column=["premise"], pair_column="hypothesis", label_column="gold"
    )
    items = list(
        read_texts([str(path)], reading, labelled=True, label=True, note=lambda text: None)
    )
    assert items[0].fields == {"text": "A dog runs", "pair": "An animal moves", "label": "yes"}
    assert "second text" in items[1].reason


def test_pairs_need_a_table_with_both_columns(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("__label__a some text\n__label__b more text\n", encoding="utf-8")
    with pytest.raises(UsageError, match="has no columns"):
        list(
            read_texts(
                [str(path)],
                ClassifyReading(pair_column="b"),
                labelled=True,
                label=True,
                note=lambda text: None,
            )
        )
