"""``aitk vision export``."""

from __future__ import annotations

from aitk.cli.options import DataFolder, Out, Overwrite
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.vision.data.options import ExportOptions


def export(
    domain: str,
    data: DataFolder,
    out: Out,
    options: ExportOptions,
    reporter: Reporter,
    overwrite: Overwrite = False,
) -> Outcome:
    """Write prepared pictures with their boxes and masks for other tools.

    For example:

        aitk vision export data/parts --format yolo --out parts-yolo
    """
    del domain
    from aitk.vision.data.export import export_data

    facts = export_data(data, out, format=options.format, overwrite=overwrite, reporter=reporter)
    return Outcome(facts=facts)
