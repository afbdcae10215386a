"""Tokens a second of transformers with torch, on the architectures of `bench/decoding.py`.

    python bench/peer_decoding.py [--rows 16] [--tokens 48]

Runs where torch and transformers are installed. A Marian translator and a GPT-NeoX decoder with the
sizes of aitk's ``small`` and random weights, both decoding with transformers' key-value cache and
without it. The best of three, after a first.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, MarianConfig, MarianMTModel

VOCABULARY, HIDDEN = 8000, 256


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


def translator() -> MarianMTModel:
    config = MarianConfig(
        vocab_size=VOCABULARY,
        d_model=HIDDEN,
        encoder_layers=3,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=4 * HIDDEN,
        decoder_ffn_dim=4 * HIDDEN,
        activation_function="relu",
        max_position_embeddings=256,
        pad_token_id=0,
        decoder_start_token_id=2,
        eos_token_id=3,
        forced_eos_token_id=None,
    )
    return MarianMTModel(config).eval()


def language_model() -> GPTNeoXForCausalLM:
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=4 * HIDDEN,
        rotary_pct=1.0,
        use_parallel_residual=False,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
    )
    return GPTNeoXForCausalLM(config).eval()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=48)
    given = parser.parse_args()
    torch.manual_seed(0)
    for name, model, length, beams in (
        ("translator", translator(), 20, (1, 4)),
        ("GPT", language_model(), 16, (1,)),
    ):
        ids = torch.randint(5, VOCABULARY, (given.rows, length))
        for cached in (True, False):
            for count in beams:
                # Never ends: every run decodes as many tokens.
                options = {
                    "max_new_tokens": given.tokens,
                    "min_new_tokens": given.tokens,
                    "num_beams": count,
                    "do_sample": False,
                    "use_cache": cached,
                }

                def run(model=model, ids=ids, options=options) -> None:
                    with torch.inference_mode():
                        model.generate(ids, attention_mask=torch.ones_like(ids), **options)

                how = "cache" if cached else "no cache"
                measure(
                    f"{name}, {given.rows} rows, {count} beams, {how}",
                    given.rows * given.tokens,
                    run,
                )


if __name__ == "__main__":
    main()
