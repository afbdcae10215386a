"""Weights of another catalogue: transferred item by item, with a note on the others."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow
import pytest

from aitk.core.artifacts.pretrained import Pretrained
from aitk.core.contract.errors import ArtifactError
from aitk.recsys.features.learning import renumber
from aitk.recsys.models.transfer import adopt, take_over
from aitk.recsys.tasks.recommend import SEQUENCE_MODELS
from aitk.recsys.tasks.settings import Bert4RecSettings, SasRecSettings

SMALL = {"hidden": 4, "layers": 1, "heads": 1, "max_length": 6}
OLD = ["b", "x", "a"]
SASREC = SEQUENCE_MODELS["sasrec"]


@pytest.fixture(scope="module")
def source():
    """A masked-items model of the items b, x, a, as ``load_pretrained`` opens it."""
    import keras

    from aitk.recsys.features.assets import LogAssets, pack_histories

    keras.utils.set_random_seed(1)
    assets = LogAssets(
        pyarrow.table({"item": OLD}), {}, ("u",), pack_histories({}), np.ones(3, int), ""
    )
    backbone = (
        SEQUENCE_MODELS["bert4rec"].build(Bert4RecSettings(**SMALL), assets).get_layer("backbone")
    )
    loaded = tuple(weight.path for weight in backbone.weights)
    return Pretrained("runs/old", "run", "bert4rec", Path(), backbone, loaded=loaded)


def vectors(backbone):
    (found,) = [weight for weight in backbone.weights if weight.name == "item_vectors"]
    return np.asarray(found)


def test_vectors_go_to_the_items_they_belong_to(make_assets, source):
    assets = make_assets(renumbered=renumber(OLD, ["a", "b", "c", "d", "e"]))
    model = SASREC.build(SasRecSettings(**SMALL), assets)
    before, old = vectors(model.get_layer("backbone")).copy(), vectors(source.backbone)
    taken = take_over(source, model, assets)
    after = vectors(model.get_layer("backbone"))
    assert after[[1, 2]].tolist() == old[[3, 1]].tolist()
    assert after[3:6].tolist() == before[3:6].tolist()
    assert taken.loaded == source.loaded
    assert taken.report()[-1] == (
        "not taken: vectors of 3 of 5 items (items missing from the source)"
    )


def test_what_has_no_place_in_the_network_is_named(make_assets, source):
    assets = make_assets(renumbered=renumber(OLD, ["a", "b", "c", "d", "e"]))
    wider = SasRecSettings(**SMALL | {"layers": 2})
    taken = take_over(source, SASREC.build(wider, assets), assets)
    names = [name for name, reason in taken.skipped if reason == "another shape, or missing"]
    assert names and all("layer_1_" in name for name in names)


def test_vectors_of_another_length_are_refused(make_assets, source):
    assets = make_assets(renumbered=renumber(OLD, ["a", "b", "c", "d", "e"]))
    narrow = SASREC.build(SasRecSettings(**SMALL | {"hidden": 2}), assets)
    with pytest.raises(ArtifactError, match="vectors have size 4 instead of 2"):
        take_over(source, narrow, assets)


def test_without_item_ids_only_a_catalogue_of_the_same_size_will_do(make_assets, source):
    bare = adopt(dataclasses.replace(source, kind="keras"))
    assert bare.skipped[-1][0] == "item ids"
    with pytest.raises(ArtifactError, match="catalogue of another size.*the folder of the run"):
        take_over(bare, SASREC.build(SasRecSettings(**SMALL), make_assets()), make_assets())
    three = make_assets(attributes=pyarrow.table({"item": ["p", "q", "r"]}), kinds={},
                        counts=np.ones(3, int))  # fmt: skip
    model = SASREC.build(SasRecSettings(**SMALL), three)
    take_over(bare, model, three)
    assert vectors(model.get_layer("backbone")).tolist() == vectors(source.backbone).tolist()


@pytest.mark.parametrize("kind", ["hub", "hugging-face"])
def test_a_model_of_texts_is_no_recommender(source, kind):
    with pytest.raises(ArtifactError, match="is not a recommender"):
        adopt(dataclasses.replace(source, kind=kind))


def test_a_grown_model_scores_as_before(make_assets):
    old = make_assets()
    new = make_assets(
        attributes=pyarrow.table({"item": ["a", "b", "c", "d", "e", "f"]}),
        counts=np.array([3, 1, 2, 0, 1, 1]),
        users=("ann", "bob", "eve"),
        kinds={},
    )
    settings = SasRecSettings(**SMALL, features="auto")
    model = SASREC.build(settings, old)
    grown = SASREC.grow(model, settings, old=old, new=new)
    history = {"history": np.array([[1, 3]], np.int32)}
    before, after = np.asarray(model(history)), np.asarray(grown(history))
    assert after.shape == (1, 6)
    assert after[0, :5] == pytest.approx(before[0], abs=1e-5)
