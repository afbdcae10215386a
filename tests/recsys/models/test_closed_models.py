"""The computed models: what each puts out, and that it is the same in every form."""

import functools
import math

import numpy as np
import pytest
from scipy.sparse import csr_array

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.artifacts.run import Run
from aitk.core.artifacts.run_layout import MODEL_FILES
from aitk.core.compression.convert import write
from aitk.core.contract.errors import UsageError
from aitk.core.inference.predictors import KerasPredictor, open_predictor
from aitk.recsys.features.training_log import TrainingLog
from aitk.recsys.losses.als import fold_in
from aitk.recsys.losses.averages import biases
from aitk.recsys.losses.ease import ease, ease_with_features
from aitk.recsys.losses.hidden import hide_one
from aitk.recsys.losses.similarities import item_neighbours
from aitk.recsys.models import hybrid as hybrids
from aitk.recsys.models.closed_form import rating_neighbours
from aitk.recsys.models.closed_form.sparse import neighbours_matrix, prune_neighbours
from aitk.recsys.models.specs import ClosedFormRecommender
from aitk.recsys.tasks import settings as of
from aitk.recsys.tasks.rate import Rate
from aitk.recsys.tasks.recommend import Recommend

USERS, ITEMS = 30, 11

#: Class of settings -> what fits the model.
FITS = {
    spec.settings: spec.fit_log
    for spec in [*Recommend.models.values(), *Rate.models.values()]
    if isinstance(spec, ClosedFormRecommender)
}


def fit(settings, log):
    return FITS[type(settings)](settings, log)


MODELS = {
    "popular": of.PopularSettings(),
    "random": of.RandomSettings(),
    "recent": of.RecentSettings(),
    "item-knn": of.ItemKnnSettings(neighbours=9),
    "user-knn": of.UserKnnSettings(neighbours=5, shrinkage=1.0),
    "user-knn adjusted": of.UserKnnSettings(neighbours=5, similarity="adjusted-cosine"),
    "user-knn jaccard": of.UserKnnSettings(neighbours=5, similarity="jaccard"),
    "ease": of.EaseSettings(l2=5.0),
    "ease sparse": of.EaseSettings(l2=5.0, neighbours=4),
    "slim": of.SlimSettings(l1=0.1, l2=1.0, neighbours=4),
    "bpr-sgd": of.BprSgdSettings(factors=4, epochs=3, batch_events=16),
    "als": of.AlsSettings(factors=4, alpha=2.0, l2=1.0),
    "content": of.ContentSettings(neighbours=4),
    "hybrid weighted": of.HybridSettings(weight=0.3, neighbours=4, l2=5.0),
    "hybrid features": of.HybridSettings(how="features", weight=2.0, l2=5.0),
    "average": of.AverageSettings(),
    "rate item-knn": of.RateItemKnnSettings(neighbours=2, shrinkage=1.0),
    "rate user-knn": of.RateUserKnnSettings(neighbours=3, shrinkage=1.0),
}


def table():
    rng = np.random.default_rng(0)
    return (rng.random((USERS, ITEMS)) < 0.35) * rng.integers(1, 6, (USERS, ITEMS)).astype("f4")


