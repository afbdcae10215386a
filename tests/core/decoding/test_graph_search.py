"""The search inside the graph finds what slow searches find."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from aitk.core.decoding.graph_search import NEVER, search_in_graph

END, SIZE = 0, 5


class Table:
    """A model whose logits depend on all tokens so far, through their sum in its cache."""

    def __init__(self, rng: np.random.Generator):
        self.logits = rng.normal(0, 2, (23, SIZE)).astype(np.float32)

    def step(self, newest, at, cache):
        from keras import ops

        key = cache[0] + (at + 1) * (newest + 1)  # (batch, beams)
        return ops.take(self.logits, key % len(self.logits), axis=0), [key]

    def read(self, tokens):
        key = sum(place * (token + 1) for place, token in enumerate(tokens, 1))
        return self.logits[key % len(self.logits)].astype(np.float64)


class NoRepeats:
    """The newest token is not allowed again; open places get the likeliest of tokens 2 and 3."""

    def allowed(self, logits, tokens, at):
        from keras import ops

        newest = ops.take(tokens, at, axis=2)[..., None]
        return ops.log_softmax(ops.where(ops.arange(SIZE) == newest, NEVER, logits))

    def complete(self, logits):
        from keras import ops

        return 2 + ops.cast(ops.argmax(logits[..., 2:4], axis=-1), "int32")

    def observe(self, logits):
        return logits[:, 0, 1]


def chances_after(table, tokens):
    logits = table.read(tokens)
    logits[tokens[-1]] = -np.inf
    return logits - np.log(np.exp(logits).sum())


def completed(table, prompt):
    found = []
    for token in prompt:
        found.append(token if token >= 0 else 2 + int(table.read(found)[2:4].argmax()))
    return found


def scored(table, prompt, text):
    """The log-probability of each token of a text."""
    return [chances_after(table, prompt + text[:at])[text[at]] for at in range(len(text))]


def slow_beams(table, prompt, beams, length):
    """Beam search over lists, from its definition."""
    held = [([], 0.0)]
    for _ in range(length - len(prompt)):
        longer = []
        for text, total in held:
            if text[-1:] == [END]:
                longer.append((text, total))
                continue
            chances = chances_after(table, prompt + text)
            longer += [([*text, token], total + chances[token]) for token in range(SIZE)]
        longer = [each for each in longer if np.isfinite(each[1])]
        held = sorted(longer, key=lambda each: -each[1])[:beams]
    return sorted(held, key=lambda each: -each[1] / len(each[0]))


def search(table, prompts, beams, length):
    from keras import ops

    scores = np.full((len(prompts), beams), NEVER, np.float32)
    scores[:, 0] = 0
    found = search_in_graph(
        table.step,
        [ops.zeros((len(prompts), beams), "int32")],
        ops.convert_to_tensor(prompts, "int32"),
        ops.convert_to_tensor(scores),
        rule=NoRepeats(),
        end=END,
        length=length,
    )
    return [ops.convert_to_numpy(each) for each in found]


def text_of(line, start):
    """The tokens after the prompt, with the end if there is one."""
    text = line[start:].tolist()
    return text[: text.index(END) + 1] if END in text else text


@pytest.mark.parametrize("beams", [1, 2, 4])
@pytest.mark.parametrize("seed", range(4))
def test_beams_are_those_of_a_search_over_lists(beams, seed):
    table = Table(np.random.default_rng(seed))
    prompts = [[1, 2], [4, -1], [3, 1]]
    tokens, chances, observed = search(table, prompts, beams, length=8)
    for row, prompt in enumerate(prompts):
        prompt = completed(table, prompt)
        expected = slow_beams(table, prompt, beams, length=8)
        assert tokens[row, 0, :2].tolist() == prompt
        assert [text_of(line, 2) for line in tokens[row]] == [text for text, _ in expected]
        for line, (text, _) in zip(chances[row], expected, strict=True):
            padded = [0.0, 0.0, *scored(table, prompt, text)]
            padded += [0.0] * (8 - len(padded))
            np.testing.assert_allclose(line, padded, atol=1e-4)
        np.testing.assert_allclose(observed[row], table.read(prompt[:1])[1], rtol=1e-5)


def test_as_many_beams_as_texts_find_the_best_of_all():
    table = Table(np.random.default_rng(5))
    tokens, _, _ = search(table, [[1]], beams=64, length=4)
    texts = set()
    for tokens_of_three in itertools.product(range(SIZE), repeat=3):
        texts.add(tuple(text_of(np.array(tokens_of_three), 0)))
    means = {text: np.mean(scored(table, [1], list(text))) for text in texts}
    assert tuple(text_of(tokens[0, 0], 1)) == max(means, key=lambda text: means[text])
