"""``evaluate --privacy``: what a run gives away about the rows it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.artifacts.opening import open_assets, open_spec, open_task
from aitk.core.artifacts.run import Run
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.model_spec import TrainedModel
from aitk.core.contract.progress import Reporter
from aitk.core.privacy.membership import attack_losses
from aitk.registry import load_task
from aitk.stages.training.run_data import data_of, require_float_run

#: Rows of each side; the interval of the area is about 0.02 wide then.
MOST_ROWS = 2000
FEW_ROWS = 20


def measure_leaks(
    run: Run, *, against: Run | None, batch_size: int, seed: int, reporter: Reporter
) -> dict[str, Any]:
    """The membership-inference attack on a run, and on another run of the same data.

    Members are training rows, the others are test rows (validation rows, where there are none);
    at most ``MOST_ROWS`` of each, drawn at random.

    Raises:
        UsageError: the run's model was not trained by gradients, or not on the data of the other.
        ArtifactError: its data is gone, or has changed.
    """
    found = _attack(run, batch_size=batch_size, seed=seed, reporter=reporter)
    if against is not None:
        own, other = (each.manifest["data"]["fingerprint"] for each in (run, against))
        if own != other:
            raise UsageError("was trained on other data", where=f"--against {against.folder}")
        compared = _attack(against, batch_size=batch_size, seed=seed, reporter=reporter)
        found["against"] = {"run": str(against.folder), **compared}
    return found


def _attack(run: Run, *, batch_size: int, seed: int, reporter: Reporter) -> dict[str, Any]:
    require_float_run(run, "attacked")
    task = open_task(run, load_task)
    spec = open_spec(task, run)
    if not isinstance(spec, TrainedModel):
        raise UsageError(
            f"{run.model} was not trained by gradients, so that its rows have no loss",
            where="--privacy",
        )
    data, assets = data_of(task, run), open_assets(task, run)
    others_split = data.held_out("test")
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.privacy.row_losses import row_losses

    model, loss = load_keras(run.model_path), spec.loss(assets)
    losses = [
        row_losses(
            model,
            _drawn(data.rows(split), seed),
            task,
            assets,
            loss=loss,
            batch_size=batch_size,
            reporter=reporter,
        )
        for split in ("train", others_split)
    ]
    if min(map(len, losses)) < FEW_ROWS:
        raise ArtifactError(
            f"has {min(map(len, losses))} rows on one side, and {FEW_ROWS} are needed",
            where=str(data.folder),
        )
    attack = attack_losses(*losses)
    facts = {
        "attack": "loss threshold (Yeom et al. 2018)",
        "auc": attack.auc.as_json(),
        "true_positives_at_1_percent_false": round(attack.sure, 4),
        "advantage": round(attack.advantage, 4),
        "members": len(losses[0]),
        "others": f"{len(losses[1])} {others_split} rows",
        "mean_loss": {
            "members": round(float(np.mean(losses[0])), 4),
            "others": round(float(np.mean(losses[1])), 4),
        },
    }
    if private := run.manifest.get("privacy"):
        facts["epsilon"] = private["epsilon"]
    return facts


def describe_leaks(found: Mapping[str, Any]) -> str:
    """The attack in words."""

    def describe_area(each: Mapping[str, Any]) -> str:
        auc = each["auc"]
        return f"{auc['value']:.4f} [{auc['low']:.4f}, {auc['high']:.4f}]"

    text = f"AUC of the attack {describe_area(found)} (0.5: nothing leaks)"
    if against := found.get("against"):
        text += f"; that of {against['run']} {describe_area(against)}"
    return text


def _drawn(rows: Any, seed: int) -> Sequence[Mapping[str, Any]]:
    count = len(rows)
    if count <= MOST_ROWS:
        return list(rows[:])
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[:MOST_ROWS])
    return list(rows.take(chosen))
