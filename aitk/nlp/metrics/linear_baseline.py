"""The baseline of text classification: logistic regression on TF-IDF weighted words and pairs.

After Wang and Manning 2012 ("Baselines and Bigrams"), as far as the features go.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from aitk.core.metrics.baselines import Baseline, Measured, Rows, spread
from aitk.core.training.batches import take_rows
from aitk.nlp.features.batching import whole_text
from aitk.nlp.features.hashing import WORD_PATTERN

#: So many training rows, evenly spread, and characters of each text are looked at.
TRAINING_ROWS = 20_000
CHARACTERS = 5_000
#: The most frequent words and pairs are kept.
FEATURES = 50_000
#: Inverse of the ridge penalty; rounds and tolerance of the solver, which is close by then.
INVERSE_PENALTY = 10.0
ROUNDS, TOLERANCE = 20, 1e-2


def linear_baseline(train: Rows, labels: Sequence[str]) -> Baseline | None:
    """Fit it to the training rows; None where they hold one class or no word.

    Args:
        train: rows with ``text`` and ``label``.
        labels: the classes in the order of the outputs.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    sampled = take_rows(train, spread(len(train), TRAINING_ROWS))
    rows = [row for row in sampled if row["label"] in labels]
    targets = np.array([labels.index(row["label"]) for row in rows])
    if len(np.unique(targets)) < 2:
        return None
    vectoriser = TfidfVectorizer(
        token_pattern=WORD_PATTERN,
        ngram_range=(1, 2),
        max_features=FEATURES,
        sublinear_tf=True,
        dtype=np.float32,
    )
    try:
        inputs = vectoriser.fit_transform(_texts(rows))
    except ValueError:  # scikit-learn's answer to texts without a word
        return None
    model = LogisticRegression(
        C=INVERSE_PENALTY, solver="saga", max_iter=ROUNDS, tol=TOLERANCE, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, targets)

    def measure(rows: Rows, measured: Measured) -> Measured:
        probabilities = np.zeros((len(rows), len(labels)), np.float32)
        probabilities[:, model.classes_] = model.predict_proba(vectoriser.transform(_texts(rows)))
        return {**measured, "probabilities": probabilities}

    return Baseline("TF-IDF + logistic regression", measure)


def _texts(rows: Rows) -> list[str]:
    return [whole_text(row)[:CHARACTERS] for row in rows]
