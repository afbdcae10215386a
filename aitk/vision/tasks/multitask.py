"""One network that predicts the label, boxes and mask of an image.

Rows have any of a label, boxes and a mask. Each head comes from the single task of its kind and is
decoded and scored as there; the heads share a backbone and are trained jointly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.capabilities import HasBaselines, Measured, Rows
from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.task import Batch, Evaluation, Example, Metric, Note, Score
from aitk.core.metrics.baselines import Baseline
from aitk.core.metrics.classification import softmax
from aitk.vision.data.options import DetectPredictOptions, MultitaskImages
from aitk.vision.decoding.detections import no_detections
from aitk.vision.decoding.masks import label_whole
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.geometry import VOID, Fit
from aitk.vision.features.sample import KINDS, KNOWN, Sample
from aitk.vision.models.multitask_specs import (
    MULTITASK_MODELS,
    assets_of,
    head_settings,
    heads_of,
)
from aitk.vision.tasks.classify import Classify
from aitk.vision.tasks.detect import Detect
from aitk.vision.tasks.image_task import ImageTask
from aitk.vision.tasks.segment import Segment

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.io.prediction_files import PredictionLines


class Multitask(ImageTask):
    """Label, boxes and mask from one network; the main metric is the mean of the heads' metrics."""

    name = "vision.multitask"
    reading = MultitaskImages
    predict_options = DetectPredictOptions
    models = MULTITASK_MODELS
    metric = Metric("mean_score")
    annotation_kinds = frozenset(KINDS)
    required_parameters = frozenset({"heads", "label_sets"})
    ranked_outputs = frozenset({"boxes"})
    prediction_fields = ("probability",)
    prediction_formats: Mapping[str, Callable[[], PredictionLines]] = {}

    def __init__(self) -> None:
        super().__init__()
        self._tasks: dict[str, Classify | Detect | Segment] = {
            "label": Classify(),
            "boxes": Detect(),
            "mask": Segment(),
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
    ) -> ImageAssets:
        if balance:
            raise UsageError(
                "rows with several kinds of annotation have no class", where="--balance"
            )
        assets = super().learn(rows, summary, settings, start=start, tables=tables, note=note)
        heads = {}
        for kind in heads_of(assets):
            known = {"labels": assets.labels_of(kind)}
            own = self._tasks[kind].learn(rows, known, head_settings(kind, settings), note=note)
            heads[kind] = dict(own.parameters)
        return dataclasses.replace(
            assets, labels=(), parameters={**assets.parameters, "heads": heads}
        )

    def encode_row(self, fields: Mapping[str, Any], assets: ImageAssets) -> Example:
        """Like every image task; ``truth`` is the stored mask, which is used for scoring."""
        example = super().encode_row(fields, assets)
        if not len(fields.get("mask", b"")):
            return example
        truth = np.frombuffer(fields["mask"], np.uint8)
        return dataclasses.replace(example, inputs={**example.inputs, "truth": truth})

    def targets(
        self, samples: Sequence[Sample], assets: ImageAssets
    ) -> tuple[dict[str, np.ndarray], None]:
        """The targets of each head's own task, and ``known`` (samples, heads), by head name."""
        targets, known = {}, []
        for kind in sorted(heads_of(assets)):
            targets[kind], _ = self._tasks[kind].targets(samples, assets_of(kind, assets))
            known.append([is_known(kind, sample) for sample in samples])
        return targets | {KNOWN: np.array(known, np.float32).T}, None

    def collate(
        self,
        examples: Sequence[Example],
        assets: ImageAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Stack images, augmented with ``rng``; ``context`` has the values for scoring."""
        batch = super().collate(examples, assets, rng=rng, pad_to=pad_to)
        context = {"examples": [example.inputs for example in examples]}
        return dataclasses.replace(batch, context={**batch.context, **context})

    def check_parameters(self, assets: ImageAssets, *, where: str) -> None:
        super().check_parameters(assets, where=where)
        for kind in heads_of(assets):
            if kind not in assets.parameters["heads"]:
                raise ArtifactError(f"lacks parameters.heads.{kind}", where=where)
            self._tasks[kind].check_parameters(assets_of(kind, assets), where=where)

    def teacher_outputs(self, teacher: keras.Model, student: keras.Model) -> keras.Model:
        """The outputs of all teacher heads, boxes before non-maximum suppression."""
        import keras

        from aitk.vision.losses.detection_distillation import check_same_positions, raw_outputs

        outputs = dict(teacher.output)
        if "boxes" in outputs:
            layer = "boxes_detections"
            outputs["boxes"] = raw_outputs(teacher, layer=layer)
            check_same_positions(outputs["boxes"], raw_outputs(student, layer=layer))
        return keras.Model(teacher.inputs, outputs)

    def add_soft_targets_to_batch(self, batch: Batch, outputs: Any, assets: ImageAssets) -> Batch:
        """Give every row a target for every head: the teacher's alone where it is not annotated."""
        soft = by_head(outputs, assets)
        given = dict(batch.targets)
        if "boxes" in given:
            known = given[KNOWN][:, sorted(heads_of(assets)).index("boxes")]
            given["boxes"] = _ignored_where(known == 0, given["boxes"], assets.size)
        targets = {}
        for kind in heads_of(assets):
            own = dataclasses.replace(batch, targets=given[kind])
            own = self._tasks[kind].add_soft_targets_to_batch(
                own, soft[kind], assets_of(kind, assets)
            )
            targets[kind] = own.targets
        return dataclasses.replace(batch, targets=targets | {KNOWN: np.ones_like(given[KNOWN])})

    def teacher_only(self, example: Example, assets: ImageAssets) -> Example:
        """See ``DistillsUnlabelled``: no head is annotated."""
        return dataclasses.replace(example, target=1)

    def distillation_loss(self, assets: ImageAssets, *, teacher: ImageAssets) -> dict[str, Any]:
        """The loss of each head."""
        from aitk.vision.losses.distillation import check_same_classes, check_same_size

        check_same_classes(assets, teacher, kinds=self.annotation_kinds)
        check_same_size(assets, teacher)
        return {
            kind: self._tasks[kind].distillation_loss(
                assets_of(kind, assets), teacher=assets_of(kind, teacher)
            )
            for kind in heads_of(assets)
        }

    def decode(
        self,
        batch: Batch,
        outputs: Any,
        assets: ImageAssets,
        *,
        top_k: int = 1,
        options: DetectPredictOptions | None = None,
    ) -> list[dict[str, Any]]:
        """The combined predictions of all heads: ``prediction`` and ``probability`` of the label,
        ``boxes``, ``classes`` and ``mask``, as decoded by the heads' own tasks."""
        predictions: list[dict[str, Any]] = [{} for _ in batch.inputs["image"]]
        outputs = by_head(outputs, assets)
        for kind in heads_of(assets):
            given: Any = options if kind == "boxes" else None
            own = self._tasks[kind].decode(
                batch,
                head_outputs(kind, outputs, batch),
                assets_of(kind, assets),
                top_k=top_k,
                options=given,
            )
            # The prediction of the label comes first, and its probability is preserved.
            predictions = [theirs | ours for theirs, ours in zip(own, predictions, strict=True)]
        order = ("prediction", "probability", "top_k", "boxes", "classes", "mask")
        return [{key: item[key] for key in order if key in item} for item in predictions]

    def measure(self, batch: Batch, outputs: Any, assets: ImageAssets) -> dict[str, np.ndarray]:
        """The measured values of each head, prefixed with its kind, and whether it is known."""
        kept: dict[str, np.ndarray] = {}
        known = np.asarray(batch.targets[KNOWN]) > 0
        for place, kind in enumerate(sorted(heads_of(assets))):
            found = head_outputs(kind, by_head(outputs, assets), batch)
            own = batch
            if kind == "mask":
                own = _with_masks(batch, [each.mask.shape for each in found])
            own = dataclasses.replace(own, targets=batch.targets[kind])
            measured = self._tasks[kind].measure(own, found, assets_of(kind, assets))
            kept |= {f"{kind}_{name}": values for name, values in measured.items()}
            kept[f"{kind}_{KNOWN}"] = known[:, place]
        return kept

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: ImageAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        """The metrics of each head, over the rows with its annotations.

        The interval of the mean has the means of the heads' bounds: at least as wide as its own
        interval for any correlation of the heads' errors.
        """
        parts: dict[str, Evaluation] = {}
        rows: list[np.ndarray] = []
        labelled: dict[str, np.ndarray] = {}
        for kind in heads_of(assets):
            known = measured[f"{kind}_{KNOWN}"]
            if not known.any():
                continue
            own = {name: values[known] for name, values in measured_by(kind, measured).items()}
            parts[kind] = self._tasks[kind].score(
                own, assets_of(kind, assets), resamples=resamples, seed=seed
            )
            labelled[kind] = known.astype(bool)
            each = np.full(len(known), np.nan)
            each[known] = parts[kind].per_row
            rows.append(each)
        if not parts:
            raise DataError("no row has a label, boxes or a mask to score")
        main = [parts[kind].metrics[self._tasks[kind].metric.name] for kind in parts]
        metrics = {"mean_score": _mean(main)}
        for kind, part in parts.items():
            metrics |= {f"{kind}_{name}": score for name, score in part.metrics.items()}

        def mean_score(counts: np.ndarray) -> np.ndarray:
            own = [part.resampled(counts[:, labelled[kind]]) for kind, part in parts.items()]
            return np.mean(own, axis=0)

        return Evaluation(metrics, _mean_of_known(np.stack(rows)), _details(parts), mean_score)

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: ImageAssets
    ) -> list[Baseline]:
        """The majority class of each head's own task, and no boxes."""
        heads = heads_of(assets)
        simplest = {}
        for kind in heads:
            counts = {"label_counts": summary["label_set_counts"][kind]}
            own, task = assets_of(kind, assets), self._tasks[kind]
            if isinstance(task, HasBaselines):
                simplest[kind] = next(iter(task.baselines(train, counts, own)))

        def measure(rows: Rows, measured: Measured) -> Measured:
            kept = dict(measured)
            for kind, baseline in simplest.items():
                own = measured_by(kind, measured)
                kept |= {
                    f"{kind}_{name}": each for name, each in baseline.measure(rows, own).items()
                }
            if "boxes" in heads:
                kept["boxes_found"] = no_detections(len(rows))
            return kept

        return [
            Baseline("majority class, no boxes" if "boxes" in heads else "majority class", measure)
        ]

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: ImageAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        """Explain the first head with the class ``target``, or the first head."""
        kinds = heads_of(assets)
        if target is not None:
            kinds = [kind for kind in kinds if target in assets.labels_of(kind)] or kinds
        kind = kinds[0]

        def own(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
            return by_head(predict(rows), assets)[kind]

        return self._tasks[kind].explain(fields, own, assets_of(kind, assets), target=target)


def by_head(outputs: Any, assets: ImageAssets) -> Mapping[str, np.ndarray]:
    """The outputs by head; a model with a single head returns a plain array."""
    return outputs if isinstance(outputs, Mapping) else {heads_of(assets)[0]: outputs}


def measured_by(kind: str, measured: Measured) -> dict[str, np.ndarray]:
    """The measured values of one head's task, under its own names."""
    prefix = f"{kind}_"
    return {
        name.removeprefix(prefix): values
        for name, values in measured.items()
        if name.startswith(prefix)
    }


def is_known(kind: str, sample: Sample) -> bool:
    if kind == "label":
        return sample.label is not None
    if kind == "boxes":
        return sample.boxes_known
    return sample.mask is not None


def _ignored_where(unknown: np.ndarray, objects: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Padded objects (batch, most, 6); images without boxes become one region to ignore."""
    objects = objects.copy()
    objects[unknown, 0] = (0, 0, size[1], size[0], 0, 0)
    return objects


def head_outputs(kind: str, outputs: Mapping[str, np.ndarray], batch: Batch) -> Any:
    """The outputs of one head in the form of its task: masks at the size of the originals."""
    if kind != "mask":
        return outputs[kind]
    return [
        label_whole(softmax(logits), Fit.from_array(fit))
        for logits, fit in zip(outputs[kind], batch.context["fit"], strict=True)
    ]


def _with_masks(batch: Batch, shapes: Sequence[tuple[int, ...]]) -> Batch:
    """The batch with a void mask for rows without one."""
    examples = [
        inputs if "mask" in inputs else {**inputs, "mask": np.full(shape, VOID, np.uint8)}
        for inputs, shape in zip(batch.context["examples"], shapes, strict=True)
    ]
    return dataclasses.replace(batch, context={**batch.context, "examples": examples})


def _mean(scores: Sequence[Score]) -> Score:
    ends = [[score.low, score.high] for score in scores]
    value = float(np.mean([score.value for score in scores]))
    if any(end is None for pair in ends for end in pair):
        return Score(value)
    low, high = np.mean(np.array(ends, float), axis=0)
    return Score(value, float(low), float(high), "mean of the heads' intervals")


def _mean_of_known(rows: np.ndarray) -> np.ndarray:
    """(heads, rows) to (rows,), ignoring NaN; rows without annotations get the average."""
    known = ~np.isnan(rows)
    counts = known.sum(axis=0)
    sums = np.where(known, rows, 0).sum(axis=0)
    usual = sums.sum() / max(1, counts.sum())
    return np.where(counts > 0, sums / np.maximum(counts, 1), usual)


def _details(parts: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Report details of every head: tables per class, curves, confusions."""
    details: dict[str, Any] = {"tables": {}, "curves": {}}
    for kind, part in parts.items():
        own = part.details
        if own.get("per_class"):
            details["tables"][f"Each class ({kind})"] = own["per_class"]
        details["tables"] |= {
            f"{title} ({kind})": table for title, table in own.get("tables", {}).items()
        }
        details["curves"] |= own.get("curves", {})
        if kind == "label":
            for name in ("labels", "confusion", "calibration"):
                if name in own:
                    details[name] = own[name]
    return details
