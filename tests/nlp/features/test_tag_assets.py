"""Assets of a tagger come back from their folder; a window inside a span begins one."""

from types import SimpleNamespace

import numpy as np

from aitk.nlp.data.words import split_words
from aitk.nlp.features.tag_assets import (
    UNSEEN_FIRST,
    UNSEEN_INSIDE,
    TagAssets,
    load_tag_assets,
    without_broken_start,
)
from aitk.nlp.features.tokenizers.learning import train_tokenizer
from aitk.nlp.features.word_readers import (
    Subwords,
    learn_words,
)

LABELS = ("O", "B-X", "I-X")


def row(text):
    spans = split_words(text)
    return {"text": text, "starts": [a for a, _ in spans], "ends": [b for _, b in spans]}


ROWS = [row("Ann Lee lives in Porto"), row("Ann lives in Leeds 12"), row("北京 is big")]


def subwords():
    settings = SimpleNamespace(tokenizer="wordpiece", vocabulary_size=300, lowercase=True)
    return Subwords(train_tokenizer([each["text"] for each in ROWS] * 3, settings))


def test_a_window_inside_a_span_begins_one():
    targets = np.array([2, 2, 0], np.int32)
    assert list(without_broken_start(targets, LABELS)) == [1, 2, 0]
    soft = np.array([[2, 0, 0, 1], [0, 1, 0, 0]], np.float32)
    assert without_broken_start(soft, LABELS)[0, 0] == 1
    assert list(without_broken_start(np.array([0, 2]), LABELS)) == [0, 2]


def test_assets_come_back_from_their_folder(tmp_path):
    for reader in (learn_words(ROWS, vocabulary_size=50), subwords()):
        assets = TagAssets(reader, 16, LABELS, learned=True)
        assets.save(tmp_path)
        again = load_tag_assets(tmp_path)
        assert again.labels == LABELS and again.max_length == 16 and again.learned
        for one, other in zip(reader.encode(ROWS), again.reader.encode(ROWS), strict=True):
            assert all((one[name] == other[name]).all() for name in one)
    assert list(assets.targets(["O", "B-X", "B-Y", "I-Y"])) == [0, 1, UNSEEN_FIRST, UNSEEN_INSIDE]
