"""The options of redaction, for the reading options of a task. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from aitk.core.contract.options import option

#: Kinds found by their shape, in search order.
SHAPED = ("email", "ip", "iban", "card", "id", "phone")
#: Kinds found by a spaCy pipeline.
NAMED = ("name", "place")
ALL = "all"


@dataclass(frozen=True)
class Redaction:
    """Replacement of personal data by tags, applied alike in training and prediction."""

    redact: list[str] = option(
        [],
        "replace personal data by tags such as [EMAIL]: all, or some of email,ip,iban,card,id,phone"
        " and, with --redact-pipeline, name,place; recorded, and done alike in prediction",
        choices=(ALL, *SHAPED, *NAMED),
    )
    redact_pipeline: str | None = option(
        None, "installed spaCy pipeline, or its folder, that finds names and places"
    )
    redact_countries: list[str] = option(
        ["US", "GB", "DE", "FR", "ES", "IT", "IN", "CN"],
        "countries whose phone numbers are also found without their +CODE",
    )
