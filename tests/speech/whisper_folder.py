"""A tiny Whisper as Hugging Face stores it, and the same network in NumPy."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from scipy.special import erf, softmax

HIDDEN, HEADS, LAYERS, WIDE, PLACES, FILTERS = 8, 2, 2, 12, 40, 80
STEPS = 1500
END, START, ENGLISH, FRENCH, TRANSLATE, TRANSCRIBE = 258, 259, 260, 261, 262, 263
NO_SPEECH, NO_TIMES, FIRST_TIME = 266, 267, 268
SIZE = FIRST_TIME + 1501
SPECIAL = {
    "<|endoftext|>": END, "<|startoftranscript|>": START, "<|en|>": ENGLISH, "<|fr|>": FRENCH,
    "<|translate|>": TRANSLATE, "<|transcribe|>": TRANSCRIBE, "<|startoflm|>": 264,
    "<|startofprev|>": 265, "<|nospeech|>": NO_SPEECH, "<|notimestamps|>": NO_TIMES,
}  # fmt: skip
CONFIG = {
    "model_type": "whisper", "vocab_size": SIZE, "d_model": HIDDEN, "num_mel_bins": FILTERS,
    "encoder_layers": LAYERS, "decoder_layers": LAYERS, "encoder_attention_heads": HEADS,
    "decoder_attention_heads": HEADS, "encoder_ffn_dim": WIDE, "decoder_ffn_dim": WIDE,
    "max_source_positions": STEPS, "max_target_positions": PLACES, "activation_function": "gelu",
}  # fmt: skip
GENERATION = {"is_multilingual": True, "alignment_heads": [[0, 1], [1, 0]]}


def vocabulary() -> tuple[dict[str, int], list[str]]:
    """All bytes, and two units of two: `` a`` and ``th``."""
    from tokenizers.pre_tokenizers import ByteLevel

    units = [*sorted(ByteLevel.alphabet()), "Ġa", "th"]
    return {unit: number for number, unit in enumerate(units)}, ["Ġ a", "t h"]


def tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights under Hugging Face's names."""
    rng = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {}

    def put(name, *shape, scale=0.4):
        found[f"model.{name}"] = rng.normal(scale=scale, size=shape).astype(np.float32)

    def attention(name):
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            put(f"{name}.{part}.weight", HIDDEN, HIDDEN)
            if part != "k_proj":
                put(f"{name}.{part}.bias", HIDDEN)

    def norm(name):
        put(f"{name}.weight", HIDDEN)
        put(f"{name}.bias", HIDDEN)

    put("encoder.conv1.weight", HIDDEN, FILTERS, 3)
    put("encoder.conv1.bias", HIDDEN)
    put("encoder.conv2.weight", HIDDEN, HIDDEN, 3)
    put("encoder.conv2.bias", HIDDEN)
    put("encoder.embed_positions.weight", STEPS, HIDDEN)
    put("decoder.embed_positions.weight", PLACES, HIDDEN)
    put("decoder.embed_tokens.weight", SIZE, HIDDEN)
    for side in ("encoder", "decoder"):
        norm(f"{side}.layer_norm")
        for layer in range(LAYERS):
            name = f"{side}.layers.{layer}"
            attention(f"{name}.self_attn")
            norm(f"{name}.self_attn_layer_norm")
            if side == "decoder":
                attention(f"{name}.encoder_attn")
                norm(f"{name}.encoder_attn_layer_norm")
            put(f"{name}.fc1.weight", WIDE, HIDDEN)
            put(f"{name}.fc1.bias", WIDE)
            put(f"{name}.fc2.weight", HIDDEN, WIDE)
            put(f"{name}.fc2.bias", HIDDEN)
            norm(f"{name}.final_layer_norm")
    return found


