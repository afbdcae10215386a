"""The table of tasks: names, and where each lives. The one dynamic import.

Standard library only, since every help text reads it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aitk.core.options import unknown_name

if TYPE_CHECKING:
    from aitk.core.task import Task

DOMAINS = {
    "nlp": "text: classification, sentiment, intents, masked language models",
    "recsys": "recommendation: top-N lists and ratings from a log of interactions",
}


@dataclass(frozen=True)
class Row:
    """One task: its class, the options that say how its rows are read, an example to try.

    Attributes:
        task: ``module:Class`` of the task.
        reading: ``module:Class`` of its reading options (light to import).
        summary: one line for people.
        sample: its rows in ``sample_data/``; ``NAME_new`` and ``NAME_update`` lie beside them.
        objective: it is a pretraining objective (``pretrain``) rather than a task (``finetune``).
        options: what ``prepare`` must be told about the sample.
        beside: further files of the sample, which ``options`` name.
        answering: ``module:Class`` of the options of its answers (light to import), if it has any.
    """

    task: str
    reading: str
    summary: str
    sample: str
    objective: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    answering: str | None = None


TASKS = {
    "nlp.classify": Row(
        task="aitk.nlp.classify:Classify",
        reading="aitk.nlp.options:ClassifyReading",
        summary="one label for a text: topic, sentiment, intent",
        sample="sample_data/messages.csv",
        options={"label_column": "intent"},
    ),
    "nlp.masked-lm": Row(
        task="aitk.nlp.masked_lm:MaskedLanguageModel",
        reading="aitk.nlp.options:TextReading",
        summary="masked language model on unlabelled text (BERT, Devlin et al. 2018)",
        sample="sample_data/manual.txt",
        objective=True,
    ),
    "recsys.recommend": Row(
        task="aitk.recsys.recommend:Recommend",
        reading="aitk.recsys.options:RecommendReading",
        answering="aitk.recsys.options:RecommendAnswers",
        summary="which items a user would choose next, from a log of choices",
        sample="sample_data/shop_events.csv",
        options={"items": "sample_data/shop_items.csv"},
        beside=("sample_data/shop_items.csv",),
    ),
    "recsys.rate": Row(
        task="aitk.recsys.rate:Rate",
        reading="aitk.recsys.options:RateReading",
        summary="how a user would rate an item, from a log of ratings",
        sample="sample_data/shop_ratings.csv",
    ),
    "recsys.masked-items": Row(
        task="aitk.recsys.masked_items:MaskedItems",
        reading="aitk.recsys.options:RecommendReading",
        answering="aitk.recsys.options:RecommendAnswers",
        summary="masked or next items on logs without targets (BERT4Rec, Sun et al. 2019)",
        sample="sample_data/shop_visits.txt",
        objective=True,
    ),
}


def load_task(name: str) -> Task:
    """The task of this name, ready to use."""
    if name not in TASKS:
        raise unknown_name(name, TASKS, what="task")
    return load(TASKS[name].task)()


def names(domain: str, *, objective: bool | None = None) -> list[str]:
    """The names of a domain's tasks; only objectives, or only the others, where asked."""
    return [
        name
        for name, row in TASKS.items()
        if name.startswith(f"{domain}.") and objective in (None, row.objective)
    ]


def full_name(domain: str, task: str) -> str:
    """``classify`` -> ``nlp.classify``, refusing what the domain does not have."""
    short = [name.partition(".")[2] for name in names(domain)]
    if task not in short:
        raise unknown_name(task, short, what=f"{domain} task")
    return f"{domain}.{task}"


def load(path: str) -> Any:
    """Import what ``module:name`` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
