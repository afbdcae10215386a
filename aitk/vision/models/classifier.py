"""Image classifiers: from a backbone's last map to one vector of logits per image."""

from __future__ import annotations

import keras

from aitk.vision.models.input_scaling import image_input


def classifier(
    backbone: keras.Model, *, classes: int, dropout: float, bias: float = 0.0
) -> keras.Model:
    """Apply global average pooling and a linear head named ``head``.

    Args:
        backbone: model from ``image`` to a map (batch, height, width, channels).
        classes: number of logits.
        dropout: dropout rate of the pooled features.
        bias: initial bias of each class.

    Returns:
        A functional model of the same input, with float32 logits (batch, classes).
    """
    image = image_input(backbone.input_shape[1:3])
    x = backbone(image)
    x = keras.layers.GlobalAveragePooling2D(name="pooling", dtype="float32")(x)
    x = keras.layers.Dropout(dropout, name="head_dropout", dtype="float32")(x)
    start = keras.initializers.Constant(bias)
    logits = keras.layers.Dense(classes, bias_initializer=start, name="head", dtype="float32")(x)
    return keras.Model(image, logits, name="classifier")
