"""Steps a second of one model by one engine, on inputs that lie on the card; see bench/gpu.sh.

    KERAS_BACKEND=jax   python bench/gpu.py minilm jax train
    KERAS_BACKEND=torch python bench/gpu.py minilm torch predict
                        python bench/gpu.py minilm plain train      the same model in plain torch
                        python bench/gpu.py table FOLDER            what was measured, as a table

The Keras models are those of Keras Hub that aitk's tasks build on, with the sizes below; plain
torch takes the architecture of `transformers` of the same sizes, or the module below. Both print
their parameters: a ratio means something where these are alike. bfloat16: `mixed_bfloat16`,
torch autocast. AdamW, gradients as they are. Missing: yolo and conformer, aitk's own models.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WARM_UP, STEPS = 10, 100
#: Rows a batch and the sizes that both engines build.
SIZES: dict[str, dict[str, int]] = {
    "minilm": {"rows": 128, "length": 128, "vocabulary": 30522, "hidden": 384, "layers": 6},
    "whisper": {"rows": 16, "frames": 3000, "length": 128, "vocabulary": 51864, "hidden": 384},
    "resnet": {"rows": 128, "side": 224, "classes": 1000},
    "vit": {"rows": 128, "side": 224, "patch": 16, "hidden": 384, "layers": 12, "classes": 1000},
    "sasrec": {"rows": 256, "length": 200, "items": 100_000, "hidden": 128, "layers": 2},
    "gpt": {"rows": 32, "length": 512, "vocabulary": 50257, "hidden": 768, "layers": 12},
}


def main(name: str, engine: str, mode: str) -> dict[str, Any]:
    """Measure one model."""
    step, parameters = (plain if engine == "plain" else keras_step)(name, mode)
    for _ in range(WARM_UP):
        step()
    started = time.perf_counter()
    for _ in range(STEPS):
        last = step()
    float(np.asarray(last))  # waits for the card
    seconds = time.perf_counter() - started
    return {
        "model": name,
        "engine": engine,
        "mode": mode,
        "parameters": int(parameters),
        "steps_per_s": round(STEPS / seconds, 3),
        "rows_per_s": round(STEPS * SIZES[name]["rows"] / seconds, 1),
    }


# Plain torch --------------------------------------------------------------


def plain(name: str, mode: str) -> tuple[Callable[[], Any], int]:
    """A step of the model in plain torch, which returns a number on the host."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    card = torch.device("cuda")
    inputs, targets = made(name)
    given = {key: torch.as_tensor(value, device=card) for key, value in inputs.items()}
    if "pixel_values" in given:
        given["pixel_values"] = given["pixel_values"].permute(0, 3, 1, 2)
    due = torch.as_tensor(targets, device=card).long()
    model = torch_model(name).to(card)
    compiled = torch.compile(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    loss_of = nn.CrossEntropyLoss()

    def outputs() -> Any:
        found = compiled(**given)
        return getattr(found, "logits", found)

    def train() -> Any:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            found = outputs()
            loss = loss_of(found.flatten(0, -2).float(), due.flatten())
        loss.backward()
        optimizer.step()
        return loss.detach().cpu()

    @torch.inference_mode()
    def predict() -> Any:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            return outputs().float().sum().cpu()

    model.train(mode == "train")
    return (train if mode == "train" else predict), sum(each.numel() for each in model.parameters())


def torch_model(name: str) -> Any:
    """The architecture in torch; ``forward`` takes the names of ``made``."""
    import transformers as hf
    from torch import nn

    size = SIZES[name]
    hidden, layers = size.get("hidden", 0), size.get("layers", 0)
    if name == "minilm":
        return hf.BertForSequenceClassification(
            hf.BertConfig(
                vocab_size=size["vocabulary"], hidden_size=hidden, num_hidden_layers=layers,
                num_attention_heads=12, intermediate_size=4 * hidden, num_labels=2,
                hidden_dropout_prob=0, attention_probs_dropout_prob=0,
            )
        )  # fmt: skip
    if name == "whisper":  # tiny
        return hf.WhisperForConditionalGeneration(
            hf.WhisperConfig(
                d_model=hidden, encoder_layers=4, decoder_layers=4, encoder_attention_heads=6,
                decoder_attention_heads=6, encoder_ffn_dim=4 * hidden, decoder_ffn_dim=4 * hidden,
                vocab_size=size["vocabulary"],
            )
        )  # fmt: skip
    if name == "resnet":
        return hf.ResNetForImageClassification(hf.ResNetConfig(num_labels=size["classes"]))
    if name == "vit":
        return hf.ViTForImageClassification(
            hf.ViTConfig(
                hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=6,
                intermediate_size=4 * hidden, image_size=size["side"], patch_size=size["patch"],
                num_labels=size["classes"],
            )
        )  # fmt: skip
    if name == "gpt":
        return hf.GPT2LMHeadModel(
            hf.GPT2Config(
                vocab_size=size["vocabulary"], n_embd=hidden, n_layer=layers, n_head=12,
                resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
            )
        )  # fmt: skip

    class Recommender(nn.Module):
        """SASRec (Kang and McAuley 2018), with a softmax over all items."""

        def __init__(self) -> None:
            super().__init__()
            self.items = nn.Embedding(size["items"], hidden)
            self.places = nn.Embedding(size["length"], hidden)
            block = nn.TransformerEncoderLayer(
                hidden, 2, 4 * hidden, dropout=0, batch_first=True, norm_first=True
            )
            self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)

        def forward(self, token_ids: Any) -> Any:
            mask = nn.Transformer.generate_square_subsequent_mask(
                size["length"], device=token_ids.device
            )
            found = self.blocks(
                self.items(token_ids) + self.places.weight, mask=mask, is_causal=True
            )
            return found @ self.items.weight.T

    return Recommender()


