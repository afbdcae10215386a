"""Defaults of training."""

import pytest

from aitk.nlp.tasks.settings import BagSettings
from aitk.stages.options import TrainingOptions
from aitk.stages.training.defaults import batch_size_of, with_defaults
from aitk.vision.models.detectors.settings import YoloSettings
from aitk.vision.models.segmenters.settings import UNetSettings
from aitk.vision.models.settings import ResNetSettings


@pytest.mark.parametrize(
    ("settings", "size"),
    [(BagSettings, 32), (ResNetSettings(), 32), (YoloSettings, 8), (UNetSettings(), 8)],
)
def test_the_model_defines_the_batch_size(settings, size):
    assert with_defaults(TrainingOptions(), settings, rows=80).batch_size == size
    assert with_defaults(TrainingOptions(batch_size=5), settings, rows=80).batch_size == 5
    assert batch_size_of(TrainingOptions(), settings) == size


def test_epochs_are_counted_in_steps_of_that_size():
    # 800 rows are 100 steps of 8: 30 epochs make the 3000 steps that a detector wants, 50 are
    # its least. Patience lasts for a quarter of them.
    filled = with_defaults(TrainingOptions(), YoloSettings, rows=800)
    assert (filled.epochs, filled.patience) == (50, 13)
    # 160 rows are 20 steps of 8, and 50 steps of patience 3 epochs; of 32, 5 steps and 10 epochs.
    few = {"epochs": 8}
    assert with_defaults(TrainingOptions(**few), YoloSettings, rows=160).patience == 3
    assert with_defaults(TrainingOptions(**few), ResNetSettings, rows=160).patience == 10


def test_the_rate_that_suits_the_data_goes_before_the_declared_one_and_behind_the_users():
    rate = {"rows": 80, "learning_rate": 0.0005}
    assert with_defaults(TrainingOptions(), BagSettings, **rate).learning_rate == 0.0005
    given = TrainingOptions(learning_rate=0.1)
    assert with_defaults(given, BagSettings, **rate).learning_rate == 0.1
    assert (
        with_defaults(TrainingOptions(), BagSettings, rows=80).learning_rate
        == BagSettings.default_learning_rate
    )
