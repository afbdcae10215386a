"""A model for a grown catalogue has the weights of the old one."""

import numpy as np
import pytest

from aitk.recsys.models.bert4rec import build_bert4rec
from aitk.recsys.models.bpr import build_bpr
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.models.layers.state_transfer import carry_over, features_of
from aitk.recsys.models.sasrec import build_sasrec
from aitk.recsys.tasks import settings

OLD = ItemShape(4, 2, np.array([3, 2, 1, 1]))
#: Items 0 and 1 of the old catalogue change places, 2 is gone, two are new.
GROWN = ItemShape(5, 3, np.array([2, 3, 1, 9, 9]))
FROM_OLD = np.array([1, 0, 3, -1, -1])
SMALL = {"hidden": 8, "layers": 1, "max_length": 5}


def test_scores_follow_their_items_into_a_grown_catalogue():
    chosen = settings.SasRecSettings(**SMALL)
    old, new = build_sasrec(chosen, OLD), build_sasrec(chosen, GROWN)
    assert carry_over(old, new, items_from_old=FROM_OLD) == []
    before = np.asarray(old({"history": np.array([[1, 2, 4]], np.int32)}))[0]
    after = np.asarray(new({"history": np.array([[2, 1, 3]], np.int32)}))[0]
    assert after[:3] == pytest.approx(before[[1, 0, 3]], abs=1e-6)
    empty = np.asarray(new({"history": np.zeros((1, 3), np.int32)}))[0]
    assert set(np.argsort(-empty)[:2].tolist()) == {3, 4}  # counts are those of the new log


def test_the_bias_of_an_item_goes_with_it():
    chosen = settings.Bert4RecSettings(**SMALL)
    old, new = build_bert4rec(chosen, OLD), build_bert4rec(chosen, GROWN)
    old.get_layer("scores").bias.assign([1.0, 2.0, 3.0, 4.0])
    carry_over(old, new, items_from_old=FROM_OLD)
    fresh = np.asarray(build_bert4rec(chosen, GROWN).get_layer("scores").bias)
    found = np.asarray(new.get_layer("scores").bias)
    assert found.tolist() == [2, 1, 4, *fresh[3:].tolist()]  # new items start from popularity


def test_users_keep_their_vectors():
    chosen = settings.BprSettings(factors=3)
    old, new = build_bpr(chosen, OLD), build_bpr(chosen, GROWN)
    carry_over(old, new, items_from_old=FROM_OLD, users_from_old=np.array([-1, 1, 0]))
    before, after = (
        np.asarray(model.get_layer("backbone").get_layer("factors").user_vectors)
        for model in (old, new)
    )
    assert after[2:].tolist() == before[[2, 1]].tolist()
    assert after[1].tolist() not in before.tolist()


def test_a_pretrained_backbone_serves_another_objective_and_length():
    old = build_bert4rec(settings.Bert4RecSettings(**SMALL), OLD).get_layer("backbone")
    longer = settings.SasRecSettings(**SMALL | {"max_length": 9})
    new = build_sasrec(longer, GROWN).get_layer("backbone")
    assert carry_over(old, new, items_from_old=FROM_OLD) == []
    for name, rows in (("layer_0_dense_in", slice(None)), ("positions", slice(-6, None))):
        before, after = (np.asarray(each.get_layer(name).weights[0]) for each in (old, new))
        assert after[rows].tolist() == before.tolist()


def test_what_does_not_fit_is_named_and_left():
    old = build_sasrec(settings.SasRecSettings(**SMALL), OLD)
    wider = build_sasrec(settings.SasRecSettings(**SMALL | {"layers": 2}), OLD)
    left = carry_over(old, wider, items_from_old=np.arange(4))
    assert left
    assert all(path.startswith("layer_1_") for path in left)


def test_a_model_gives_back_the_features_it_was_built_with():
    title = np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 4.0], [5.0, 6.0]], np.float32)
    shape = ItemShape(4, 2, OLD.counts, {"title": title})
    model = build_sasrec(settings.SasRecSettings(**SMALL, features="auto"), shape)
    assert features_of(model)["title"].tolist() == title.tolist()
    assert features_of(build_sasrec(settings.SasRecSettings(**SMALL), shape)) == {}
    assert features_of(build_bpr(settings.BprSettings(factors=3), shape)) == {}
