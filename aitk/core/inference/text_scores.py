"""How probable texts are to a language model, which may belong to another domain than who asks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.opening import open_assets, open_model, open_task
from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.task import Task

#: Opens the language model in a run's folder.
OpenScorer = Callable[[str], "TextScorer"]


class LanguageModelTask(Task):
    """A task whose models give probabilities to texts."""

    @abstractmethod
    def log_probabilities(
        self,
        texts: Sequence[str],
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: Any,
        *,
        ended: bool,
    ) -> np.ndarray:
        """The natural logarithm of each text's probability, (texts,) float64.

        Args:
            predict: maps inputs by name to outputs.
            ended: of the text and its end; if not, of a text that begins so.
        """


class TextScorer:
    """The language model of a run."""

    def __init__(self, task: LanguageModelTask, assets: Any, predict: Callable[..., Any]):
        self._task, self._assets, self._predict = task, assets, predict

    def __call__(self, texts: Sequence[str], *, ended: bool) -> np.ndarray:
        """See ``LanguageModelTask.log_probabilities``."""
        return self._task.log_probabilities(texts, self._predict, self._assets, ended=ended)


def open_scorer(source: str, *, task_of: Callable[[str], Task], trust: bool = False) -> TextScorer:
    """Open the language model of a run, in whatever format it was kept.

    Args:
        trust: also where its model is a program.

    Raises:
        ArtifactError: there is no such run, it is damaged, or gives no probabilities to texts.
    """
    run = load_run(Path(source), trust=trust)
    task = open_task(run, task_of)
    if not isinstance(task, LanguageModelTask):
        raise ArtifactError(
            f"is a run of {run.task}, which gives no probabilities to texts",
            where=source,
            hint="Train a language model with: aitk nlp prepare TEXTS --task generate",
        )
    assets = open_assets(task, run)
    return TextScorer(task, assets, open_model(task, run, assets))
