"""Models of the order of items: what they see, what they learn, what they are trained on."""

import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.recsys.losses.slot_losses import ranking_loss
from aitk.recsys.models.bert4rec import build_bert4rec
from aitk.recsys.models.gru4rec import build_gru4rec
from aitk.recsys.models.layers.scores import ItemScores, Popularity, sampled_logits
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.models.sasrec import build_esasrec, build_sasrec
from aitk.recsys.tasks import settings

ITEMS = 6
COUNTS = np.array([8, 4, 2, 1, 1, 0])
SMALL = {"hidden": 16, "max_length": 8, "dropout": 0.0}


def catalogue(**features):
    return ItemShape(ITEMS, 3, COUNTS, features)


@pytest.fixture(autouse=True)
def seeded():
    import keras

    keras.utils.set_random_seed(0)


def features_of(model, history):
    return np.asarray(model.get_layer("backbone")(np.array(history, np.int32))[0])


@pytest.mark.parametrize(
    ("build", "kind", "sees_later"),
    [
        (build_sasrec, settings.SasRecSettings, False),
        (build_esasrec, settings.ESasRecSettings, False),
        (build_gru4rec, settings.Gru4RecSettings, False),
        (build_bert4rec, settings.Bert4RecSettings, True),
    ],
)
def test_only_bert4rec_sees_later_items(build, kind, sees_later):
    model = build(kind(**SMALL), catalogue())
    one, other = features_of(model, [[0, 1, 2, 3], [0, 1, 2, 4]])
    assert (one[1] == pytest.approx(other[1], abs=1e-6)) != sees_later
    assert one[3] != pytest.approx(other[3], abs=1e-6)


def test_closed_gates_let_the_history_pass_unchanged():
    model = build_esasrec(settings.ESasRecSettings(**SMALL), catalogue())
    backbone = model.get_layer("backbone")
    gates = [layer for layer in backbone.layers if layer.name.endswith("_gate")]
    assert len(gates) == 4  # two layers of two parts
    for gate in gates:
        gate.bias.assign(np.full(16, -50.0))
    items, positions = backbone.get_layer("items"), backbone.get_layer("positions")
    vectors, _ = items(np.array([[1, 2, 3]], np.int32))
    alone = backbone.get_layer("final_norm")(positions(vectors, np.array([[1, 2, 3]])))
    assert features_of(model, [[1, 2, 3]]) == pytest.approx(np.asarray(alone), abs=1e-5)


def test_heads_that_do_not_divide_the_vectors_are_refused():
    with pytest.raises(UsageError, match="5 attention heads do not divide 16 features"):
        build_sasrec(settings.SasRecSettings(**SMALL, heads=5), catalogue())


def cycle(rows, rng):
    """Histories through 1, 2, ... 6, 1, ... from a random start."""
    starts = rng.integers(0, ITEMS, (rows, 1))
    return ((starts + np.arange(6)) % ITEMS + 1).astype(np.int32)


@pytest.mark.parametrize(
    ("build", "kind", "loss"),
    [
        (build_sasrec, settings.SasRecSettings, "softmax"),
        (build_sasrec, settings.SasRecSettings, "gbce"),
        (build_esasrec, settings.ESasRecSettings, "softmax"),
        (build_gru4rec, settings.Gru4RecSettings, "sampled-softmax"),
        (build_bert4rec, settings.Bert4RecSettings, "softmax"),
    ],
)
def test_the_next_item_is_learned(build, kind, loss):
    import keras

    chosen = kind(**SMALL, layers=1, loss=loss, negatives=4)
    shape = ItemShape(ITEMS, 3, np.ones(ITEMS))
    model = build(chosen, shape)
    rng = np.random.default_rng(0)
    rows = cycle(512, rng)
    if model.masked:
        hidden = rng.random(rows.shape) < 0.3
        hidden[:, -1] = True
        history, positives = np.where(hidden, ITEMS + 1, rows), np.where(hidden, rows, 0)
    else:
        history, positives = rows[:, :-1], rows[:, 1:]
    columns = np.maximum(positives - 1, 0) if loss == "softmax" else np.zeros_like(positives)
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=ranking_loss(chosen.loss, chosen, items=ITEMS),
        jit_compile=False,
    )
    model.fit(
        {"history": history.astype(np.int32), "positives": positives.astype(np.int32)},
        columns,
        sample_weight=(positives > 0).astype(np.float32),
        batch_size=32,
        epochs=8,
        verbose=0,
    )
    scores = np.asarray(model({"history": np.array([[0, 2, 3, 4], [4, 5, 6, 1]], np.int32)}))
    assert np.argmax(scores, axis=1).tolist() == [4, 1]


