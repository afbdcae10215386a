"""The example commands are complete, and each takes what the one before it wrote."""

from __future__ import annotations

import pytest

from aitk import registry as tasks
from aitk.cli import STAGES
from aitk.stages.tools.chain import chain, examples


def test_every_stage_of_a_domain_has_an_example() -> None:
    for domain in tasks.DOMAINS:
        assert set(examples(domain)) == set(STAGES)


def test_prepare_names_the_task_and_its_columns() -> None:
    assert examples("nlp")["prepare"] == (
        "aitk nlp prepare sample_data/messages.csv --task classify --label-column intent"
        " --out data/messages"
    )


@pytest.mark.parametrize("task", tasks.TASKS)
def test_a_step_begins_where_the_one_before_ended(task: str) -> None:
    steps = chain(task)
    data = steps["prepare"][-1]
    trained = steps.get("finetune") or steps["pretrain"]
    assert trained[0] == data
    for later in ("evaluate", "compress", "update", "explain"):
        if later in steps:
            assert steps[later][0] == trained[-1]
