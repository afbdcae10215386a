"""The models of bench/gpu_keras.py, layer by layer, in plain torch with its fused attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Size = Mapping[str, int]
#: Channel statistics of ImageNet: red, green and blue from 0 to 255.
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def step_of(
    name: str,
    size: Size,
    inputs: Mapping[str, np.ndarray],
    targets: np.ndarray,
    *,
    mode: str,
    device: str,
) -> tuple[Callable[[], Any], int]:
    """A step of training or prediction, which returns a number, and the number of parameters."""
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    given = {key: torch.as_tensor(value, device=device) for key, value in inputs.items()}
    due = torch.as_tensor(targets, device=device)
    model = build(name, size).to(device)
    if "image" in given:
        model = model.to(memory_format=torch.channels_last)
    model.train(mode == "train")
    compiled = torch.compile(model) if device == "cuda" else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=device == "cuda")

    def loss_of(found: Tensor) -> Tensor:
        if name == "yolo":
            return F.mse_loss(found.float(), due)
        return F.cross_entropy(found.flatten(0, -2).float(), due.flatten().long())

    def train() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = loss_of(compiled(**given))
        loss.backward()
        optimizer.step()
        return loss.detach().cpu()  # Keras returns the loss of every step as well

    @torch.inference_mode()
    def predict() -> Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            return compiled(**given).float().cpu().flatten()[0]  # and all outputs

    parameters = sum(each.numel() for each in model.parameters())
    return (train if mode == "train" else predict), parameters


def build(name: str, size: Size) -> nn.Module:
    """The model; ``forward`` takes the inputs of ``bench.gpu.made`` by name."""
    kinds: dict[str, Callable[[Size], nn.Module]] = {
        "minilm": MiniLM, "whisper": Whisper, "resnet": ResNet, "vit": ViT, "yolo": Yolo,
        "conformer": Conformer, "sasrec": SasRec, "gpt": Gpt,
    }  # fmt: skip
    return kinds[name](size)


# Transformers --------------------------------------------------------------


class Attention(nn.Module):
    """Multi-head attention, to itself or a memory; optionally causal, with rotary positions."""

    def __init__(self, hidden: int, heads: int, *, causal: bool = False, rotary: bool = False,
                 key_bias: bool = True):  # fmt: skip
        super().__init__()
        self.heads, self.causal, self.rotary = heads, causal, rotary
        self.query, self.value = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.key, self.output = nn.Linear(hidden, hidden, key_bias), nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        source = x if memory is None else memory
        query, key, value = (
            dense(each).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for dense, each in ((self.query, x), (self.key, source), (self.value, source))
        )
        if self.rotary:
            query, key = rotated(query), rotated(key)
        found = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.output(found.transpose(1, 2).flatten(2))


def rotated(x: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021) of (rows, heads, length, size)."""
    half = x.shape[-1] // 2
    frequencies = 10000.0 ** (-torch.arange(half, device=x.device) / half)
    angles = torch.arange(x.shape[2], device=x.device)[:, None] * frequencies
    sine, cosine = angles.sin().to(x.dtype), angles.cos().to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


class Block(nn.Module):
    """Attention and a feed-forward layer with residuals; pre-norm unless ``after``."""

    def __init__(self, hidden: int, heads: int, *, activation: Callable[[Tensor], Tensor],
                 after: bool = False, crosses: bool = False, **options: bool):  # fmt: skip
        super().__init__()
        self.attention = Attention(hidden, heads, **options)
        self.cross = Attention(hidden, heads, key_bias=options.get("key_bias", True))
        if not crosses:
            self.cross = None
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(3 if crosses else 2))
        self.inner, self.outer = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)
        self.activation, self.after = activation, after

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        if self.after:
            x = self.norms[0](x + self.attention(x))
            return self.norms[-1](x + self.outer(self.activation(self.inner(x))))
        x = x + self.attention(self.norms[0](x))
        if self.cross is not None:
            x = x + self.cross(self.norms[1](x), memory)
        return x + self.outer(self.activation(self.inner(self.norms[-1](x))))


