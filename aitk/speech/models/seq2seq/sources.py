"""Pretrained Whisper and Moonshine: Keras Hub presets, Hugging Face folders, and runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.artifacts.pretrained import BACKBONE, Pretrained
from aitk.core.contract.errors import ArtifactError

if TYPE_CHECKING:
    import keras

HUB_NAMES = {"WhisperBackbone": "whisper", "MoonshineBackbone": "moonshine"}


def open_seq2seq(
    folder: Path, config: Mapping[str, Any], *, model: str, source: str
) -> Pretrained | None:
    """Open a folder with such a model; None for other content.

    Args:
        config: content of its ``config.json``.
        model: ``whisper`` or ``moonshine``.
        source: the value of ``--from``.

    Raises:
        ArtifactError: a file is missing or damaged, or the model is not supported.
    """
    hub = HUB_NAMES.get(str(config.get("registered_name", "")).rpartition(">")[2])
    if hub:
        return _open_preset(folder, hub, config, source) if hub == model else None
    if config.get("model_type") != model:
        return None
    if model == "moonshine":
        raise ArtifactError(
            "is a Moonshine in Hugging Face format, which is not supported",
            where=source,
            hint="Use its Keras Hub preset",
        )
    from aitk.speech.features.tokenizers.whisper import read_hugging_face_tokens
    from aitk.speech.models.seq2seq.whisper_weights import read_whisper

    network, loaded, skipped = read_whisper(folder, config)
    tokens = read_hugging_face_tokens(folder, config)
    return Pretrained(
        source=source,
        kind="hugging-face",
        model="whisper",
        folder=folder,
        backbone=network,
        config=config,
        loaded=tuple(loaded),
        skipped=tuple(skipped),
        tokenizer=_with_heads(tokens, network),
    )


def adopt_seq2seq(found: Pretrained) -> Pretrained:
    """A run as a source, with the vocabulary from its assets."""
    if found.tokenizer is not None:
        return found
    from aitk.speech.decoding.seq2seq_assets import TOKENS, load_vocabulary

    return dataclasses.replace(found, tokenizer=load_vocabulary(found.model, found.folder / TOKENS))


def _open_preset(folder: Path, model: str, config: Mapping[str, Any], source: str) -> Pretrained:
    import keras_hub

    from aitk.core.artifacts.keras_file import damaged

    try:
        saved = keras_hub.models.Backbone.from_preset(str(folder))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise damaged(folder, error) from error
    network = _in_current_policy(saved)
    tokens: Any
    if model == "whisper":
        from aitk.speech.features.tokenizers.whisper import read_hub_tokens

        tokens = read_hub_tokens(folder, size=network.vocabulary_size)
    else:
        from aitk.speech.features.tokenizers.moonshine import ENGINE, read_moonshine_tokens

        path = folder / "assets" / "tokenizer" / ENGINE
        tokens = read_moonshine_tokens(path, size=network.vocabulary_size)
    return Pretrained(
        source=source,
        kind="hub",
        model=model,
        folder=folder,
        backbone=network,
        config=config.get("config", {}),
        loaded=tuple(weight.path for weight in network.weights),
        tokenizer=_with_heads(tokens, network),
    )


def _in_current_policy(saved: keras.Model) -> keras.Model:
    """The network as a backbone in the current precision: a preset stored in float16 would
    otherwise compute in it."""
    import keras

    policy = keras.config.dtype_policy()
    config = saved.get_config() | {"name": BACKBONE, "dtype": policy}
    network = type(saved).from_config(config)
    network.set_weights(saved.get_weights())
    return network


def _with_heads(tokens: Any, network: Any) -> Any:
    """The vocabulary with alignment heads: those named by the source, or else all heads in the
    upper half of the decoder, as in Whisper's reference."""
    if not hasattr(tokens, "alignment_heads"):
        return tokens
    layers, heads = network.num_layers, network.num_heads
    named = tokens.alignment_heads
    if not all(layer < layers and head < heads for layer, head in named):
        raise ArtifactError(f"alignment_heads names a head beyond {layers} layers of {heads}")
    upper = tuple((layer, head) for layer in range(layers // 2, layers) for head in range(heads))
    return dataclasses.replace(tokens, alignment_heads=named or upper)
