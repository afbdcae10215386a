"""What a recogniser learns from its training rows before it is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aitk.core.contract.errors import UsageError
from aitk.speech.data.audio import decode_audio
from aitk.speech.decoding.ctc_assets import CtcAssets, learn_language_model, learn_vocabulary
from aitk.speech.features.assets import AudioAssets, augmentation_of, learn_moments
from aitk.speech.features.signal import settings_for
from aitk.speech.features.tokenizers.spelling import check_transcripts

#: What can be normalised before the whole sound is there.
CAUSAL_NORMS = ("none", "corpus")


def learn_assets(rows: Sequence[Mapping[str, Any]], settings: Any) -> tuple[CtcAssets, list[str]]:
    """Features, moments, units and the language model of the training rows; and what to tell.

    Args:
        rows: each with ``audio``, ``text`` and ``seconds``.
        settings: of the model.

    Raises:
        UsageError: the model is causal, and its features are not.
        DataError: no row can be learned from.
    """
    _, rate = decode_audio(rows[0]["audio"])
    features, augment = settings_for(settings, rate), augmentation_of(settings)
    causal = getattr(settings, "causal", False)
    if causal and (
        features.normalise not in CAUSAL_NORMS
        or features.deltas
        or features.pitch
        or not features.snip_edges
    ):
        raise UsageError(
            "a causal model cannot hear what its features need of the rest of the sound",
            where="--set causal",
            hint="Add --set normalise=corpus, and leave out deltas, pitch and snip_edges=false",
        )
    heard = [(row["text"], row["seconds"]) for row in each_row(rows)]
    texts = [text for text, _ in heard]
    units, pronunciations = learn_vocabulary(texts, settings)
    assets = CtcAssets(
        audio=AudioAssets(
            features=features,
            augment=augment,
            moments=learn_moments(rows, features, speeds=augment.speeds),
        ),
        units=units,
        subsampling=settings.subsampling,
        ctc_weight=getattr(settings, "ctc_weight", None),
        chunk_frames=settings.chunk_frames if causal else 0,
        context_frames=settings.context_frames if causal else 0,
        pronunciations=pronunciations,
        ngrams=learn_language_model(texts, settings.lm_order),
    )
    return assets, check_transcripts(heard, assets)


def each_row(rows: Any) -> Iterator[Mapping[str, Any]]:
    """Every row in order; a sequence read in blocks is iterated by number."""
    return (rows[index] for index in range(len(rows)))
