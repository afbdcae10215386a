"""``tasks``: the tasks, their models, and the options of both."""

from __future__ import annotations

import inspect
from typing import Any

from aitk import registry as tasks
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import Described, describe, known_names
from aitk.core.contract.outcome import Outcome


def list_tasks() -> Outcome:
    """Every task of the table, with its models."""
    rows = [
        {
            "task": name,
            "stage": "pretrain" if row.objective else "finetune",
            "models": ", ".join(tasks.load_task(name).models),
            "what": row.summary,
        }
        for name, row in tasks.TASKS.items()
    ]
    return Outcome(facts={}, table=rows)


def show_task(name: str) -> Outcome:
    """One task: how its rows are read, and its models' settings with types and defaults.

    Args:
        name: a full name, or one without its domain where only one task is called so.
    """
    name = _full_name(name)
    task = tasks.load_task(name)
    reading = [_plain(item) for item in describe(task.reading)]
    models: dict[str, dict[str, Any]] = {
        model: {
            "what": _sentence(spec.settings),
            "settings": [_plain(item) for item in describe(spec.settings)],
        }
        for model, spec in task.models.items()
    }
    flags = tasks.TASKS[name].flags
    own = known_names(tasks.load(flags)) if flags else set()
    rows = [_row("prepare", "--" + item["name"].replace("_", "-"), item) for item in reading]
    for model, about in models.items():
        for item in about["settings"]:
            flag = "--" + item["name"].replace("_", "-")
            shown = flag if item["name"] in own else f"--set {item['name']}"
            rows.append(_row(model, shown, item))
    facts: dict[str, Any] = {
        "task": name,
        "what": tasks.TASKS[name].summary,
        "main_metric": task.metric.name,
        "sample": tasks.TASKS[name].sample,
    }
    facts |= {f"model {model}": about["what"] for model, about in models.items()}
    return Outcome(facts=facts | {"reading": reading, "models": models}, table=rows)


def _full_name(name: str) -> str:
    """``classify`` -> ``nlp.classify`` where no other domain has a task of that name."""
    matching = [full for full in tasks.TASKS if full.partition(".")[2] == name]
    if len(matching) > 1:
        raise UsageError(
            f"several domains have a task {name!r}", hint=f"Did you mean {' or '.join(matching)}?"
        )
    return matching[0] if matching else name


def _plain(item: Described) -> dict[str, Any]:
    kind = item.type.__name__ + (" list" if item.repeated else "")
    return {
        "name": item.name.rstrip("_"),
        "type": kind,
        "default": item.default,
        "choices": list(item.choices),
        "search": item.search,
        "help": item.help,
    }


def _row(stage: str, flag: str, item: dict[str, Any]) -> dict[str, Any]:
    kind = "|".join(item["choices"]) or item["type"]
    return {
        "for": stage,
        "option": flag,
        "value": kind if item["default"] in (None, []) else f"{kind} = {item['default']}",
        "what": item["help"] + (f" [tune: {item['search']}]" if item.get("search") else ""),
    }


def _sentence(settings: type) -> str:
    return (inspect.getdoc(settings) or "").partition("\n")[0]
