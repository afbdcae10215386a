"""Loads Whisper weights of a Hugging Face folder into Keras Hub's network, completely."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras_hub
import numpy as np

from aitk.core.artifacts.keras_file import damaged
from aitk.core.artifacts.pretrained import BACKBONE
from aitk.core.contract.errors import ArtifactError
from aitk.core.io.json_files import read_json

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PREFIX = "model."
#: The output embedding of the decoder, tied to the input embedding; some writers store both.
TIED, EMBEDDING = "proj_out.weight", "decoder.embed_tokens.weight"
NUMBERS = ("F16", "F32", "F64")  # types in such files that NumPy supports

Turn = Callable[[np.ndarray], np.ndarray]
Skipped = list[tuple[str, str]]


def read_whisper(
    folder: Path, config: Mapping[str, Any]
) -> tuple[keras_hub.models.WhisperBackbone, list[str], Skipped]:
    """Build Keras Hub's Whisper from ``config.json`` and load the tensors of the folder.

    Returns:
        The network, named ``backbone``; the loaded tensors; and (name, reason) of skipped ones.

    Raises:
        ArtifactError: the configuration is not supported, a file is damaged, or a tensor is
            missing, has another shape or is not finite.
    """
    shape = _architecture(config, where=str(folder / "config.json"))
    files = _files(folder)
    stored = _headers(files)
    _check_sizes(stored, shape, where=str(folder))
    network = keras_hub.models.WhisperBackbone(**shape, name=BACKBONE)
    targets = dict(_targets(network))
    missing = sorted(targets.keys() - stored.keys())
    if missing:
        raise ArtifactError(
            f"lacks {len(missing)} tensors of this model, for example {PREFIX}{missing[0]}",
            where=str(folder),
        )
    loaded, skipped = [], []
    for name, array in _tensors(files):
        plain = name.removeprefix(PREFIX)
        if plain in targets:
            variable, turn = targets[plain]
            _assign(variable, turn(array), name, where=str(folder))
            loaded.append(name)
        elif name == TIED:
            embedding = np.asarray(targets[EMBEDDING][0])
            if array.shape != embedding.shape or not np.array_equal(array, embedding):
                raise ArtifactError(
                    f"{TIED} differs from {PREFIX}{EMBEDDING}, but both must be equal (tied) here",
                    where=str(folder),
                )
            loaded.append(name)
        else:
            skipped.append((name, "Whisper has no such weight"))
    return network, loaded, skipped


def _architecture(config: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """The arguments of Keras Hub's network."""
    layers = _both(config, "layers", where)
    found = {
        "vocabulary_size": _count(config, "vocab_size", where),
        "num_layers": layers,
        "num_heads": _both(config, "attention_heads", where),
        "hidden_dim": _count(config, "d_model", where),
        "intermediate_dim": _both(config, "ffn_dim", where),
        "num_mels": _count(config, "num_mel_bins", where),
        "max_encoder_sequence_length": 2 * _count(config, "max_source_positions", where),
        "max_decoder_sequence_length": _count(config, "max_target_positions", where),
    }
    activation = config.get("activation_function", "gelu")
    if activation != "gelu" or config.get("scale_embedding"):
        scaled = " with scaled embeddings" if config.get("scale_embedding") else ""
        raise ArtifactError(
            f"needs the activation {activation!r}{scaled}, which Keras Hub's Whisper does not have",
            where=where,
        )
    if found["hidden_dim"] % found["num_heads"]:
        raise ArtifactError(
            f"d_model {found['hidden_dim']} cannot be shared out among {found['num_heads']} heads",
            where=where,
        )
    return found


def _both(config: Mapping[str, Any], name: str, where: str) -> int:
    """A number that must be equal in encoder and decoder."""
    encoder, decoder = (_count(config, f"{side}_{name}", where) for side in ("encoder", "decoder"))
    if encoder != decoder:
        raise ArtifactError(
            f"has encoder_{name} {encoder} and decoder_{name} {decoder}: Keras Hub's Whisper has"
            " the same number in both",
            where=where,
        )
    return encoder


def _count(config: Mapping[str, Any], name: str, where: str) -> int:
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ArtifactError(f"{name} is {value!r}, not a number from 1", where=where)
    return value


def _files(folder: Path) -> list[Path]:
    """The weights in one file, or in the shards listed in an index."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    index = folder / INDEX
    if not index.is_file():
        raise ArtifactError(
            f"has no {WEIGHTS}",
            where=str(folder),
            hint="Weights in .bin or .pt files are not supported: they may run code",
        )
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(each, str) for each in names.values()):
        raise ArtifactError("names no files", where=str(index))
    files = [folder / name for name in sorted(set(names.values()))]
    for path in files:
        if path.parent != folder or path.suffix != ".safetensors" or not path.is_file():
            raise ArtifactError(f"names {path.name!r}, which is missing", where=str(index))
    return files


def _headers(files: list[Path]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, by name without prefix; only headers are read."""
    found: dict[str, tuple[int, ...]] = {}
    for path in files:
        with _opened(path) as file:
            for name in file.keys():  # noqa: SIM118 - it is no dictionary
                stored = file.get_slice(name)
                if stored.get_dtype() not in NUMBERS:
                    raise ArtifactError(
                        f"{name} is stored as {stored.get_dtype()}",
                        where=str(path),
                        hint="Save the model in float16 or float32",
                    )
                found[name.removeprefix(PREFIX)] = tuple(stored.get_shape())
    return found


