"""Multiply-adds, against what the layers' formulas give."""

import numpy as np

from aitk.core.compression.multiply_adds import count_multiply_adds


def test_convolutions_and_products_are_counted():
    import keras
    from keras import layers

    given = keras.Input((8, 10, 3), name="x")
    x = layers.Conv2D(4, 3, padding="same")(given)  # 8 * 10 positions, 4 filters of 3 * 3 * 3
    x = layers.DepthwiseConv2D(3, padding="same")(x)  # 8 * 10 * 4, 3 * 3 each
    x = layers.Dense(5)(layers.Flatten()(x))
    model = keras.Model(given, x)
    due = 80 * 4 * 27 + 80 * 4 * 9 + 320 * 5
    assert count_multiply_adds(model, {"x": np.zeros((1, 8, 10, 3), np.float32)}) == due
    assert count_multiply_adds(model, {"x": np.zeros((2, 8, 10, 3), np.float32)}) == 2 * due


def test_attention_grows_with_the_square_of_the_length():
    import keras

    from aitk.core.layers.narrow_encoder import NarrowEncoder

    given = keras.Input((None, 16), name="x")
    model = keras.Model(given, NarrowEncoder(heads=2, head_size=4, width=32)(given))

    def count(length):
        return count_multiply_adds(model, {"x": np.zeros((1, length, 16), np.float32)})

    each = 4 * 16 * 8 + 2 * 16 * 32  # query, key, value, output; the feed-forward part
    assert count(10) == 10 * each + 2 * 10 * 10 * 8


def test_what_runs_in_a_loop_is_not_counted():
    import keras

    given = keras.Input((None, 4), name="x")
    model = keras.Model(given, keras.layers.LSTM(3)(given))
    assert count_multiply_adds(model, {"x": np.zeros((1, 9, 4), np.float32)}) is None
