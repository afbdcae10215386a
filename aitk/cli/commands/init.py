"""``aitk init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aitk.core.contract.outcome import Outcome

Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="such as nlp")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="the project folder to write")]


def init(domain: Domain, folder: Folder) -> Outcome:
    """Write a working project: Makefile, configuration and sample rows.

    For example:

        aitk init nlp my-project
    """
    from aitk.stages.tools.init import init

    return init(domain, folder)
