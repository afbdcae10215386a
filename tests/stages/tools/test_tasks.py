"""The output of ``aitk tasks`` matches the declarations of a task."""

from __future__ import annotations

import pytest

from aitk import registry as tasks
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import describe, known_names
from aitk.stages.tools.tasks import list_tasks, show_task


def test_lists_every_task_with_its_models() -> None:
    rows = {row["task"]: row for row in list_tasks().table}
    assert list(rows) == list(tasks.TASKS)
    assert "bag" in rows["nlp.classify"]["models"]


@pytest.mark.parametrize("name", tasks.TASKS)
def test_shows_every_setting_with_its_default(name: str) -> None:
    told = show_task(name).facts["models"]
    for model, spec in tasks.load_task(name).models.items():
        shown = {item["name"]: item["default"] for item in told[model]["settings"]}
        assert shown == {item.name.rstrip("_"): item.default for item in describe(spec.settings)}


@pytest.mark.parametrize("name", [name for name, row in tasks.TASKS.items() if row.flags])
def test_a_setting_that_is_a_flag_is_shown_as_one_of_each_model_that_has_it(name: str) -> None:
    task = show_task(name)
    models = tasks.load_task(name).models
    for flag in describe(tasks.load(str(tasks.TASKS[name].flags))):
        shown = [row["for"] for row in task.table or () if row["option"] == flag.flag]
        having = [
            model for model, spec in models.items() if flag.name in known_names(spec.settings)
        ]
        assert shown == having
        assert having


def test_the_domain_may_be_left_out_where_one_task_is_called_so() -> None:
    assert show_task("rate").facts["task"] == "recsys.rate"
    with pytest.raises(
        UsageError, match=r"'classify'.*Did you mean nlp.classify or vision.classify"
    ):
        show_task("classify")


def test_no_tensorflow_is_needed(python) -> None:
    done = python(
        "import sys; from aitk.stages.tools.tasks import list_tasks, show_task\n"
        "list_tasks(); show_task('nlp.classify'); print('tensorflow' in sys.modules)"
    )
    assert done.stdout.strip() == "False", done.stderr
