"""Train and run the small ResNet without aitk: the peers to hold its times against.

    pip install torch onnx onnxruntime opencv-python-headless      # in an environment of their own
    python bench/peer_resnet.py train cifar10-train.zip --threads 2
    python bench/peer_resnet.py quantize float.onnx cifar10-train.zip int8.onnx
    python bench/peer_resnet.py predict int8.onnx cifar10-train.zip --threads 2

``train`` is what ``aitk vision finetune --model resnet --batch-size 128`` does, in plain torch: the
same layers, AdamW, clipped gradients, mirrored, shifted and brightened images, which are decoded
once and prepared in a thread of their own. ``quantize`` makes int8 of a float ONNX file with
onnxruntime's own tools, ``predict`` reads the images of the archive and writes a JSON line each.
"""

from __future__ import annotations

import argparse
import json
import queue
import threading
import time
import zipfile
from collections.abc import Iterator

import cv2
import numpy as np

BATCH = 128
WIDTHS, BLOCKS = (16, 32, 64), 3
CALIBRATION = 256
#: Pixels that a training image is shifted by at most: an eighth of its side.
SHIFT = 4


def images(archive: str, most: int | None = None) -> Iterator[tuple[str, np.ndarray, str]]:
    """Name, RGB image and class of each file."""
    with zipfile.ZipFile(archive) as files:
        names = [name for name in files.namelist() if name.lower().endswith((".jpg", ".png"))]
        for name in names[:: len(names) // most if most else 1]:
            decoded = cv2.imdecode(np.frombuffer(files.read(name), np.uint8), cv2.IMREAD_COLOR)
            yield name, decoded[..., ::-1], name.split("/")[-2]


def train(archive: str, *, threads: int, epochs: int) -> None:
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(0)

    def convolution(inside: int, outside: int, width: int = 3, stride: int = 1) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inside, outside, width, stride, padding=width // 2, bias=False),
            nn.BatchNorm2d(outside),
        )

    class Block(nn.Module):
        def __init__(self, inside: int, outside: int):
            super().__init__()
            stride = 1 if inside == outside else 2
            self.first = convolution(inside, outside, stride=stride)
            self.second = convolution(outside, outside)
            self.shortcut = nn.Identity()
            if stride == 2:
                self.shortcut = nn.Sequential(nn.AvgPool2d(2), convolution(inside, outside, 1))

        def forward(self, x):
            return torch.relu(self.shortcut(x) + self.second(torch.relu(self.first(x))))

    layers: list[nn.Module] = [convolution(3, WIDTHS[0]), nn.ReLU()]
    inside = WIDTHS[0]
    for width in WIDTHS:
        for _ in range(BLOCKS):
            layers.append(Block(inside, width))
            inside = width
    network = nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(inside, 10)
    ).to(memory_format=torch.channels_last)
    print(f"parameters: {sum(weight.numel() for weight in network.parameters())}")
    rows = list(images(archive))
    names = sorted({label for _, _, label in rows})
    stack = np.stack([image for _, image, _ in rows])
    targets = np.array([names.index(label) for _, _, label in rows])
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.004, weight_decay=0.05)
    network.train()
    for epoch in range(epochs):
        started = time.perf_counter()
        for batch, target in _ahead(_batches(stack, targets, np.random.default_rng(epoch))):
            x = torch.from_numpy(batch).permute(0, 3, 1, 2)  # channels last in memory
            loss = nn.functional.cross_entropy(network(x), torch.from_numpy(target))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        rate = len(rows) / (time.perf_counter() - started)
        print(f"epoch {epoch + 1}: {rate:.1f} images/s, loss {loss.item():.3f}", flush=True)


def _batches(
    stack: np.ndarray, targets: np.ndarray, random: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    height, width = stack.shape[1:3]
    order = random.permutation(len(stack))
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        padded = np.pad(stack[chosen], ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
        batch = np.empty((len(chosen), height, width, 3), np.float32)
        for place, image in enumerate(padded):
            top, left = random.integers(0, 2 * SHIFT + 1, 2)
            part = image[top : top + height, left : left + width]
            batch[place] = part[:, ::-1] if random.random() < 0.5 else part
        batch *= random.uniform(0.9, 1.1, (len(chosen), 1, 1, 1)).astype(np.float32)
        yield (batch - 120) / 57, targets[chosen]


def _ahead(items: Iterator) -> Iterator:
    """Make the next items while one is used."""
    held: queue.Queue = queue.Queue(4)

    def fill() -> None:
        for item in items:
            held.put(item)
        held.put(None)

    threading.Thread(target=fill, daemon=True).start()
    while (item := held.get()) is not None:
        yield item


def quantize(source: str, archive: str, target: str) -> None:
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    (given,) = onnxruntime.InferenceSession(source).get_inputs()
    prepared = f"{target}.prepared"
    quant_pre_process(source, prepared)

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rows = images(archive, CALIBRATION)

        def get_next(self):
            row = next(self.rows, None)
            return None if row is None else {given.name: np.ascontiguousarray(row[1])[None]}

    quantize_static(prepared, target, Reader(), quant_format=QuantFormat.QDQ, per_channel=True)


def predict(model: str, archive: str, *, threads: int) -> None:
    import onnxruntime

    started = time.perf_counter()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    names = sorted(
        {name.split("/")[-2] for name in zipfile.ZipFile(archive).namelist() if "/" in name}
    )
    right = total = 0
    with open("peer.jsonl", "w", encoding="utf-8") as out:
        held: list[tuple[str, np.ndarray, str]] = []

        def answer() -> int:
            (logits,) = session.run(None, {given.name: np.stack([each[1] for each in held])})
            for (name, _, _), row in zip(held, logits, strict=True):
                print(json.dumps({"name": name, "label": names[int(row.argmax())]}), file=out)
            return sum(
                names[int(row.argmax())] == label
                for (_, _, label), row in zip(held, logits, strict=True)
            )

        for row in images(archive):
            held.append(row)
            total += 1
            if len(held) == BATCH:
                right += answer()
                held.clear()
        right += answer() if held else 0
    seconds = time.perf_counter() - started
    print(f"{total / seconds:.1f} images/s, {seconds:.1f} s, right {right / total:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("train", "quantize", "predict"))
    parser.add_argument("files", nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    asked = parser.parse_args()
    if asked.what == "train":
        train(*asked.files, threads=asked.threads, epochs=asked.epochs)
    elif asked.what == "quantize":
        quantize(*asked.files)
    else:
        predict(*asked.files, threads=asked.threads)


if __name__ == "__main__":
    main()
