"""Moonshine: cached decoding, padding, saving, and its vocabulary."""

from __future__ import annotations

import io

import numpy as np
import pytest

from aitk.core.artifacts.pretrained import Pretrained
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.speech.data.audio import encode_audio
from aitk.speech.features.tokenizers.moonshine import load_moonshine_tokens, read_moonshine_tokens
from aitk.speech.tasks.asr import Asr
from aitk.speech.tasks.settings import MoonshineSettings

TASK = Asr()
SIZE = 40


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    """A SentencePiece model with the start and the end where Llama has them."""
    import sentencepiece

    model = io.BytesIO()
    texts = ["go left", "go right", "turn left", "turn right now", "stop there", "the end"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, vocab_size=30, model_type="bpe",
        unk_id=0, bos_id=1, eos_id=2, pad_id=-1, minloglevel=2,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("moonshine") / "vocabulary.spm"
    path.write_bytes(model.getvalue())
    return path


@pytest.fixture(scope="module")
def tokens(vocabulary):
    return read_moonshine_tokens(vocabulary, size=SIZE)


def row(seed: int, seconds: float) -> dict:
    samples = 0.2 * np.random.default_rng(seed).standard_normal(round(16000 * seconds))
    return {
        "audio": encode_audio(samples.astype(np.float32), 16000), "text": "go left",
        "seconds": seconds, "id": str(seed),
    }  # fmt: skip


ROWS = [row(0, 0.4), row(1, 0.7)]


@pytest.fixture(scope="module")
def network():
    import keras
    import keras_hub

    keras.utils.set_random_seed(0)
    return keras_hub.models.MoonshineBackbone(
        vocabulary_size=SIZE, filter_dim=16, encoder_num_layers=1, decoder_num_layers=2,
        hidden_dim=16, intermediate_dim=32, encoder_num_heads=2, decoder_num_heads=2,
        initializer_range=0.3, name="backbone",
    )  # fmt: skip


@pytest.fixture(scope="module")
def assets(network, tokens):
    source = Pretrained("x", "hub", "moonshine", None, network, tokenizer=tokens)
    settings = MoonshineSettings(max_tokens=10, time_masks=0, frequency_masks=0)
    return TASK.learn(ROWS, {}, settings, start=source, note=print)


@pytest.fixture(scope="module")
def model(network, assets):
    return TASK.models["moonshine"].build(MoonshineSettings(), assets, backbone=network)


@pytest.fixture(scope="module")
def predict(model):
    from aitk.core.inference.predictors import KerasPredictor

    return KerasPredictor(model)


def batch_of(rows, assets):
    unlabelled = [{key: each[key] for key in each if key != "text"} for each in rows]
    return TASK.collate(TASK.encode(unlabelled, assets), assets)


def test_cached_decoding_writes_what_whole_passes_would(network, predict, assets):
    batch = batch_of(ROWS[:1], assets)
    written = predict(batch.inputs)["token_ids"][0, 0].astype(int).tolist()
    text = assets.prompt()
    while len(text) < assets.max_length and assets.tokens.end not in text:
        hidden = network({
            "encoder_input_values": batch.inputs["samples"],
            "encoder_padding_mask": batch.inputs["padding_mask"].astype(bool),
            "decoder_token_ids": np.array([text]),
            "decoder_padding_mask": np.ones((1, len(text)), bool),
        })["decoder_sequence_output"]  # fmt: skip
        logits = np.array(network.token_embedding(hidden, reverse=True))[0, -1]
        logits[[0, 1]] = -np.inf
        text.append(int(logits[: assets.tokens.size].argmax()))
    assert len(set(text)) > 2
    assert written[: len(text)] == text


def test_padding_does_not_change_a_transcript(predict, assets):
    alone = TASK.infer(batch_of(ROWS[:1], assets), predict, assets)
    both = TASK.infer(batch_of(ROWS, assets), predict, assets)
    assert both[0].text == alone[0].text
    assert both[0].score == pytest.approx(alone[0].score, abs=1e-5)


def test_a_prediction_has_no_times(predict, assets):
    batch = batch_of(ROWS, assets)
    answers = TASK.decode(batch, TASK.infer(batch, predict, assets), assets)
    assert [sorted(each) for each in answers] == [["confidence", "text"]] * 2


def test_a_model_saved_and_loaded_writes_the_same(model, predict, assets, tmp_path):
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.inference.predictors import KerasPredictor

    model.save(tmp_path / "model.keras")
    loaded = KerasPredictor(load_keras(tmp_path / "model.keras"))
    inputs = batch_of(ROWS, assets).inputs
    np.testing.assert_array_equal(loaded(inputs)["token_ids"], predict(inputs)["token_ids"])


def test_training_lowers_the_loss(model, assets):
    import keras

    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    examples = TASK.encode(ROWS, assets)
    batch = TASK.collate(examples, assets, rng=np.random.default_rng(0))
    copy.compile(optimizer=keras.optimizers.Adam(0.01), loss=TASK.models["moonshine"].loss(assets))
    losses = [float(copy.train_on_batch(batch.inputs, batch.targets)) for _ in range(8)]
    assert losses[-1] < losses[0] - 0.1


def test_text_comes_back_and_the_vocabulary_from_disk(tokens, tmp_path):
    assert tokens.decode(tokens.encode("turn left now")) == "turn left now"
    tokens.save(tmp_path)
    assert load_moonshine_tokens(tmp_path) == tokens


def test_it_writes_english_alone(tokens):
    with pytest.raises(UsageError, match="English"):
        tokens.prompt(language="fr", translate=False, times=False)


def test_a_vocabulary_that_does_not_fit_is_refused(vocabulary, tmp_path):
    with pytest.raises(ArtifactError, match="has 30 tokens"):
        read_moonshine_tokens(vocabulary, size=8)
    (tmp_path / "vocabulary.spm").write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_moonshine_tokens(tmp_path / "vocabulary.spm", size=SIZE)
