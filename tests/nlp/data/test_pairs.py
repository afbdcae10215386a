"""Sentence pairs from every format, and what is refused in each."""

from __future__ import annotations

import gzip
import io
import json

import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.nlp.data.options import TranslateReading
from aitk.nlp.data.pairs import read_pairs

PAIRS = [("A dog.", "Ein Hund."), ("Two cats sleep.", "Zwei Katzen schlafen.")]


def read(*sources, labelled=True, **options):
    reading = TranslateReading(**options)
    found = read_pairs(list(map(str, sources)), reading, labelled=labelled, note=lambda _: None)
    return list(found)


def pairs_of(items):
    return [(item.fields["source"], item.fields["target"]) for item in items]


def reasons(items):
    return {item.line: item.reason for item in items if isinstance(item, Refusal)}


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


TMX = """<?xml version="1.0"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
<header srclang="en-US" creationtool="x"/>
<body>
<tu><tuv xml:lang="en-US"><seg>A <bpt i="1">&lt;b&gt;</bpt>dog<ept i="1"/>.</seg></tuv>
<tuv xml:lang="de-DE"><seg>Ein Hund.</seg></tuv></tu>
<tu><tuv xml:lang="en-US"><seg>Two cats sleep.</seg></tuv>
<tuv xml:lang="de-DE"><seg>Zwei Katzen schlafen.</seg></tuv></tu>
<tu><tuv xml:lang="en-US"><seg>Alone.</seg></tuv></tu>
</body></tmx>
"""


def test_a_table_has_source_and_target_by_name_or_by_order(tmp_path):
    lines = "".join(f"{en}\t{de}\n" for en, de in PAIRS)
    assert pairs_of(read(write(tmp_path / "a.tsv", "source\ttarget\n" + lines))) == PAIRS
    assert pairs_of(read(write(tmp_path / "b.tsv", lines))) == PAIRS
    swapped = read(write(tmp_path / "c.tsv", "target\tsource\n" + lines))
    assert pairs_of(swapped) == [(de, en) for en, de in PAIRS]
    named = write(tmp_path / "d.tsv", "en\tde\n" + lines)
    reversed_ = read(named, source_column="de", target_column="en")
    assert pairs_of(reversed_) == [(de, en) for en, de in PAIRS]


def test_two_files_go_line_by_line_and_may_be_packed(tmp_path):
    for place, ending in enumerate(("en", "de")):
        text = "".join(f"{pair[place]}\n" for pair in PAIRS)
        (tmp_path / f"val.{ending}.gz").write_bytes(gzip.compress(text.encode()))
    items = read(tmp_path / "val.en.gz", tmp_path / "val.de.gz")
    assert pairs_of(items) == PAIRS
    assert {item.split for item in items} == {"validation"}
    folder = read(tmp_path, source_column="de", target_column="en")
    assert pairs_of(folder) == [(de, en) for en, de in PAIRS]
    with pytest.raises(UsageError, match="the source is ambiguous"):
        read(tmp_path)


def test_files_with_different_numbers_of_lines_are_refused_with_both_counts(tmp_path):
    source = write(tmp_path / "a.en", "one\ntwo\nthree\n")
    target = write(tmp_path / "a.de", "eins\n")
    with pytest.raises(DataError, match=r"has 1 lines, but .*a\.en has 3") as caught:
        read(source, target)
    assert caught.value.where == str(target)


def test_json_lines_have_two_keys_or_an_object_a_language(tmp_path):
    flat = [{"src": en, "tgt": de} for en, de in PAIRS]
    nested = [{"id": 1, "translation": {"de": de, "en": en}} for en, de in PAIRS]
    for name, rows in (("flat.jsonl", flat), ("nested.jsonl", nested)):
        path = write(tmp_path / name, "".join(json.dumps(row) + "\n" for row in rows))
        told = {"source_column": "en", "target_column": "de"} if rows is nested else {}
        assert pairs_of(read(path, **told)) == PAIRS


def test_cut_json_is_refused_with_its_line(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"source": "a", "target": "b"}\n{"source": "a", "tar\n')
    assert list(reasons(read(path))) == [2]


def test_a_translation_memory_loses_its_markup_and_refuses_units_with_one_side(tmp_path):
    items = read(write(tmp_path / "a.tmx", TMX))
    assert pairs_of(item for item in items if isinstance(item, Row)) == PAIRS
    assert reasons(items) == {10: "it has no target"}
    packed = tmp_path / "b.tmx"
    packed.write_bytes(gzip.compress(TMX.encode()))
    assert len(read(packed)) == 3


def test_malformed_xml_and_entities_are_refused_with_their_line(tmp_path):
    cut = write(tmp_path / "cut.tmx", TMX[: TMX.index("</tuv></tu>\n<tu><tuv") + 5])
    with pytest.raises(DataError, match="not well-formed XML") as caught:
        read(cut)
    assert caught.value.where.startswith(f"{cut}:")
    bomb = TMX.replace('SYSTEM "tmx14.dtd"', '[<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]')
    with pytest.raises(DataError, match="declares entities"):
        read(write(tmp_path / "bomb.tmx", bomb))
    with pytest.raises(DataError, match="not a translation memory"):
        read(write(tmp_path / "other.tmx", "<html/>"))


def test_empty_sides_and_lengths_of_a_thousand_to_one_are_refused(tmp_path):
    long = "word " * 1000
    path = write(tmp_path / "a.tsv", f"source\ttarget\na\t\n\tb\nHi\t{long}\nHi\tGuten Tag.\n")
    items = read(path)
    assert reasons(items)[2] == "its target is empty"
    assert reasons(items)[3] == "its source is empty"
    assert "unlikely to be translations" in reasons(items)[4]
    assert pairs_of(items[-1:]) == [("Hi", "Guten Tag.")]


def test_plain_lines_are_sources_to_translate_and_no_pairs(tmp_path, monkeypatch):
    path = write(tmp_path / "a.txt", "One, two.\n\nThree.\n")
    items = read(path, labelled=False)
    assert [item.fields for item in items if isinstance(item, Row)] == [
        {"source": "One, two."},
        {"source": "Three."},
    ]
    assert reasons(items) == {2: "its source is empty"}
    with pytest.raises(DataError, match="contains no pairs"):
        read(path)
    stdin = io.TextIOWrapper(io.BytesIO(b"From a pipe.\n"))
    monkeypatch.setattr("sys.stdin", stdin)
    assert read("-", labelled=False)[0].fields == {"source": "From a pipe."}


def test_a_file_of_lines_without_a_partner_is_refused(tmp_path):
    with pytest.raises(DataError, match="without a parallel file"):
        read(write(tmp_path / "train.de", "eins\n"))
