"""Which places of a picture a class rests on where a model gives every pixel one."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from aitk.vision.explain.attribution import gradient
from aitk.vision.models.segmenters.dense import DEEPEST


def region_grad_cam(
    model: keras.Model, picture: np.ndarray, index: int, region: np.ndarray
) -> np.ndarray:
    """Grad-CAM of a class's logits over a region (Vinogradova et al. 2020, Seg-Grad-CAM).

    The backbone's last map is looked at; what finer maps add is held as it is.

    Args:
        model: a segmentation model.
        picture: (h, w, 3) uint8, of the size that it reads.
        index: number of the class.
        region: (h, w) bool, the pixels whose class is to be explained.

    Returns:
        (rows, columns) importance, at least 0.
    """
    # A head that begins at an input and at an inner map too makes Keras forget which node the
    # input came from (clone_graph_nodes): a model cut so can be neither saved nor taken apart.
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    model = twin
    deepest = model.get_layer(DEEPEST).output
    features = keras.Model(model.inputs, deepest)
    head = keras.Model([*model.inputs, deepest], model.output)
    inside = ops.convert_to_tensor(region, "float32")
    pictures = ops.convert_to_tensor(picture[None])
    maps = ops.convert_to_numpy(features([pictures], training=False)).astype(np.float32)

    def evidence(x):
        logits = head([pictures, x], training=False)[..., index]
        return ops.sum(logits * inside, axis=(1, 2))

    weights = gradient(evidence, maps)[0].mean(axis=(0, 1))  # (channels,)
    return np.maximum(maps[0] @ weights, 0)
