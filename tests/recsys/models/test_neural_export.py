"""Trained recommenders as LiteRT and ONNX files score as they did."""

import functools

import numpy as np
import pytest

from aitk.core.artifacts.run import Run
from aitk.core.artifacts.run_layout import MODEL_FILES
from aitk.core.compression.convert import write
from aitk.core.inference.predictors import KerasPredictor, open_predictor
from aitk.recsys.models.bert4rec import build_bert4rec
from aitk.recsys.models.biased_mf import build_biased_mf
from aitk.recsys.models.bpr import build_bpr
from aitk.recsys.models.dcn import build_dcn
from aitk.recsys.models.dlrm import build_dlrm
from aitk.recsys.models.gru4rec import build_gru4rec
from aitk.recsys.models.layers.candidates import Ratings
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.models.neumf import build_neumf
from aitk.recsys.models.sasrec import build_sasrec
from aitk.recsys.models.two_tower import build_two_tower
from aitk.recsys.tasks import settings

ITEMS = 9
SHAPE = ItemShape(ITEMS, 4, np.arange(ITEMS), {"title": np.eye(ITEMS, 5, dtype=np.float32)})
SEQUENCE = {"hidden": 8, "layers": 1, "max_length": 6}
MODELS = {
    "sasrec": lambda: build_sasrec(settings.SasRecSettings(**SEQUENCE, features="title"), SHAPE),
    "bert4rec": lambda: build_bert4rec(settings.Bert4RecSettings(**SEQUENCE), SHAPE),
    "gru4rec": lambda: build_gru4rec(settings.Gru4RecSettings(**SEQUENCE), SHAPE),
    "two-tower": lambda: build_two_tower(settings.TwoTowerSettings(hidden=8), SHAPE),
    "bpr": lambda: build_bpr(settings.BprSettings(factors=4), SHAPE),
    "neumf": lambda: build_neumf(settings.NeuMfSettings(factors=8), SHAPE),
    "dcn": lambda: build_dcn(settings.DcnSettings(hidden=4), SHAPE),
    "dlrm": lambda: build_dlrm(settings.DlrmSettings(hidden=4), SHAPE),
    "biased-mf": lambda: build_biased_mf(
        settings.BiasedMfSettings(factors=4), SHAPE, ratings=Ratings(3.0, 1.0)
    ),
}


def inputs_of(rows, length):
    rng = np.random.default_rng(rows)
    history = rng.integers(1, ITEMS + 1, (rows, length))
    history[0, :-1] = 0
    return {
        "user": rng.integers(0, 5, rows).astype(np.int32),
        "history": history.astype(np.int32),
        "history_weights": np.where(history > 0, 4.0, 0).astype(np.float32),
        "targets": rng.integers(0, ITEMS + 1, (rows, 2)).astype(np.int32),
    }


@functools.cache
def made(name):
    """A model and its predictor, traced once for both formats."""
    model = MODELS[name]()
    return model, KerasPredictor(model)


@pytest.mark.parametrize("format", ["litert", pytest.param("onnx", marks=pytest.mark.onnx)])
@pytest.mark.parametrize("name", MODELS)
def test_a_converted_model_scores_the_same(name, format, tmp_path):
    model, exact = made(name)
    write(model, tmp_path / MODEL_FILES[format], format=format, scheme="none")
    near = open_predictor(Run(tmp_path, {"format": format}, trusted=True))
    for rows, length in ((1, 3), (3, 5)):
        inputs = inputs_of(rows, length)
        assert near(inputs) == pytest.approx(exact(inputs), abs=1e-4)
