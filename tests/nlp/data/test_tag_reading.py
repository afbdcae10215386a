"""Tagged texts from every format, and what is refused."""

import json

import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.nlp.data.options import TagReading
from aitk.nlp.data.tag_reading import read_tagged
from aitk.nlp.features.word_readers import words_in

TEXT = "Ann Lee lives in Porto"
SPANS = [[0, 7, "PER"], [17, 22, "LOC"]]
TAGS = ["B-PER", "I-PER", "O", "O", "B-LOC"]


def read(path, content, *, labelled=True, **reading):
    path.write_text(content, encoding="utf-8")
    notes = []
    items = read_tagged([str(path)], TagReading(**reading), labelled=labelled, note=notes.append)
    return list(items), notes


def pairs(item):
    return list(zip(words_in(item.fields), item.fields["tags"], strict=True))


def refusals(items):
    return [(item.line, item.reason) for item in items if isinstance(item, Refusal)]


RECORDS = {
    "spans": {"text": TEXT, "spans": SPANS},
    "objects": {
        "text": TEXT,
        "entities": [{"start": a, "end": b, "label": c} for a, b, c in SPANS],
    },
    "doccano": {"text": TEXT, "label": SPANS},
    "offsets": {
        "text": TEXT,
        "entities": [{"start_offset": a, "end_offset": b, "label": c} for a, b, c in SPANS],
    },
    "words": {"tokens": TEXT.split(), "ner_tags": TAGS},
    "bilou words": {"words": TEXT.split(), "tags": ["B-PER", "L-PER", "O", "O", "U-LOC"]},
    "spacy doc": {
        "text": TEXT,
        "ents": [{"start": a, "end": b, "label": c} for a, b, c in SPANS],
        "tokens": [{"id": 0, "start": 0, "end": 3, "pos": "PROPN"}],
    },
    "label studio": {
        "data": {"text": TEXT},
        "annotations": [
            {"was_cancelled": True, "result": []},
            {"result": [{"value": {"start": a, "end": b, "labels": [c]}} for a, b, c in SPANS]},
        ],
    },
    "label studio, short": {
        "text": TEXT,
        "label": [{"start": a, "end": b, "labels": [c]} for a, b, c in SPANS],
    },
    "spacy 2": {
        "paragraphs": [
            {
                "sentences": [
                    {
                        "tokens": [
                            {"orth": word, "ner": tag}
                            for word, tag in zip(
                                TEXT.split(), ["B-PER", "L-PER", "O", "O", "U-LOC"], strict=True
                            )
                        ]
                    }
                ]
            }
        ]
    },
}


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_every_kind_of_record_gives_the_same_row(tmp_path, name, suffix):
    record = RECORDS[name]
    content = json.dumps(record if suffix == ".jsonl" else [record])
    (row,), _ = read(tmp_path / f"x{suffix}", content)
    assert row.fields["text"] == TEXT
    assert pairs(row) == list(zip(TEXT.split(), TAGS, strict=True))


def test_spacy_training_pairs_are_read(tmp_path):
    (row,), _ = read(tmp_path / "x.json", json.dumps([[TEXT, {"entities": SPANS}]]))
    assert row.fields["tags"] == TAGS


def test_a_docbin_is_read_with_entities_or_parts_of_speech(tmp_path):
    import spacy
    from spacy.tokens import Doc, DocBin

    vocab = spacy.blank("en").vocab
    doc = Doc(vocab, words=TEXT.split(), ents=TAGS, pos=["PROPN"] * 2 + ["VERB", "ADP", "PROPN"])
    DocBin(attrs=["ENT_IOB", "ENT_TYPE", "POS"], docs=[doc]).to_disk(tmp_path / "x.spacy")
    for tag, wanted in ((None, TAGS), ("pos", ["PROPN", "PROPN", "VERB", "ADP", "PROPN"])):
        (row,) = read_tagged(
            [str(tmp_path / "x.spacy")], TagReading(tag_column=tag), labelled=True, note=print
        )
        assert row.fields["tags"] == wanted


def test_a_damaged_docbin_is_bad_data(tmp_path):
    (tmp_path / "x.spacy").write_bytes(b"not a DocBin")
    with pytest.raises(DataError, match="DocBin"):
        list(read_tagged([str(tmp_path / "x.spacy")], TagReading(), labelled=True, note=print))


COLUMNS = "Ann\tNNP\tI-PER\nLee\tNNP\tI-PER\n\n-DOCSTART-\tX\tO\n\nin\tIN\tO\nPorto\tNNP\tI-LOC\n"


def test_columns_are_read_in_the_scheme_that_they_are_written_in(tmp_path):
    items, notes = read(tmp_path / "x.conll", COLUMNS)
    assert [item.fields["tags"] for item in items] == [["B-PER", "I-PER"], ["O", "B-LOC"]]
    assert [item.line for item in items] == [1, 6]
    assert "(iob)" in notes[0]
    items, _ = read(tmp_path / "x.conll", COLUMNS, tag_column="2")
    assert items[0].fields["tags"] == ["NNP", "NNP"]