class MiniLM(nn.Module):
    """BERT (Devlin et al. 2019) with a linear head on its pooled first token."""

    def __init__(self, size: Size):
        super().__init__()
        hidden = size["hidden"]
        self.tokens, self.places = (
            nn.Embedding(size["vocabulary"], hidden),
            nn.Embedding(512, hidden),
        )
        self.segments, self.norm = nn.Embedding(2, hidden), nn.LayerNorm(hidden)
        self.blocks = nn.Sequential(
            *(
                Block(hidden, size["heads"], activation=F.gelu, after=True)
                for _ in range(size["layers"])
            )
        )
        self.pooled, self.head = nn.Linear(hidden, hidden), nn.Linear(hidden, 2)

    def forward(self, token_ids: Tensor) -> Tensor:
        x = self.tokens(token_ids) + self.places.weight[: token_ids.shape[1]]
        x = self.blocks(self.norm(x + self.segments(torch.zeros_like(token_ids))))
        return self.head(torch.tanh(self.pooled(x[:, 0])))


class Whisper(nn.Module):
    """Whisper (Radford et al. 2023) with the tokens of the target; fixed positions of frames."""

    def __init__(self, size: Size):
        super().__init__()
        hidden, heads, layers = size["hidden"], size["heads"], size["layers"]
        self.first = nn.Conv1d(80, hidden, 3, padding=1)
        self.second = nn.Conv1d(hidden, hidden, 3, stride=2, padding=1)
        self.register_buffer("waves", torch.randn(1500, hidden))
        self.tokens, self.places = (
            nn.Embedding(size["vocabulary"], hidden),
            nn.Embedding(448, hidden),
        )
        options = {"activation": F.gelu, "key_bias": False}
        self.encoder = nn.Sequential(*(Block(hidden, heads, **options) for _ in range(layers)))
        self.decoder = nn.ModuleList(
            Block(hidden, heads, crosses=True, causal=True, **options) for _ in range(layers)
        )
        self.norms = nn.ModuleList([nn.LayerNorm(hidden), nn.LayerNorm(hidden)])

    def forward(self, features: Tensor, token_ids: Tensor) -> Tensor:
        x = F.gelu(self.second(F.gelu(self.first(features.transpose(1, 2))))).transpose(1, 2)
        memory = self.norms[0](self.encoder(x + self.waves))
        x = self.tokens(token_ids) + self.places.weight[: token_ids.shape[1]]
        for block in self.decoder:
            x = block(x, memory)
        return self.norms[1](x) @ self.tokens.weight.T


