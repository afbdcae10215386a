"""``aitk DOMAIN prepare``."""

from __future__ import annotations

from dataclasses import dataclass

from aitk import registry as tasks
from aitk.cli.options import Inputs, Out, Overwrite, Reading, check_reading
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import as_dict, option
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import ParallelOptions, PrepareOptions


@dataclass(frozen=True)
class Choice:
    """The task of the rows."""

    task: str | None = option(None, "task of the rows (see: aitk tasks)")


def prepare(
    domain: str,
    inputs: Inputs,
    out: Out,
    choice: Choice,
    options: PrepareOptions,
    reading: Reading,
    parallel: ParallelOptions,
    reporter: Reporter,
    overwrite: Overwrite = False,
) -> Outcome:
    """Read, clean, check and split the rows of your files.

    Writes a folder for the later stages, with dataset.json, the refused rows in rejects.jsonl,
    and report.html. INPUT is a file, a folder, - for stdin, or tfds:NAME.

    For example:

        {prepare}
    """
    if choice.task is None:
        short = [name.partition(".")[2] for name in tasks.names(domain)]
        raise UsageError("no task given", where="--task", hint=f"One of: {', '.join(short)}")
    task = tasks.full_name(domain, choice.task)
    check_reading(task, reading)
    import aitk

    return aitk.prepare(
        inputs,
        task=task,
        out=out,
        overwrite=overwrite,
        progress=reporter,
        **as_dict(options),
        **as_dict(parallel),
        **reading,
    ).outcome
