"""Every recogniser becomes a LiteRT and an ONNX file that hears the same."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.speech.tasks.settings import (
    BiLstmCtcSettings,
    ConformerSettings,
    JointTransformerSettings,
    TcnSettings,
)

DIMENSIONS, UNITS, FRAMES = 8, 6, 37
TINY = {
    "conformer": ConformerSettings(hidden=8, layers=1, heads=2, width=3),
    "tcn": TcnSettings(channels=8, blocks=1, stacks=1, width=3),
    "bilstm": BiLstmCtcSettings(hidden=8, layers=1),
    "transformer": JointTransformerSettings(hidden=8, layers=1, decoder_layers=1, heads=2),
}


def build(name):
    from aitk.speech.models import build_backbone
    from aitk.speech.models.head import transcriber
    from aitk.speech.models.joint import joint_transcriber

    settings = TINY[name]
    backbone = build_backbone(name, settings, DIMENSIONS)
    if name == "transformer":
        return joint_transcriber(backbone, units=UNITS, layers=1, heads=2, dropout=0.0)
    return transcriber(backbone, units=UNITS, dropout=0.0)


def batch(rows, frames, *, joint):
    rng = np.random.default_rng(rows)
    mask = (np.arange(frames) < rng.integers(frames // 2, frames + 1, (rows, 1))).astype("int32")
    features = rng.normal(size=(rows, frames, DIMENSIONS)).astype("float32") * mask[..., None]
    inputs = {"features": features, "padding_mask": mask}
    return inputs | ({"target_ids": np.zeros((rows, 3), "int32")} if joint else {})


@pytest.mark.onnx
@pytest.mark.parametrize("name", TINY)
def test_a_converted_recogniser_hears_the_same(name, tmp_path):
    from aitk.core.compression.convert import write
    from aitk.core.inference.predictors import KerasPredictor, LiteRTPredictor, OnnxPredictor

    model = build(name)
    exact = KerasPredictor(model)
    files = {"a.tflite": LiteRTPredictor, "a.onnx": OnnxPredictor}
    write(model, tmp_path / "a.tflite", format="litert", scheme="dynamic")
    write(model, tmp_path / "a.onnx", format="onnx", scheme="dynamic")
    for rows, frames in ((1, FRAMES), (3, 2 * FRAMES)):
        inputs = batch(rows, frames, joint=name == "transformer")
        wanted = exact(inputs)
        for file, opened in files.items():
            found = opened(tmp_path / file)(inputs)
            assert found.shape == wanted.shape
            error = np.sqrt(np.mean((found - wanted) ** 2))
            assert error < 0.15 * wanted.std(), f"{file}, {rows} rows"
