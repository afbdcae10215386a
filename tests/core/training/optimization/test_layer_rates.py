"""Learning rates by layer: what counts as one, and how far each moves."""

import numpy as np
import pytest

from aitk.core.contract.options import resolve
from aitk.stages.options import TrainingOptions


def dense(name, size=2):
    import keras

    return keras.layers.Dense(size, name=name)


def residual_network():
    """A stem, two blocks of which the second has a shortcut, and a last layer of its own."""
    import keras

    start = keras.Input((2,))
    x = keras.layers.BatchNormalization(name="stem_norm")(dense("stem")(start))
    x = keras.layers.Add()([x, dense("stage1_block1_b")(dense("stage1_block1_a")(x))])
    x = keras.layers.Add()([dense("stage1_block2_shortcut")(x), dense("stage1_block2_a")(x)])
    x = keras.layers.BatchNormalization(name="last_norm")(dense("last")(x))
    return keras.Model(start, x, name="backbone")


def names(groups):
    """The layers in each group, each once, in their order."""
    return [list(dict.fromkeys(each.path.split("/")[-2] for each in group)) for group in groups]


def test_a_block_is_one_layer_with_its_shortcut_and_normalisation():
    from aitk.core.training.optimization.layer_rates import layer_groups

    entry, *rest = names(layer_groups(residual_network()))
    assert entry == ["stem", "stem_norm"]
    assert [sorted(each) for each in rest] == [
        ["stage1_block1_a", "stage1_block1_b"],
        ["stage1_block2_a", "stage1_block2_shortcut"],
        ["last", "last_norm"],
    ]


def test_without_blocks_every_layer_with_a_matrix_is_one():
    import keras

    from aitk.core.training.optimization.layer_rates import layer_groups

    start = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(5, 4, name="table")(start)
    x = keras.layers.LayerNormalization(name="table_norm")(x)
    for index in range(2):
        cell = keras.layers.GRU(2, return_sequences=True, name=f"cell_{index}")
        x = keras.layers.Bidirectional(cell, name=f"both_ways_{index}")(x)
    groups = layer_groups(keras.Model(start, x, name="backbone"))
    assert [group[0].path.split("/")[0] for group in groups] == [
        "table",
        "both_ways_0",
        "both_ways_1",
    ]
    assert names(groups)[0] == ["table", "table_norm"]


def test_an_encoder_in_one_layer_is_opened():
    from aitk.core.training.optimization.layer_rates import layer_groups
    from aitk.vision.models import build_backbone
    from aitk.vision.models.settings import VitSettings

    settings = VitSettings(patch=8, hidden=4, layers=3, heads=1)
    backbone = build_backbone("vit", settings, (16, 16))
    groups = layer_groups(backbone)
    assert len(groups) == 4  # patches with their places, and three transformer blocks
    assert any("position_embedding" in each.path for each in groups[0])
    assert [
        f"transformer_block_{n + 1}" in group[0].path for n, group in enumerate(groups[1:])
    ] == [True] * 3
    assert groups[-1][-1].path.endswith("ln/beta")  # what follows the last block
    assert {id(each) for group in groups for each in group} == {
        id(each) for each in backbone.variables
    }


def moved(*, steps=1, gradient=1.0, **given):
    """The change of each layer of backbone and head: name -> mean of the differences."""
    import keras

    from aitk.core.training.optimization.optimizers import make_optimizer

    backbone = residual_network()
    inputs = keras.Input((2,))
    model = keras.Model(inputs, dense("head", size=1)(backbone(inputs)))
    options = resolve(TrainingOptions, {"learning_rate": 0.1, "clip_norm": "none"} | given)
    optimizer = make_optimizer(options, backbone)
    weights = model.trainable_variables
    for weight in weights:
        weight.assign(np.ones(weight.shape))
    optimizer.build(weights)
    for _ in range(steps):
        optimizer.apply([np.full(weight.shape, gradient, "float32") for weight in weights])
    return {weight.path.removeprefix("backbone/"): float(1 - np.mean(weight)) for weight in weights}


FACTORS = {
    "stem/kernel": 0.0625,
    "stem_norm/gamma": 0.0625,
    "stage1_block1_a/kernel": 0.125,
    "stage1_block1_b/bias": 0.125,
    "stage1_block2_shortcut/kernel": 0.25,
    "last/kernel": 0.5,
    "last_norm/beta": 0.5,
    "head/kernel": 1.0,
    "head/bias": 1.0,
}


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_each_layer_moves_by_its_share(optimizer, steps):
    full = moved(optimizer=optimizer, steps=steps)
    decayed = moved(optimizer=optimizer, steps=steps, layer_decay=0.5)
    assert min(full.values()) > 0.09
    for name, factor in FACTORS.items():
        assert decayed[name] == pytest.approx(factor * full[name], rel=1e-4), name


def test_weights_decay_by_the_same_share():
    # Without a gradient Adam does not move, and only the decay is left.
    decayed = moved(optimizer="adamw", weight_decay=0.5, layer_decay=0.5, gradient=0.0)
    for name, factor in FACTORS.items():
        whole = 0.05 if name.endswith("kernel") else 0.0  # rate times decay
        assert decayed[name] == pytest.approx(factor * whole, abs=1e-6), name


def test_a_decay_of_1_changes_nothing():
    plain = moved(optimizer="adamw", weight_decay=0.5)
    assert moved(optimizer="adamw", weight_decay=0.5, layer_decay=1.0) == pytest.approx(plain)


def test_gradients_are_summed_up_before_they_are_scaled():
    one, two = (
        moved(optimizer="sgd", layer_decay=0.5, accumulate=2, steps=steps) for steps in (1, 2)
    )
    assert set(one.values()) == {0.0}
    whole = moved(optimizer="sgd", layer_decay=0.5)
    assert two == pytest.approx(whole)


def test_what_layers_share_belongs_to_the_first():
    import keras

    from aitk.core.training.optimization.layer_rates import layer_groups

    start = keras.Input((2,))
    tied = dense("block_1_dense")
    x = dense("block_2_dense")(tied(start))
    network = keras.Model(start, [keras.Sequential([tied], name="again")(x)], name="backbone")
    assert names(layer_groups(network)) == [["block_1_dense"], ["block_2_dense"]]
