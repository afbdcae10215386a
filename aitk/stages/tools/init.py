"""``init``: create a working project to extend with your own rows."""

from __future__ import annotations

import json
import string
from pathlib import Path

from aitk import registry as tasks
from aitk.core.artifacts.drafts import draft_folder
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import unknown_name
from aitk.core.contract.outcome import Outcome
from aitk.core.runtime.samples import copy_samples

TEMPLATES = Path(__file__).with_name("project")


class Template(string.Template):
    """``%{name}``: dollar signs are used by make and the shell."""

    delimiter = "%"


def init(domain: str, folder: Path) -> Outcome:
    """Write the project of a domain's first task: rows, Makefile, configuration, README."""
    if domain not in tasks.DOMAINS:
        raise unknown_name(domain, tasks.DOMAINS, what="domain")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("exists already", where=str(folder), hint="Choose a new folder")
    name = tasks.names(domain, objective=False)[0]
    row = tasks.TASKS[name]
    file = Path(row.sample)
    words = {
        "domain": domain,
        "task": name.partition(".")[2],
        "summary": row.summary,
        "folder": folder.resolve().name,
        "name": file.stem,
        "file": file.name,
        "new": f"{file.stem}_new{file.suffix}",
        "update": f"{file.stem}_update{file.suffix}",
        "options": "".join(
            f"{key} = {json.dumps(_in_project(value, row))}\n" for key, value in row.options.items()
        ),
    }
    # No marker: the user edits the project, and nothing may overwrite it.
    with draft_folder(folder, overwrite=folder.is_dir(), marked=False) as draft:
        copy_samples(file.name, draft / "rows", sidecar_files=row.sidecar_files)
        for template in TEMPLATES.iterdir():
            text = Template(template.read_text(encoding="utf-8")).substitute(words)
            (draft / template.name).write_text(text, encoding="utf-8")
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return Outcome(
        facts={"project": str(folder), "task": name, "files": files},
        table=[{"file": path} for path in files],
        next=f"cd {folder} && make",
    )


def _in_project(value: str, row: tasks.Row) -> str:
    """An option's value; the path of a sample file becomes that of its copy."""
    return f"rows/{Path(value).name}" if value in row.sidecar_files else value
