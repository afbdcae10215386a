"""Models of users and items by vectors: folding in, missing features, pairs, ratings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aitk.core.contract.errors import UsageError
from aitk.recsys.losses.slot_losses import RatingLoss, ranking_loss
from aitk.recsys.models import bpr as bpr_file
from aitk.recsys.models.biased_mf import build_biased_mf
from aitk.recsys.models.bpr import build_bpr
from aitk.recsys.models.dcn import Cross
from aitk.recsys.models.dlrm import PairProducts
from aitk.recsys.models.layers.candidates import Ratings
from aitk.recsys.models.layers.fold_in import conjugate_gradient
from aitk.recsys.models.layers.item_table import ItemTable
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.models.layers.users import HistoryMean, UserVectors
from aitk.recsys.models.two_tower import build_two_tower
from aitk.recsys.tasks import settings


@pytest.fixture(autouse=True)
def seeded():
    import keras

    keras.utils.set_random_seed(0)


@given(seed=st.integers(0, 1000), size=st.integers(1, 6))
@hypothesis_settings(max_examples=15, deadline=None, derandomize=True)
def test_conjugate_gradients_solve(seed, size):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    matrix = (root @ root.T + np.eye(size)).astype(np.float32)
    right = rng.normal(size=(3, size)).astype(np.float32)
    right[1] = 0
    found = conjugate_gradient(lambda x: x @ matrix, right, steps=size + 2)
    assert np.asarray(found) == pytest.approx(np.linalg.solve(matrix, right.T).T, abs=2e-3)


def test_an_unknown_user_is_folded_into_bpr_by_ridge_regression():
    model = build_bpr(settings.BprSettings(factors=4), ItemShape(9, 2, np.ones(9)))
    layer = model.get_layer("backbone").get_layer("factors")
    items = np.asarray(layer.item_vectors)[1:10].astype(float)
    seen = items[[0, 4]]
    weight, ridge = bpr_file.CONFIDENCE, bpr_file.RIDGE * np.mean(np.sum(items**2, axis=0))
    matrix = items.T @ items + weight * seen.T @ seen + ridge * np.eye(4)
    vector = np.linalg.solve(matrix, (1 + weight) * seen.sum(axis=0))
    scores = model({"user": np.array([0]), "history": np.array([[0, 1, 5]])})
    assert np.asarray(scores)[0] == pytest.approx(items @ vector, rel=1e-3, abs=1e-3)


def two_camps():
    """Users 1 to 8 like items 1 to 4, users 9 to 16 items 5 to 8; each misses one of them."""
    histories = []
    for user in range(16):
        liked = [1, 2, 3, 4] if user < 8 else [5, 6, 7, 8]
        histories.append([item for item in liked if item != liked[user % 4]])
    return np.array(histories, np.int32)


def fit_ranker(model, loss, inputs, *, epochs):
    import keras

    model.compile(
        optimizer=keras.optimizers.Adam(0.02),
        loss=ranking_loss(loss, None, items=8),
        jit_compile=False,
    )
    columns = np.zeros_like(inputs["positives"])
    model.fit(inputs, columns, batch_size=16, epochs=epochs, verbose=0)


def test_bpr_ranks_what_the_like_minded_like_for_known_and_new_users():
    chosen = settings.BprSettings(factors=4, l2=1e-3)
    model = build_bpr(chosen, ItemShape(8, 16, np.full(8, 6)))
    histories = np.tile(two_camps(), (8, 1))
    users = np.tile(np.arange(1, 17, dtype=np.int32), 8)
    rng = np.random.default_rng(0)
    other_camp = np.where(users <= 8, 5, 1)[:, None, None]
    negatives = (other_camp + rng.integers(0, 4, (128, 3, 2))).astype(np.int32)
    inputs = {"user": users, "history": histories, "positives": histories, "negatives": negatives}
    fit_ranker(model, "pairwise", inputs, epochs=10)
    asked = np.array([[1, 2, 3], [5, 6, 7], [5, 6, 7]], np.int32)
    scores = np.asarray(model({"user": np.array([4, 12, 0], np.int32), "history": asked}))
    assert scores[0, 3] > scores[0, 4:].max()
    assert scores[1, 7] > scores[1, :4].max()
    assert scores[2, 7] > scores[2, :4].max()


def bpr_batch():
    """Two users; the second has one event and a slot of padding."""
    return {
        "user": np.array([3, 5], np.int32),
        "history": np.array([[0], [0]], np.int32),
        "positives": np.array([[2, 4], [7, 0]], np.int32),
        "negatives": np.array([[[5, 1, 8], [6, 1, 3]], [[1, 4, 2], [0, 0, 0]]], np.int32),
    }


def bpr_and_vectors(**given):
    model = build_bpr(settings.BprSettings(factors=4, **given), ItemShape(8, 16, np.ones(8)))
    layer = model.get_layer("backbone").get_layer("factors")
    return model, np.asarray(layer.user_vectors), np.asarray(layer.item_vectors)


def test_bpr_learns_from_the_unseen_item_with_the_highest_score():
    model, users, items = bpr_and_vectors()
    logits = np.asarray(model(bpr_batch(), training=True))
    assert logits.shape == (2, 2, 2)
    for number, slot, user, item, others in (
        (0, 0, 3, 2, [5, 1, 8]),
        (0, 1, 3, 4, [6, 1, 3]),
        (1, 0, 5, 7, [1, 4, 2]),
    ):
        expected = [items[item] @ users[user], max(items[others] @ users[user])]
        assert logits[number, slot] == pytest.approx(expected, abs=1e-6)


def test_the_penalty_of_bpr_is_in_the_loss_of_training_alone():
    model, users, items = bpr_and_vectors(l2=0.5)
    inputs = bpr_batch()
    model(inputs, training=True)
    lengths = []
    for user, item, others in ((3, 2, [5, 1, 8]), (3, 4, [6, 1, 3]), (5, 7, [1, 4, 2])):
        hardest = max(others, key=lambda other: items[other] @ users[user])
        vectors = [users[user], items[item], items[hardest]]
        lengths.append(sum(np.sum(vector**2) for vector in vectors))
    assert float(sum(model.losses)) == pytest.approx(0.5 * np.mean(lengths), rel=1e-5)
    model({name: inputs[name] for name in ("user", "history")}, training=False)
    assert sum(float(loss) for loss in model.losses) == 0


def test_missing_features_do_not_count():
    rng = np.random.default_rng(0)
    title, year = rng.normal(size=(3, 4)).astype("f4"), rng.normal(size=(3, 2)).astype("f4")
    title[1] = 0
    title[2], year[2] = 0, 0
    shape = ItemShape(3, 1, np.array([1, 1, 0]), {"title": title, "year": year})
    layer = ItemTable(3, 5, widths=shape.widths)
    numbers = np.array([[0, 1, 2, 3]])
    layer(numbers)
    layer.fill(shape)
    vectors, table = (np.asarray(each) for each in layer(numbers))
    own = np.asarray(layer.vectors)
    result = {
        name: shape.features[name] @ np.asarray(dense.kernel) + np.asarray(dense.bias)
        for name, dense in layer.denses.items()
    }
    assert table[1] == pytest.approx(
        own[1] + (result["title"][0] + result["year"][0]) / 2, abs=1e-5
    )
    assert table[2] == pytest.approx(own[2] + result["year"][1], abs=1e-5)
    assert table[3] == pytest.approx(own[3], abs=1e-6)  # no events, but no features either
    assert vectors[0, 0].tolist() == [0] * 5
    assert vectors[0, 1:] == pytest.approx(table[1:4])


def test_own_vectors_are_dropped_in_training_where_features_can_stand_in():
    title = np.array([[1.0], [0.0]], np.float32)
    shape = ItemShape(2, 1, np.array([1, 1]), {"title": title})
    layer = ItemTable(2, 4, widths=shape.widths, id_dropout=0.999999)
    layer(np.array([[1]]))
    layer.fill(shape)
    table = np.asarray(layer(np.array([[1]]), training=True)[1])
    own = np.asarray(layer.vectors)
    dense = layer.denses["title"]
    assert table[1] == pytest.approx(np.asarray(dense.kernel)[0], abs=1e-6)
    assert table[2] == pytest.approx(own[2], abs=1e-6)


def test_features_are_chosen_by_name():
    shape = ItemShape(2, 1, np.ones(2), {"title": np.ones((2, 3)), "year": np.ones((2, 1))})
    assert shape.with_features("auto").widths == {"title": 3, "year": 1}
    assert shape.with_features("none").widths == {}
    assert shape.with_features("year").widths == {"year": 1}
    with pytest.raises(UsageError, match="Did you mean 'title'"):
        shape.with_features("titel")


def test_a_two_tower_model_finds_a_new_item_by_its_features():
    # Two genres; item 4 was never chosen, and is of the first genre.
    genres = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [0, 1], [0, 1]], np.float32)
    shape = ItemShape(6, 1, np.array([9, 9, 9, 0, 9, 9]), {"genres": genres})
    chosen = settings.TwoTowerSettings(hidden=8, negatives=32, dropout=0.0, temperature=0.2)
    model = build_two_tower(chosen, shape)
    rows = np.array([[1, 2], [2, 1], [3, 5], [5, 6], [6, 3], [3, 6]] * 16, np.int32)
    fit_ranker(model, "softmax", {"history": rows[:, :1], "positives": rows[:, 1:]}, epochs=10)
    scores = np.asarray(model({"history": np.array([[1], [3]], np.int32)}))
    assert scores[0, 3] > scores[0, [2, 4, 5]].max()
    assert scores[1, 3] < scores[1, [2, 4, 5]].min()


def test_a_history_is_the_weighted_sum_of_its_vectors():
    vectors = np.array([[[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]], np.float32)
    weights = np.array([[0.0, 1.0, -1.0]], np.float32)
    found = np.asarray(HistoryMean()(vectors, weights))
    assert found[0] == pytest.approx(np.array([-2.0, -2.0]) / np.sqrt(3))


def test_an_unknown_user_is_what_the_history_says():
    layer = UserVectors(2, unknown=0.5)
    read = np.full((400, 3), 7.0, np.float32)
    user = np.array([0, 1] * 200, np.int32)
    found = np.asarray(layer(user, read))
    assert np.all(found[::2] == 7)
    assert found[1::2] == pytest.approx(7 + np.broadcast_to(layer.user_vectors[1], (200, 3)))
    trained = np.asarray(layer(user, read, training=True))
    assert 0.3 < np.mean(trained[1::2, 0] == 7) < 0.7


def test_pairs_of_vectors_are_multiplied_once():
    vectors = np.array([[[1.0, 0.0, 2.0, 3.0, 4.0, 5.0]]], np.float32)
    found = np.asarray(PairProducts(2)(vectors))
    assert sorted(found[0, 0]) == [2.0, 4.0, 23.0]  # (1,0)(2,3), (1,0)(4,5), (2,3)(4,5)


def test_crosses_multiply_what_they_have_by_the_start():
    layer = Cross()
    start = np.array([[[1.0, 2.0]]], np.float32)
    x = np.array([[[3.0, 5.0]]], np.float32)
    layer(start, x)
    layer.dense.set_weights([np.array([[1.0, 0.0], [1.0, 2.0]]), np.array([0.5, -1.0])])
    assert np.asarray(layer(start, x)).tolist() == [[[8.5 + 3, 2 * 9.0 + 5]]]


RATINGS = Ratings(mean=3.0, scale=0.5)


def test_a_new_users_bias_and_factors_are_those_that_fit_the_history():
    model = build_biased_mf(
        settings.BiasedMfSettings(factors=3, l2=0.1), ItemShape(5, 2, np.ones(5)), ratings=RATINGS
    )
    layer = model.get_layer("backbone").get_layer("factors")
    rng = np.random.default_rng(0)
    layer.item_vectors.assign(rng.normal(size=(7, 3)))
    layer.item_biases.assign(rng.normal(size=(7, 1)))
    factors = np.column_stack([np.ones(7), np.asarray(layer.item_vectors)]).astype(float)
    biases = np.asarray(layer.item_biases)[:, 0].astype(float)
    seen, stars = [1, 4], np.array([5.0, 2.0])
    rows = factors[seen]
    right = (stars - RATINGS.mean) / RATINGS.scale - biases[seen]
    vector = np.linalg.solve(rows.T @ rows + 0.1 * 2 * np.eye(4), rows.T @ right)
    expected = (factors[[2, 3]] @ vector + biases[[2, 3]]) * RATINGS.scale + RATINGS.mean
    found = model(
        {
            "user": np.array([0]),
            "history": np.array([[0, *seen]]),
            "history_weights": np.array([[0.0, *stars]], np.float32),
            "targets": np.array([[2, 3]]),
        }
    )
    assert np.asarray(found)[0] == pytest.approx(expected, rel=1e-3)


def test_biases_of_users_and_items_are_learned():
    import keras

    users, items = 6, 5
    stars = 3 + np.linspace(-1, 1, users)[:, None] + np.linspace(-0.8, 0.8, items)
    shape = ItemShape(items, users, np.full(items, users))
    chosen = settings.BiasedMfSettings(factors=2, l2=1e-4)
    model = build_biased_mf(chosen, shape, ratings=RATINGS)
    everything = np.tile(np.arange(1, items + 1, dtype=np.int32), (users, 1))
    inputs = {
        "user": np.arange(1, users + 1, dtype=np.int32),
        "history": everything[:, :1],
        "history_weights": stars[:, :1].astype(np.float32),
        "targets": everything,
    }
    model.compile(
        keras.optimizers.Adam(0.05), loss=RatingLoss(scale=RATINGS.scale), jit_compile=False
    )
    often = {name: np.tile(array, (120, *[1] * (array.ndim - 1))) for name, array in inputs.items()}
    model.fit(often, np.tile(stars, (120, 1)), batch_size=users, verbose=0)
    assert np.asarray(model(inputs)) == pytest.approx(stars, abs=0.15)
