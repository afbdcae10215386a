"""From a backbone's last map to one vector of logits an image."""

from __future__ import annotations

import keras

from aitk.vision.models.input_scaling import image_input


def classifier(
    backbone: keras.Model, *, classes: int, dropout: float, bias: float = 0.0
) -> keras.Model:
    """Average the map over the image and put a linear head, named ``head``, on it.

    Args:
        backbone: ``image`` to a map (batch, height, width, channels).
        classes: how many logits.
        dropout: share of the averaged features dropped in training.
        bias: of each class at the start.

    Returns:
        A functional model with the same input and float32 logits (batch, classes).
    """
    image = image_input(backbone.input_shape[1:3])
    x = backbone(image)
    x = keras.layers.GlobalAveragePooling2D(name="pooling", dtype="float32")(x)
    x = keras.layers.Dropout(dropout, name="head_dropout", dtype="float32")(x)
    start = keras.initializers.Constant(bias)
    logits = keras.layers.Dense(classes, bias_initializer=start, name="head", dtype="float32")(x)
    return keras.Model(image, logits, name="classifier")
