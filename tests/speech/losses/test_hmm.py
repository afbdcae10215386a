"""Word models: Baum-Welch finds what made the data, round by round as hmmlearn does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from aitk.speech.losses.hmm import (
    WordModel,
    WordModels,
    baum_welch,
    first_guess,
    fit_scale,
    forward_backward,
    train_words,
)


def spoken(rng, levels, *, clips=12, d=3):
    """Sounds that stay at each level for 4 to 8 frames, with noise of deviation 0.3."""
    return [
        np.concatenate(
            [rng.normal(level, 0.3, (rng.integers(4, 9), d)) for level in levels]
        ).astype("float32")
        for _ in range(clips)
    ]


WORDS = ([0, 2, -2], [-2, 2, 0])


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    clips = [spoken(rng, levels) for levels in WORDS]
    found = train_words(clips, states=3, mixtures=2, iterations=10, min_variance=0.01)
    return clips, found


def hmmlearn_model(found: WordModels, word: int):
    from hmmlearn import hmm

    states, mixtures = found.weights.shape[1:]
    model = hmm.GMMHMM(states, mixtures, covariance_type="diag", init_params="")
    model.startprob_, model.transmat_ = found.start[word], found.transitions[word]
    model.weights_, model.means_ = found.weights[word], found.means[word]
    model.covars_, model.n_features = found.variances[word], found.means.shape[-1]
    return model


def keras_scores(found: WordModels, clips, *, pad_to=40, scale=1.0):
    from aitk.speech.models.gmm_hmm import fill, word_scorer

    words, states, mixtures, d = found.means.shape
    model = fill(word_scorer(words, states, mixtures, d), found, scale=scale)
    features = np.full((len(clips), pad_to, d), 7.0, "float32")
    mask = np.zeros((len(clips), pad_to), "int32")
    for row, clip in enumerate(clips):
        features[row, : len(clip)], mask[row, : len(clip)] = clip, 1
    return model, np.asarray(model({"features": features, "padding_mask": mask}))


def test_training_finds_the_levels_in_their_order(trained):
    _, found = trained
    for word, levels in enumerate(WORDS):
        centres = np.einsum("sm,smd->s", found.weights[word], found.means[word]) / 3
        np.testing.assert_allclose(centres, levels, atol=0.2)


def test_one_round_is_that_of_hmmlearns_own_mixtures():
    from hmmlearn import hmm

    rng = np.random.default_rng(5)
    clips = spoken(rng, [0, 1])
    frames, lengths = np.concatenate(clips).astype(float), [len(clip) for clip in clips]
    start, transitions = np.array([1.0, 0.0]), np.array([[0.8, 0.2], [0.0, 1.0]])
    weights, means = np.full((2, 2), 0.5), rng.normal(size=(2, 2, 3))
    variances = rng.uniform(0.5, 1.5, (2, 2, 3))
    other = hmm.GMMHMM(2, 2, covariance_type="diag", n_iter=1, init_params="", params="tmcw")
    other.startprob_, other.transmat_ = start, transitions
    other.weights_, other.means_, other.covars_ = weights, means, variances
    other.fit(frames, lengths)
    guess = WordModel(start, transitions, weights, means, variances)
    own = baum_welch(guess, [clip.astype(float) for clip in clips], iterations=1, min_variance=1e-3)
    np.testing.assert_allclose(own.transitions, other.transmat_, atol=1e-9)
    np.testing.assert_allclose(own.weights, other.weights_, atol=1e-9)
    np.testing.assert_allclose(own.means, other.means_, atol=1e-9)
    # hmmlearn measures from where the means were before the round.
    moved = (own.means - means) ** 2
    np.testing.assert_allclose(own.variances + moved, other.covars_, atol=1e-6)


def test_posteriors_and_transitions_are_those_of_all_paths():
    rng = np.random.default_rng(1)
    start, lengths = np.array([1.0, 0.0, 0.0]), np.array([5, 3])
    transitions = np.array([[0.7, 0.3, 0.0], [0.0, 0.4, 0.6], [0.0, 0.0, 1.0]])
    densities = rng.normal(size=(2, 5, 3)) * 3
    found, posteriors, moved = forward_backward(start, transitions, densities, lengths)
    wanted_moves = np.zeros((3, 3))
    for clip, length in enumerate(lengths):
        total, visits, moves = 0.0, np.zeros((5, 3)), np.zeros((3, 3))
        for path in itertools.product(range(3), repeat=length):
            p = start[path[0]] * np.exp(densities[clip, range(length), path].sum())
            p *= np.prod([transitions[pair] for pair in itertools.pairwise(path)])
            total += p
            visits[range(length), path] += p
            for pair in itertools.pairwise(path):
                moves[pair] += p
        assert found[clip] == pytest.approx(np.log(total))
        np.testing.assert_allclose(posteriors[clip], visits / total, atol=1e-12)
        wanted_moves += moves / total
    np.testing.assert_allclose(moved, wanted_moves, atol=1e-12)


def test_every_round_makes_the_clips_likelier():
    rng = np.random.default_rng(2)
    clips = [clip.astype(float) for clip in spoken(rng, [0, 2, -2])]

    def likelihood(iterations):
        model = first_guess(clips, 3, 2, 0.01, rng=np.random.default_rng(0))
        model = baum_welch(model, clips, iterations=iterations, min_variance=0.01)
        dense = [np.logaddexp.reduce(model.log_densities(clip), axis=2)[None] for clip in clips]
        parts = [
            forward_backward(model.start, model.transitions, each, np.array([each.shape[1]]))
            for each in dense
        ]
        return sum(float(part[0][0]) for part in parts)

    values = [likelihood(rounds) for rounds in range(4)]
    assert values == sorted(values)


def test_words_are_passed_from_left_to_right(trained):
    _, found = trained
    assert found.start.tolist() == [[1, 0, 0], [1, 0, 0]]
    for matrix in found.transitions:
        assert np.tril(matrix, -1).sum() == 0
        assert np.triu(matrix, 2).sum() == 0
        np.testing.assert_allclose(matrix.sum(axis=1), 1)


def test_the_keras_layer_scores_as_hmmlearn_does(trained):
    clips, found = trained
    some = [*clips[0][:4], *clips[1][:4], clips[0][0][:1]]
    wanted = [[hmmlearn_model(found, word).score(s) for word in range(2)] for s in some]
    _, scores = keras_scores(found, some)
    np.testing.assert_allclose(scores, wanted, atol=1e-3, rtol=1e-5)


def test_the_score_is_the_sum_over_all_paths():
    rng = np.random.default_rng(3)
    found = WordModels(
        start=rng.dirichlet([1, 1], 1),
        transitions=rng.dirichlet([1, 1], (1, 2)),
        weights=np.ones((1, 2, 1)),
        means=rng.normal(size=(1, 2, 1, 2)),
        variances=rng.uniform(0.5, 2, (1, 2, 1, 2)),
    )
    clip = rng.normal(size=(4, 2)).astype("float32")

    def density(frame, state):
        mean, variance = found.means[0, state, 0], found.variances[0, state, 0]
        return np.prod(
            np.exp(-((frame - mean) ** 2) / variance / 2) / np.sqrt(2 * np.pi * variance)
        )

    total = 0.0
    for path in itertools.product(range(2), repeat=4):
        p = found.start[0, path[0]] * density(clip[0], path[0])
        for at in range(1, 4):
            p *= found.transitions[0, path[at - 1], path[at]] * density(clip[at], path[at])
        total += p
    _, scores = keras_scores(found, [clip], pad_to=6)
    assert scores[0, 0] == pytest.approx(np.log(total), abs=1e-4)


def test_padding_changes_no_score(trained):
    clips, found = trained
    _, near = keras_scores(found, clips[0], pad_to=30)
    _, far = keras_scores(found, clips[0], pad_to=60)
    np.testing.assert_array_equal(near, far)


def test_a_saved_scorer_is_the_same_after_loading(trained, tmp_path):
    from aitk.core.artifacts.keras_file import load_keras

    clips, found = trained
    model, scores = keras_scores(found, clips[0], scale=0.5)
    model.save(tmp_path / "model.keras")
    loaded = load_keras(tmp_path / "model.keras")
    _, unscaled = keras_scores(found, clips[0])
    np.testing.assert_allclose(scores, unscaled / 2, rtol=1e-6)
    for one, other in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_variances_stay_above_the_least():
    same = [np.zeros((10, 2), "float32")] * 3
    found = train_words([same], states=2, mixtures=2, iterations=3, min_variance=0.1)
    assert found.variances.min() >= 0.1
    assert np.isfinite(found.means).all()


def test_sounds_shorter_than_the_states_are_learned_all_the_same():
    rng = np.random.default_rng(0)
    found = train_words(
        [[rng.normal(size=(2, 2)) for _ in range(5)]],
        states=4, mixtures=2, iterations=3, min_variance=0.1,
    )  # fmt: skip
    for values in vars(found).values():
        assert np.isfinite(values).all()
    np.testing.assert_allclose(found.transitions.sum(axis=2), 1)
    np.testing.assert_allclose(found.weights.sum(axis=2), 1)


def test_the_scale_makes_probabilities_as_sure_as_they_are_right():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 3)) * 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (p.cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    assert fit_scale(logits * 20, targets) == pytest.approx(1 / 20, rel=0.1)
