"""The baselines of text classification: logistic regression on TF-IDF features of words and pairs.

Features after Wang and Manning 2012 ("Baselines and Bigrams").
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from aitk.core.metrics.baselines import Baseline, Measured, Rows, spread
from aitk.core.metrics.multi_label import log_odds, sigmoid, tune_thresholds
from aitk.core.training.batches import take_rows
from aitk.nlp.features.batching import whole_text
from aitk.nlp.features.word_table import WORD_PATTERN

NAME = "TF-IDF + logistic regression"
#: Training rows for fitting, evenly spread, and characters read of each text.
TRAINING_ROWS = 20_000
CHARACTERS = 5_000
#: The most frequent words and pairs are the features.
FEATURES = 50_000
#: Inverse of the ridge penalty; rounds and tolerance of the solver, sufficient to converge.
INVERSE_PENALTY = 10.0
ROUNDS, TOLERANCE = 20, 1e-2
#: With many labels, one row in this many is held out to tune the thresholds.
TUNING_EVERY = 5


def linear_baseline(train: Rows, labels: Sequence[str]) -> Baseline | None:
    """Fit one label per text; None if the training rows have one class or no word.

    Args:
        train: rows with ``text`` and ``label``.
        labels: the classes in the order of the outputs.
    """
    from sklearn.linear_model import LogisticRegression

    sampled = take_rows(train, spread(len(train), TRAINING_ROWS))
    rows = [row for row in sampled if row["label"] in labels]
    targets = np.array([labels.index(row["label"]) for row in rows])
    features = _tfidf(rows)
    if features is None or len(np.unique(targets)) < 2:
        return None
    vectoriser, inputs = features
    model = LogisticRegression(
        C=INVERSE_PENALTY, solver="saga", max_iter=ROUNDS, tol=TOLERANCE, random_state=0
    )
    _fit(model, inputs, targets)

    def measure(rows: Rows, measured: Measured) -> Measured:
        probabilities = np.zeros((len(rows), len(labels)), np.float32)
        probabilities[:, model.classes_] = model.predict_proba(vectoriser.transform(_texts(rows)))
        return {**measured, "probabilities": probabilities}

    return Baseline(NAME, measure)


def linear_multi_label_baseline(
    train: Rows, labels: Sequence[str], thresholds: Sequence[float]
) -> Baseline | None:
    """Fit each label against the rest; None if the training rows have no label or no word.

    The baseline has its own thresholds, tuned on held-out training rows. Its log-odds are
    shifted, class by class, so that they decide at the thresholds of the model.

    Args:
        train: rows with ``text`` and ``labels``.
        labels: the classes in the order of the outputs.
        thresholds: (classes,) the thresholds of the compared model.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    rows = take_rows(train, spread(len(train), TRAINING_ROWS))
    targets = np.array([[label in row["labels"] for label in labels] for row in rows], bool)
    held_back = np.arange(len(rows)) % TUNING_EVERY == TUNING_EVERY - 1
    features = _tfidf(rows)
    if features is None or not held_back.any():
        return None
    vectoriser, inputs = features
    # A class needs rows with and without it.
    shares = targets[~held_back].mean(axis=0)
    fitted = np.flatnonzero((shares > 0) & (shares < 1))
    if not len(fitted):
        return None
    model = OneVsRestClassifier(LogisticRegression(C=INVERSE_PENALTY, solver="liblinear"))
    # With one column, scikit-learn expects a vector, and returns the probabilities of both classes.
    one = len(fitted) == 1
    _fit(
        model, inputs[~held_back], targets[~held_back][:, fitted[0] if one else fitted].astype(int)
    )

    def probabilities(inputs: Any) -> np.ndarray:
        found = np.zeros((inputs.shape[0], len(labels)))
        given = model.predict_proba(inputs)
        found[:, fitted] = given[:, 1:] if one else given
        return found

    tuned = tune_thresholds(targets[held_back], probabilities(inputs[held_back]))
    shift = log_odds(thresholds) - log_odds(tuned)

    def measure(rows: Rows, measured: Measured) -> Measured:
        found = probabilities(vectoriser.transform(_texts(rows)))
        return {**measured, "probabilities": sigmoid(log_odds(found) + shift)}

    return Baseline(NAME, measure)


def _tfidf(rows: Rows) -> tuple[Any, Any] | None:
    """The fitted vectoriser and the features (rows, words and pairs); None without any word."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectoriser = TfidfVectorizer(
        token_pattern=WORD_PATTERN,
        ngram_range=(1, 2),
        max_features=FEATURES,
        sublinear_tf=True,
        dtype=np.float32,
    )
    try:
        return vectoriser, vectoriser.fit_transform(_texts(rows))
    except ValueError:  # scikit-learn rejects texts without words
        return None


def _fit(model: Any, inputs: Any, targets: np.ndarray) -> None:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, targets)


def _texts(rows: Rows) -> list[str]:
    return [whole_text(row)[:CHARACTERS] for row in rows]
