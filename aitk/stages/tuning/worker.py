"""The work of one process of ``tune --workers``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import Interrupted
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Reporter, Silent
from aitk.stages.options import TrainingOptions, TuneOptions
from aitk.stages.tuning.search import open_search


def open_trials(common: Mapping[str, Any], *, reporter: Reporter) -> Callable[[Any], None]:
    """The work of one process: see ``core.distributed.messages.open_work``.

    Nobody reads its reports while the leader trains, so it makes none.
    """
    del reporter
    search = open_search(
        Path(common["data"]),
        domain=common["domain"],
        options=resolve(TuneOptions, common["options"]),
        training=resolve(TrainingOptions, common["training"]),
        settings=common["settings"],
        trials=Path(common["trials"]),
        reporter=Silent(),
    )

    def work(shard: Any) -> None:
        """Train trials until none is left."""
        del shard
        with contextlib.suppress(Interrupted):
            search.work()

    return work
