"""The errors that aitk raises; each kind has its exit code on the command line."""

from aitk.core.contract.errors import (
    AitkError,
    ArtifactError,
    BudgetMissed,
    DataError,
    Interrupted,
    TrainingError,
    UsageError,
)

__all__ = [
    "AitkError",
    "ArtifactError",
    "BudgetMissed",
    "DataError",
    "Interrupted",
    "TrainingError",
    "UsageError",
]
