"""Joint CTC/attention: two heads, one loss, and the decoder's second opinion."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.speech.decoding.beam_search import Hypothesis
from aitk.speech.decoding.ctc import ctc_targets
from aitk.speech.decoding.joint import (
    decoder_inputs,
    rescore,
    text_log_probabilities,
)
from aitk.speech.tasks.settings import JointTransformerSettings

UNITS, DIMENSIONS = 5, 3
TEXTS = [[1, 2, 2], [4]]


@pytest.fixture(scope="module")
def model():
    from aitk.speech.models import build_backbone
    from aitk.speech.models.joint import joint_transcriber

    settings = JointTransformerSettings(hidden=8, layers=1, heads=2, subsampling=2)
    backbone = build_backbone("transformer", settings, DIMENSIONS)
    model = joint_transcriber(backbone, units=UNITS, layers=2, heads=2, dropout=0.0)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(scale=0.5, size=variable.shape))
    return model


def clips(*, pad_to: int) -> dict[str, np.ndarray]:
    features = np.random.default_rng(1).normal(size=(2, pad_to, DIMENSIONS)).astype("float32")
    features[:, :20] = np.random.default_rng(2).normal(size=(2, 20, DIMENSIONS))
    mask = (np.arange(pad_to) < np.array([[20], [13]])).astype("int32")
    return {"features": features, "padding_mask": mask}


def test_both_heads_come_one_after_the_other(model):
    logits = np.asarray(model(clips(pad_to=20) | {"target_ids": decoder_inputs(TEXTS)}))
    assert logits.shape == (2, 4 + 10, UNITS)
    assert (logits[1, 4 + 7 :] == 0).all()


def test_padding_changes_neither_head(model):
    ids = decoder_inputs(TEXTS)
    short = np.asarray(model(clips(pad_to=20) | {"target_ids": ids}))
    more = np.pad(ids, ((0, 0), (0, 3)), constant_values=4)
    long = np.asarray(model(clips(pad_to=31) | {"target_ids": more}))
    np.testing.assert_allclose(long[0, 7:17], short[0, 4:], atol=1e-4)
    np.testing.assert_allclose(long[:, :4], short[:, :4], atol=1e-4)


def test_the_decoder_reads_only_what_came_before(model):
    one, other = decoder_inputs([[1, 2, 3], [1]]), decoder_inputs([[1, 4, 4], [1]])
    first = np.asarray(model(clips(pad_to=20) | {"target_ids": one}))
    second = np.asarray(model(clips(pad_to=20) | {"target_ids": other}))
    np.testing.assert_allclose(first[0, :2], second[0, :2], atol=1e-5)
    assert np.abs(first[0, 2] - second[0, 2]).max() > 0.01


def test_a_saved_model_is_the_same_after_loading(model, tmp_path):
    from aitk.core.artifacts.keras_file import load_keras

    model.save(tmp_path / "model.keras")
    inputs = clips(pad_to=20) | {"target_ids": decoder_inputs(TEXTS)}
    loaded = load_keras(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(loaded(inputs)), np.asarray(model(inputs)))


def test_the_loss_is_the_weighted_sum_of_both(model):
    from aitk.speech.losses.ctc_loss import CtcLoss, JointLoss

    logits = np.asarray(model(clips(pad_to=20) | {"target_ids": decoder_inputs(TEXTS)}))
    steps = [10, 7]
    found = np.asarray(JointLoss(0.4, reduction=None)(ctc_targets(TEXTS, steps), logits))
    by_steps = np.asarray(CtcLoss(reduction=None)(ctc_targets(TEXTS, steps), logits[:, 4:]))
    by_attention = text_log_probabilities(logits, TEXTS)
    for row, units in enumerate(TEXTS):
        wanted = 0.4 * by_steps[row] - 0.6 * by_attention[row] / (len(units) + 1)
        assert found[row] == pytest.approx(wanted, rel=1e-4)


def test_a_texts_probability_is_the_product_of_its_units():
    logits = np.log(np.array([[[0.2, 0.8], [0.6, 0.4], [0.5, 0.5]]]))
    assert text_log_probabilities(logits, [[1]]) == pytest.approx(np.log(0.8 * 0.6))


def test_rescoring_listens_to_both(model):
    one = {name: array[:1] for name, array in clips(pad_to=20).items()}
    found = [Hypothesis("b", -1.0, (2,)), Hypothesis("a", -1.1, (1,))]
    ids = decoder_inputs([(2,), (1,)])
    twice = {name: np.repeat(array, 2, axis=0) for name, array in one.items()}
    logits = np.asarray(model(twice | {"target_ids": ids}))
    by_attention = text_log_probabilities(logits, [[2], [1]])
    scores = {each.text: each.score for each in rescore(found, one, model, ctc_weight=0.3)}
    assert scores["b"] == pytest.approx(0.3 * -1.0 + 0.7 * by_attention[0], rel=1e-4)
    assert scores["a"] == pytest.approx(0.3 * -1.1 + 0.7 * by_attention[1], rel=1e-4)
    only = rescore(found, one, model, ctc_weight=1.0)
    assert [each.text for each in only] == ["b", "a"]
    assert rescore([], one, model, ctc_weight=0.5) == []
