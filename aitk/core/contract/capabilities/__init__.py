"""Capability protocols: optional abilities of tasks.

A stage checks ``isinstance(task, Explainable)``; there are no capability flags.
"""

from aitk.core.contract.capabilities.prediction import (
    Bundled as Bundled,
)
from aitk.core.contract.capabilities.prediction import (
    Configurable as Configurable,
)
from aitk.core.contract.capabilities.prediction import (
    Drawable as Drawable,
)
from aitk.core.contract.capabilities.prediction import (
    Embeddable as Embeddable,
)
from aitk.core.contract.capabilities.prediction import (
    Ensemblable as Ensemblable,
)
from aitk.core.contract.capabilities.prediction import (
    Explainable as Explainable,
)
from aitk.core.contract.capabilities.prediction import (
    Generative as Generative,
)
from aitk.core.contract.capabilities.prediction import (
    LanguageModelling as LanguageModelling,
)
from aitk.core.contract.capabilities.prediction import (
    RanksOutputs as RanksOutputs,
)
from aitk.core.contract.capabilities.prediction import (
    Summarizable as Summarizable,
)
from aitk.core.contract.capabilities.prediction import (
    WritesFiles as WritesFiles,
)
from aitk.core.contract.capabilities.reading import (
    CountsReading as CountsReading,
)
from aitk.core.contract.capabilities.reading import (
    DependsOnReading as DependsOnReading,
)
from aitk.core.contract.capabilities.reading import (
    Embed as Embed,
)
from aitk.core.contract.capabilities.reading import (
    Grouped as Grouped,
)
from aitk.core.contract.capabilities.reading import (
    GroupedRows as GroupedRows,
)
from aitk.core.contract.capabilities.reading import (
    HasLanguages as HasLanguages,
)
from aitk.core.contract.capabilities.reading import (
    Inspects as Inspects,
)
from aitk.core.contract.capabilities.reading import (
    Mergeable as Mergeable,
)
from aitk.core.contract.capabilities.reading import (
    ReadsOptions as ReadsOptions,
)
from aitk.core.contract.capabilities.reading import (
    ReadsRecords as ReadsRecords,
)
from aitk.core.contract.capabilities.training import (
    Calibrates as Calibrates,
)
from aitk.core.contract.capabilities.training import (
    DistillsBatches as DistillsBatches,
)
from aitk.core.contract.capabilities.training import (
    DistillsRows as DistillsRows,
)
from aitk.core.contract.capabilities.training import (
    DistillsSequences as DistillsSequences,
)
from aitk.core.contract.capabilities.training import (
    DistillsUnlabelled as DistillsUnlabelled,
)
from aitk.core.contract.capabilities.training import (
    HasBaselines as HasBaselines,
)
from aitk.core.contract.capabilities.training import (
    JoinsRows as JoinsRows,
)
from aitk.core.contract.capabilities.training import (
    Measured as Measured,
)
from aitk.core.contract.capabilities.training import (
    Mixes as Mixes,
)
from aitk.core.contract.capabilities.training import (
    Packs as Packs,
)
from aitk.core.contract.capabilities.training import (
    PrunesVocabulary as PrunesVocabulary,
)
from aitk.core.contract.capabilities.training import (
    Rows as Rows,
)
from aitk.core.contract.capabilities.training import (
    SourceFree as SourceFree,
)
from aitk.core.contract.capabilities.training import (
    Updatable as Updatable,
)
