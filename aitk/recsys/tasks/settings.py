"""The settings of every recommender. Standard library only: help texts read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import option


@dataclass(frozen=True)
class ClosedFormSettings:
    """A model that is computed from the log at once, without epochs."""

    default_learning_rate: ClassVar[float] = 1e-3  # of no meaning here; every model has one
    default_epochs: ClassVar[int] = 1
    default_steps: ClassVar[int] = 1


@dataclass(frozen=True)
class TrainedSettings:
    """A model that is trained by gradient descent."""

    default_learning_rate: ClassVar[float] = 1e-3
    default_epochs: ClassVar[int] = 60
    default_steps: ClassVar[int] = 2000


# Baselines ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class PopularSettings(ClosedFormSettings):
    """The items with the most training events, the same for everyone."""


@dataclass(frozen=True)
class RandomSettings(ClosedFormSettings):
    """A random order for each user: what any model must beat."""


@dataclass(frozen=True)
class RecentSettings(ClosedFormSettings):
    """The items with the most events of late."""

    half_life_days: float = option(
        30.0, "after this long an event counts half", minimum=0.01, search="1..365"
    )


# Neighbourhood and linear ------------------------------------------------------------------

SIMILARITIES = ("cosine", "adjusted-cosine", "jaccard")


@dataclass(frozen=True)
class ItemKnnSettings(ClosedFormSettings):
    """Item-based collaborative filtering (Sarwar et al. 2001)."""

    neighbours: int = option(
        100, "most similar items kept of each item", minimum=1, search="20,50,100,200,400"
    )
    similarity: str = option("cosine", "of two items' users", choices=SIMILARITIES)
    shrinkage: float | None = option(
        None,
        "added to the denominator: trust in few events; chosen on training events by default",
        minimum=0.0,
        search="0,3,10,30,100,300",
    )


@dataclass(frozen=True)
class UserKnnSettings(ClosedFormSettings):
    """User-based collaborative filtering (Resnick et al. 1994)."""

    neighbours: int = option(
        100, "most similar users that are asked", minimum=1, search="20,50,100,200,400"
    )
    similarity: str = option("cosine", "of two users' items", choices=SIMILARITIES)
    shrinkage: float = option(
        0.0,
        "added to the denominator: trust in few events",
        minimum=0.0,
        search="0,3,10,30,100,300",
    )


@dataclass(frozen=True)
class EaseSettings(ClosedFormSettings):
    """A linear autoencoder without self-similarity, in closed form (Steck 2019)."""

    l2: float = option(250.0, "ridge penalty", minimum=1e-6, search="10..5000")
    neighbours: int = option(
        0, "keep only this many weights an item, the largest; 0 keeps all", minimum=0
    )


@dataclass(frozen=True)
class SlimSettings(ClosedFormSettings):
    """Sparse non-negative linear weights (Ning and Karypis 2011)."""

    l1: float = option(1.0, "lasso penalty", minimum=0.0, search="0.1..20")
    l2: float = option(50.0, "ridge penalty", minimum=1e-6, search="1..500")
    neighbours: int = option(100, "candidate weights of each item", minimum=1)


# Factors -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class AlsSettings(ClosedFormSettings):
    """Factors of implicit feedback by alternating least squares (Hu et al. 2008)."""

    factors: int | None = option(
        None,
        "size of a user's and an item's vector; chosen by default, 64 for most",
        minimum=1,
        search="4,16,64,128",
    )
    alpha: float = option(1.0, "confidence is 1 + alpha * strength", minimum=0.0, search="0.3..20")
    l2: float | None = option(
        None, "ridge penalty; chosen on training events by default", minimum=1e-6, search="0.3..200"
    )
    iterations: int = option(15, "rounds over users and items", minimum=1)


@dataclass(frozen=True)
class BprSettings(TrainedSettings):
    """Matrix factorisation for a personalised ranking (Rendle et al. 2009)."""

    factors: int = option(64, "size of a user's and an item's vector", minimum=1)
    negatives: int = option(
        8, "unseen items sampled for each event; the one with the highest score counts", minimum=1
    )
    l2: float = option(1e-2, "penalty of the vectors in use", minimum=0.0)

    default_learning_rate: ClassVar[float] = 5e-3


@dataclass(frozen=True)
class BiasedMfSettings(TrainedSettings):
    """Ratings as biases and a product of factors (Koren et al. 2009)."""

    factors: int = option(32, "size of a user's and an item's vector", minimum=1)
    l2: float | None = option(
        None,
        "penalty of vectors and biases in use; by default 0.02, more for few ratings",
        minimum=0.0,
    )

    default_learning_rate: ClassVar[float] = 5e-3


# Neural ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Featured(TrainedSettings):
    """What models with item features share."""

    features: str = option(
        "auto", "which item features are used: auto (all there are), none, or their names, by comma"
    )
    dropout: float = option(
        0.2, "share of the features dropped", minimum=0.0, maximum=0.95, search="0..0.5"
    )


@dataclass(frozen=True)
class TwoTowerSettings(Featured):
    """A user tower and an item tower, sampled softmax with logQ correction (Yi et al. 2019)."""

    hidden: int = option(64, "size of a vector", minimum=1)
    negatives: int = option(1024, "items sampled a batch, by their popularity", minimum=1)
    temperature: float = option(0.1, "of the softmax over cosines", minimum=0.001)
    id_dropout: float = option(
        0.3, "share of items known by their features alone in training", minimum=0.0, maximum=0.95
    )


@dataclass(frozen=True)
class NeuMfSettings(TrainedSettings):
    """Neural matrix factorisation: a product and a network side by side (He et al. 2017)."""

    factors: int = option(32, "size of the vectors of the product and of the network", minimum=1)
    layers: int = option(3, "layers of the network, each half as wide", minimum=1, maximum=6)
    negatives: int = option(4, "items sampled for each event", minimum=1)
    dropout: float = option(
        0.1, "share of the features dropped", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    default_learning_rate: ClassVar[float] = 5e-3


@dataclass(frozen=True)
class DcnSettings(Featured):
    """Crossed features of user and item (Deep & Cross Network V2, Wang et al. 2021)."""

    hidden: int = option(32, "size of each feature's vector", minimum=1)
    crosses: int = option(2, "cross layers", minimum=1)
    layers: int = option(2, "dense layers beside them", minimum=1)
    negatives: int = option(4, "items sampled for each event", minimum=1)

    default_learning_rate: ClassVar[float] = 3e-3


@dataclass(frozen=True)
class DlrmSettings(Featured):
    """Products of all pairs of features, then a network (Naumov et al. 2019)."""

    hidden: int = option(32, "size of each feature's vector", minimum=1)
    layers: int = option(2, "dense layers on top", minimum=1)
    negatives: int = option(4, "items sampled for each event", minimum=1)

    default_learning_rate: ClassVar[float] = 3e-3


# Sequences ---------------------------------------------------------------------------------

SEQUENCE_LOSSES = ("softmax", "sampled-softmax", "bce", "gbce")


@dataclass(frozen=True)
class SequenceSettings(Featured):
    """What models of a user's order of items share."""

    features: str = option(
        "none", "item features added to the items' vectors: none, auto, or names by comma"
    )
    max_length: int = option(200, "latest items that are read", minimum=2)
    hidden: int = option(64, "size of an item's vector", minimum=1)
    layers: int = option(2, "layers", minimum=1)
    loss: str = option(
        "softmax",
        "over all items (up to some thousands), or for more over sampled ones",
        choices=SEQUENCE_LOSSES,
    )
    negatives: int = option(512, "items sampled a batch, for the other losses", minimum=1)
    start_scale: float = option(
        1.0,
        "how much the history counts beside an item's popularity when training starts; less for a"
        " small log",
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
class Bert4RecSettings(SequenceSettings):
    """Attention both ways, trained to guess masked items (Sun et al. 2019)."""

    heads: int = option(2, "attention heads", minimum=1)
    mask_share: float = option(0.2, "share of the items to guess", minimum=0.01, maximum=0.9)


# Content and hybrid ------------------------------------------------------------------------


@dataclass(frozen=True)
class ContentSettings(ClosedFormSettings):
    """Items like those of the history, by text, tags, numbers and vectors."""

    features: str = option("auto", "which item features are compared: auto, or names by comma")
    neighbours: int = option(
        100, "most similar items kept of each item", minimum=1, search="20,50,100,200,400"
    )


HYBRIDS = ("weighted", "features")


@dataclass(frozen=True)
class HybridSettings(ClosedFormSettings):
    """Collaborative filtering and content together.

    ``weighted`` adds the scores of EASE and of content, with a weight that is learned on a part
    of the training events; ``features`` fits EASE to events and features at once (Jeunen et al.
    2020).
    """

    how: str = option("weighted", "combine scores, or features", choices=HYBRIDS)
    weight: float | None = option(
        None, "of content (weighted) or of the features; learned by default", minimum=0.0
    )
    features: str = option("auto", "which item features are used: auto, or names by comma")
    neighbours: int = option(100, "most similar items kept of each item", minimum=1)
    l2: float = option(250.0, "ridge penalty", minimum=1e-6, search="10..5000")


# Ratings -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class AverageSettings(ClosedFormSettings):
    """The mean, and how far user and item lie from it, drawn towards zero (Koren 2010)."""

    user_shrinkage: float = option(
        10.0, "ratings' worth of doubt about a user", minimum=0.0, search="1..50"
    )
    item_shrinkage: float = option(
        25.0, "ratings' worth of doubt about an item", minimum=0.0, search="1..50"
    )


@dataclass(frozen=True)
class RateItemKnnSettings(ItemKnnSettings):
    """Item-based: the user's ratings of similar items (Sarwar et al. 2001)."""

    neighbours: int = option(
        40, "most similar rated items that count", minimum=1, search="10,20,40,80,160"
    )
    similarity: str = option("adjusted-cosine", "of two items' ratings", choices=SIMILARITIES)
    shrinkage: float = option(
        50.0, "added to the denominator: trust in few ratings", minimum=0.0, search="0,10,25,50,100"
    )


@dataclass(frozen=True)
class RateUserKnnSettings(UserKnnSettings):
    """User-based: similar users' ratings of the item (Resnick et al. 1994)."""

    neighbours: int = option(
        40, "most similar users that are asked", minimum=1, search="10,20,40,80,160"
    )
    similarity: str = option("adjusted-cosine", "of two users' ratings", choices=SIMILARITIES)
    shrinkage: float = option(
        50.0, "added to the denominator: trust in few ratings", minimum=0.0, search="0,10,25,50,100"
    )
