"""Denoising: what is read and written, and that translators start from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aitk.nlp.tasks.denoise import SENTINELS, Denoise
from aitk.nlp.tasks.translate_settings import DenoisingTransformerSettings

TASK = Denoise()
ROWS = [
    {"text": "the cat sat on the mat and the dog sat on the log"},
    {"text": "one two three four five six seven eight nine ten"},
    {"text": ""},
]


def assets(**changes):
    changes = {"tokenizer": "word", "vocabulary_size": 300, "size": "tiny"} | changes
    return TASK.learn(ROWS, {}, DenoisingTransformerSettings(**changes), note=print)


def test_infilling_reads_masks_and_writes_the_whole_text():
    learned = assets()
    batch = TASK.collate(TASK.encode(ROWS, learned), learned)
    for row, read, targets, weights in zip(
        ROWS, batch.inputs["token_ids"], batch.targets, batch.weights, strict=True
    ):
        assert learned.tokenizer.decode(targets) == row["text"]
        assert targets[weights > 0][-1] == learned.end_id
        assert (learned.tokenizer.mask_id in read) == bool(row["text"])
    assert batch.inputs["target_ids"][:, 0].tolist() == [learned.start_id] * 3
    assert batch.weights.mean() == pytest.approx(1)


def test_spans_are_written_after_the_marks_that_stand_for_them():
    learned = assets(noise="spans")
    batch = TASK.collate(TASK.encode(ROWS[:1], learned), learned)
    marks = [learned.tokenizer.engine.token_to_id(name) for name in SENTINELS]
    read, written = batch.inputs["token_ids"][0].tolist(), batch.targets[0].tolist()
    assert written[0] == marks[0] and read.count(marks[0]) == 1
    both = learned.tokenizer.decode([*read, *written]).split()
    assert sorted(both) == sorted(ROWS[0]["text"].split())


def test_training_draws_anew_and_evaluation_does_not():
    learned = assets()
    examples = TASK.encode(ROWS[:1] * 8, learned)
    rng = np.random.default_rng(0)
    one, two = (TASK.collate(examples, learned, rng=rng).inputs["token_ids"] for _ in range(2))
    assert one.shape != two.shape or (one != two).any()
    still = TASK.collate(examples, learned).inputs["token_ids"]
    assert (still == still[0]).all()


def test_perplexity_and_bits_are_those_of_the_outputs():
    learned = assets()
    batch = TASK.collate(TASK.encode(ROWS[:2], learned), learned)
    size = learned.tokenizer.vocabulary_size
    even = np.zeros((*batch.targets.shape, size), np.float32)
    evaluation = TASK.score(TASK.measure(batch, even, learned), learned)
    assert evaluation.metrics["perplexity"].value == pytest.approx(size)
    letters = sum(len(row["text"]) for row in ROWS[:2])
    tokens = int((batch.weights > 0).sum())
    bits = tokens * np.log2(size) / letters
    assert evaluation.metrics["bits_per_byte"].value == pytest.approx(bits)


def test_languages_are_mixed_by_their_share_to_a_power():
    settings = DenoisingTransformerSettings(mix=0.5)
    rows = [{"text": f"the parcel is here and it is late {n}"} for n in range(100)]
    rows += [{"text": f"包裹坏了，请再寄一个 {n}"} for n in range(4)]
    said = []
    places = TASK.mix(rows, settings, note=said.append)
    assert set(places) == set(range(104))
    assert [int((places < 100).sum()), int((places >= 100).sum())] == [100, 20]
    assert "zh 3.8% -> 16.7%" in said[0]
    assert TASK.mix(rows, DenoisingTransformerSettings(), note=print) is None


def test_a_translator_starts_from_its_encoder_decoder():
    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.nlp.tasks.translate import Translate

    learned, settings = assets(), DenoisingTransformerSettings(size="tiny")
    model = TASK.models["transformer"].build(settings, learned)
    backbone = model.get_layer("backbone")
    start = Pretrained("run", "run", "transformer", Path(), backbone, tokenizer=learned.tokenizer)
    spec = Translate.models["transformer"]
    pairs = [{"source": "the cat", "target": "one two"}]
    translation = Translate().learn(pairs, {}, spec.settings(), start=start, note=print)
    assert translation.tokenizer is learned.tokenizer
    translator = spec.build(spec.settings(), translation, backbone=backbone)
    batch = Translate().collate(Translate().encode(pairs, translation), translation)
    logits = translator(batch.inputs)
    assert logits.shape == (*batch.targets.shape, learned.tokenizer.vocabulary_size)
    assert translator.get_layer("backbone") is backbone
