"""The CRF against every sequence of tiny sentences."""

import itertools

import keras
import numpy as np
import pytest

from aitk.nlp.decoding.tagging import chain_of, legal_moves, marginals

LABELS = ("O", "B-A", "I-A")


def outputs(seed: int, length: int) -> np.ndarray:
    """Scores of two sentences, with the same transitions."""
    made = np.random.default_rng(seed).normal(size=(2, 2 + len(LABELS) + length, len(LABELS)))
    made[1, : 2 + len(LABELS)] = made[0, : 2 + len(LABELS)]
    return made.astype(np.float32)


def scores(chain, words: int) -> dict[tuple, float]:
    """The score of every sequence, the illegal ones minus infinity."""
    return {
        tags: chain.first[tags[0]]
        + chain.last[tags[-1]]
        + sum(chain.emissions[at, tag] for at, tag in enumerate(tags))
        + sum(chain.transitions[pair] for pair in itertools.pairwise(tags))
        for tags in itertools.product(range(len(LABELS)), repeat=words)
    }


@pytest.mark.parametrize(("length", "seed"), [(1, 0), (2, 1), (4, 2)])
def test_the_loss_is_that_of_all_legal_sequences(length, seed):
    from aitk.nlp.models.crf import CrfLoss

    legal = legal_moves(LABELS)
    made = outputs(seed, length)
    targets = np.full((2, length), -1)
    targets[0] = [1, 2, 2, 0][:length]
    targets[1, :1] = [1]
    values = keras.ops.convert_to_numpy(CrfLoss(legal).call(targets, made))
    mean_length = (length + 1) / 2
    for row, words in ((0, length), (1, 1)):
        known = scores(chain_of(made[row], legal, words), words)
        total = np.logaddexp.reduce(list(known.values()))
        wanted = (total - known[tuple(targets[row][:words])]) / mean_length
        assert values[row] == pytest.approx(wanted, rel=1e-4)


def test_the_marginals_are_those_of_all_legal_sequences():
    from aitk.nlp.models.crf import CrfLoss, log_marginals, split_outputs

    legal, made = legal_moves(LABELS), outputs(3, 3)
    mask = np.array([[1, 1, 1], [1, 1, 0]], np.float32)
    parts = split_outputs(keras.ops.convert_to_tensor(made), CrfLoss(legal).penalty)
    found = np.exp(keras.ops.convert_to_numpy(log_marginals(*parts, mask)))
    for row, words in ((0, 3), (1, 2)):
        chain = chain_of(made[row], legal, words)
        known = scores(chain, words)
        total = np.logaddexp.reduce(list(known.values()))
        wanted = np.zeros((words, len(LABELS)))
        for tags, score in known.items():
            for at, tag in enumerate(tags):
                wanted[at, tag] += np.exp(score - total)
        assert found[row, :words] == pytest.approx(wanted, abs=1e-5)
        assert marginals(chain) == pytest.approx(wanted, abs=1e-6)


def test_the_token_loss_looks_at_the_emissions_alone():
    from aitk.nlp.models.crf import TokenLoss

    made, targets = outputs(4, 2), np.array([[1, 2], [0, -1]])
    emissions = made[:, 2 + len(LABELS) :]
    logs = emissions - np.logaddexp.reduce(emissions, axis=-1, keepdims=True)
    wanted = [-(logs[0, 0, 1] + logs[0, 1, 2]) / 1.5, -logs[1, 0, 0] / 1.5]
    values = keras.ops.convert_to_numpy(TokenLoss().call(targets, made))
    assert values == pytest.approx(wanted, rel=1e-4)


def test_a_teacher_that_is_sure_of_the_tags_adds_nothing_new():
    from aitk.nlp.models.crf import CrfLoss, TagDistillationLoss

    legal, made = legal_moves(("O", "X", "Y")), outputs(5, 1)
    hard = CrfLoss(legal)
    targets = np.array([[[1, 0, 1, 0]], [[2, 0, 0, 1]]], np.float32)
    # Of one word the marginal of a tag is the likelihood of the sequence.
    wanted = keras.ops.convert_to_numpy(hard.call(targets[..., 0], made))
    both = TagDistillationLoss(hard, share=0.5, legal=legal)
    assert keras.ops.convert_to_numpy(both.call(targets, made)) == pytest.approx(wanted, rel=1e-4)


def test_a_sentence_without_tags_has_the_teacher_alone():
    from aitk.nlp.features.tag_assets import UNLABELLED
    from aitk.nlp.models.crf import TagDistillationLoss, TokenLoss

    made = outputs(5, 1)
    targets = np.array([[[UNLABELLED, 0, 1, 0]], [[2, 0, 0, 1]]], np.float32)
    both = TagDistillationLoss(TokenLoss(), share=0.5, legal=None).call(targets, made)
    emissions = made[:, 5:].astype(np.float64)  # after first, last and three rows of transitions
    chances = emissions - np.log(np.exp(emissions).sum(-1, keepdims=True))
    wanted = [-chances[0, 0, 1] / 2, -chances[1, 0, 2]]
    assert keras.ops.convert_to_numpy(both) == pytest.approx(wanted, rel=1e-4)


def test_transitions_precede_the_emissions_and_are_saved():
    from aitk.nlp.models.crf import Transitions

    layer = Transitions(learned=True)
    made = keras.ops.convert_to_numpy(layer(np.ones((2, 4, 3), np.float32)))
    assert made.shape == (2, 2 + 3 + 4, 3)
    assert (made[:, :5] == 0).all() and (made[:, 5:] == 1).all()
    assert len(layer.trainable_weights) == 1
    fixed = Transitions(learned=False)
    fixed.build((None, None, 3))
    assert not fixed.trainable_weights and fixed.get_config()["learned"] is False
