"""Text probabilities from a run's language model, possibly of another domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.artifacts.opening import open_assets, open_model, open_task
from aitk.core.artifacts.run import load_run
from aitk.core.contract.capabilities import LanguageModelling
from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.task import Assets, Task

if TYPE_CHECKING:
    import numpy as np

#: Opens the language model in a run's folder.
OpenScorer = Callable[[str], "TextScorer"]


class TextScorer:
    """The language model of a run."""

    def __init__(self, task: LanguageModelling[Any], assets: Assets, predict: Callable[..., Any]):
        self._task, self._assets, self._predict = task, assets, predict

    def __call__(self, texts: Sequence[str], *, ended: bool) -> np.ndarray:
        """See ``LanguageModelling.log_probabilities``."""
        return self._task.log_probabilities(texts, self._predict, self._assets, ended=ended)


def open_scorer(source: str, *, task_of: Callable[[str], Task], trust: bool = False) -> TextScorer:
    """Open the language model of a run, in any format.

    Args:
        trust: allow a model that is a program.

    Raises:
        ArtifactError: the run is missing or damaged, or assigns no probabilities to texts.
    """
    run = load_run(Path(source), trust=trust)
    task = open_task(run, task_of)
    if not isinstance(task, LanguageModelling):
        raise ArtifactError(
            f"is a run of {run.task}, which assigns no probabilities to texts",
            where=source,
            hint="Train a language model with: aitk nlp prepare TEXTS --task generate",
        )
    assets = open_assets(task, run)
    return TextScorer(task, assets, open_model(task, run, assets))
