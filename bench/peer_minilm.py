"""Train and predict MiniLM with torch and transformers: the peer to hold aitk's times against.

    pip install torch transformers            # in an environment of their own
    python bench/peer_minilm.py MINILM_FOLDER SST2_FOLDER

One epoch over train.tsv (text TAB label) in batches of 32 of near-equal length, AdamW, float32,
then predictions of the same rows, on every core: what ``aitk nlp finetune --epochs 1`` and
``aitk nlp predict`` do. Prints rows a second of both.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

BATCH = 32


def main(minilm: str, sst2: str) -> None:
    torch.manual_seed(0)
    lines = (Path(sst2) / "train.tsv").read_text(encoding="utf-8").splitlines()
    texts, labels = zip(*(line.split("\t") for line in lines), strict=True)
    tokenizer = AutoTokenizer.from_pretrained(minilm)
    model = AutoModelForSequenceClassification.from_pretrained(minilm, num_labels=2)
    encoded = tokenizer(list(texts), truncation=True, max_length=128)["input_ids"]
    order = sorted(range(len(texts)), key=lambda row: len(encoded[row]))
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    batches = [batches[index] for index in torch.randperm(len(batches)).tolist()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5)

    model.train()
    started = time.perf_counter()
    for rows in batches:
        batch = tokenizer.pad({"input_ids": [encoded[row] for row in rows]}, return_tensors="pt")
        target = torch.tensor([int(labels[row]) for row in rows])
        loss = model(**batch, labels=target).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    print(f"train: {len(texts) / (time.perf_counter() - started):.1f} rows/s")

    model.eval()
    started = time.perf_counter()
    with torch.inference_mode():
        for rows in batches:
            batch = tokenizer.pad(
                {"input_ids": [encoded[row] for row in rows]}, return_tensors="pt"
            )
            model(**batch)
    print(f"predict: {len(texts) / (time.perf_counter() - started):.1f} rows/s")


if __name__ == "__main__":
    main(*sys.argv[1:])
