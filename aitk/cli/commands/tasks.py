"""``aitk tasks``."""

from __future__ import annotations

from typing import Annotated

import typer

from aitk.core.contract.outcome import Outcome

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="one task", show_default=False)]


def tasks(name: Name = None) -> Outcome:
    """List the tasks, or the models of one with their settings.

    For example:

        aitk tasks nlp.classify
    """
    from aitk.stages.tools.tasks import list_tasks, show_task

    return show_task(name) if name else list_tasks()
