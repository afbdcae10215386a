"""The search space of ``tune``: for each model its parameters, with their ranges and defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from aitk.core.contract.errors import UsageError
from aitk.core.contract.model_spec import AnyModel, TrainedModel
from aitk.core.contract.options import describe, known_names, resolve, unknown_name
from aitk.core.contract.task import Task
from aitk.stages.options import TrainingOptions, TuneOptions
from aitk.stages.training.defaults import batch_size_of


@dataclasses.dataclass(frozen=True)
class Range:
    """A log-uniform or uniform interval, of integers for integer fields."""

    low: float
    high: float
    log: bool
    whole: bool = False

    def suggest(self, trial: Any, name: str) -> float:
        """A value proposed by an Optuna trial."""
        if self.whole:
            whole: int = trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
            return whole
        value: float = trial.suggest_float(name, self.low, self.high, log=self.log)
        return value

    def holds(self, value: Any) -> bool:
        return self.low <= value <= self.high


@dataclasses.dataclass(frozen=True)
class Choice:
    """A finite set of values."""

    values: tuple[Any, ...]

    def suggest(self, trial: Any, name: str) -> Any:
        """A value proposed by an Optuna trial."""
        return trial.suggest_categorical(name, self.values)

    def holds(self, value: Any) -> bool:
        return value in self.values


Space = dict[str, Range | Choice]
#: In ``--models``: every model that can be trained from scratch.
ALL = "all"


def choose_models(task: Task, options: TuneOptions, training: TrainingOptions) -> list[str]:
    """The models to search over.

    Those of ``--models``, or that of ``--model``. The default is the task's first model, or with a
    budget in minutes all models trained from scratch, since the user leaves the choice open.

    Raises:
        UsageError: one is unknown, or they contradict ``--model`` or ``--from``.
    """
    scratch = [
        name
        for name, spec in task.models.items()
        if not (isinstance(spec, TrainedModel) and spec.wraps_pretrained)
    ]
    named = list(dict.fromkeys(options.models))
    if named:
        for option, value in (("--model", training.model), ("--from", training.from_)):
            if value is not None:
                raise UsageError(
                    f"{option} already determines the model",
                    where="--models",
                    hint="Give one of them",
                )
    if named == [ALL]:
        return scratch
    for name in [*named, training.model or scratch[0]]:
        if name not in task.models:
            raise unknown_name(name, task.models, what="model")
    if named:
        return named
    if training.model is None and training.from_ is None and options.minutes is not None:
        return scratch
    return [training.model or next(iter(task.models))]


def search_spaces(
    task: Task,
    models: Sequence[str],
    options: TuneOptions,
    training: TrainingOptions,
    settings: Mapping[str, Any],
    summary: Mapping[str, Any],
) -> dict[str, Space]:
    """The search space of each model: ``--space`` if given, otherwise its own ranges.

    Args:
        settings: settings given by the user, which are fixed.
        summary: of the prepared data.

    Raises:
        UsageError: ``--space`` cannot be read, or there is nothing to search.
    """
    fixed = set(settings) | {
        name for name in ("learning_rate", "batch_size") if getattr(training, name) is not None
    }
    if options.space:
        return _given_spaces(task, models, options.space)
    spaces = {name: default_space(task.models[name], summary) for name in models}
    spaces = {
        name: {key: item for key, item in space.items() if key not in fixed}
        for name, space in spaces.items()
    }
    if len(models) == 1 and not spaces[models[0]]:
        raise UsageError("this model has no settings to tune", where="--model", hint="See --space")
    return spaces


def _given_spaces(task: Task, models: Sequence[str], texts: Sequence[str]) -> dict[str, Space]:
    """``KEY=...`` applies to every model that has the key, ``MODEL.KEY=...`` to one."""
    spaces: dict[str, Space] = {name: {} for name in models}
    general, own = [], []
    for text in texts:
        model, dot, rest = text.partition("=")[0].partition(".")
        if dot and rest:
            if model.strip() not in models:
                raise unknown_name(model.strip(), models, what="model")
            own.append((model.strip(), text.partition(".")[2]))
        else:
            general.append(text)
    everyones = [task.models[name].settings for name in models]
    parse_space(general, *everyones)
    for name in models:
        spec = task.models[name]
        known = known_names(TrainingOptions, spec.settings)
        if isinstance(spec, TrainedModel):
            mine = [text for text in general if _key(text) in known]
        else:  # options of training have no effect
            mine = [text for text in general if _key(text) in known_names(spec.settings)]
        spaces[name] = parse_space(mine, spec.settings)
    for name, text in own:
        spaces[name] |= parse_space([text], task.models[name].settings)
    return spaces


def _key(text: str) -> str:
    return text.partition("=")[0].strip().replace("-", "_")


def parse_space(texts: Sequence[str], *settings: type) -> Space:
    """Read ``KEY=LOW..HIGH`` (log-uniform where LOW > 0) and ``KEY=A,B,C``.

    Args:
        settings: settings of the models that the keys may belong to.
    """
    known = known_names(TrainingOptions, *settings)
    space: Space = {}
    for text in texts:
        _, equals, values = text.partition("=")
        key = _key(text)
        if not equals:
            raise UsageError(f"cannot read {text!r}", where="--space", hint="Use KEY=LOW..HIGH")
        if key not in known:
            raise unknown_name(key, known, what="hyper-parameter")
        owners = [each for each in settings if key in known_names(each)]
        space[key] = _parse_values(key, values, owners[0] if owners else TrainingOptions)
    return space


def _parse_values(key: str, values: str, owner: type) -> Range | Choice:
    """``LOW..HIGH`` or ``A,B,C`` for a field of the options dataclass ``owner``."""
    if ".." in values:
        low, _, high = values.partition("..")
        try:
            bounds = float(low), float(high)
        except ValueError:
            bounds = (1.0, 0.0)
        types = {item.name.rstrip("_"): item.type for item in describe(owner)}
        whole = types[key.rstrip("_")] is int
        fits = not whole or all(map(float.is_integer, bounds))
        if not (bounds[0] < bounds[1] and fits):
            raise UsageError(f"cannot read the range {values!r}", where=f"--space {key}")
        return Range(*bounds, log=bounds[0] > 0, whole=whole)
    choices = [
        getattr(resolve(owner, {key: value.strip()}, where="hyper-parameter"), key)
        for value in values.split(",")
    ]
    return Choice(tuple(choices))


def default_space(spec: AnyModel, summary: Mapping[str, Any]) -> Space:
    """The search ranges of the model's settings; for trained models also the learning rate within a
    factor of five of its default, and the batch size within a factor of two."""
    space: Space = {}
    if isinstance(spec, TrainedModel):
        rate = spec.default_learning_rate(summary)
        batch = batch_size_of(TrainingOptions(), spec.settings)
        space["learning_rate"] = Range(rate / 5, rate * 5, log=True)
        space["batch_size"] = Choice((batch // 2, batch, 2 * batch))
    for item in describe(spec.settings):
        if item.search is not None:
            space[item.name] = _parse_values(item.name, item.search, spec.settings)
    return space


def default_values(
    space: Space, spec: AnyModel, training: TrainingOptions, summary: Mapping[str, Any]
) -> dict[str, Any]:
    """The default values of the space's parameters, if they lie inside it."""
    first = {item.name: item.default for item in describe(spec.settings)}
    if isinstance(spec, TrainedModel):
        rate = training.learning_rate
        first |= spec.default_settings(summary)
        first["learning_rate"] = spec.default_learning_rate(summary) if rate is None else rate
        first["batch_size"] = batch_size_of(training, spec.settings)
    return {
        key: value
        for key, value in first.items()
        if (item := space.get(key)) is not None and value is not None and item.holds(value)
    }


def spaces_json(spaces: Mapping[str, Space]) -> dict[str, Any]:
    """The spaces in the form of ``tuning.json``."""
    return {
        name: {key: dataclasses.asdict(item) for key, item in space.items()}
        for name, space in spaces.items()
    }
