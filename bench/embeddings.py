"""Compare embeddings of aitk with gensim's and with a reference implementation of MiniLM.

    python bench/embeddings.py gensim TEXTS OUT.txt --kind sg --seed 0   # where gensim is installed
    python bench/embeddings.py vectors RUN OUT.txt                       # of the words of a run
    python bench/embeddings.py overlap A.txt B.txt                       # shared neighbours
    python bench/embeddings.py reference FOLDER TEXTS OUT.npy            # MiniLM, NumPy in float64

``gensim`` splits texts into the words that aitk does, trains with gensim's defaults but for the
size (100), prints the speed and the accuracy on ``--analogies``, and saves the vectors.
``overlap`` is the mean share of the 10 nearest neighbours that two sets of vectors have in common,
over the 1,000 most frequent shared words. ``reference`` computes BERT, mean pooling and unit length
from the published weights with NumPy alone, and exits with 1 where ``OUT.npy``, which
``nlp predict`` wrote, differs by more than 1e-3.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

WORDS, NEIGHBOURS, CANDIDATES = 1000, 10, 30_000
LIMIT = 1e-3


def train_gensim(texts: str, out: str, *, kind: str, seed: int, analogies: str | None) -> None:
    """Train with one worker, save the vectors, print what was measured."""
    from gensim.models import FastText, Word2Vec

    from aitk.nlp.features.word_table import WORD_PATTERN

    pattern = re.compile(WORD_PATTERN)
    with open(texts, encoding="utf-8") as file:
        sentences = [pattern.findall(line.lower()) for line in file]
    shared = {"vector_size": 100, "min_count": 5, "seed": seed, "workers": 1, "sample": 1e-3}
    shared |= {"sg": int(kind != "cbow"), "window": 5, "negative": 5, "epochs": 5}
    if kind == "fasttext":
        model = FastText(bucket=200_000, min_n=3, max_n=6, **shared)
    else:
        model = Word2Vec(**shared)
    model.build_vocab(sentences)
    started, cpu = time.monotonic(), time.process_time()
    model.train(sentences, total_examples=model.corpus_count, epochs=model.epochs)
    wall, cpu = time.monotonic() - started, time.process_time() - cpu
    model.wv.save_word2vec_format(out)
    words = 5 * sum(map(len, sentences))
    found = {"kind": kind, "seed": seed, "vocabulary": len(model.wv), "words": words}
    found |= {"wall_s": round(wall, 1), "words_per_cpu_s": round(words / cpu)}
    if analogies:
        accuracy, _ = model.wv.evaluate_word_analogies(analogies, restrict_vocab=CANDIDATES)
        found["analogies"] = round(accuracy, 4)
    print(json.dumps(found))


def save_vectors(run: str, out: str) -> None:
    """The vectors of a run's words in word2vec's text format."""
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.nlp.features.embed_assets import load_embed_assets

    units = load_embed_assets(Path(run) / "assets").units
    backbone = load_keras(Path(run) / "model.keras").get_layer("backbone")
    table = np.asarray(backbone.get_layer("token_embedding").embeddings)[: len(units.words)]
    with open(out, "w", encoding="utf-8") as file:
        file.write(f"{len(table)} {table.shape[1]}\n")
        for word, vector in zip(units.words, table, strict=True):
            file.write(f"{word} {' '.join(f'{x:.6g}' for x in vector)}\n")


def overlap(one: str, two: str) -> None:
    """Print the mean share of the nearest neighbours in common."""
    from aitk.nlp.data.formats.vectors import read_vectors

    (words, left), (others, right) = (read_vectors(Path(path)) for path in (one, two))
    places = {word: row for row, word in enumerate(others)}
    shared = [word for word in words if word in places][:CANDIDATES]
    rows = {word: row for row, word in enumerate(words)}
    left = left[[rows[word] for word in shared]]
    right = right[[places[word] for word in shared]]
    found = []
    for table in (left, right):
        table = table / np.linalg.norm(table, axis=1, keepdims=True)
        similar = table[:WORDS] @ table.T
        similar[np.arange(len(similar)), np.arange(len(similar))] = -2
        found.append(np.argpartition(-similar, NEIGHBOURS, axis=1)[:, :NEIGHBOURS])
    shares = [len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(*found, strict=True)]
    print(json.dumps({"overlap": round(float(np.mean(shares)), 4), "words": len(shares)}))


def reference(folder: str, texts: str, vectors: str) -> int:
    """Compare vectors that ``nlp predict`` wrote with BERT computed by NumPy."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    weights = {k: v.astype(np.float64) for k, v in load_file(f"{folder}/model.safetensors").items()}
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    found = np.load(vectors)
    with open(texts, encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if line.strip()]
    expected = np.stack([_embed(tokenizer.encode(line).ids, weights) for line in lines])
    worst = float(np.abs(found - expected).max())
    print(json.dumps({"texts": len(lines), "largest_difference": worst}))
    return int(worst > LIMIT)


def _embed(ids: list[int], weights: Mapping[str, np.ndarray], *, heads: int = 12) -> np.ndarray:
    """One text through BERT (Devlin et al. 2018), mean pooling and unit length."""
    from scipy.special import erf

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-12)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def split(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), heads, -1).transpose(1, 0, 2)

    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    layers = sum(name.endswith("attention.self.query.weight") for name in weights)
    for number in range(layers):
        at = f"encoder.layer.{number}"
        query, key, value = (
            split(dense(x, f"{at}.attention.self.{part}")) for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        mixed = mixed.transpose(1, 0, 2).reshape(x.shape)
        x = norm(
            x + dense(mixed, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm"
        )
        inner = dense(x, f"{at}.intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / np.sqrt(2)))
        x = norm(x + dense(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def main() -> int:
    """Run one of the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("gensim", "vectors", "overlap", "reference"))
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--kind", default="sg", choices=("sg", "cbow", "fasttext"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--analogies")
    given = parser.parse_args()
    if given.what == "gensim":
        train_gensim(*given.paths, kind=given.kind, seed=given.seed, analogies=given.analogies)
    elif given.what == "vectors":
        save_vectors(*given.paths)
    elif given.what == "overlap":
        overlap(*given.paths)
    else:
        return reference(*given.paths)
    return 0


if __name__ == "__main__":
    sys.exit(main())
