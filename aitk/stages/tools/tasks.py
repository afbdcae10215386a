"""``tasks``: the tasks, their models, and the options of both."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from aitk import registry as tasks
from aitk.core.contract.entry_points import Plugin, PluginError, Table
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import Described, describe, known_names
from aitk.core.contract.outcome import Outcome


def list_tasks() -> Outcome:
    """Every registered task, with its models and its package.

    Unusable entries of other packages are listed at the end, with the reason.
    """
    rows = []
    for name, row in tasks.TASKS.items():
        try:
            models = ", ".join(_models(name))
        except PluginError:  # listed below
            continue
        rows.append(
            {
                "task": name,
                "stage": "pretrain" if row.objective else "finetune",
                "models": models,
                "what": row.summary,
                "package": _package(tasks.TASKS.plugin(name)),
            }
        )
    rows += [
        {
            "task": error.plugin.name,
            "stage": "",
            "models": "",
            "what": error.what,
            "package": _package(error.plugin),
        }
        for error in tasks.plugin_errors()
    ]
    return Outcome(facts={}, table=rows)


def show_task(name: str) -> Outcome:
    """One task: its reading options, and its models' settings with types and defaults.

    Args:
        name: a full name, or one without its domain if it is unambiguous.
    """
    name = _full_name(name)
    task = tasks.load_task(name)
    reading = [_plain(item) for item in describe(task.reading)]
    models: dict[str, dict[str, Any]] = {
        model: {
            "what": _sentence(spec.settings),
            "package": _package(_model_plugin(task.models, model)),
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
        "package": _package(tasks.TASKS.plugin(name)),
    }
    for model, about in models.items():
        origin = "" if about["package"] == facts["package"] else f" ({about['package']})"
        facts[f"model {model}"] = about["what"] + origin
    return Outcome(facts=facts | {"reading": reading, "models": models}, table=rows)


def _models(name: str) -> list[str]:
    """The models of a task; models of other packages with the name of the package."""
    models = tasks.load_task(name).models
    origins = {model: _model_plugin(models, model) for model in models}
    return [f"{model} ({plugin.package})" if plugin else model for model, plugin in origins.items()]


def _model_plugin(models: Mapping[str, Any], name: str) -> Plugin | None:
    return models.plugin(name) if isinstance(models, Table) else None


def _package(plugin: Plugin | None) -> str:
    return f"{plugin.package} {plugin.version}" if plugin else "aitk"


def _full_name(name: str) -> str:
    """``classify`` -> ``nlp.classify`` if no other domain has a task of that name."""
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
