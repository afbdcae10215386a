"""The models of bench/gpu.py as aitk's tasks build them, on the backend of KERAS_BACKEND."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.contract.options import resolve


def step_of(
    name: str,
    size: Mapping[str, int],
    inputs: Mapping[str, np.ndarray],
    targets: np.ndarray,
    *,
    mode: str,
) -> tuple[Callable[[], Any], int]:
    """A step of training or prediction, which returns a number, and the number of parameters."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build(name, size)
    loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Torch compiles by `torch.compile`, which Keras does not use for whole steps.
    compiled = keras.backend.backend() == "jax"
    model.compile(
        optimizer=keras.optimizers.AdamW(1e-4),
        loss="mse" if name == "yolo" else loss,
        jit_compile=compiled,
    )
    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    given: Any = dict(inputs)
    if not isinstance(model.input, dict):
        (given,) = inputs.values()
    if mode == "train":
        return (lambda: model.train_on_batch(given, targets)), parameters
    return (lambda: np.asarray(model.predict_on_batch(given)).flat[0]), parameters


def build(name: str, size: Mapping[str, int]) -> keras.Model:
    """The model, from the inputs of ``bench.gpu.made`` to logits."""
    builders: dict[str, Callable[[Mapping[str, int]], keras.Model]] = {
        "minilm": minilm, "whisper": whisper, "resnet": resnet, "vit": vit, "yolo": yolo,
        "conformer": conformer, "sasrec": sasrec, "gpt": gpt,
    }  # fmt: skip
    return builders[name](size)


def minilm(size: Mapping[str, int]) -> keras.Model:
    """BERT of Keras Hub, as `nlp.classify --model hub` wraps it, with a linear head."""
    import keras_hub

    ids = _numbers(size["length"])
    backbone = keras_hub.models.BertBackbone(
        size["vocabulary"], size["layers"], size["heads"], size["hidden"], 4 * size["hidden"],
        dropout=0, max_sequence_length=512,
    )  # fmt: skip
    found = backbone(
        {"token_ids": ids, "segment_ids": ops.zeros_like(ids), "padding_mask": ops.ones_like(ids)}
    )["pooled_output"]
    return keras.Model({"token_ids": ids}, keras.layers.Dense(2, dtype="float32")(found))


def whisper(size: Mapping[str, int]) -> keras.Model:
    """Whisper of Keras Hub with the tokens of the target, as `speech.asr --from` trains it."""
    import keras_hub

    from aitk.speech.models.seq2seq.whisper import WhisperDecoder

    network = keras_hub.models.WhisperBackbone(
        size["vocabulary"], size["layers"], size["heads"], size["hidden"], 4 * size["hidden"],
        dropout=0,
    )  # fmt: skip
    decoder = WhisperDecoder(network)
    ids = _numbers(size["length"])
    found = decoder.teacher_forcing(decoder.inputs, ids)
    logits = network.decoder_embeddings.token_embedding(found, reverse=True)
    return keras.Model({**decoder.inputs, "token_ids": ids}, ops.cast(logits, "float32"))


def resnet(size: Mapping[str, int]) -> keras.Model:
    """`vision.classify --model resnet` of four stages."""
    from aitk.vision.models.classifier import classifier

    return classifier(_residual(size), classes=size["classes"], dropout=0)


def vit(size: Mapping[str, int]) -> keras.Model:
    """`vision.classify --model vit`."""
    from aitk.vision.models.backbones.vit import build_backbone
    from aitk.vision.models.classifier import classifier
    from aitk.vision.models.settings import VitSettings

    names = ("patch", "hidden", "layers", "heads")
    settings = resolve(VitSettings, {name: size[name] for name in names} | {"dropout": 0.0})
    backbone = build_backbone(settings, (size["side"], size["side"]))
    return classifier(backbone, classes=size["classes"], dropout=0)


def yolo(size: Mapping[str, int]) -> keras.Model:
    """`vision.detect --model yolo` over a residual network, up to its raw rows."""
    from aitk.vision.models.detectors.suppression import Suppression
    from aitk.vision.models.detectors.yolo import yolo as detector

    model = detector(
        _residual(size),
        size=(size["side"], size["side"]),
        classes=size["classes"],
        strides=(8, 16, 32),
        width=size["width"],
        suppression=Suppression(candidates=300, detections=100, overlap=0.5),
    )
    return keras.Model(model.input, model.get_layer("raw").output)


def conformer(size: Mapping[str, int]) -> keras.Model:
    """`speech.asr --model conformer` with its head, on recordings of one length."""
    from aitk.speech.models.conformer import build_backbone
    from aitk.speech.tasks.settings import ConformerSettings

    names = ("hidden", "layers", "heads")
    settings = resolve(ConformerSettings, {name: size[name] for name in names} | {"dropout": 0.0})
    features = keras.Input((size["frames"], 80), name="features")
    mask = ops.ones_like(features[..., 0], dtype="int32")
    found = build_backbone(settings, 80)({"features": features, "padding_mask": mask})
    head = keras.layers.Dense(size["units"], dtype="float32")
    return keras.Model({"features": features}, head(found))


def sasrec(size: Mapping[str, int]) -> keras.Model:
    """`recsys.recommend --model sasrec` with scores of all items at all positions."""
    from aitk.recsys.models.layers.shape import ItemShape
    from aitk.recsys.models.sasrec import build_sasrec
    from aitk.recsys.tasks.settings import SasRecSettings

    names = ("hidden", "layers", "heads")
    settings = resolve(
        SasRecSettings,
        {name: size[name] for name in names} | {"max_length": size["length"], "dropout": 0.0},
    )
    items = size["items"]
    whole = build_sasrec(settings, ItemShape(items, 1, np.ones(items, np.int64)))
    history = keras.Input((size["length"],), dtype="int32", name="history")
    scores = whole.get_layer("scores")(*whole.get_layer("backbone")(history))
    return keras.Model({"history": history}, ops.cast(scores, "float32"))


def gpt(size: Mapping[str, int]) -> keras.Model:
    """`nlp.generate --model gpt` with tied logits."""
    from aitk.nlp.models.decoders.gpt import Gpt

    backbone = Gpt(size["vocabulary"], size["hidden"], size["layers"], size["heads"], 0.0)
    ids = _numbers(size["length"])
    found = backbone({"token_ids": ids, "padding_mask": ops.ones_like(ids)})
    table = backbone.get_layer("token_embedding")
    return keras.Model({"token_ids": ids}, _TiedLogits(table, dtype="float32")(found))


class _TiedLogits(keras.layers.Layer):
    """Features times the transposed embeddings."""

    def __init__(self, embedding: keras.layers.Embedding, **kwargs: Any):
        super().__init__(**kwargs)
        self.embedding = embedding

    def call(self, features: Any) -> Any:
        table = ops.cast(ops.transpose(self.embedding.embeddings), "bfloat16")
        return ops.cast(ops.matmul(ops.cast(features, "bfloat16"), table), "float32")


def _numbers(length: int) -> Any:
    return keras.Input((length,), dtype="int32", name="token_ids")


def _residual(size: Mapping[str, int]) -> keras.Model:
    from aitk.vision.models.backbones.resnet import build_backbone
    from aitk.vision.models.settings import ResNetSettings

    settings = resolve(
        ResNetSettings,
        {
            "filters": size["filters"],
            "blocks": ",".join([str(size["blocks"])] * 4),
            "stem_stride": 4,
        },
    )
    return build_backbone(settings, (size["side"], size["side"]))
