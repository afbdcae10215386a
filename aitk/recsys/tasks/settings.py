"""The settings of every recommender. Standard library only: help imports this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import option


@dataclass(frozen=True)
class ClosedFormSettings:
    """A closed-form model, without epochs."""

    default_learning_rate: ClassVar[float] = 1e-3  # unused here; every model has one
    default_epochs: ClassVar[int] = 1
    default_steps: ClassVar[int] = 1


@dataclass(frozen=True)
class TrainedSettings:
    """A model trained by gradient descent."""

    default_learning_rate: ClassVar[float] = 1e-3
    default_epochs: ClassVar[int] = 60
    default_steps: ClassVar[int] = 2000


# Baselines ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class PopularSettings(ClosedFormSettings):
    """The items with the most training events, equal for all users."""


@dataclass(frozen=True)
class RandomSettings(ClosedFormSettings):
    """A random order per user: a lower bound for any model."""


@dataclass(frozen=True)
class RecentSettings(ClosedFormSettings):
    """The items with the most recent events."""

    half_life_days: float = option(
        30.0, "half-life of an event's weight", minimum=0.01, search="1..365"
    )


# Neighbourhood and linear ------------------------------------------------------------------

SIMILARITIES = ("cosine", "adjusted-cosine", "jaccard")


@dataclass(frozen=True)
class ItemKnnSettings(ClosedFormSettings):
    """Item-based collaborative filtering (Sarwar et al. 2001)."""

    neighbours: int = option(
        100, "most similar items stored per item", minimum=1, search="20,50,100,200,400"
    )
    similarity: str = option(
        "cosine", "similarity between the users of two items", choices=SIMILARITIES
    )
    shrinkage: float | None = option(
        None,
        "added to the denominator: shrinkage for few events; chosen on training events by default",
        minimum=0.0,
        search="0,3,10,30,100,300",
    )


@dataclass(frozen=True)
class UserKnnSettings(ClosedFormSettings):
    """User-based collaborative filtering (Resnick et al. 1994)."""

    neighbours: int = option(
        100, "number of most similar users", minimum=1, search="20,50,100,200,400"
    )
    similarity: str = option(
        "cosine", "similarity between the items of two users", choices=SIMILARITIES
    )
    shrinkage: float = option(
        0.0,
        "added to the denominator: shrinkage for few events",
        minimum=0.0,
        search="0,3,10,30,100,300",
    )


@dataclass(frozen=True)
class EaseSettings(ClosedFormSettings):
    """A linear autoencoder without self-similarity, in closed form (Steck 2019)."""

    l2: float = option(250.0, "ridge penalty", minimum=1e-6, search="10..5000")
    neighbours: int = option(0, "keep only this many largest weights per item; 0: all", minimum=0)


@dataclass(frozen=True)
class SlimSettings(ClosedFormSettings):
    """Sparse non-negative linear weights (Ning and Karypis 2011)."""

    l1: float = option(1.0, "lasso penalty", minimum=0.0, search="0.1..20")
    l2: float | None = option(
        None,
        "ridge penalty; by default 50, up to 200 for small logs",
        minimum=1e-6,
        search="1..500",
    )
    neighbours: int = option(100, "candidate weights per item", minimum=1)


# Factors -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class AlsSettings(ClosedFormSettings):
    """Matrix factorisation by alternating least squares (Hu et al. 2008)."""

    factors: int | None = option(
        None,
        "size of user and item vectors; by default chosen, mostly 64",
        minimum=1,
        search="4,16,64,128",
    )
    alpha: float = option(1.0, "confidence is 1 + alpha * strength", minimum=0.0, search="0.3..20")
    l2: float | None = option(
        None, "ridge penalty; chosen on training events by default", minimum=1e-6, search="0.3..200"
    )
    iterations: int = option(15, "iterations over users and items", minimum=1)


@dataclass(frozen=True)
class BprSettings(TrainedSettings):
    """Bayesian personalised ranking (Rendle et al. 2009)."""

    factors: int = option(64, "size of user and item vectors", minimum=1)
    negatives: int = option(8, "unseen items sampled per event; the hardest one is used", minimum=1)
    l2: float = option(1e-2, "penalty of the vectors in use", minimum=0.0)

    default_learning_rate: ClassVar[float] = 5e-3


@dataclass(frozen=True)
class BprSgdSettings(ClosedFormSettings):
    """BPR (Rendle et al. 2009) in seconds: large batches in NumPy, users from their histories."""

    factors: int = option(64, "size of user and item vectors", minimum=1)
    l2: float = option(1e-2, "penalty of the vectors in use", minimum=0.0, search="0.003..0.1")
    negatives: int = option(
        8, "unseen items sampled per event; the highest-scoring one counts", minimum=1
    )
    step_size: float = option(0.1, "learning rate of Adagrad", minimum=1e-6, search="0.03..0.5")
    epochs: int = option(10, "passes over the events", minimum=1)
    batch_events: int = option(2048, "events per step", minimum=1)


@dataclass(frozen=True)
class BiasedMfSettings(TrainedSettings):
    """Biased matrix factorisation (Koren et al. 2009)."""

    factors: int = option(32, "size of user and item vectors", minimum=1)
    l2: float | None = option(
        None,
        "penalty of vectors and biases in use; by default 0.02, larger for few ratings",
        minimum=0.0,
    )

    default_learning_rate: ClassVar[float] = 5e-3


# Neural ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Featured(TrainedSettings):
    """Settings common to models with item features."""

    features: str = option(
        "auto", "item features to use: auto (all), none, or comma-separated names"
    )
    dropout: float = option(0.2, "dropout rate", minimum=0.0, maximum=0.95, search="0..0.5")


@dataclass(frozen=True)
class TwoTowerSettings(Featured):
    """A user tower and an item tower, sampled softmax with logQ correction (Yi et al. 2019)."""

    hidden: int = option(64, "size of a vector", minimum=1)
    negatives: int = option(1024, "items sampled per batch, by popularity", minimum=1)
    temperature: float = option(0.1, "temperature of the softmax over cosines", minimum=0.001)
    id_dropout: float = option(
        0.3, "share of items represented by features alone in training", minimum=0.0, maximum=0.95
    )


@dataclass(frozen=True)
class NeuMfSettings(TrainedSettings):
    """Neural matrix factorisation: a product and a network in parallel (He et al. 2017)."""

    factors: int = option(32, "size of the vectors of product and network", minimum=1)
    layers: int = option(3, "layers of the network, each half as wide", minimum=1, maximum=6)
    negatives: int = option(4, "items sampled per event", minimum=1)
    dropout: float = option(0.1, "dropout rate", minimum=0.0, maximum=0.95, search="0..0.5")

    default_learning_rate: ClassVar[float] = 5e-3


@dataclass(frozen=True)
class DcnSettings(Featured):
    """Crossed features of user and item (Deep & Cross Network V2, Wang et al. 2021)."""

    hidden: int = option(32, "size of each feature vector", minimum=1)
    crosses: int = option(2, "cross layers", minimum=1)
    layers: int = option(2, "parallel dense layers", minimum=1)
    negatives: int = option(4, "items sampled per event", minimum=1)

    default_learning_rate: ClassVar[float] = 3e-3


@dataclass(frozen=True)
class DlrmSettings(Featured):
    """Products of all pairs of features, then a network (Naumov et al. 2019)."""

    hidden: int = option(32, "size of each feature vector", minimum=1)
    layers: int = option(2, "dense layers on top", minimum=1)
    negatives: int = option(4, "items sampled per event", minimum=1)

    default_learning_rate: ClassVar[float] = 3e-3


# Sequences ---------------------------------------------------------------------------------

SEQUENCE_LOSSES = ("softmax", "sampled-softmax", "bce", "gbce")


@dataclass(frozen=True)
class SequenceSettings(Featured):
    """Settings common to models of item sequences."""

    features: str = option(
        "none", "item features added to the items' vectors: none, auto, or comma-separated names"
    )
    max_length: int = option(200, "maximum number of latest items read", minimum=2)
    hidden: int = option(64, "size of item vectors", minimum=1)
    layers: int = option(2, "layers", minimum=1)
    loss: str = option(
        "softmax",
        "loss over all items (up to some thousands), or over sampled ones",
        choices=SEQUENCE_LOSSES,
    )
    negatives: int = option(512, "items sampled per batch, for the other losses", minimum=1)
    start_scale: float = option(
        1.0,
        "initial scale of the history relative to an item's popularity; less for a small log",
        minimum=0.001,
        maximum=1.0,
    )
    calibration: float = option(
        0.75, "gbce: 0 is plain bce, 1 undoes all overconfidence", minimum=0.0, maximum=1.0
    )

    default_learning_rate: ClassVar[float] = 2e-3


@dataclass(frozen=True)
class Gru4RecSettings(SequenceSettings):
    """A recurrent network over sessions (Hidasi et al. 2016)."""

    layers: int = option(1, "layers", minimum=1)


@dataclass(frozen=True)
class SasRecSettings(SequenceSettings):
    """Causal self-attention (Kang and McAuley 2018; gbce: gSASRec, Petrov and Macdonald 2023)."""

    heads: int = option(2, "attention heads", minimum=1)


@dataclass(frozen=True)
class ESasRecSettings(SasRecSettings):
    """SASRec of gated LiGR layers, with a sampled softmax (eSASRec, Tikhonovich et al. 2025)."""

    loss: str = option(
        "sampled-softmax",
        "over items sampled by popularity, or over all (up to some thousands)",
        choices=SEQUENCE_LOSSES,
    )


@dataclass(frozen=True)
class Bert4RecSettings(SequenceSettings):
    """Bidirectional attention, trained to predict masked items (Sun et al. 2019)."""

    heads: int = option(2, "attention heads", minimum=1)
    mask_share: float = option(0.2, "share of masked items", minimum=0.01, maximum=0.9)


# Content and hybrid ------------------------------------------------------------------------


@dataclass(frozen=True)
class ContentSettings(ClosedFormSettings):
    """Items similar to those of the history, by text, tags, numbers and vectors."""

    features: str = option("auto", "item features to compare: auto, or comma-separated names")
    neighbours: int = option(
        100, "most similar items stored per item", minimum=1, search="20,50,100,200,400"
    )


HYBRIDS = ("weighted", "features")


@dataclass(frozen=True)
class HybridSettings(ClosedFormSettings):
    """Collaborative filtering combined with content.

    ``weighted`` adds the scores of EASE and of content, with a weight learned on a part of the
    training events; ``features`` fits EASE to events and features jointly (Jeunen et al. 2020).

    """

    how: str = option("weighted", "combine scores, or features", choices=HYBRIDS)
    weight: float | None = option(
        None, "weight of content (weighted) or of the features; learned by default", minimum=0.0
    )
    features: str = option("auto", "item features to use: auto, or comma-separated names")
    neighbours: int = option(100, "most similar items stored per item", minimum=1)
    l2: float = option(250.0, "ridge penalty", minimum=1e-6, search="10..5000")


# Ratings -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class AverageSettings(ClosedFormSettings):
    """The mean plus damped user and item biases (Koren 2010)."""

    user_shrinkage: float = option(
        10.0, "damping of user biases, in ratings", minimum=0.0, search="1..50"
    )
    item_shrinkage: float = option(
        25.0, "damping of item biases, in ratings", minimum=0.0, search="1..50"
    )


@dataclass(frozen=True)
class RateItemKnnSettings(ItemKnnSettings):
    """Item-based: the user's ratings of similar items (Sarwar et al. 2001)."""

    neighbours: int = option(
        40, "number of most similar rated items", minimum=1, search="10,20,40,80,160"
    )
    similarity: str = option(
        "adjusted-cosine", "similarity between the ratings of two items", choices=SIMILARITIES
    )
    shrinkage: float = option(
        50.0,
        "added to the denominator: shrinkage for few ratings",
        minimum=0.0,
        search="0,10,25,50,100",
    )


@dataclass(frozen=True)
class RateUserKnnSettings(UserKnnSettings):
    """User-based: similar users' ratings of the item (Resnick et al. 1994)."""

    neighbours: int = option(
        40, "number of most similar users", minimum=1, search="10,20,40,80,160"
    )
    similarity: str = option(
        "adjusted-cosine", "similarity between the ratings of two users", choices=SIMILARITIES
    )
    shrinkage: float = option(
        50.0,
        "added to the denominator: shrinkage for few ratings",
        minimum=0.0,
        search="0,10,25,50,100",
    )
