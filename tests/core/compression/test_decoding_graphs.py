"""A LiteRT file decodes with a cache as the Keras model does."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.core.compression.litert_file import write_litert
from aitk.core.inference.predictors import KerasPredictor, LiteRTPredictor
from aitk.nlp.models.decoders.gpt import Gpt
from aitk.nlp.models.decoders.language_models import NextTokens
from aitk.nlp.models.decoders.lstm_lm import LstmLanguageModel
from aitk.nlp.models.decoders.seq2seq import TransformerSeq2Seq, Translator

INPUTS = {
    "token_ids": np.array([[3, 4, 5, 6], [7, 8, 0, 0]], np.int32),
    "padding_mask": np.array([[1, 1, 1, 1], [1, 1, 0, 0]], np.int32),
}
TOKENS = np.array([[1, 5, 9], [1, 2, 3]], np.int32)


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (lambda: Translator(TransformerSeq2Seq(20, 16, 1, 2, 24, dropout=0.1)), INPUTS),
        (lambda: NextTokens(Gpt(20, 16, 2, 2, dropout=0.1)), {}),
        (lambda: NextTokens(LstmLanguageModel(20, 16, 2, dropout=0.1)), {}),
    ],
    ids=["translator", "gpt", "lstm"],
)
def test_a_litert_file_decodes_token_by_token(model, inputs, tmp_path):
    model = model()
    write_litert(model, tmp_path / "model.tflite", scheme="none", calibration=())
    decoders = [KerasPredictor(model).decoder, LiteRTPredictor(tmp_path / "model.tflite").decoder]
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
