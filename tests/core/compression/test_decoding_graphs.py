"""LiteRT and ONNX files decode with a cache as the Keras model does."""

from __future__ import annotations

import keras_hub
import numpy as np
import pytest

from aitk.core.compression.litert_file import write_litert
from aitk.core.compression.onnx_file import write_onnx
from aitk.core.inference.predictors import KerasPredictor, LiteRTPredictor, OnnxPredictor
from aitk.nlp.models.decoders.gpt import Gpt
from aitk.nlp.models.decoders.hub_seq2seq import HubTranslator, wrap_seq2seq
from aitk.nlp.models.decoders.language_models import NextTokens
from aitk.nlp.models.decoders.lstm_lm import LstmLanguageModel
from aitk.nlp.models.decoders.seq2seq import LstmSeq2Seq, TransformerSeq2Seq, Translator

INPUTS = {
    "token_ids": np.array([[3, 4, 5, 6], [7, 8, 0, 0]], np.int32),
    "padding_mask": np.array([[1, 1, 1, 1], [1, 1, 0, 0]], np.int32),
}
TOKENS = np.array([[1, 5, 9], [1, 2, 3]], np.int32)


def hub(network):
    return HubTranslator(wrap_seq2seq(network), 20)


SIZES = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 24}
MODELS = {
    "translator": lambda: Translator(TransformerSeq2Seq(20, 16, 1, 2, 24, dropout=0.1)),
    "lstm translator": lambda: Translator(LstmSeq2Seq(20, 16, 2, dropout=0.1)),
    "gpt": lambda: NextTokens(Gpt(20, 16, 2, 2, dropout=0.1)),
    "lstm": lambda: NextTokens(LstmLanguageModel(20, 16, 2, dropout=0.1)),
    "t5": lambda: hub(keras_hub.models.T5Backbone(20, **SIZES)),
    "bart": lambda: hub(keras_hub.models.BartBackbone(20, **SIZES)),
}


def open_litert(model, path):
    write_litert(model, path, scheme="none", calibration=())
    return LiteRTPredictor(path)


def open_onnx(model, path):
    write_onnx(model, path, scheme="none", calibration=())
    return OnnxPredictor(path)


@pytest.mark.parametrize("name", ["translator", "gpt", "lstm", "t5"])
def test_a_litert_file_decodes_token_by_token(name, tmp_path):
    check_decoding(MODELS[name](), tmp_path / "model.tflite", open_litert)


@pytest.mark.onnx
@pytest.mark.parametrize("name", ["lstm translator", "gpt", "bart"])
def test_onnx_files_decode_token_by_token(name, tmp_path):
    check_decoding(MODELS[name](), tmp_path / "model.onnx", open_onnx)


@pytest.mark.onnx
def test_int8_files_also_decode_and_onnx_without_them_has_no_cache(tmp_path):
    model = NextTokens(Gpt(20, 64, 1, 2, dropout=0.1))
    write_onnx(model, tmp_path / "model.onnx", scheme="dynamic", calibration=())
    predictor = OnnxPredictor(tmp_path / "model.onnx")
    state = predictor.decoder.start({}, rows=2, length=16)
    logits, _ = predictor.decoder.advance(state, TOKENS)
    mask = np.ones_like(TOKENS)
    whole = predictor({"token_ids": TOKENS, "padding_mask": mask})[:, -1]
    np.testing.assert_allclose(logits, whole, atol=0.15)  # int8 ranges are per batch
    (tmp_path / "model.step.onnx").unlink()
    assert OnnxPredictor(tmp_path / "model.onnx").decoder is None


def check_decoding(model, path, open_file):
    """An exported decoder computes the logits of the Keras model's, and its likeliest tokens."""
    inputs = INPUTS if isinstance(model, Translator | HubTranslator) else {}
    decoders = [KerasPredictor(model).decoder, open_file(model, path).decoder]
    states = [each.start(inputs, rows=2, length=16) for each in decoders]
    for place in range(3):
        found = []
        for at, decoder in enumerate(decoders):
            logits, states[at] = decoder.advance(states[at], TOKENS[:, place : place + 1])
            found.append(decoder.to_numpy(logits))
        np.testing.assert_allclose(found[0], found[1], atol=1e-4)
    states = [each.take(state, np.array([1])) for each, state in zip(decoders, states, strict=True)]
    found = [
        each.best(each.advance(state, np.array([[4]]))[0], 3, np.zeros(20, np.float32))
        for each, state in zip(decoders, states, strict=True)
    ]
    np.testing.assert_array_equal(found[0][1], found[1][1])