# Keras --------------------------------------------------------------------


def keras_step(name: str, mode: str) -> tuple[Callable[[], Any], int]:
    """A step of aitk's model by the backend that KERAS_BACKEND names."""
    import keras

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    inputs, targets = made(name)
    model = keras_model(name)
    model.compile(
        optimizer=keras.optimizers.AdamW(1e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    if mode == "train":
        return (lambda: model.train_on_batch(inputs, targets)), model.count_params()
    return (lambda: float(np.asarray(model.predict_on_batch(inputs)).flat[0])), model.count_params()


def keras_model(name: str) -> Any:
    """The architecture in Keras: of Keras Hub where the tasks take it from there."""
    import keras
    import keras_hub
    from keras import ops

    size = SIZES[name]
    hidden, layers = size.get("hidden", 0), size.get("layers", 0)
    if name == "minilm":
        ids = keras.Input((size["length"],), dtype="int32", name="input_ids")
        backbone = keras_hub.models.BertBackbone(
            size["vocabulary"], layers, 12, hidden, 4 * hidden, dropout=0, max_sequence_length=512
        )
        found = backbone(
            {
                "token_ids": ids,
                "segment_ids": ops.zeros_like(ids),
                "padding_mask": ops.ones_like(ids),
            }
        )["pooled_output"]
        return keras.Model({"input_ids": ids}, keras.layers.Dense(2, dtype="float32")(found))
    if name == "resnet":
        images = keras.Input((size["side"], size["side"], 3), name="pixel_values")
        backbone = keras_hub.models.ResNetBackbone(
            [64], [7], [64, 128, 256, 512], [3, 4, 6, 3], [1, 2, 2, 2], "bottleneck_block",
            image_shape=(size["side"], size["side"], 3),
        )  # fmt: skip
        found = keras.layers.GlobalAveragePooling2D()(backbone(images))
        head = keras.layers.Dense(size["classes"], dtype="float32")
        return keras.Model({"pixel_values": images}, head(found))
    if name == "vit":
        images = keras.Input((size["side"], size["side"], 3), name="pixel_values")
        backbone = keras_hub.models.ViTBackbone(
            (size["side"], size["side"], 3), (size["patch"], size["patch"]), layers, 6, hidden,
            4 * hidden,
        )  # fmt: skip
        head = keras.layers.Dense(size["classes"], dtype="float32")
        return keras.Model({"pixel_values": images}, head(backbone(images)[:, 0]))
    if name == "gpt":
        ids = keras.Input((size["length"],), dtype="int32", name="input_ids")
        backbone = keras_hub.models.GPT2Backbone(
            size["vocabulary"], layers, 12, hidden, 4 * hidden, dropout=0, max_sequence_length=1024
        )
        found = backbone({"token_ids": ids, "padding_mask": ops.ones_like(ids)})
        logits = backbone.token_embedding(found, reverse=True)
        return keras.Model({"input_ids": ids}, ops.cast(logits, "float32"))
    if name == "whisper":
        features = keras.Input((80, size["frames"]), name="input_features")
        ids = keras.Input((size["length"],), dtype="int32", name="decoder_input_ids")
        backbone = keras_hub.models.WhisperBackbone(
            size["vocabulary"], 4, 6, hidden, 4 * hidden, dropout=0
        )
        found = backbone(
            {
                "encoder_features": ops.transpose(features, (0, 2, 1)),
                "decoder_token_ids": ids,
                "decoder_padding_mask": ops.ones_like(ids),
            }
        )["decoder_sequence_output"]
        logits = backbone.decoder_embeddings.token_embedding(found, reverse=True)
        given = {"input_features": features, "decoder_input_ids": ids}
        return keras.Model(given, ops.cast(logits, "float32"))
    ids = keras.Input((size["length"],), dtype="int32", name="token_ids")
    embedding = keras_hub.layers.TokenAndPositionEmbedding(
        size["items"], size["length"], hidden, tie_weights=True
    )
    found = embedding(ids)
    for _ in range(layers):
        found = keras_hub.layers.TransformerDecoder(4 * hidden, 2, normalize_first=True)(found)
    logits = embedding.token_embedding(found, reverse=True)
    return keras.Model({"token_ids": ids}, ops.cast(logits, "float32"))


def made(name: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs and targets of one batch."""
    size, draw = SIZES[name], np.random.default_rng(0)
    rows = size["rows"]
    if name in ("minilm", "gpt", "sasrec"):
        many = size.get("vocabulary") or size["items"]
        ids = draw.integers(1, many, (rows, size["length"])).astype(np.int32)
        key = "token_ids" if name == "sasrec" else "input_ids"
        return {key: ids}, (draw.integers(0, 2, rows) if name == "minilm" else ids)
    if name in ("resnet", "vit"):
        shape = (rows, size["side"], size["side"], 3)
        return {"pixel_values": draw.normal(size=shape).astype(np.float32)}, draw.integers(
            0, size["classes"], rows
        )
    features = draw.normal(size=(rows, 80, size["frames"])).astype(np.float32)
    ids = draw.integers(1, size["vocabulary"], (rows, size["length"])).astype(np.int32)
    return {"input_features": features, "decoder_input_ids": ids}, ids


def table(folder: Path) -> None:
    """Print ratios of steps a second to plain torch, and how busy the card was."""
    found = {
        tuple(path.stem.split("-")): json.loads(path.read_text())
        for path in sorted(folder.glob("*.json"))
        if path.stat().st_size
    }
    print("| model | mode | engine | parameters | steps/s | to plain torch | card busy, % |")
    print("|---|---|---|---|---|---|---|")
    for (name, engine, mode), row in found.items():
        base = found.get((name, "plain", mode))
        ratio = f"{row['steps_per_s'] / base['steps_per_s']:.2f}" if base else "-"
        lines = (folder / f"{name}-{engine}-{mode}.busy").read_text().splitlines()
        busy = [float(line.split(",")[0]) for line in lines if line.strip()]
        mean = f"{np.mean(busy[len(busy) // 2 :]):.0f}" if busy else "-"
        print(
            f"| {name} | {mode} | {engine} | {row['parameters']:,} | {row['steps_per_s']}"
            f" | {ratio} | {mean} |"
        )


if __name__ == "__main__":
    if sys.argv[1] == "table":
        table(Path(sys.argv[2]))
    else:
        print(json.dumps(main(*sys.argv[1:4])))
