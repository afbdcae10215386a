"""Recognisers learn to write what they hear."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.speech.decoding.ctc import ctc_targets, greedy, log_softmax
from aitk.speech.losses.ctc_loss import CtcLoss
from aitk.speech.tasks.settings import ConformerSettings, TcnSettings

UNITS, FRAMES = 4, 32
MODELS = {
    "tcn": TcnSettings(channels=16, blocks=2, stacks=1, width=3, subsampling=2, dropout=0.0),
    "conformer": ConformerSettings(
        hidden=16, layers=1, heads=2, width=3, subsampling=2, dropout=0.0
    ),
}


def spoken(rows: int, seed: int):
    """Sounds of two to four units, each four to six frames long with pauses between."""
    rng = np.random.default_rng(seed)
    features = 0.1 * rng.standard_normal((rows, FRAMES, UNITS)).astype("float32")
    texts = []
    for row in range(rows):
        at, units = 0, []
        for _ in range(rng.integers(2, 5)):
            unit, long = int(rng.integers(1, UNITS)), int(rng.integers(4, 7))
            features[row, at : at + long, unit] += 1
            units.append(unit)
            at += long + 1
        texts.append(units)
    mask = np.ones((rows, FRAMES), "int32")
    return {"features": features, "padding_mask": mask}, texts


@pytest.mark.parametrize("name", MODELS)
def test_a_recogniser_learns_to_write_what_it_hears(name):
    import keras

    from aitk.speech.models import build_backbone
    from aitk.speech.models.head import transcriber

    keras.utils.set_random_seed(0)
    model = transcriber(build_backbone(name, MODELS[name], UNITS), units=UNITS, dropout=0.0)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=CtcLoss())
    for step in range(120):
        inputs, texts = spoken(16, step)
        model.train_on_batch(inputs, ctc_targets(texts, [FRAMES // 2] * 16))
    inputs, texts = spoken(32, 1000)
    logits = model.predict_on_batch(inputs)
    heard = [greedy(log_softmax(row)) for row in logits]
    assert np.mean([a == b for a, b in zip(heard, texts, strict=True)]) > 0.9
