import numpy as np


def test_padding_changes_nothing_and_the_values_are_those_of_keras():
    import keras

    from aitk.speech.models.convolution import StepGroupNormalization

    rng = np.random.default_rng(0)
    steps = rng.normal(2, 3, size=(2, 7, 4)).astype("float32")
    layer = StepGroupNormalization(2)
    expected = keras.layers.GroupNormalization(2, epsilon=1e-3)(steps)
    mask = np.ones((2, 7), bool)
    np.testing.assert_allclose(layer(steps, mask), expected, atol=1e-5)
    padded = np.concatenate([steps, rng.normal(size=(2, 5, 4)).astype("float32")], axis=1)
    longer = np.concatenate([mask, np.zeros((2, 5), bool)], axis=1)
    np.testing.assert_allclose(np.array(layer(padded, longer))[:, :7], expected, atol=1e-5)