def test_conllu_keeps_the_text_and_leaves_ranges_and_empty_nodes_out(tmp_path):
    lines = [
        "# text = Vámonos al mar.",
        "1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_",
        "1\tVamos\tir\tVERB\t_\t_\t0\troot\t_\t_",
        "2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\t_",
        "2.1\tx\tx\tX\t_\t_\t_\t_\t_\t_",
        "3\tmar\tmar\tNOUN\t_\t_\t1\tobl\t_\tSpaceAfter=No",
        "4\t.\t.\tPUNCT\t_\t_\t1\tpunct\t_\t_",
    ]
    (row,), _ = read(tmp_path / "x.conllu", "\n".join(lines) + "\n\n")
    assert row.fields["text"] == "Vamos nos mar."
    assert row.fields["tags"] == ["VERB", "PRON", "NOUN", "PUNCT"]
    (row,), _ = read(tmp_path / "x.conllu", "\n".join(lines), tag_column="deprel")
    assert row.fields["tags"][0] == "root"


def test_chinese_characters_in_columns_have_no_spaces_between(tmp_path):
    (row,), _ = read(tmp_path / "x.conll", "北 B-LOC\n京 I-LOC\nOK O\n")
    assert row.fields["text"] == "北京 OK"


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("a\tO\nb\n\nc\tO\n", 2, "1 columns instead of 2"),
        ("a\tO\nb\tI-X\n\nc\tB-X\n\nd\tB-X\n", 2, "illegal in IOB2"),
        ("a\tB-X\nb\tX-X\n\nc\tO\n", 2, "not one of IOB2"),
        ("a\tB-X\nb\tO\n\nc\tU-X\n", 1, "does not end"),
        ("\tO\nb\tB-X\n\nc\tO\n", 1, "no word"),
    ],
)
def test_a_sentence_with_a_bad_line_is_refused_there(tmp_path, content, line, reason):
    items, _ = read(tmp_path / "x.conll", content)
    found = refusals(items)
    assert found[0][0] in (line, line + 1) and reason in found[0][1]
    assert any(isinstance(item, Row) for item in items)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": TEXT, "spans": [[0, 99, "PER"]]}, "outside its 22 characters"),
        ({"text": TEXT, "spans": [[5, 3, "PER"]]}, "outside"),
        ({"text": TEXT, "spans": [[0, 7, "PER"], [4, 9, "LOC"]]}, "overlaps"),
        ({"text": TEXT, "spans": [[0, 7]]}, "a span is"),
        ({"text": TEXT, "spans": [[0, 7, ""]]}, "no valid label"),
        ({"text": TEXT, "spans": [[7, 8, "PER"]]}, "contains no word"),
        ({"text": TEXT}, "no list of spans"),
        ({"tokens": ["a", "b"], "tags": ["O"]}, "2 words but 1 tags"),
        ({"tokens": ["a"], "tags": [3]}, "not names"),
        ({"tokens": ["a", "b"], "tags": ["O", "I-X"]}, None),
        ({"data": {"text": TEXT}, "annotations": []}, "it has no annotation"),
        ({"spans": []}, "no text"),
        ([1, 2, 3], "not an object"),
    ],
)
def test_bad_records_are_refused_with_a_reason(tmp_path, record, reason):
    items, _ = read(tmp_path / "x.jsonl", '{"text": "a", "spans": []}\n' + json.dumps(record))
    assert isinstance(items[0], Row)
    if reason is None:
        assert isinstance(items[1], Row)  # a lone I- is IOB
    else:
        assert refusals(items)[0][0] == 2 and reason in refusals(items)[0][1]


def test_cut_json_is_refused_at_its_line(tmp_path):
    items, _ = read(tmp_path / "x.json", '[{"text": "a b", "spans": [[0, 1, "X"]]},\n{"text": "c')
    assert refusals(items) == [(2, items[1].reason)] and "truncated" in items[1].reason


def test_spans_that_cut_words_are_widened_and_counted(tmp_path):
    record = {"text": "un-Porto-like cities", "spans": [[14, 17, "LOC"]]}
    (row,), notes = read(tmp_path / "x.jsonl", json.dumps(record))
    assert pairs(row)[-1] == ("cities", "B-LOC")
    assert "1 spans were widened" in notes[-1]


def test_plain_lines_and_tables_are_read_to_predict_and_carry_their_record(tmp_path):
    items, _ = read(tmp_path / "x.txt", "Ann's cat\n\n东京 OK\n", labelled=False)
    assert [words_in(item.fields) for item in items] == [["Ann", "'s", "cat"], ["东", "京", "OK"]]
    assert items[0].record == {"text": "Ann's cat"} and "tags" not in items[0].fields
    items, _ = read(tmp_path / "x.csv", "id,text\n7,Ann\n", labelled=False)
    assert items[0].record == {"id": "7", "text": "Ann"}


def test_a_text_without_tags_is_no_training_data(tmp_path):
    with pytest.raises(DataError, match="no format with tags"):
        read(tmp_path / "x.txt", "some words here\nand more\n")
    with pytest.raises(UsageError, match="column"):
        read(tmp_path / "x.conll", COLUMNS, tag_column="9")


def test_links_out_of_a_folder_are_noted_and_not_followed(tmp_path):
    (tmp_path / "outside.conll").write_text("no O\n")
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "a.conll").write_text("Paris B-LOC\n")
    (folder / "link.conll").symlink_to(tmp_path / "outside.conll")
    notes: list[str] = []
    rows = list(read_tagged([str(folder)], TagReading(), labelled=True, note=notes.append))
    assert [row.fields["text"] for row in rows] == ["Paris"]
    assert any("link.conll: not followed" in each for each in notes)
