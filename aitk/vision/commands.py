"""Commands that only vision has, listed in ``aitk.registry``. No heavy imports: help loads it."""

from __future__ import annotations

from pathlib import Path

from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.vision.data.options import ExportOptions


def export(
    data: Path,
    out: Path,
    options: ExportOptions,
    reporter: Reporter,
    overwrite: bool = False,
) -> Outcome:
    """Write prepared images with their boxes and masks in the formats of other tools.

    For example:

        aitk vision export data/parts --format yolo --out parts-yolo
    """
    from aitk.vision.data.export import export_data

    facts = export_data(data, out, format=options.format, overwrite=overwrite, reporter=reporter)
    return Outcome(facts=facts)