def write_folder(folder: Path, weights=None, config=None, generation=None) -> Path:
    """A whole folder; what is given replaces the usual."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    units, merges = vocabulary()
    (folder / "config.json").write_text(json.dumps(config or CONFIG))
    (folder / "generation_config.json").write_text(json.dumps(generation or GENERATION))
    (folder / "vocab.json").write_text(json.dumps(units))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    (folder / "added_tokens.json").write_text(json.dumps(SPECIAL))
    save_file(tensors() if weights is None else weights, folder / "model.safetensors")
    return folder


def hub_preset(folder: Path) -> Path:
    """The vocabulary as Keras Hub stores it; the network is not there."""
    assets = folder / "assets" / "tokenizer"
    assets.mkdir(parents=True)
    units, merges = vocabulary()
    (assets / "vocabulary.json").write_text(json.dumps(units))
    (assets / "merges.txt").write_text("\n".join(merges))
    named = {
        name: SPECIAL[name]
        for name in SPECIAL
        if name[2:-2] in ("endoftext", "startoftranscript", "translate", "transcribe",
                          "notimestamps")
    }  # fmt: skip
    languages = {"<|en|>": ENGLISH, "<|fr|>": FRENCH}
    config = {"special_tokens": named, "language_tokens": languages}
    (folder / "tokenizer.json").write_text(json.dumps({"config": config}))
    return folder


class PlainWhisper:
    """Whisper's forward pass (Radford et al. 2023, section 2.2), written down once more."""

    def __init__(self, weights: dict[str, np.ndarray]):
        self._weights = {name.removeprefix("model."): array for name, array in weights.items()}

    def listen(self, features: np.ndarray) -> np.ndarray:
        """(frames, filters) to (steps, hidden)."""
        x = _gelu(self._convolve("encoder.conv1", features, 1))
        x = (
            _gelu(self._convolve("encoder.conv2", x, 2))
            + self._weights["encoder.embed_positions.weight"]
        )
        for layer in range(LAYERS):
            name = f"encoder.layers.{layer}"
            y = self._norm(f"{name}.self_attn_layer_norm", x)
            x = x + self._attend(f"{name}.self_attn", y, y)
            x = x + self._dense_part(name, x)
        return self._norm("encoder.layer_norm", x)

    def logits(self, heard: np.ndarray, tokens: list[int]) -> np.ndarray:
        """(tokens, vocabulary): what follows each token."""
        x = self._weights["decoder.embed_tokens.weight"][tokens]
        x = x + self._weights["decoder.embed_positions.weight"][: len(tokens)]
        for layer in range(LAYERS):
            name = f"decoder.layers.{layer}"
            y = self._norm(f"{name}.self_attn_layer_norm", x)
            x = x + self._attend(f"{name}.self_attn", y, y, causal=True)
            y = self._norm(f"{name}.encoder_attn_layer_norm", x)
            x = x + self._attend(f"{name}.encoder_attn", y, heard)
            x = x + self._dense_part(name, x)
        x = self._norm("decoder.layer_norm", x)
        return x @ self._weights["decoder.embed_tokens.weight"].T

    def _linear(self, name, x):
        return x @ self._weights[f"{name}.weight"].T + self._weights.get(f"{name}.bias", 0.0)

    def _norm(self, name, x):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]

    def _dense_part(self, name, x):
        y = self._norm(f"{name}.final_layer_norm", x)
        return self._linear(f"{name}.fc2", _gelu(self._linear(f"{name}.fc1", y)))

    def _attend(self, name, queries, memory, causal=False):
        def split(part, x):
            return self._linear(f"{name}.{part}", x).reshape(len(x), HEADS, -1).swapaxes(0, 1)

        q, k, v = split("q_proj", queries), split("k_proj", memory), split("v_proj", memory)
        scores = q @ k.swapaxes(1, 2) / math.sqrt(HIDDEN // HEADS)
        if causal:
            scores = scores + np.triu(np.full(scores.shape[1:], -np.inf), 1)
        mixed = (softmax(scores, axis=-1) @ v).swapaxes(0, 1).reshape(len(queries), HIDDEN)
        return self._linear(f"{name}.out_proj", mixed)

    def _convolve(self, name, x, stride):
        padded = np.pad(x, ((1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=0)[::stride]
        kernel = self._weights[f"{name}.weight"]  # (filters, inputs, 3)
        return np.einsum("fcw,ocw->fo", windows, kernel) + self._weights[f"{name}.bias"]


def _gelu(x):
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))
