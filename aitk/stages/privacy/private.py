"""``finetune --private``: what a private training needs before it starts, and what is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aitk.core.contract.capabilities import JoinsRows
from aitk.core.contract.errors import UsageError
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Task
from aitk.core.privacy.accountant import Account, account_for
from aitk.core.privacy.private import NO_PRIVATE, Privacy
from aitk.stages.options import TrainingOptions

#: Options without meaning, or without a guarantee, in a private training.
UNUSED = {"accumulate": 1, "balance": False}


def plan_privacy(
    task: Task, assets: Assets, options: TrainingOptions, *, rows: int, steps_per_epoch: int,
    reporter: Reporter,
) -> Privacy | None:  # fmt: skip
    """The noise that keeps epsilon for this training; None where it is not private.

    Args:
        options: with epochs and batch size filled in.
        rows: of the training split.

    Raises:
        UsageError: an option or a setting makes a step depend on rows in other ways.
    """
    if not options.private:
        return None
    assert options.epochs is not None and options.batch_size is not None
    for name, usual in UNUSED.items():
        if getattr(options, name) != usual:
            raise UsageError(
                "cannot be combined with --private", where="--" + name.replace("_", "-"),
                hint="A larger --batch-size takes no more memory"
                if name == "accumulate" else "Class weights are counted from the rows",
            )  # fmt: skip
    if not options.clip_norm:
        raise UsageError(
            "bounds the gradient of a row, and is needed with --private", where="--clip-norm"
        )
    if options.precision == "float16":
        raise UsageError("scales the loss, which --private cannot have", where="--precision")
    if isinstance(task, JoinsRows) and (setting := task.joins_rows(assets)):
        raise UsageError(
            f"{setting} makes one training image of several rows, and so {NO_PRIVATE}",
            where="--private",
            hint=f"Leave it out: --set {setting}=0",
        )
    if options.delta >= 1 / rows:
        reporter.warn(
            f"--delta {options.delta:g} is no less than 1 / {rows:,} rows: a row might be given"
            " away whole"
        )
    rate = min(1.0, options.batch_size / rows)
    steps = options.epochs * steps_per_epoch
    reporter.status("working out the noise")
    account = account_for(epsilon=options.epsilon, delta=options.delta, rate=rate, steps=steps)
    reporter.note(
        f"private: noise {account.noise:.4g} x clip norm {options.clip_norm:g} keeps epsilon"
        f" {options.epsilon:g} at delta {options.delta:g} for {steps:,} steps, each of which takes"
        f" a row with probability {rate:.4g}"
    )
    return Privacy(
        account=account,
        clip_norm=options.clip_norm,
        batch_size=min(options.batch_size, rows),
        secret=Privacy.new_secret(),
    )


def privacy_facts(privacy: Privacy, *, steps: int, rows: int, target: float) -> dict[str, Any]:
    """What ``run.json`` records: the guarantee after the steps that were taken.

    The epoch that is kept was chosen among all of them, so that all steps count.
    """
    account: Account = privacy.account
    return {
        "epsilon": round(account.epsilon(steps), 4),
        "epsilon_rdp": round(account.rdp(steps), 4),
        "target_epsilon": target,
        "delta": account.delta,
        "noise_multiplier": account.noise,
        "clip_norm": privacy.clip_norm,
        "sampling_rate": account.rate,
        "steps": steps,
        "rows": rows,
        "unit": "one training row, added or left out",
        "mechanism": "DP-SGD (Abadi et al. 2016) with Poisson sampling",
        "accountant": "numerical composition (Gopi et al. 2021)",
    }


def privacy_summary(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The guarantee of a run as the facts of an outcome."""
    private = manifest["privacy"]
    return {"epsilon": private["epsilon"], "delta": f"{private['delta']:g}", "privacy": private}


def without_guarantee(manifest: Mapping[str, Any], why: str | None) -> dict[str, Any]:
    """The entry ``privacy`` of a run that was made of another, for its manifest.

    Args:
        manifest: of the other run.
        why: what used the training rows again without noise, None where nothing did.
    """
    private = manifest.get("privacy")
    if private is None or why is None:
        return {}
    return {"privacy": {**private, "void": why}}


def refuse_private(options: TrainingOptions, verb: str, *, why: str) -> None:
    """Refuse ``--private`` of a stage that it does not cover.

    Raises:
        UsageError: the options ask for it.
    """
    if options.private:
        raise UsageError(f"{verb} has no private training: {why}", where="--private")
