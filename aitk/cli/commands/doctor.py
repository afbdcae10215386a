"""``aitk doctor``."""

from __future__ import annotations

from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter


def doctor(reporter: Reporter) -> Outcome:
    """Show versions, devices and missing packages, with install commands.

    For example:

        aitk doctor
    """
    from aitk.stages.tools.doctor import doctor

    return doctor(reporter=reporter)
