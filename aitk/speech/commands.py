"""Commands that only speech has, listed in ``aitk.registry``. No heavy imports: help loads it."""

from __future__ import annotations

from pathlib import Path

from aitk.core.contract.errors import UsageError
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.speech.data.options import RecordOptions


def record(
    domain: str, options: RecordOptions, reporter: Reporter, overwrite: bool = False
) -> Outcome:
    """Record from a microphone until silence or Ctrl-C.

    Requires the extra mic: pip install 'aitk-toolkit[mic]'.

    For example:

        aitk speech record --out request.wav
    """
    from aitk.speech.data import recording

    if options.list_devices:
        devices = recording.list_devices()
        return Outcome(facts={"devices": len(devices)}, table=devices)
    if options.out is None:
        raise UsageError("no output file given", where="--out", hint="Use for instance --out a.wav")
    out = Path(options.out)
    facts = recording.record(out, options=options, overwrite=overwrite, reporter=reporter)
    return Outcome(facts=facts, next=f"aitk {domain} predict RUN {out} --out -")