class ViT(nn.Module):
    """The vision transformer (Dosovitskiy et al. 2021) without a class token."""

    def __init__(self, size: Size):
        super().__init__()
        hidden, patch = size["hidden"], size["patch"]
        self.patches = nn.Conv2d(3, hidden, patch, stride=patch)
        self.places = nn.Parameter(torch.randn((size["side"] // patch) ** 2, hidden) * 0.02)
        self.blocks = nn.Sequential(
            *(Block(hidden, size["heads"], activation=F.gelu) for _ in range(size["layers"]))
        )
        self.norm, self.head = nn.LayerNorm(hidden), nn.Linear(hidden, size["classes"])

    def forward(self, image: Tensor) -> Tensor:
        x = self.patches(scaled(image)).flatten(2).transpose(1, 2) + self.places
        return self.head(self.norm(self.blocks(x)).mean(1))


class SasRec(nn.Module):
    """SASRec (Kang and McAuley 2018) with a softmax over all items at all positions."""

    def __init__(self, size: Size):
        super().__init__()
        hidden = size["hidden"]
        self.items = nn.Embedding(size["items"] + 2, hidden)
        self.places = nn.Parameter(torch.randn(size["length"], hidden) * hidden**-0.5)
        options = {"activation": F.relu, "causal": True}
        self.blocks = nn.Sequential(
            *(Block(hidden, size["heads"], **options) for _ in range(size["layers"]))
        )
        self.norm, self.bias = nn.LayerNorm(hidden), nn.Parameter(torch.zeros(size["items"]))

    def forward(self, history: Tensor) -> Tensor:
        x = self.norm(self.blocks(self.items(history) + self.places))
        return x @ self.items.weight[1:-1].T + self.bias


class Gpt(nn.Module):
    """A causal decoder with rotary positions and tied logits."""

    def __init__(self, size: Size):
        super().__init__()
        hidden = size["hidden"]
        self.tokens = nn.Embedding(size["vocabulary"], hidden)
        options = {"activation": F.gelu, "causal": True, "rotary": True}
        self.blocks = nn.Sequential(
            *(Block(hidden, size["heads"], **options) for _ in range(size["layers"]))
        )
        self.norm = nn.LayerNorm(hidden)

    def forward(self, token_ids: Tensor) -> Tensor:
        return self.norm(self.blocks(self.tokens(token_ids))) @ self.tokens.weight.T


# Images --------------------------------------------------------------------


def scaled(image: Tensor) -> Tensor:
    """Images (rows, height, width, 3) uint8 as normalised maps, channels first."""
    mean, deviation = (torch.tensor(each, device=image.device) for each in (MEAN, DEVIATION))
    return ((image.float() - mean) / deviation).permute(0, 3, 1, 2)


def convolution(inside: int, outside: int, width: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, width, stride, padding=width // 2, bias=False),
        nn.BatchNorm2d(outside),
    )


def activated(inside: int, outside: int, width: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(convolution(inside, outside, width, stride), nn.ReLU())


class Residual(nn.Module):
    """Two convolutions with a shortcut (He et al. 2016)."""

    def __init__(self, inside: int, outside: int, *, halve: bool):
        super().__init__()
        self.first = activated(inside, outside, stride=2 if halve else 1)
        self.second = convolution(outside, outside)
        self.shortcut: nn.Module = nn.Identity()
        if halve:
            self.shortcut = nn.Sequential(nn.AvgPool2d(2), convolution(inside, outside, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.second(self.first(x)))


class Stages(nn.Module):
    """The residual network: an image -> the maps of its four stages, of strides 4, 8, 16 and 32."""

    def __init__(self, size: Size):
        super().__init__()
        filters = size["filters"]
        self.stem = nn.Sequential(activated(3, filters, stride=2), nn.MaxPool2d(3, 2, padding=1))
        self.stages = nn.ModuleList()
        for stage in range(4):
            outside = filters * 2**stage
            inside = outside // 2 if stage else outside
            blocks = [Residual(inside, outside, halve=stage > 0)]
            blocks += [Residual(outside, outside, halve=False) for _ in range(size["blocks"] - 1)]
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, image: Tensor) -> list[Tensor]:
        x, maps = self.stem(scaled(image)), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class ResNet(nn.Module):
    """The residual network with a linear head."""

    def __init__(self, size: Size):
        super().__init__()
        self.stages = Stages(size)
        self.head = nn.Linear(8 * size["filters"], size["classes"])

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.stages(image)[-1].mean((2, 3)))


class Yolo(nn.Module):
    """The anchor-free detector of `aitk/vision/models/detectors/yolo.py`, up to its raw rows."""

    def __init__(self, size: Size):
        super().__init__()
        width, filters = size["width"], size["filters"]
        self.stages = Stages(size)
        self.lateral = nn.ModuleList(activated(filters * 2**at, width, 1) for at in (1, 2, 3))
        self.pyramid = nn.ModuleList(activated(width, width) for _ in range(3))
        self.shrink = nn.ModuleList(activated(width, width, stride=2) for _ in range(2))
        self.path = nn.ModuleList(activated(width, width) for _ in range(2))
        self.heads = nn.ModuleList(
            nn.ModuleList(
                nn.Sequential(
                    activated(width, width), activated(width, width), nn.Conv2d(width, columns, 1)
                )
                for columns in (4 * 16, size["classes"])
            )
            for _ in range(3)
        )

    def forward(self, image: Tensor) -> Tensor:
        laterals = [layer(x) for layer, x in zip(self.lateral, self.stages(image)[1:], strict=True)]
        found = [laterals[2]]
        for lateral in (laterals[1], laterals[0]):
            found.insert(0, lateral + F.interpolate(found[0], scale_factor=2.0))
        maps = [layer(x) for layer, x in zip(self.pyramid, found, strict=True)]
        joined = [maps[0]]
        for x, shrink, path in zip(maps[1:], self.shrink, self.path, strict=True):
            joined.append(path(x + shrink(joined[-1])))
        rows = [
            torch.cat([branch(x) for branch in branches], 1).flatten(2).transpose(1, 2)
            for x, branches in zip(joined, self.heads, strict=True)
        ]
        return torch.cat(rows, 1)


# Sound ---------------------------------------------------------------------


class RelativeAttention(nn.Module):
    """Attention by content and by distance (Dai et al. 2019, section 3.3)."""

    def __init__(self, hidden: int, heads: int):
        super().__init__()
        self.heads = heads
        self.parts = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(5))
        self.content, self.distance = (
            nn.Parameter(torch.zeros(heads, 1, hidden // heads)) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        rows, steps, hidden = x.shape
        query, key, value, output, place = self.parts
        query, key, value = (
            dense(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for dense in (query, key, value)
        )
        far = torch.arange(steps - 1, -steps, -1, device=x.device, dtype=torch.float32)
        angles = far[:, None] * 10000.0 ** (-torch.arange(0, hidden, 2, device=x.device) / hidden)
        waves = torch.cat([angles.sin(), angles.cos()], 1).to(x.dtype)
        placed = place(waves).unflatten(-1, (self.heads, -1)).transpose(0, 1)
        by_distance = (query + self.distance) @ placed.transpose(1, 2)
        turned = F.pad(by_distance, (1, 0)).view(rows, self.heads, 2 * steps, steps)[:, :, 1:]
        bias = turned.reshape(rows, self.heads, steps, 2 * steps - 1)[..., :steps]
        scale = query.shape[-1] ** -0.5
        found = F.scaled_dot_product_attention(
            query + self.content,
            key.to(query.dtype),
            value,
            attn_mask=(bias * scale).to(value.dtype),
        )
        return output(found.transpose(1, 2).flatten(2))


class ConformerBlock(nn.Module):
    """Half a feed-forward layer, attention, a convolution, and the other half."""

    def __init__(self, hidden: int, heads: int, width: int = 15):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(5))
        self.halves = nn.ModuleList(
            nn.Sequential(nn.Linear(hidden, 4 * hidden), nn.SiLU(), nn.Linear(4 * hidden, hidden))
            for _ in range(2)
        )
        self.attention = RelativeAttention(hidden, heads)
        self.inner, self.gate, self.outer = (nn.Linear(hidden, hidden) for _ in range(3))
        self.each = nn.Conv1d(hidden, hidden, width, padding=width // 2, groups=hidden, bias=False)
        self.batch_norm = nn.BatchNorm1d(hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.5 * self.halves[0](self.norms[0](x))
        x = x + self.attention(self.norms[1](x))
        y = self.norms[2](x)
        y = self.inner(y) * torch.sigmoid(self.gate(y))
        y = F.silu(self.batch_norm(self.each(y.transpose(1, 2)))).transpose(1, 2)
        x = x + self.outer(y)
        x = x + 0.5 * self.halves[1](self.norms[3](x))
        return self.norms[4](x)


class Conformer(nn.Module):
    """Conformer (Gulati et al. 2020) behind two strided convolutions over time."""

    def __init__(self, size: Size):
        super().__init__()
        hidden = size["hidden"]
        self.front = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv1d(inside, hidden, 3, stride=2, padding=1, bias=False),
                    nn.BatchNorm1d(hidden),
                    nn.ReLU(),
                )
                for inside in (80, hidden)
            )
        )
        self.entry, self.head = nn.Linear(hidden, hidden), nn.Linear(hidden, size["units"])
        self.blocks = nn.Sequential(
            *(ConformerBlock(hidden, size["heads"]) for _ in range(size["layers"]))
        )

    def forward(self, features: Tensor) -> Tensor:
        x = self.front(features.transpose(1, 2)).transpose(1, 2)
        return self.head(self.blocks(self.entry(x)))
