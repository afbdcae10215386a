"""Running text: passages keep lines and blank lines, and together are the text."""

import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.contract.rows import Refusal
from aitk.nlp.data.options import GenerateReading
from aitk.nlp.tasks.generate import Generate

TEXT = "ANNA:\nHow are you?\n\nBERT:\n  Well, thank you,\nand yourself?\n" * 20


def passages(path, most=200, **options):
    reading = GenerateReading(join_lines=most, **options)
    return list(Generate().read([str(path)], reading, labelled=True, note=print))


def test_passages_end_with_lines_and_keep_what_is_between(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text(TEXT)
    rows = passages(path)
    assert "\n".join(row.fields["text"] for row in rows).split("\n") == [
        line for row in rows for line in row.fields["text"].split("\n")
    ]
    assert "".join("".join(row.fields["text"].split()) for row in rows) == "".join(TEXT.split())
    assert all(100 < len(row.fields["text"]) <= 200 for row in rows[:-1])
    assert "you?\n\nBERT:\n  Well" in rows[0].fields["text"]
    lines = TEXT.split("\n")
    for row in rows:
        assert lines[row.line - 1].strip() in ("", row.fields["text"].split("\n")[0].strip())
    assert {row.split for row in rows} == {"train"}


def test_a_long_line_ends_with_a_word_or_anywhere(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("word " * 100 + "\n" + "x" * 250)
    texts = [row.fields["text"] for row in passages(path)]
    assert texts[0] == " ".join(["word"] * 40)
    assert "".join(texts[3:]).endswith("x" * 200 + "x" * 50) or texts[-1] == "x" * 50


def test_an_unreadable_line_ends_a_passage_and_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\0\nthree\n")
    first, refused, last = passages(path)
    assert isinstance(refused, Refusal) and refused.line == 2
    assert (first.fields["text"], last.fields["text"], last.line) == ("one", "three", 3)


def test_prompts_are_lines_and_tables_are_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n")
    reading = GenerateReading(join_lines=200)
    prompts = Generate().read([str(path)], reading, labelled=False, note=print)
    assert [row.fields["text"] for row in prompts] == ["one", "two"]
    table = tmp_path / "a.csv"
    table.write_text("text\none\n")
    with pytest.raises(UsageError, match="columns"):
        passages(table)


def test_passages_are_no_long_texts(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a b c d e f g\n" * 500)
    for most in (None, 4000):
        task, reading = Generate(), GenerateReading(join_lines=most)
        inspector = task.inspector(reading)
        for row in task.read([str(path)], reading, labelled=True, note=print):
            inspector.add(row, "train")
        names = [each.check for each in inspector.findings()]
        assert ("long texts" in names) == (most is None)
        assert inspector.summary().get("running_text") == (most is not None or None)
