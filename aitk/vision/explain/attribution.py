"""Gradient-based attributions: which parts of an image contributed to a class.

Convolutional networks: Grad-CAM++ (Chattopadhay et al. 2018) on the last feature map.
Transformers, whose patches attend to each other: integrated gradients (Sundararajan et al. 2017),
summed over each patch. Segmentation models: Grad-CAM over a region (Vinogradova et al. 2020).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Tensor
from aitk.vision.models.backbones.patch_maps import TokensToMap
from aitk.vision.models.segmenters.dense import DEEPEST

STEPS = 32  # steps of the integration path


def attribute(model: keras.Model, image: np.ndarray, index: int) -> tuple[str, np.ndarray]:
    """How much each region of an image contributes to a class.

    Args:
        model: a classifier with ``backbone``, ``pooling``, ``head``.
        image: (height, width, 3) uint8, of the model's input size.
        index: number of the class.

    Returns:
        The name of the method, and nonnegative importance (rows, columns) on the model's grid.
    """
    patches = [layer for layer in _backbone(model).layers if isinstance(layer, TokensToMap)]
    if patches:
        pixels = integrated_gradients(model, image, index)
        rows, columns = patches[0].grid
        blocks = pixels.reshape(rows, patches[0].patch_size[0], columns, patches[0].patch_size[1])
        return "integrated gradients", np.maximum(blocks.sum(axis=(1, 3)), 0)
    return "Grad-CAM++", grad_cam_plus_plus(model, image, index)


def grad_cam_plus_plus(model: keras.Model, image: np.ndarray, index: int) -> np.ndarray:
    """The last map's channels, weighted by their positive gradients (section 3.2 of the paper).

    Returns:
        (rows, columns) importance, at least 0.
    """
    last = model.get_layer("pooling").input
    features = keras.Model(model.input, last)
    head = keras.Model(last, model.output)
    maps = ops.convert_to_numpy(features(image[None], training=False)).astype(np.float32)
    slopes = gradient(lambda x: head(x, training=False)[:, index], maps)[0]
    maps = maps[0]
    # Equation 19 for the exponential of the class score, whose higher derivatives are powers.
    below = 2 * slopes**2 + slopes**3 * maps.sum(axis=(0, 1))
    shares = np.divide(slopes**2, below, out=np.zeros_like(slopes), where=below != 0)
    weights = (shares * np.maximum(slopes, 0)).sum(axis=(0, 1))  # (channels,)
    return np.maximum(maps @ weights, 0)


def integrated_gradients(model: keras.Model, image: np.ndarray, index: int) -> np.ndarray:
    """How much each pixel adds to the class score, relative to an image of the mean colour.

    Returns:
        (height, width): the values sum to the difference between the scores of the image and of the
        mean colour (completeness, proposition 1 of the paper), up to the integration error.
    """
    backbone = _backbone(model)
    scaled = backbone.get_layer("normalise")
    inner = keras.Model(scaled.output, backbone.output)
    head = keras.Model(model.get_layer("pooling").input, model.output)
    end = ops.convert_to_numpy(scaled(image[None])).astype(np.float32)
    start = np.broadcast_to(end.mean(axis=(1, 2), keepdims=True), end.shape)
    # The middle of each step: the midpoint rule.
    places = ((np.arange(STEPS) + 0.5) / STEPS).astype(np.float32)[:, None, None, None]
    path = start + places * (end - start)  # (steps, height, width, 3)
    slopes = gradient(
        lambda x: head(inner(x, training=False), training=False)[:, index], path
    ).mean(axis=0)
    return ((end - start)[0] * slopes).sum(axis=-1)


def region_grad_cam(
    model: keras.Model, image: np.ndarray, index: int, region: np.ndarray
) -> np.ndarray:
    """Grad-CAM of a class's logits over a region (Vinogradova et al. 2020, Seg-Grad-CAM).

    Gradients are taken at the backbone's last map; finer maps are held constant.

    Args:
        model: a segmentation model.
        image: (h, w, 3) uint8, of the model's input size.
        index: number of the class.
        region: (h, w) bool, the pixels to explain.

    Returns:
        (rows, columns) importance, at least 0.
    """
    # If a head starts at an input and at an inner map, Keras loses the node of the input
    # (clone_graph_nodes), and the resulting model can be neither saved nor split again.
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    model = twin
    deepest = model.get_layer(DEEPEST).output
    features = keras.Model(model.inputs, deepest)
    head = keras.Model([*model.inputs, deepest], model.output)
    inside = ops.convert_to_tensor(region, "float32")
    images = ops.convert_to_tensor(image[None])
    maps = ops.convert_to_numpy(features([images], training=False)).astype(np.float32)

    def evidence(x: Tensor) -> Tensor:
        logits = head([images, x], training=False)[..., index]
        return ops.sum(logits * inside, axis=(1, 2))

    weights = gradient(evidence, maps)[0].mean(axis=(0, 1))  # (channels,)
    return np.maximum(maps[0] @ weights, 0)


def gradient(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """The gradient of the sum of a function's values at ``x``, on any backend of Keras."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        x = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(function(x))
        return tape.gradient(total, x).numpy()
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(lambda each: ops.sum(function(each)))(ops.convert_to_tensor(x)))
    if backend == "torch":
        import torch

        tensor = ops.convert_to_tensor(x).requires_grad_()
        with torch.enable_grad():
            (slopes,) = torch.autograd.grad(ops.sum(function(tensor)), tensor)
        return slopes.cpu().numpy()
    raise NotImplementedError(f"the backend {backend} has no gradients")


def _backbone(model: keras.Model) -> keras.Model:
    return model.get_layer("backbone")
