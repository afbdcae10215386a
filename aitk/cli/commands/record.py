"""``aitk speech record``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aitk.cli.options import Overwrite
from aitk.core.contract.errors import UsageError
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.speech.data.options import RecordOptions

File = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE", help="the .wav, .flac or .ogg to write", show_default=False
    ),
]
ListDevices = Annotated[bool, typer.Option("--list-devices", help="show what can record, and end")]


def record(
    domain: str,
    options: RecordOptions,
    reporter: Reporter,
    out: File = None,
    list_devices: ListDevices = False,
    overwrite: Overwrite = False,
) -> Outcome:
    """Record from a microphone, until it is silent or Ctrl-C.

    Needs the extra mic: pip install 'aitk-toolkit[mic]'.

    For example:

        aitk speech record --out wish.wav
    """
    from aitk.speech.data import recording

    if list_devices:
        devices = recording.list_devices()
        return Outcome(facts={"devices": len(devices)}, table=devices)
    if out is None:
        raise UsageError("which file?", where="--out", hint="For instance --out wish.wav")
    facts = recording.record(out, options=options, overwrite=overwrite, reporter=reporter)
    return Outcome(facts=facts, next=f"aitk {domain} predict RUN {out} --out -")
