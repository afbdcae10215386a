"""Translators that start from T5 and BART: preset folders, batches, and a run in a new process."""

from __future__ import annotations

import csv
import io
import json

import keras_hub
import numpy as np
import pytest
import sentencepiece

import aitk as api
from aitk.core.artifacts.pretrained import load_pretrained
from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.options import resolve
from aitk.nlp.tasks.translate import Translate

THINGS = {"lamp": "Lampe", "table": "Tisch", "book": "Buch", "ship": "Schiff", "house": "Haus"}
STATES = {
    "red": "rot",
    "new": "neu",
    "small": "klein",
    "old": "alt",
    "open": "offen",
    "wet": "nass",
}
ROWS = [
    {"source": f"the {thing} is {state}", "target": f"{ding} ist {zustand}"}
    for thing, ding in THINGS.items()
    for state, zustand in STATES.items()
]
SIZES = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32}


def t5_preset(folder):
    """A T5 of one layer with random weights, as Keras Hub saves it."""
    vocabulary = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(text for row in ROWS for text in row.values()),
        model_writer=vocabulary, vocab_size=60, model_type="unigram", bos_id=-1, pad_id=0,
        eos_id=1, unk_id=2, pad_piece="<pad>", eos_piece="</s>", unk_piece="<unk>",
        minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    tokenizer = keras_hub.models.T5Tokenizer(vocabulary.getvalue())
    network = keras_hub.models.T5Backbone(vocabulary_size=64, **SIZES)
    network.save_to_preset(str(folder))
    tokenizer.save_to_preset(str(folder))
    return folder


def bart_preset(folder):
    """A BART of one layer that knows bytes and four special tokens."""
    from tokenizers.pre_tokenizers import ByteLevel

    special = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    units = [*special, *sorted(ByteLevel.alphabet()), "Ġis"]
    merges = ["i s", "Ġ is"]
    tokenizer = keras_hub.models.BartTokenizer(
        vocabulary={unit: place for place, unit in enumerate([*units, "is"])}, merges=merges
    )
    network = keras_hub.models.BartBackbone(
        vocabulary_size=len(units) + 1, max_sequence_length=64, **SIZES
    )
    network.save_to_preset(str(folder))
    tokenizer.save_to_preset(str(folder))
    return folder


def learned(folder, **settings):
    task = Translate()
    found = load_pretrained(str(folder), model=None, task=task)
    assert (found.model, found.kind) == ("hub", "hub")
    chosen = resolve(task.models["hub"].settings, {**found.settings, **settings})
    assets = task.learn(ROWS, {}, chosen, start=found, note=lambda _: None)
    return found, assets


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    return t5_preset(tmp_path_factory.mktemp("t5"))


def test_t5_begins_with_padding_and_reads_its_prefix(t5):
    _, assets = learned(t5, prefix="is ", max_length=16)
    task, tokenizer = Translate(), assets.tokenizer
    assert assets.starts == (tokenizer.pad_id,)
    batch = task.collate(task.encode(ROWS[:2], assets), assets)
    source = batch.inputs["token_ids"][0][batch.inputs["padding_mask"][0] > 0]
    assert tokenizer.decode(source.tolist()) == "is the lamp is red"
    assert source[-1] == tokenizer.end_id
    assert batch.inputs["target_ids"][0, 0] == tokenizer.pad_id


def test_bart_begins_with_the_end_and_the_start_and_writes_from_the_third_token(tmp_path):
    found, assets = learned(bart_preset(tmp_path))
    task, tokenizer = Translate(), assets.tokenizer
    assert assets.max_length == 64  # of its positions
    assert assets.starts == (tokenizer.end_id, tokenizer.start_id)
    batch = task.collate(task.encode(ROWS[:2], assets), assets)
    read, written, weights = batch.inputs["target_ids"][0], batch.targets[0], batch.weights[0]
    assert tuple(read[:2]) == assets.starts
    np.testing.assert_array_equal(read[1:], written[:-1])
    assert weights[0] == 0
    assert (weights[1:] > 0).sum() == len(tokenizer.encode_bare([ROWS[0]["target"]], 64)[0]) + 1
    assert batch.weights.mean() == pytest.approx(1.0)
    model = task.models["hub"].build(None, assets, backbone=found.backbone)
    assert model(batch.inputs).shape == (*batch.targets.shape, tokenizer.vocabulary_size)


def test_a_t5_of_hugging_face_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "t5"}', encoding="utf-8")
    with pytest.raises(ArtifactError, match="T5 in Hugging Face format"):
        load_pretrained(str(tmp_path), model=None, task=Translate())


@pytest.mark.slow
def test_it_is_trained_evaluated_reloaded_and_explained(t5, tmp_path, python):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    data = api.prepare(str(pairs), task="nlp.translate", out=tmp_path / "data")
    run = api.finetune(
        data, out=tmp_path / "run", from_=str(t5), epochs=6, batch_size=8, learning_rate=5e-3,
        settings={"max_length": 48},
    )  # fmt: skip
    with (tmp_path / "run" / "history.csv").open(encoding="utf-8", newline="") as lines:
        losses = [float(line["loss"]) for line in csv.DictReader(lines)]
    assert losses[-1] < losses[0] - 0.1
    assert run.evaluate().facts["metrics"]["perplexity"]["value"] < np.exp(losses[0])
    program = """
import json, sys, aitk
run = aitk.load(sys.argv[1])
print(json.dumps([run.predict([{"source": "the lamp is red"}], beams=3), run.explain(
    [{"source": "the lamp is red"}])], default=str))
"""
    done = python(program, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    (answer,), (explained,) = json.loads(done.stdout)
    assert answer == run.predict([{"source": "the lamp is red"}], beams=3)[0]
    assert explained["alignment"]
