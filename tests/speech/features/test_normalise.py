"""Moments: they add up, survive JSON, and make mean 0 and variance 1."""

import json

import kaldi_native_fbank as kaldi
import numpy as np

from aitk.speech.features.normalise import moments_from, moments_of, normalised, total

FEATURES = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)


def test_moments_of_parts_are_those_of_the_whole():
    parts = total(
        [moments_of(FEATURES[:10]), moments_of(FEATURES[10:10]), moments_of(FEATURES[10:])]
    )
    whole = moments_of(FEATURES)
    assert parts.frames == whole.frames
    np.testing.assert_allclose(parts.mean, FEATURES.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(parts.variance, FEATURES.var(axis=0), rtol=1e-4)


def test_agrees_with_kaldi():
    stats = kaldi.compute_cmvn_stats(FEATURES)
    options = kaldi.CmvnOptions()
    options.norm_vars = True
    expected = kaldi.apply_cmvn(stats, options, FEATURES)
    np.testing.assert_allclose(normalised(FEATURES, moments_of(FEATURES)), expected, atol=1e-4)


def test_a_constant_feature_becomes_0_and_no_frame_stays_none():
    constant = np.full((5, 2), 7, np.float32)
    np.testing.assert_array_equal(normalised(constant, moments_of(constant)), 0)
    empty = constant[:0]
    assert normalised(empty, moments_of(empty)).shape == (0, 2)


def test_moments_survive_json():
    moments = moments_of(FEATURES)
    again = moments_from(json.loads(json.dumps(moments.as_json())))
    np.testing.assert_array_equal(again.squares, moments.squares)
    assert again.frames == 50
