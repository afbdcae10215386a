"""Every computed model by its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aitk.recsys.fits.log import TrainingLog
from aitk.recsys.models.closed_form.als import solve_als
from aitk.recsys.models.closed_form.average import solve_average
from aitk.recsys.models.closed_form.content import solve_content
from aitk.recsys.models.closed_form.linear import solve_ease
from aitk.recsys.models.closed_form.popular import solve_popular, solve_random, solve_recent
from aitk.recsys.models.closed_form.rating_neighbours import (
    solve_rate_item_knn,
    solve_rate_user_knn,
)
from aitk.recsys.models.closed_form.scorer import Scorer
from aitk.recsys.models.closed_form.sparse import solve_item_knn, solve_slim
from aitk.recsys.models.closed_form.user_neighbours import solve_user_knn
from aitk.recsys.models.hybrid import solve_hybrid
from aitk.recsys.tasks import settings as of

#: Class of settings -> what computes the model.
SOLVERS: Mapping[type[of.Solved], Callable[[Any, TrainingLog], Scorer]] = {
    of.PopularSettings: solve_popular,
    of.RandomSettings: solve_random,
    of.RecentSettings: solve_recent,
    of.ItemKnnSettings: solve_item_knn,
    of.UserKnnSettings: solve_user_knn,
    of.EaseSettings: solve_ease,
    of.SlimSettings: solve_slim,
    of.AlsSettings: solve_als,
    of.ContentSettings: solve_content,
    of.HybridSettings: solve_hybrid,
    of.AverageSettings: solve_average,
    of.RateItemKnnSettings: solve_rate_item_knn,
    of.RateUserKnnSettings: solve_rate_user_knn,
}


def solve(settings: of.Solved, log: TrainingLog) -> Scorer:
    """Compute the model that the settings belong to.

    Raises:
        UsageError: the log lacks what the model needs.
        TrainingError: the model does not fit into memory, or cannot be computed.
    """
    return SOLVERS[type(settings)](settings, log)
