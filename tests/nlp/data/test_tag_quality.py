"""Checks of tagged texts and of questions."""

from aitk.core.contract.rows import Row
from aitk.nlp.data.options import QaReading, TagReading
from aitk.nlp.data.qa_quality import QaInspector
from aitk.nlp.data.tag_quality import TagInspector, stored_order


def tagged(text, tags):
    words = text.split()
    starts = [text.index(word) for word in words]
    ends = [start + len(word) for start, word in zip(starts, words, strict=True)]
    return {"text": text, "starts": starts, "ends": ends, "tags": tags.split()}


def grades(inspector):
    return {found.check: found.grade for found in inspector.findings()}


def test_a_model_has_the_training_tags_with_the_i_of_each_b():
    inspector = TagInspector(TagReading())
    inspector.add(Row(tagged("in Porto", "O B-LOC"), "x", 1), "train")
    inspector.add(Row(tagged("saw Rex", "O B-DOG"), "x", 2), "test")
    summary = inspector.summary()
    assert summary["labels"] == ["O", "B-LOC", "I-LOC"]
    assert summary["label_counts"]["test"] == {"B-DOG": 1, "O": 1}
    assert summary["spans"] == {"train": {"LOC": 1}, "test": {"DOG": 1}}
    assert grades(inspector)["unseen labels"] == "error"
    assert stored_order({"NOUN", "ADJ"}) == ["ADJ", "NOUN"]


def test_a_mixture_of_spans_and_plain_tags_is_an_error():
    inspector = TagInspector(TagReading())
    inspector.add(Row(tagged("in Porto", "O B-LOC"), "x", 1), "train")
    inspector.add(Row(tagged("in Leeds", "ADP PROPN"), "x", 2), "train")
    found = grades(inspector)
    assert found["mixed schemes"] == "error" and found["rows without tags"] == "ok"


def question(context, answers):
    return {
        "id": "", "context": context, "question": "Who?", "answers": answers, "answer_starts": []
    }  # fmt: skip


def test_contexts_that_two_splits_share_are_reported():
    inspector = QaInspector(QaReading())
    inspector.add(Row(question("Ann is here.", ["Ann"]), "x", 1), "train")
    inspector.add(Row(question("Ann is here.", []), "x", 2), "test")
    found = grades(inspector)
    assert found["contexts across splits"] == "warning" and found["unanswerable"] == "warning"
    summary = inspector.summary()
    assert summary["unanswerable"] == {"train": 0, "test": 1}
    assert summary["contexts"] == {"train": 1, "test": 1}
