"""Denoising: pretraining an encoder-decoder by writing again what was taken out of a text.

Text infilling (Lewis et al. 2020, BART) or span corruption (Raffel et al. 2020, T5);
``nlp.translate`` starts from such a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.task import Batch, Example, Note
from aitk.core.io.files import write_json
from aitk.core.io.json_files import read_json
from aitk.core.metrics.baselines import Baseline, Rows
from aitk.nlp.features.assets import SubwordAssets, TextAssets, load_text_assets
from aitk.nlp.features.batching import pad_shifted, pad_tokens
from aitk.nlp.features.denoising import draw_spans, infill, split_spans
from aitk.nlp.features.masking import own_rng
from aitk.nlp.features.tokenizers.learning import train_subwords
from aitk.nlp.metrics.perplexity import score_batch
from aitk.nlp.tasks.translate_models import TranslationModel
from aitk.nlp.tasks.translate_settings import DenoisingLstmSettings, DenoisingTransformerSettings
from aitk.nlp.tasks.unlabelled import UnlabelledTexts

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained

#: Marks of T5's spans that a vocabulary gets.
SENTINELS = tuple(f"[SPAN{number}]" for number in range(64))
SHAPE = {"noise": str, "noise_share": float, "span": float, "label_smoothing": float}


@dataclass(frozen=True)
class DenoisingAssets(SubwordAssets):
    """The tokeniser, and how texts are corrupted."""

    noise: str
    noise_share: float
    span: float
    label_smoothing: float

    @property
    def sentinels(self) -> list[int]:
        found = (self.tokenizer.engine.token_to_id(name) for name in SENTINELS)
        return [index for index in found if index is not None]

    def save(self, folder: Path) -> None:
        self.text.save(folder)
        write_json(folder / "denoising.json", {name: getattr(self, name) for name in SHAPE})


class Denoise(UnlabelledTexts[DenoisingAssets]):
    """Pretraining of encoder-decoders on texts without labels."""

    name = "nlp.denoise"
    models = {
        "transformer": TranslationModel(DenoisingTransformerSettings),
        "lstm": TranslationModel(DenoisingLstmSettings),
    }

    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        *,
        start: Pretrained | None = None,
        balance: bool = False,
        tables: Path | None = None,
        note: Note,
    ) -> DenoisingAssets:
        tokenizer = start.tokenizer if start else None
        if tokenizer is None:
            tokenizer = train_subwords((row["text"] for row in rows), settings)
            if settings.noise == "spans":
                tokenizer.engine.add_special_tokens(list(SENTINELS))
        noise = {name: getattr(settings, name) for name in SHAPE}
        assets = DenoisingAssets(TextAssets(tokenizer, settings.max_length), **noise)
        _check(assets, where=start.source if start else None)
        return assets

    def load_assets(self, folder: Path) -> DenoisingAssets:
        path = folder / "denoising.json"
        values = read_json(path, SHAPE)
        if values["noise"] not in ("infill", "spans") or not 0 < values["noise_share"] < 1:
            raise ArtifactError("invalid noise settings", where=str(path))
        assets = DenoisingAssets(load_text_assets(folder), **values)
        _check(assets, where=str(folder))
        return assets

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: DenoisingAssets) -> list[Example]:
        texts = [row["text"] for row in rows]
        encoded = assets.tokenizer.encode_bare(texts, assets.max_length - 2)
        end = assets.end_id
        return [Example({"token_ids": np.array([*ids, end], np.int32)}) for ids in encoded]

    def length(self, example: Example) -> int:
        return len(example.inputs["token_ids"]) + 1

    def collate(
        self,
        examples: Sequence[Example],
        assets: DenoisingAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Mask spans and pad: random spans with ``rng``, otherwise the same ones at each call."""
        before, after = assets.tokenizer.frame
        texts = [example.inputs["token_ids"][:-1] for example in examples]
        pairs = [_damage(ids, assets, rng) for ids in texts]
        sources = [np.array([*before, *source, *after], np.int32) for source, _ in pairs]
        inputs = pad_tokens(sources, pad_to=pad_to)
        read, targets, weights = pad_shifted(
            [target for _, target in pairs], [assets.start_id], assets.end_id, pad_to=pad_to
        )
        return Batch(inputs | {"target_ids": read}, targets, weights)

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: DenoisingAssets,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> list[dict[str, Any]]:
        """The most probable token at each position, given the true ones before it."""
        return score_batch(batch, outputs).decode(assets.tokenizer)

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: DenoisingAssets
    ) -> dict[str, np.ndarray]:
        return score_batch(batch, outputs).measure(assets.tokenizer)

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: DenoisingAssets
    ) -> list[Baseline]:
        from aitk.nlp.metrics.token_baselines import Frequencies, unigram_baseline

        never = assets.tokenizer.special_ids - {assets.end_id}
        return [unigram_baseline(Frequencies(self, assets, train, never=never), self, assets)]


def _damage(
    ids: np.ndarray, assets: DenoisingAssets, rng: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray]:
    """What the encoder reads, and what the decoder is to write."""
    rng = rng or own_rng(ids)
    spans = draw_spans(len(ids), share=assets.noise_share, mean=assets.span, rng=rng)
    if assets.noise == "spans":
        return split_spans(ids, spans, sentinels=assets.sentinels)
    mask_id: Any = assets.tokenizer.mask_id
    return infill(ids, spans, mask_id=mask_id), ids


def _check(assets: DenoisingAssets, *, where: str | None) -> None:
    tokenizer = assets.tokenizer
    if tokenizer.start_id is None or tokenizer.end_id is None:
        raise ArtifactError("its vocabulary has no marks for start and end", where=where)
    if tokenizer.mask_id is None if assets.noise == "infill" else not assets.sentinels:
        raise ArtifactError(
            f"its vocabulary has no marks for the noise {assets.noise!r}", where=where
        )
