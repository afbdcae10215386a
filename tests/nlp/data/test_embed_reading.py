"""Rows to embed: texts, pairs, triplets, scored pairs, analogies; and what is refused."""

from __future__ import annotations

import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.rows import Refusal
from aitk.nlp.data.embed_reading import EmbedInspector, read_rows
from aitk.nlp.data.options import EmbedReading

SCORED = {"text_column": "2", "pair_column": "3", "score_column": "1"}


def read(path, content, *, labelled=True, **given):
    path.write_text(content, encoding="utf-8")
    reading = resolve(EmbedReading, given)
    items = read_rows([str(path)], reading, labelled=labelled, note=lambda _: None)
    return [item if isinstance(item, Refusal) else dict(item.fields) for item in items]


def test_lines_are_plain_texts(tmp_path):
    assert read(tmp_path / "a.txt", "one\n\ntwo\n") == [{"text": "one"}, {"text": "two"}]


def test_named_columns_make_pairs_triplets_and_scored_pairs(tmp_path):
    table = "text,pair,negative,score\na,b,c,2.5\n"
    one = {"text": "a", "pair": "b"}
    assert read(tmp_path / "a.csv", table, pair_column="pair") == [one]
    given = {"pair_column": "pair", "negative_column": "negative"}
    assert read(tmp_path / "a.csv", table, **given) == [one | {"negative": "c"}]
    given = {"pair_column": "pair", "score_column": "score"}
    assert read(tmp_path / "a.csv", table, **given) == [one | {"score": 2.5}]


def test_json_lines_hold_pairs(tmp_path):
    content = '{"text": "a", "other": "b"}\n'
    assert read(tmp_path / "a.jsonl", content, pair_column="other") == [{"text": "a", "pair": "b"}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("\tx\ty", "it has no score"),
        ("many\tx\ty", "its score 'many' is not a number"),
        ("inf\tx\ty", "score"),
        ("1\tx\t", "its second text is empty"),
        ("1\t \ty", "its text is empty"),
    ],
)
def test_a_row_that_is_not_whole_is_refused_with_its_line(tmp_path, line, reason):
    content = f"3\ta\tb\n{line}\n4\tc\td\n"
    found = read(tmp_path / "a.tsv", content, **SCORED)
    assert isinstance(found[1], Refusal)
    assert found[1].where == f"{tmp_path / 'a.tsv'}:2"
    assert reason in found[1].reason
    assert found[2] == {"text": "c", "pair": "d", "score": 4}


def test_to_predict_a_row_needs_its_text_alone(tmp_path):
    found = read(tmp_path / "a.csv", "text,pair,score\na,b,\nc,,\n", labelled=False,
                 pair_column="pair", score_column="score")  # fmt: skip
    assert found == [{"text": "a", "pair": "b"}, {"text": "c"}]
    assert read(tmp_path / "b.csv", "text,id\na,1\n", labelled=False, pair_column="pair") == [
        {"text": "a"}
    ]


def test_to_predict_a_file_without_columns_is_a_text_a_line(tmp_path):
    found = read(tmp_path / "a.txt", "one, two\nthree\n", labelled=False, **SCORED)
    assert found == [{"text": "one, two"}, {"text": "three"}]
    found = read(tmp_path / "a.txt", "1\ta\tb\n", labelled=False, **SCORED)
    assert found == [{"text": "a", "pair": "b", "score": 1}]


def test_analogies_are_detected_by_their_first_line(tmp_path):
    found = read(tmp_path / "a.txt", ": capitals\nAthens Greece Paris France\nAthens Greece\n")
    assert found[0]["analogy"] == ["Athens", "Greece", "Paris", "France"]
    assert found[0]["section"] == "capitals"
    assert found[1].reason == "an analogy must have 4 words, not 2"


def test_options_that_contradict_each_other_are_refused(tmp_path):
    with pytest.raises(UsageError, match="second text"):
        read(tmp_path / "a.csv", "text,score\na,1\n", score_column="score")
    with pytest.raises(UsageError, match="used twice"):
        read(tmp_path / "a.csv", "text,pair\na,b\n", text_column="text", pair_column="text")


def test_the_summary_has_the_form_and_the_range_of_scores(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("1\ta\tb\n5\tc\tc\n")
    reading = resolve(EmbedReading, SCORED)
    inspector = EmbedInspector(reading)
    for row in read_rows([str(path)], reading, labelled=True, note=lambda _: None):
        inspector.add(row, "train")
    assert inspector.summary()["form"] == "scored"
    assert inspector.summary()["scores"] == [1, 5]
    assert [f.grade for f in inspector.findings() if f.check == "scores"] == ["ok"]
