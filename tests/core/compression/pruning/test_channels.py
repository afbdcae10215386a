"""Channels taken out of a network: which ones, and that the rest computes what it did."""

import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.compression.pruning.channels import (
    LEAST,
    inner_channels,
    prune_channels,
    smallest_removed,
)
from aitk.core.contract.errors import UsageError


def test_the_smallest_filters_go_and_the_least_stay():
    # The L1 norm of filter number n is 4 * n, but for the first, of negative numbers, it is 400.
    kernel = np.ones((2, 1, 2, 20)) * np.arange(20)
    kernel[..., 0] = -100
    kept = smallest_removed(kernel, share=0.25)
    assert kept.tolist() == [0, *range(6, 20)]
    assert smallest_removed(kernel, share=0.99).tolist() == [0, *range(20 - LEAST + 1, 20)]
    assert len(smallest_removed(kernel[..., :5], share=0.5)) == 5


def block(x):
    """A residual block: ``widen``, ``each`` and ``narrow`` are inside, the sum is not."""
    from keras import layers

    y = layers.Conv2D(20, 3, padding="same", activation="relu", name="widen")(x)
    y = layers.BatchNormalization(name="norm")(y)
    y = layers.ReLU(name="relu")(y)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="each")(y)
    y = layers.Conv2D(12, 1, activation="relu", name="narrow")(y)
    y = layers.Conv2D(12, 1, name="last")(y)
    return layers.Add(name="sum")([layers.Conv2D(12, 1, name="shortcut")(x), y])


def network():
    """The block in a model of its own, then a convolution over its sum, means and classes."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    inner = keras.Input((8, 8, 2))
    backbone = keras.Model(inner, block(inner), name="backbone")
    inputs = keras.Input((8, 8, 2), name="x")
    x = layers.Conv2D(16, 3, name="over")(backbone(inputs))
    x = layers.GlobalAveragePooling2D(name="means")(x)
    model = keras.Model(inputs, layers.Dense(3, name="head")(layers.Dropout(0.5)(x)))
    rng = np.random.default_rng(0)
    for layer in (*backbone.layers, *model.layers):
        if layer is not backbone:
            layer.set_weights([rng.uniform(0.1, 1, each.shape) for each in layer.get_weights()])
    return model


def numbers():
    return np.random.default_rng(1).normal(size=(2, 8, 8, 2)).astype("float32")


def test_a_network_without_channels_is_that_with_their_filters_at_zero(tmp_path):
    model = network()
    found = {inner.path: inner for inner in inner_channels(model)}
    assert list(found) == ["over", "backbone/widen", "backbone/narrow"]
    assert [layer.name for layer in found["backbone/widen"].followers] == ["norm", "relu", "each"]

    before = np.asarray(model(numbers()))
    narrow, removed = prune_channels(model, share=0.5)
    np.testing.assert_array_equal(np.asarray(model(numbers())), before)
    assert removed == 8 + 10 + 4
    widths = {inner.path: inner.layer.filters for inner in inner_channels(narrow)}
    assert widths == {"over": 8, "backbone/widen": 10, "backbone/narrow": 8}

    for path, inner in found.items():
        kernel = inner.layer.get_weights()[0]
        kept = smallest_removed(kernel, share=0.5)
        gone = np.setdiff1d(np.arange(kernel.shape[-1]), kept)
        for layer in (inner.layer, *inner.followers):
            values = layer.get_weights()
            for value in values:
                if layer.name == "each" and value.ndim > 1:
                    value[..., gone, :] = 0
                else:
                    value[..., gone] = 0
            layer.set_weights(values)
        assert len(kept) == widths[path]
    zeroed = np.asarray(model(numbers()))
    assert np.abs(zeroed - before).max() > 0.1
    np.testing.assert_allclose(np.asarray(narrow(numbers())), zeroed, rtol=1e-5)

    narrow.save(tmp_path / "narrow.keras")
    loaded = load_keras(tmp_path / "narrow.keras")
    np.testing.assert_allclose(np.asarray(loaded(numbers())), zeroed, rtol=1e-5)


def ending(how):
    """A convolution of sixteen channels and what is done with them."""
    import keras
    from keras import layers

    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(16, 1, activation="softmax" if how == "softmax" else None)(inputs)
    if how == "joined":
        x = layers.Concatenate()([x, inputs])
    elif how == "flat":
        x = layers.Flatten()(x)
    elif how == "normalised":
        x = layers.LayerNormalization()(x)
    elif how == "read twice":
        again = layers.Conv2D(16, 1)
        x = again(again(x))
    elif how == "by a model":
        part = keras.Input(x.shape[1:])
        x = keras.Model(part, layers.Dense(2)(part))(x)
    if how != "put out":
        x = layers.Dense(3)(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    "how", ["softmax", "joined", "flat", "normalised", "read twice", "by a model", "put out"]
)
def test_channels_that_others_need_stay(how):
    with pytest.raises(UsageError, match="--prune-channels: .*can be removed"):
        prune_channels(ending(how), share=0.5)


def test_a_share_that_takes_nothing_is_refused():
    assert prune_channels(ending("plain"), share=0.1)[1] == 2
    with pytest.raises(UsageError, match="at most 16, of which 8"):
        prune_channels(ending("plain"), share=0.01)
