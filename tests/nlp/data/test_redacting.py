"""Every reader of texts replaces personal data, and what counts characters moves along."""

import json

from aitk.nlp.data.formats.dialogues import read_dialogues
from aitk.nlp.data.options import (
    ClassifyReading,
    QaReading,
    TagReading,
    TextReading,
    TranslateReading,
)
from aitk.nlp.data.pairs import read_pairs
from aitk.nlp.data.qa_reading import read_questions
from aitk.nlp.data.reading import read_texts
from aitk.nlp.data.tag_reading import read_tagged

ALL = {"redact": ["all"]}


def test_texts_before_punctuation_is_dropped(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nMail a@b.org now!,x\nnothing,y\n")
    reading = ClassifyReading(**ALL, strip_punctuation=True)
    first, second = read_texts([str(path)], reading, labelled=True, label=True, note=print)
    assert first.fields["text"] == "Mail EMAIL now"
    assert (first.redacted, second.redacted) == ({"email": 1}, {})


def test_both_sides_of_a_translation(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("source\ttarget\nask a@b.org\tfrag a@b.org\n")
    (row,) = read_pairs([str(path)], TranslateReading(**ALL), labelled=True, note=print)
    assert row.fields == {"source": "ask [EMAIL]", "target": "frag [EMAIL]"}
    assert row.redacted == {"email": 2}


def test_messages_of_a_dialogue(tmp_path):
    path = tmp_path / "dialogues.jsonl"
    messages = [{"role": "user", "content": "I am a@b.org"}, {"role": "assistant", "content": "Hi"}]
    path.write_text(json.dumps({"messages": messages}) + "\n")
    (row,) = read_dialogues([str(path)], TextReading(**ALL), labelled=True, note=print)
    assert "[EMAIL]" in row.fields["messages"]
    assert "a@b.org" not in str(row.fields)


def test_predictions_keep_their_places(tmp_path):
    path = tmp_path / "questions.jsonl"
    context = "Write to ann@b.org before Monday."
    rows = [
        {"context": context, "question": "When?", "answers": ["Monday"]},
        {"context": context, "question": "Where to?", "answers": ["ann@b.org"]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = read_questions([str(path)], QaReading(**ALL), labelled=True, note=print)
    for row, answer in ((first, "Monday"), (second, "[EMAIL]")):
        start = row.fields["answer_starts"][0]
        assert row.fields["context"][start : start + len(answer)] == answer
        assert row.fields["answers"] == [answer]


def test_words_under_a_tag_become_one(tmp_path):
    path = tmp_path / "tags.jsonl"
    text = "Call +44 20 7946 0958 or Anna"
    spans = [{"start": 5, "end": 21, "label": "PHONE"}, {"start": 25, "end": 29, "label": "PER"}]
    path.write_text(json.dumps({"text": text, "spans": spans}) + "\n")
    (row,) = read_tagged([str(path)], TagReading(**ALL), labelled=True, note=print)
    fields = row.fields
    words = [fields["text"][a:b] for a, b in zip(fields["starts"], fields["ends"], strict=True)]
    assert words[:2] == ["Call", "[PHONE]"]
    assert fields["tags"][1] == "B-PHONE"
    assert (words[-1], fields["tags"][-1]) == ("Anna", "B-PER")
    assert len(words) == len(fields["tags"])
