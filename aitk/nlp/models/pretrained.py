"""Adapts a pretrained encoder and its tokeniser to text models."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import ArtifactError
from aitk.nlp.features.tokenizers.loading import load_tokenizer
from aitk.nlp.features.tokenizers.subwords import FILE, SubwordTokenizer, Tokenizer
from aitk.nlp.tasks.settings import HubSettings

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained

#: Spellings of the tanh form of GELU in Hugging Face configurations.
TANH_GELU = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python_tanh")

#: Decoders whose networks in Keras Hub have this activation and rotary positions built in.
SILU_DECODERS = ("llama", "mistral", "mixtral", "qwen2", "qwen3", "phi3", "smollm3")


def adopt(found: Pretrained) -> Pretrained:
    """The source in the form of text models, with its tokeniser."""
    if found.kind in ("hub", "hugging-face"):
        return _adopt_hub(found, _wrap_encoder)
    tokenizer = _tokenizer_beside(found)
    if tokenizer is not None or found.kind == "run":
        return dataclasses.replace(found, tokenizer=tokenizer)
    missing = ("tokenizer.json", "none next to the file; a tokeniser is trained on the data")
    return dataclasses.replace(found, skipped=(*found.skipped, missing))


def adopt_seq2seq(found: Pretrained) -> Pretrained:
    """The source in the form of translators, with its tokeniser."""
    if found.kind not in ("hub", "hugging-face"):
        return adopt(found)

    def wrap(network: Any, tokenizer: SubwordTokenizer) -> keras.Model:
        from aitk.nlp.models.decoders.hub_seq2seq import wrap_seq2seq

        return wrap_seq2seq(network)

    return _adopt_hub(found, wrap)


def _wrap_encoder(network: Any, tokenizer: SubwordTokenizer) -> keras.Model:
    from aitk.nlp.models import hub

    return hub.wrap(hub.with_saved_tie(network), separator=tokenizer.pair_frame.separator)


def _adopt_hub(
    found: Pretrained, wrap: Callable[[Any, SubwordTokenizer], keras.Model]
) -> Pretrained:
    from aitk.nlp.features.tokenizers.pretrained import (
        read_hub_tokenizer,
        read_hugging_face_tokenizer,
    )
    from aitk.nlp.models import hub

    backbone: Any = found.backbone
    skipped: list[tuple[str, str]] = []
    settings: dict[str, Any] = {}
    if found.kind == "hugging-face":
        tokenizer = read_hugging_face_tokenizer(found.folder, found.config)
        skipped = _differences(found.config, where=found.source)
        if _activation(found.config) == "gelu":
            backbone = hub.with_exact_gelu(backbone)
    else:
        tokenizer = read_hub_tokenizer(found.folder)
    longest = getattr(backbone, "max_sequence_length", None)
    if longest is not None and longest < HubSettings.max_length:
        settings["max_length"] = longest
    if tokenizer.vocabulary_size > backbone.vocabulary_size:
        raise ArtifactError(
            f"the tokeniser has {tokenizer.vocabulary_size} tokens,"
            f" but the model {backbone.vocabulary_size}",
            where=found.source,
        )
    return dataclasses.replace(
        found,
        backbone=wrap(backbone, tokenizer),
        tokenizer=tokenizer,
        settings=settings,
        skipped=(*found.skipped, *skipped),
    )


def _tokenizer_beside(found: Pretrained) -> Tokenizer | None:
    for folder in (found.folder / "tokenizer", found.folder, found.folder / "assets" / "tokenizer"):
        if (folder / FILE).is_file():
            return load_tokenizer(folder)
    return None


def _activation(config: Mapping[str, Any]) -> str:
    return config.get("hidden_act") or config.get("activation") or "gelu"


def _differences(config: Mapping[str, Any], *, where: str) -> list[tuple[str, str]]:
    """Features of the file that Keras Hub's networks do not compute."""
    activation = _activation(config)
    if activation == "silu" and config.get("model_type") in SILU_DECODERS:
        return []
    positions = config.get("position_embedding_type", "absolute")
    if activation not in ("gelu", *TANH_GELU) or positions != "absolute":
        raise ArtifactError(
            f"needs the activation {activation!r} with {positions} positions,"
            " which Keras Hub's network does not support",
            where=where,
        )
    built_in = {
        "bert": 1e-12,
        "albert": 1e-12,
        "distilbert": 1e-12,
        "roberta": 1e-5,
        "xlm-roberta": 1e-5,
    }.get(config.get("model_type", ""))
    given = config.get("layer_norm_eps", built_in)
    if built_in is not None and given != built_in:
        return [("layer_norm_eps", f"{given} in the file, {built_in} in Keras Hub")]
    return []
