"""Masked language modelling (Devlin et al. 2018): pretraining by predicting masked tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.task import Batch, Example, Note
from aitk.core.io.files import write_json
from aitk.core.io.json_files import read_json
from aitk.core.metrics.baselines import Baseline, Rows
from aitk.core.metrics.classification import log_softmax
from aitk.nlp.features.assets import SubwordAssets, TextAssets, load_text_assets
from aitk.nlp.features.masking import choose_tokens, hide_tokens, own_rng
from aitk.nlp.features.tokenizers.learning import train_subwords
from aitk.nlp.metrics.perplexity import measure_tokens
from aitk.nlp.models.specs import MaskedModel
from aitk.nlp.tasks.settings import MaskedHubSettings, MaskedTransformerSettings
from aitk.nlp.tasks.unlabelled import UnlabelledTexts

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained


@dataclass(frozen=True)
class MaskedAssets(SubwordAssets):
    """The tokeniser and the masking settings."""

    mask_share: float
    whole_words: bool

    @cached_property
    def ordinary(self) -> np.ndarray:
        """Ids of all tokens that are not special."""
        special = list(self.tokenizer.special_ids)
        return np.setdiff1d(np.arange(self.tokenizer.vocabulary_size), special)

    @property
    def mask_id(self) -> int:
        """The id of the mask token."""
        if self.tokenizer.mask_id is None:
            raise ArtifactError("its vocabulary has no mask token")
        return self.tokenizer.mask_id

    @property
    def mask_token(self) -> str:
        """The text that marks the word to predict."""
        return str(self.tokenizer.engine.id_to_token(self.mask_id))

    def save(self, folder: Path) -> None:
        self.text.save(folder)
        values = {"mask_share": self.mask_share, "whole_words": self.whole_words}
        write_json(folder / "masking.json", values)


class MaskedLanguageModel(UnlabelledTexts[MaskedAssets]):
    """Pretraining on unlabelled texts; its predictions fill in ``[MASK]``."""

    name = "nlp.masked-lm"
    models = {
        "transformer": MaskedModel(
            MaskedTransformerSettings, "aitk.nlp.models.transformer:build_backbone"
        ),
        "hub": MaskedModel(MaskedHubSettings),
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
    ) -> MaskedAssets:
        known = start.tokenizer if start else None
        tokenizer = known or train_subwords((row["text"] for row in rows), settings)
        if tokenizer.mask_id is None:
            raise ArtifactError(
                "its vocabulary has no mask token",
                where=start.source if start else None,
                hint="Start from a masked language model, such as BERT",
            )
        text = TextAssets(tokenizer, settings.max_length)
        return MaskedAssets(text, settings.mask_share, settings.whole_words)

    def load_assets(self, folder: Path) -> MaskedAssets:
        path = folder / "masking.json"
        values = read_json(path, {"mask_share": float, "whole_words": bool})
        if not 0 <= values["mask_share"] <= 1:
            raise ArtifactError("mask_share is not between 0 and 1", where=str(path))
        text = load_text_assets(folder)
        if text.tokenizer.mask_id is None:
            raise ArtifactError("its vocabulary has no mask token", where=str(folder))
        return MaskedAssets(text, values["mask_share"], values["whole_words"])

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: MaskedAssets) -> list[Example]:
        texts = [row["text"] for row in rows]
        encoded = assets.tokenizer.encode_words(texts, assets.max_length)
        return [
            Example({"token_ids": np.array(ids, np.int32), "word_ids": np.array(words, np.int32)})
            for ids, words in encoded
        ]

    def length(self, example: Example) -> int:
        return len(example.inputs["token_ids"])

    def collate(
        self,
        examples: Sequence[Example],
        assets: MaskedAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Pad and mask tokens: at random with ``rng``, otherwise the same ones at each call.

        A text that contains the mask token is not masked further: its masks are the slots, without
        targets.
        """
        masked = [self._mask(example, assets, rng) for example in examples]
        length = pad_to or max(len(ids) for ids, _, _ in masked)
        slots = max(1, *(len(positions) for _, positions, _ in masked))
        token_ids = np.zeros((len(masked), length), np.int32)
        padding_mask = np.zeros((len(masked), length), np.int32)
        mask_positions = np.zeros((len(masked), slots), np.int32)
        targets = np.zeros((len(masked), slots), np.int32)
        weights = np.zeros((len(masked), slots), np.float32)
        for row, (ids, positions, originals) in enumerate(masked):
            token_ids[row, : len(ids)] = ids
            padding_mask[row, : len(ids)] = 1
            mask_positions[row, : len(positions)] = positions + 1
            targets[row, : len(originals)] = originals
            weights[row, : len(originals)] = 1
        # The loss is a mean over all slots: rescale it to the mean over valid ones.
        weights *= weights.size / max(1.0, float(weights.sum()))
        inputs = {
            "token_ids": token_ids,
            "padding_mask": padding_mask,
            "mask_positions": mask_positions,
        }
        return Batch(inputs, targets, weights)

    def _mask(
        self, example: Example, assets: MaskedAssets, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Masked ids, the masked positions, and the original tokens."""
        token_ids, word_ids = example.inputs["token_ids"], example.inputs["word_ids"]
        mask_id = assets.mask_id
        written = np.flatnonzero(token_ids == mask_id)
        if len(written):
            return token_ids, written, token_ids[:0]
        rng = rng or own_rng(token_ids)
        positions = choose_tokens(
            token_ids,
            word_ids,
            share=assets.mask_share,
            whole_words=assets.whole_words,
            rng=rng,
        )
        hidden = hide_tokens(
            token_ids, positions, mask_id=mask_id, ordinary=assets.ordinary, rng=rng
        )
        return hidden, positions, token_ids[positions]

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: MaskedAssets,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> list[dict[str, Any]]:
        """The most likely tokens of each slot, in the order of the text."""
        predictions = []
        for row in outputs:
            slots = []
            for logits in row[np.any(row != 0, axis=-1)]:
                probabilities = np.exp(log_softmax(logits))
                best = np.argsort(-probabilities, kind="stable")[:top_k]
                slots.append(
                    [
                        {
                            "token": assets.tokenizer.token(int(index)),
                            "probability": round(float(probabilities[index]), 6),
                        }
                        for index in best
                    ]
                )
            words = " ".join(str(slot[0]["token"]) for slot in slots)
            predictions.append({"prediction": words, "slots": slots})
        return predictions

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: MaskedAssets
    ) -> dict[str, np.ndarray]:
        """Per row: number of masked tokens, of correct predictions, and the summed loss (nats)."""
        return measure_tokens(batch, outputs)

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: MaskedAssets
    ) -> list[Baseline]:
        from aitk.nlp.metrics.token_baselines import Frequencies, unigram_baseline

        special = assets.tokenizer.special_ids
        return [unigram_baseline(Frequencies(self, assets, train, never=special), self, assets)]

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: MaskedAssets,
        *,
        target: str | None = None,
        model: Callable[[], keras.Model] | None = None,
    ) -> dict[str, Any]:
        """Attribute the token predicted for the first mask to the words, by occlusion."""
        from aitk.nlp.explain.occlusion import explain_text

        text, mask = fields["text"], assets.mask_token
        if mask not in text:
            raise UsageError(
                f"there is no {mask} in the text", hint=f"Use {mask} for the word to predict"
            )
        first = log_softmax(predict([fields])[0][0])
        index = int(np.argmax(first))
        if target is not None:
            index = assets.tokenizer.token_id(target)
        whole = float(np.exp(first[index]))

        def probability(texts: Sequence[str]) -> np.ndarray:
            # Removing the mask itself leaves nothing to predict, so it has no effect.
            kept = [each for each in texts if mask in each]
            outputs = predict([{"text": each} for each in kept]) if kept else []
            values = iter([float(np.exp(log_softmax(row[0])[index])) for row in outputs])
            return np.array([next(values) if mask in each else whole for each in texts])

        return {
            "prediction": assets.tokenizer.token(int(np.argmax(first))),
            "explained": assets.tokenizer.token(index),
            "probability": whole,
        } | explain_text(text, probability)
