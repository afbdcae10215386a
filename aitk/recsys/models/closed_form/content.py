"""Items like those of the history, by what is known of the items."""

from __future__ import annotations

from aitk.recsys.fits.content import content_neighbours
from aitk.recsys.fits.log import TrainingLog
from aitk.recsys.models.closed_form.scorer import Scorer
from aitk.recsys.models.closed_form.sparse import sparse_scorer
from aitk.recsys.tasks.settings import ContentSettings


def solve_content(settings: ContentSettings, log: TrainingLog) -> Scorer:
    """The items most like those of the history; the log's events are not looked at."""
    return sparse_scorer(*content_neighbours(log.features, neighbours=settings.neighbours))