def features():
    rng = np.random.default_rng(1)
    colours = np.eye(3, dtype=np.float32)[rng.integers(0, 3, ITEMS)]
    vectors = rng.normal(size=(ITEMS, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[2] = 0  # missing
    return {"colour": csr_array(colours), "vector": vectors}


def log():
    events = csr_array(table())
    times = np.arange(events.nnz) * 86_400
    return TrainingLog(events, times=times, features=features())


def batch(rows, *, length=None):
    """Histories as model inputs, padded on the left, with all items as candidates."""
    length = length or max(1, max(int((row > 0).sum()) for row in rows))
    history = np.zeros((len(rows), length), np.int32)
    weights = np.zeros((len(rows), length), np.float32)
    for at, row in enumerate(rows):
        items = np.flatnonzero(row)
        if len(items):
            history[at, -len(items) :], weights[at, -len(items) :] = items + 1, row[items]
    targets = np.tile(np.arange(ITEMS + 1, dtype=np.int32), (len(rows), 1))
    return {"history": history, "history_weights": weights, "targets": targets}


@functools.cache
def predictor(model):
    """Traced once, and not for each test."""
    return KerasPredictor(model)


def outputs(model, rows, **how):
    found = predictor(model)(batch(rows, **how))
    return found[:, 1:] if found.shape[1] == ITEMS + 1 else found  # without the unused slot


@pytest.fixture(scope="module")
def models():
    return {name: fit(settings, log()) for name, settings in MODELS.items()}


# Every model ---------------------------------------------------------------------------------


def test_every_computed_model_is_here():
    assert {type(settings) for settings in MODELS.values()} == set(FITS)


@pytest.mark.onnx
@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_the_same_in_every_form(models, name, tmp_path):
    model, inputs = models[name], batch(table()[:5])
    inputs["history"][3, -2:] = 4  # twice the same item
    inputs["history_weights"][3, -2:] = 2.0
    exact = predictor(model)(inputs)
    assert exact.dtype == np.float32
    assert np.isfinite(exact).all()
    model.save(tmp_path / "model.keras")
    reloaded = load_keras(tmp_path / "model.keras")
    assert type(reloaded) is type(model)
    assert KerasPredictor(reloaded)(inputs).tolist() == exact.tolist()
    one = {key: value[:1] for key, value in inputs.items()}
    write(model, tmp_path / MODEL_FILES["litert"], format="litert", scheme="none")
    write(model, tmp_path / MODEL_FILES["onnx"], format="onnx", scheme="none")
    for format in ("litert", "onnx"):
        near = open_predictor(Run(tmp_path, {"format": format}, trusted=True))
        assert near(inputs) == pytest.approx(exact, abs=2e-5), format
        assert near(one) == pytest.approx(exact[:1], abs=2e-5), format


@pytest.mark.parametrize("name", MODELS)
def test_padding_and_neighbours_in_a_batch_change_nothing(models, name):
    alone = outputs(models[name], table()[:1])
    assert outputs(models[name], table()[:4], length=20)[:1] == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_an_empty_history_has_a_prediction(models, name):
    found = outputs(models[name], np.zeros((1, ITEMS)))
    assert found.shape == (1, ITEMS)
    assert np.isfinite(found).all()


def test_the_seed_and_the_log_decide():
    settings = of.AlsSettings(factors=4)
    first, again = (outputs(fit(settings, log()), table()) for _ in range(2))
    assert first.tolist() == again.tolist()


# Scores --------------------------------------------------------------------------------------


def test_popular_scores_are_counts(models):
    assert outputs(models["popular"], table()[:1])[0].tolist() == (table() > 0).sum(0).tolist()


def test_recent_without_times_is_popular(models):
    timeless = fit(of.RecentSettings(), TrainingLog(csr_array(table())))
    found, wanted = (outputs(model, table()[:2]) for model in (timeless, models["popular"]))
    assert found.tolist() == wanted.tolist()


def test_random_orders_differ_between_users_and_have_no_favourites():
    model = fit(of.RandomSettings(), TrainingLog(csr_array((400, 50), dtype=np.float32)))
    rng = np.random.default_rng(0)
    history = rng.integers(1, 51, (400, 5)).astype(np.int32)
    first = KerasPredictor(model)({"history": history}).argmax(axis=1)
    counts = np.bincount(first, minlength=50)  # 8 each, on average
    assert counts.max() < 30
    assert (counts > 0).sum() > 40


def test_item_knn_adds_up_the_neighbours(models):
    numbers, weights = item_neighbours(csr_array(table()), similarity="cosine", neighbours=9)
    found = outputs(models["item-knn"], table())
    for user in range(USERS):
        for item in range(ITEMS):
            near = zip(numbers[item], weights[item], strict=True)
            wanted = sum(weight * table()[user, number] for number, weight in near)
            assert found[user, item] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "shrinkage"), [("user-knn", 1), ("user-knn adjusted", 0), ("user-knn jaccard", 0)]
)
def test_user_knn_adds_up_similar_users(models, name, shrinkage):
    found = outputs(models[name], table())
    for user in range(USERS):
        likeness = [alike(table()[user], other, name, shrinkage) for other in table()]
        fifth = max(sorted(likeness)[-5], 1e-9)
        asked = [value if value >= fifth * (1 - 1e-6) else 0.0 for value in likeness]
        assert found[user] == pytest.approx(np.array(asked) @ table(), abs=1e-3)