def _check_sizes(
    stored: Mapping[str, tuple[int, ...]], shape: Mapping[str, Any], *, where: str
) -> None:
    """Check the largest tensors against the configuration before allocating anything."""
    hidden = shape["hidden_dim"]
    expected = {
        EMBEDDING: (shape["vocabulary_size"], hidden),
        "decoder.embed_positions.weight": (shape["max_decoder_sequence_length"], hidden),
        "encoder.embed_positions.weight": (shape["max_encoder_sequence_length"] // 2, hidden),
        "encoder.conv1.weight": (hidden, shape["num_mels"], 3),
        "encoder.layers.0.fc1.weight": (shape["intermediate_dim"], hidden),
    }
    for name, wanted in expected.items():
        if stored.get(name) != wanted:
            raise ArtifactError(
                f"{PREFIX}{name} is {stored.get(name, 'missing')}, but config.json has {wanted}",
                where=where,
            )
    layers = {
        int(found[1]) for name in stored if (found := re.match(r"encoder\.layers\.(\d+)\.", name))
    }
    if layers != set(range(shape["num_layers"])):
        raise ArtifactError(
            f"holds {len(layers)} encoder layers, but config.json has {shape['num_layers']}",
            where=where,
        )


def _tensors(files: list[Path]) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor in turn; the tied one last, once the embedding is loaded."""
    tied = None
    for path in files:
        with _opened(path) as file:
            for name in file.keys():  # noqa: SIM118 - it is no dictionary
                if name == TIED:
                    tied = file.get_tensor(name)
                else:
                    yield name, file.get_tensor(name)
    if tied is not None:
        yield TIED, tied


def _opened(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="np")
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise damaged(path, error) from error


def _assign(variable: Any, array: np.ndarray, name: str, *, where: str) -> None:
    wanted = tuple(variable.shape)
    fits = array.size == math.prod(wanted)
    if not fits or not np.isfinite(array).all():
        reason = "holds numbers that are not finite" if fits else f"is {array.shape}, not {wanted}"
        raise ArtifactError(f"{name} {reason}", where=where)
    variable.assign(array.reshape(wanted))


def _targets(network: Any) -> Iterator[tuple[str, tuple[Any, Turn]]]:
    """Each tensor's name without prefix, its variable, and the transposition of its axes."""
    for number, layer in ((1, network.encoder_conv_layer_1), (2, network.encoder_conv_layer_2)):
        yield f"encoder.conv{number}.weight", (layer.kernel, lambda array: array.transpose(2, 1, 0))
        yield f"encoder.conv{number}.bias", (layer.bias, _as_it_is)
    embeddings = network.decoder_embeddings
    yield EMBEDDING, (network.token_embedding.embeddings, _as_it_is)
    for side, positions in (
        ("encoder", network.encoder_position_embedding),
        ("decoder", embeddings.position_embedding),
    ):
        yield f"{side}.embed_positions.weight", (positions.position_embeddings, _as_it_is)
    yield from _norm("encoder.layer_norm", network.encoder_layer_norm)
    yield from _norm("decoder.layer_norm", network.decoder_layer_norm)
    for side, layers in (
        ("encoder", network.encoder_transformer_layers),
        ("decoder", network.decoder_transformer_layers),
    ):
        for index, layer in enumerate(layers):
            name = f"{side}.layers.{index}"
            yield from _attention(f"{name}.self_attn", layer._self_attention_layer)
            yield from _norm(f"{name}.self_attn_layer_norm", layer._self_attention_layer_norm)
            if side == "decoder":
                yield from _attention(f"{name}.encoder_attn", layer._cross_attention_layer)
                yield from _norm(
                    f"{name}.encoder_attn_layer_norm", layer._cross_attention_layer_norm
                )
            yield from _dense(f"{name}.fc1", layer._feedforward_intermediate_dense)
            yield from _dense(f"{name}.fc2", layer._feedforward_output_dense)
            yield from _norm(f"{name}.final_layer_norm", layer._feedforward_layer_norm)


def _attention(name: str, layer: Any) -> Iterator[tuple[str, tuple[Any, Turn]]]:
    """Keys have no bias."""
    yield f"{name}.k_proj.weight", (layer._key_dense.kernel, np.transpose)
    yield from _dense(f"{name}.q_proj", layer._query_dense)
    yield from _dense(f"{name}.v_proj", layer._value_dense)
    yield from _dense(f"{name}.out_proj", layer._output_dense)


def _dense(name: str, layer: Any) -> Iterator[tuple[str, tuple[Any, Turn]]]:
    yield f"{name}.weight", (layer.kernel, np.transpose)
    yield f"{name}.bias", (layer.bias, _as_it_is)


def _norm(name: str, layer: Any) -> Iterator[tuple[str, tuple[Any, Turn]]]:
    yield f"{name}.weight", (layer.gamma, _as_it_is)
    yield f"{name}.bias", (layer.beta, _as_it_is)


def _as_it_is(array: np.ndarray) -> np.ndarray:
    return array