def test_sampled_logits_estimate_the_whole_softmax():
    hidden, count = 4, 20_000
    rng = np.random.default_rng(0)
    table = rng.normal(size=(ITEMS + 2, hidden)).astype(np.float32)
    features = rng.normal(size=(1, 1, hidden)).astype(np.float32)
    scores, popularity = ItemScores(ITEMS), Popularity(ITEMS)
    scores.build(features.shape, table.shape)
    popularity.build((1, ITEMS), (1, 1))
    popularity.fill(ItemShape(ITEMS, 0, np.array([8, 4, 2, 1, 1, 3])))
    logits = np.asarray(
        sampled_logits(
            scores,
            popularity,
            features,
            table,
            np.array([[2]], np.int32),
            count=count,
            uniform=False,
        )
    )
    exact = features[0, 0] @ table[1 : ITEMS + 1].T
    assert logits.shape == (1, 1, 1 + count)
    assert logits[0, 0, 0] == pytest.approx(exact[1], abs=1e-5)
    assert np.exp(logits).sum() == pytest.approx(np.exp(exact).sum(), rel=0.03)


def test_a_drawn_item_that_is_the_right_one_does_not_count():
    model = build_sasrec(settings.SasRecSettings(**SMALL, loss="bce", negatives=50), catalogue())
    history = np.array([[1, 2]], np.int32)
    positives = np.array([[2, 3]], np.int32)
    logits = np.asarray(model({"history": history, "positives": positives}))
    full = np.asarray(
        build_like(model, loss="softmax")({"history": history, "positives": positives})
    )
    assert logits.shape == (1, 2, 51)
    for place, right in enumerate(positives[0]):
        assert logits[0, place, 0] == pytest.approx(full[0, place, right - 1], abs=1e-6)
        others = {round(float(x), 5) for x in np.delete(full[0, place], right - 1)}
        drawn = {round(float(x), 5) for x in logits[0, place, 1:] if x > -1e8}
        assert drawn <= others


def build_like(model, *, loss):
    other = type(model).from_config(model.get_config() | {"loss": loss})
    other.set_weights(model.get_weights())
    return other


def test_unpopular_items_are_never_drawn():
    popularity = Popularity(ITEMS)
    popularity.build((1, ITEMS), (1, 1))
    popularity.fill(catalogue())
    drawn = np.asarray(popularity.draw(2000, uniform=False))
    assert np.bincount(drawn, minlength=ITEMS + 1)[1:] / 2000 == pytest.approx(
        COUNTS / COUNTS.sum(), abs=0.05
    )
    assert set(np.asarray(popularity.draw(2000, uniform=True))) == set(range(1, ITEMS + 1))


def test_the_seed_of_the_draws_is_part_of_the_model_and_repeats_them():
    model = build_sasrec(settings.SasRecSettings(**SMALL, loss="bce", negatives=9), catalogue())
    inputs = {name: np.array([[1, 2]], np.int32) for name in ("history", "positives")}
    before = [np.asarray(variable) for variable in model.variables]
    first, second = np.asarray(model(inputs)), np.asarray(model(inputs))
    assert first.tolist() != second.tolist()
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    assert np.asarray(model(inputs)).tolist() == first.tolist()


def test_an_item_without_events_is_scored_by_its_features_and_no_wrong_answer():
    genres = np.eye(ITEMS, dtype=np.float32)
    genres[5] = genres[0]  # the sixth item has no events, and is like the first
    model = build_sasrec(
        settings.SasRecSettings(**SMALL, features="genres"), catalogue(genres=genres)
    )
    table = np.asarray(model.get_layer("backbone")(np.array([[1, 2]], np.int32))[1])
    own = np.asarray(model.get_layer("backbone").get_layer("items").vectors)
    assert table[6] == pytest.approx(table[1] - own[1], abs=1e-6)
    inputs = {name: np.array([[1, 2]], np.int32) for name in ("history", "positives")}
    assert np.all(np.asarray(model(inputs))[..., 5] < -1e8)
    assert np.all(np.asarray(model({"history": inputs["history"]})) > -1e3)


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        (build_sasrec, settings.SasRecSettings),
        (build_gru4rec, settings.Gru4RecSettings),
        (build_bert4rec, settings.Bert4RecSettings),
    ],
)
def test_a_small_start_scale_begins_at_popularity_and_is_learned(build, kind):
    model = build(kind(**SMALL, start_scale=0.001), catalogue())
    popularity = np.log1p(COUNTS) - np.log1p(COUNTS).mean()
    history = {"history": np.array([[1, 2], [5, 6]], np.int32)}
    assert np.asarray(model(history)) == pytest.approx(np.tile(popularity, (2, 1)), abs=0.03)
    assert "scale" in [weight.name for weight in model.trainable_variables]
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    assert np.asarray(again(history)) == pytest.approx(np.asarray(model(history)))