def alike(one, other, name, shrinkage):
    """The similarity of two users' rows."""
    if "jaccard" in name:
        return ((one > 0) & (other > 0)).sum() / max(1, ((one > 0) | (other > 0)).sum())
    if "adjusted" in name:
        one, other = (
            np.where(row > 0, row - row[row > 0].mean(), 0) if row.any() else row
            for row in (one, other)
        )
    return one @ other / max(np.linalg.norm(one) * np.linalg.norm(other) + shrinkage, 1e-9)


def test_ease_scores_are_the_product_with_its_weights(models):
    weights = ease(csr_array(table()), l2=5.0)
    assert outputs(models["ease"], table()) == pytest.approx(table() @ weights, abs=1e-4)


def test_sparse_ease_keeps_the_largest_weights_of_each_item(models):
    weights = ease(csr_array(table()), l2=5.0)
    small = np.sort(np.abs(weights), axis=0)[-4]
    kept = np.where(np.abs(weights) >= small, weights, 0)
    assert outputs(models["ease sparse"], table()) == pytest.approx(table() @ kept, abs=1e-4)


def test_als_folds_a_user_in_from_the_history(models):
    vectors = models["als"].get_layer("backbone").get_weights()[0][1:]
    new = np.zeros((1, ITEMS), np.float32)
    new[0, [1, 4]] = 3
    users = fold_in(csr_array(new), vectors, alpha=2.0, l2=1.0)
    assert outputs(models["als"], new) == pytest.approx(users @ vectors.T, abs=1e-4)


def test_content_finds_items_with_the_same_features():
    same = np.array([[1, 0], [0, 1], [1, 0], [0, 1], [0, 0]], np.float32)
    model = fit(
        of.ContentSettings(),
        TrainingLog(csr_array((3, 5), dtype=np.float32), features={"kind": same}),
    )
    found = KerasPredictor(model)(
        {"history": np.array([[1]]), "history_weights": np.ones((1, 1), np.float32)}
    )
    assert found[0] == pytest.approx([0, 0, 1, 0, 0])


@pytest.mark.parametrize("settings", [of.ContentSettings(), of.HybridSettings()])
def test_no_features_is_one_line(settings):
    with pytest.raises(UsageError, match=r"no features.*--items"):
        fit(settings, TrainingLog(csr_array(table())))


# Hybrids -------------------------------------------------------------------------------------


def test_the_weighted_hybrid_is_between_its_parts(models):
    def standard(scores):
        return (scores - scores.mean(1, keepdims=True)) / scores.std(1, keepdims=True)

    rows = table()[(table() > 0).sum(1) > 2]
    linear, content = (standard(outputs(models[name], rows)) for name in ("ease", "content"))
    wanted = 0.7 * linear + 0.3 * content
    assert outputs(models["hybrid weighted"], rows) == pytest.approx(wanted, abs=1e-3)


def made_log(*, by_kind):
    """A few users with items of one kind, or many with pairs of items of any kind."""
    rng = np.random.default_rng(0)
    kinds = np.arange(40) % 4
    rows = np.zeros((16 if by_kind else 60, 40), np.float32)
    for user, row in enumerate(rows):
        liked = np.flatnonzero(kinds == user % 4) if by_kind else np.arange(0, 40, 2)
        row[rng.choice(liked, 3, replace=False)] = 1
    if not by_kind:
        rows[:, 1::2] = rows[:, ::2]
    return TrainingLog(csr_array(rows), features={"kind": np.eye(4, dtype=np.float32)[kinds]})


def test_the_share_of_content_is_learned():
    settings = of.HybridSettings(l2=10.0, neighbours=20)
    shares = [
        fit(settings, made_log(by_kind=by_kind)).get_layer("backbone").share
        for by_kind in (True, False)
    ]
    assert shares[0] > shares[1]


def test_the_weight_of_features_is_the_best_on_hidden_events():
    given = made_log(by_kind=True)
    hidden, kinds = hide_one(given.events), given.features["kind"]

    def ndcg(weight):
        kernel = ease_with_features(hidden.events, kinds, weight=weight, l2=10.0)
        return hidden.ndcg(lambda histories: (histories @ kernel)[None])[0]

    best = max(hybrids.WEIGHTS, key=ndcg)
    assert best > 0
    wanted = ease_with_features(given.events, kinds, weight=best, l2=10.0)
    model = fit(of.HybridSettings(how="features", l2=10.0), given)
    assert model.get_layer("backbone").get_weights()[0] == pytest.approx(wanted)


