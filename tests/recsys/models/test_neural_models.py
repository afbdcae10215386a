"""Properties of every trained recommender, at a tiny size."""

import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.recsys.models.layers.candidates import Ratings
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.tasks import settings

ITEMS, USERS = 7, 5
COUNTS = np.array([5, 3, 1, 2, 1, 4, 0])
RATINGS = Ratings(mean=3.0, scale=1.2)
HISTORY = np.array([[0, 0, 1, 2], [3, 4, 1, 5], [0, 0, 0, 0]], np.int32)
INPUTS = {
    "user": np.array([1, 0, 0], np.int32),
    "history": HISTORY,
    "history_weights": np.where(HISTORY > 0, HISTORY / 2 + 1, 0).astype(np.float32),
    "targets": np.array([[1, 2], [3, 0], [4, 5]], np.int32),
}


def catalogue():
    rng = np.random.default_rng(0)
    titles = rng.normal(size=(ITEMS, 4)).astype(np.float32)
    titles[2] = 0
    return ItemShape(ITEMS, USERS, COUNTS, {"title": titles, "genres": np.eye(ITEMS, 3)})


def sequence(kind, **given):
    return kind(hidden=8, heads=2, max_length=6, negatives=4, **given)


def sasrec():
    from aitk.recsys.models.sasrec import build_sasrec

    return build_sasrec(sequence(settings.SasRecSettings, features="auto"), catalogue())


def gru4rec():
    from aitk.recsys.models.gru4rec import build_gru4rec

    return build_gru4rec(settings.Gru4RecSettings(hidden=8, max_length=6), catalogue())


def bert4rec():
    from aitk.recsys.models.bert4rec import build_bert4rec

    return build_bert4rec(sequence(settings.Bert4RecSettings), catalogue())


def two_tower():
    from aitk.recsys.models.two_tower import build_two_tower

    return build_two_tower(settings.TwoTowerSettings(hidden=8, negatives=4), catalogue())


def bpr():
    from aitk.recsys.models.bpr import build_bpr

    return build_bpr(settings.BprSettings(factors=8), catalogue())


def neumf():
    from aitk.recsys.models.neumf import build_neumf

    return build_neumf(settings.NeuMfSettings(factors=8), catalogue())


def dcn():
    from aitk.recsys.models.dcn import build_dcn

    return build_dcn(settings.DcnSettings(hidden=4), catalogue())


def dlrm():
    from aitk.recsys.models.dlrm import build_dlrm

    return build_dlrm(settings.DlrmSettings(hidden=4), catalogue())


def neumf_ratings():
    from aitk.recsys.models.neumf import build_neumf

    return build_neumf(settings.NeuMfSettings(factors=8), catalogue(), ratings=RATINGS)


def dcn_ratings():
    from aitk.recsys.models.dcn import build_dcn

    return build_dcn(settings.DcnSettings(hidden=4), catalogue(), ratings=RATINGS)


def biased_mf():
    from aitk.recsys.models.biased_mf import build_biased_mf

    return build_biased_mf(settings.BiasedMfSettings(factors=4), catalogue(), ratings=RATINGS)


RANKERS = [sasrec, gru4rec, bert4rec, two_tower, bpr, neumf, dcn, dlrm]
RATERS = [neumf_ratings, dcn_ratings, biased_mf]


@pytest.fixture(scope="module", params=RANKERS + RATERS, ids=lambda build: build.__name__)
def model(request):
    import keras

    keras.utils.set_random_seed(0)
    model = request.param()
    rng = np.random.default_rng(0)  # vectors far from zero, so that outputs differ
    for weight in model.trainable_weights:
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    return model


def run(model, inputs):
    return np.asarray(model({spec.name: inputs[spec.name] for spec in model.inputs}))


def test_there_is_a_number_for_each_item_or_target(model):
    outputs = run(model, INPUTS)
    slots = {spec.name for spec in model.inputs} >= {"targets"}
    assert outputs.shape == ((3, 2) if slots else (3, ITEMS))
    assert outputs.dtype == np.float32
    assert np.all(np.isfinite(outputs))
    assert model.get_layer("backbone").weights


def test_padding_changes_nothing(model):
    longer = dict(INPUTS)
    for name in ("history", "history_weights"):
        longer[name] = np.pad(INPUTS[name], ((0, 0), (2, 0)))
    alone = {name: array[:1] for name, array in INPUTS.items()}
    outputs = run(model, INPUTS)
    assert run(model, longer) == pytest.approx(outputs, abs=1e-5)
    assert run(model, alone) == pytest.approx(outputs[:1], abs=1e-5)


def test_a_saved_model_and_one_made_from_its_configuration_are_the_same(model, tmp_path):
    outputs = run(model, INPUTS)
    model.save(tmp_path / "model.keras")
    assert run(load_keras(tmp_path / "model.keras"), INPUTS) == pytest.approx(outputs, abs=1e-6)
    again = type(model).from_config(model.get_config())
    assert [weight.path for weight in again.weights] == [weight.path for weight in model.weights]
    again.set_weights(model.get_weights())
    assert run(again, INPUTS) == pytest.approx(outputs, abs=1e-6)


@pytest.mark.parametrize("build", [sasrec, two_tower, bpr, dcn], ids=lambda build: build.__name__)
def test_bfloat16_rounds_scores_and_no_more(build):
    import keras

    exact = build()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        rounded = build()
        rounded.set_weights(exact.get_weights())
        outputs = run(rounded, INPUTS)
    finally:
        keras.config.set_dtype_policy("float32")
    assert outputs.dtype == np.float32
    expected = run(exact, INPUTS)
    # A product of two vectors is rounded relative to their lengths, not to itself.
    assert outputs == pytest.approx(expected, abs=0.05 * float(np.abs(expected).max()))


@pytest.mark.parametrize("build", RANKERS, ids=lambda build: build.__name__)
def test_who_is_not_known_at_all_gets_what_is_popular(build):
    outputs = run(build(), INPUTS)
    assert np.argsort(-outputs[2])[:3].tolist() == [0, 5, 1]
    assert outputs[2, ITEMS - 1] == outputs[2].min()


@pytest.mark.parametrize("build", [neumf, dcn, dlrm], ids=lambda build: build.__name__)
def test_networks_over_pairs_learn_who_likes_what(build):
    import keras

    from aitk.recsys.losses.slot_losses import BinaryLoss

    chosen = {neumf: settings.NeuMfSettings, dcn: settings.DcnSettings, dlrm: settings.DlrmSettings}
    keras.utils.set_random_seed(0)
    model = build()
    # Users 1 and 2 like items 1 to 3, users 3 and 4 items 4 to 6.
    users = np.tile(np.array([1, 2, 3, 4], np.int32), 16)
    liked = np.where(users[:, None] <= 2, [[1, 2, 3]], [[4, 5, 6]]).astype(np.int32)
    inputs = {
        "user": users,
        "history": liked[:, :1],
        "positives": liked[:, 1:],
        "negatives": np.tile(np.where(users <= 2, 5, 2)[:, None, None], (1, 2, 1)).astype(np.int32),
    }
    model.compile(
        keras.optimizers.Adam(chosen[build].default_learning_rate),
        loss=BinaryLoss(),
        jit_compile=False,
    )
    model.fit(inputs, np.zeros((64, 2), int), batch_size=4, epochs=5, verbose=0)
    asked = {"user": np.array([2, 4, 0], np.int32), "history": np.array([[1], [4], [4]], np.int32)}
    scores = np.asarray(model(asked))
    assert scores[0, 1] > scores[0, 4]
    assert np.all(scores[1:, 4] > scores[1:, 1])
