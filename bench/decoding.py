"""Tokens a second of greedy and beam decoding, with a key-value cache and without.

    python bench/decoding.py [--run RUN] [--rows 16] [--tokens 48]

Without ``--run`` a translator and a GPT of size small with random weights: speed does not depend on
what they learned. Both counts are of the process's own CPU time, which a busy machine changes less
than the wall clock; the best of three, after a first that traces.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def measure(what: str, tokens: int, run: Callable[[], object]) -> None:
    """Print the speed of a function that decodes so many tokens."""
    run()
    found = []
    for _ in range(3):
        cpu, wall = time.process_time(), time.perf_counter()
        run()
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = min(found)
    print(f"{what:44} {tokens / cpu:9.1f} tokens a CPU second {tokens / wall:9.1f} a second")


def translator(rows: int, tokens: int) -> None:
    from aitk.core.decoding.beam_search import beam_search
    from aitk.core.decoding.incremental import UncachedDecoder
    from aitk.core.inference.predictors import KerasPredictor
    from aitk.nlp.models.decoders.seq2seq import SIZES, TransformerSeq2Seq, Translator

    vocabulary, source = 8000, 20
    predict = KerasPredictor(Translator(TransformerSeq2Seq(vocabulary, *SIZES["small"], 0.0)))
    rng = np.random.default_rng(0)
    inputs = {
        "token_ids": rng.integers(5, vocabulary, (rows, source)).astype(np.int32),
        "padding_mask": np.ones((rows, source), np.int32),
    }
    bias = np.zeros(vocabulary, np.float32)
    bias[3] = -np.inf  # never ends: every run decodes as many tokens

    def score(sources, read):
        return predict({**sources, "target_ids": read})[:, -1]

    for name, decoder in (("cache", predict.decoder), ("no cache", UncachedDecoder(score))):
        for beams in (1, 4):
            measure(
                f"translator, {rows} rows, {beams} beams, {name}",
                rows * tokens,
                lambda decoder=decoder, beams=beams: beam_search(
                    decoder,
                    inputs,
                    starts=np.full((rows, 1), 2, np.int32),
                    limits=[tokens] * rows,
                    end_id=3,
                    bias=bias,
                    beams=beams,
                ),
            )


def language_model(name: str, predict: object, vocabulary: int, rows: int, tokens: int) -> None:
    from aitk.core.decoding.continuation import continue_texts
    from aitk.core.decoding.incremental import UncachedDecoder

    rng = np.random.default_rng(0)
    prompts = rng.integers(5, vocabulary, (rows, 16)).tolist()

    def score(inputs, read):
        return predict({"token_ids": read, "padding_mask": np.ones_like(read)})[:, -1]

    for how, decoder in (("cache", predict.decoder), ("no cache", UncachedDecoder(score))):
        measure(
            f"{name}, {rows} rows, greedy, {how}",
            rows * tokens,
            lambda decoder=decoder: continue_texts(
                decoder,
                prompts,
                tokens=tokens,
                max_length=1024,
                choose=lambda row, logits, before: int(logits[5:].argmax()) + 5,
                is_over=lambda row, new: False,
            ),
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, help="a run of nlp.generate")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=48)
    given = parser.parse_args()
    from aitk.core.inference.predictors import KerasPredictor, open_keras
    from aitk.nlp.models.decoders.gpt import SIZES, Gpt
    from aitk.nlp.models.decoders.language_models import NextTokens

    if given.run:
        predict = open_keras(given.run / "model.keras")
        language_model(given.run.name, predict, 1000, given.rows, given.tokens)
        return
    translator(given.rows, given.tokens)
    hidden, layers, heads = SIZES["small"]
    predict = KerasPredictor(NextTokens(Gpt(8000, hidden, layers, heads, 0.0)))
    language_model("GPT", predict, 8000, given.rows, given.tokens)


if __name__ == "__main__":
    main()
