import numpy as np


def test_rows_no_longer_mix_and_the_other_weights_stay():
    import keras

    from aitk.core.layers.group_norm import with_normalization

    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(6, 3, name="conv")(image)
    x = keras.layers.BatchNormalization(name="norm")(x)
    backbone = keras.Model(image, x, name="backbone")
    y = keras.layers.BatchNormalization(name="head_norm")(backbone(image))
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(y))
    changed = with_normalization(model, "group")
    assert with_normalization(model, "batch") is model
    kept = changed.get_layer("backbone").get_layer("conv").get_weights()
    for old, new in zip(backbone.get_layer("conv").get_weights(), kept, strict=True):
        np.testing.assert_array_equal(old, new)
    rows = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype("float32")
    together = np.array(changed(rows, training=True))
    alone = np.concatenate([changed(rows[at : at + 1], training=True) for at in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    again = type(changed).from_config(changed.get_config())
    again.set_weights(changed.get_weights())
    np.testing.assert_allclose(again(rows), changed(rows), atol=1e-6)