def test_a_share_above_one_is_refused():
    with pytest.raises(UsageError, match="at most 1"):
        fit(of.HybridSettings(weight=2.0), log())


# Pruning -------------------------------------------------------------------------------------


def test_pruning_drops_the_weakest_neighbours(models):
    before = models["item-knn"].get_layer("backbone").get_weights()
    pruned = prune_neighbours(models["item-knn"], share=0.75)
    weights, numbers = pruned.get_layer("backbone").get_weights()
    assert weights.tolist() == before[0][:, :2].tolist()
    assert numbers.tolist() == before[1][:, :2].tolist()
    assert prune_neighbours(pruned, share=0.99).get_layer("backbone").neighbours == 1


# Ratings -------------------------------------------------------------------------------------


def averages():
    settings = of.AverageSettings()
    return biases(
        csr_array(table()),
        user_shrinkage=settings.user_shrinkage,
        item_shrinkage=settings.item_shrinkage,
    )


def test_the_average_of_a_known_user_is_that_of_training(models):
    mean, users, items = averages()
    wanted = mean + users[:, None] + items
    assert outputs(models["average"], table()) == pytest.approx(wanted, abs=1e-5)


def test_rate_item_knn_asks_the_most_similar_rated_items(models):
    mean, users, items = averages()
    numbers, weights = item_neighbours(
        csr_array(table()), similarity="adjusted-cosine", neighbours=20, shrinkage=1.0
    )
    found = outputs(models["rate item-knn"], table())
    for user, row in enumerate(table()):
        for item in range(ITEMS):
            near = [
                (weight, row[number] - mean - users[user] - items[number])
                for number, weight in zip(numbers[item], weights[item], strict=True)
                if row[number] > 0 and weight > 0
            ][:2]
            total = sum(weight for weight, _ in near)
            moved = sum(weight * left for weight, left in near) / total if total else 0.0
            wanted = mean + users[user] + items[item] + moved
            assert found[user, item] == pytest.approx(wanted, abs=1e-4)


def test_rate_user_knn_asks_the_most_similar_raters(models):
    mean, users, items = averages()
    found = outputs(models["rate user-knn"], table())
    for user, row in enumerate(table()):
        likeness = [alike(row, other, "adjusted", 1.0) for other in table()]
        for item in range(ITEMS):
            near = sorted(
                (
                    (max(likeness[other], 0), table()[other, item] - mean - users[other])
                    for other in range(USERS)
                    if table()[other, item] > 0
                ),
                key=lambda pair: -pair[0],
            )[:3]
            total = sum(weight for weight, _ in near)
            moved = sum(weight * (left - items[item]) for weight, left in near)
            wanted = mean + users[user] + items[item] + (moved / total if total else 0.0)
            assert found[user, item] == pytest.approx(wanted, abs=1e-4)


def test_of_many_raters_those_with_the_most_ratings_are_asked(monkeypatch):
    monkeypatch.setattr(rating_neighbours, "MOST_RATERS", 2)
    rows = np.array([[5, 1, 2, 0], [4, 2, 0, 0], [1, 5, 4, 3], [1, 0, 5, 0]], np.float32)
    model = fit(of.RateUserKnnSettings(shrinkage=0.0), TrainingLog(csr_array(rows)))
    layer = model.get_layer("backbone")
    assert layer.raters == 2
    first = math.floor(float(layer.starts[1]))
    assert [int(user) for user in layer.event_users[first : first + 2]] == [2, 0]


def test_who_knows_no_similar_item_gets_the_average(models):
    nobody = np.zeros((1, ITEMS), np.float32)
    wanted = outputs(models["average"], nobody)
    for name in ("rate item-knn", "rate user-knn"):
        assert outputs(models[name], nobody) == pytest.approx(wanted, abs=1e-5)


def test_a_matrix_of_neighbours_leaves_its_weights_alone():
    numbers, weights = np.array([[1, 0], [0, 1]]), np.array([[0.0, 2.0], [3.0, 0.0]], np.float32)
    before = weights.copy()
    assert neighbours_matrix(numbers, weights).toarray().tolist() == [[2.0, 0.0], [3.0, 0.0]]
    assert np.array_equal(weights, before)
