"""Run the peers that aitk's recommenders are held against: RecBole and implicit.

    python3 -m venv peers               # an environment of their own: RecBole needs older packages
    peers/bin/pip install "recbole==1.2.1" "setuptools<81" "numpy<2" "pandas<2.3" "scipy<1.14" \\
        torch implicit

    peers/bin/python bench/recsys_peers.py implicit SEQUENCES          # a user a line
    peers/bin/python bench/recsys_peers.py split ml-100k.inter FOLDER  # RecBole's own random 8:1:1
    peers/bin/python bench/recsys_peers.py recbole EASE FOLDER         # on those three files
    peers/bin/python bench/recsys_peers.py recbole SASRec ml-100k.inter --minutes 60
    peers/bin/python bench/recsys_peers.py split ml-100k.inter FOLDER --last-two   # SASRec's rows

Every command prints one line of JSON. ``split`` writes NAME.train.inter, NAME.valid.inter and
NAME.test.inter with the ids, ratings and times of the log and in its order, so that any other
program can be run on the very same rows. RecBole's sequential models read no such files: they get
the whole log and hold the last two events of each user out (its default for them); their scores
are also given with the items hidden that the user had, as RecBole does for all other models.
Everything else is RecBole's default: full ranking, seed 2020, early stopping after ten
epochs without a better MRR@10 on the validation rows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARTS = ("train", "valid", "test")
RANDOM_SPLIT = {"split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "user", "order": "RO", "mode": "full"}
LAST_TWO = {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO", "mode": "full"}
SEQUENTIAL = ("SASRec", "BERT4Rec", "GRU4Rec")


class OutOfTimeError(Exception):
    """The minutes that were allowed for training are over."""


def run_implicit(
    sequences: Path, *, neighbours: int, top: int, threads: int, repeats: int
) -> dict[str, Any]:
    """Time implicit's cosine neighbours on a log: the fit, and the best items of all users.

    Args:
        sequences: a user a line, item ids between spaces.
        threads: of both steps; 0 = all cores.
        repeats: the median of this many is given.
    """
    import implicit
    import numpy as np
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_matrix

    users, items = [], []
    with sequences.open(encoding="utf-8") as file:
        for user, line in enumerate(file):
            ids = line.split()
            users += [user] * len(ids)
            items += ids
    names, numbers = np.unique(items, return_inverse=True)
    log = csr_matrix(
        (np.ones(len(users), np.float32), (users, numbers)), shape=(users[-1] + 1, len(names))
    )
    fits, answers = [], []
    for _ in range(repeats):
        model = CosineRecommender(K=neighbours, num_threads=threads)
        started = time.perf_counter()
        model.fit(log, show_progress=False)
        fitted = time.perf_counter()
        model.recommend(np.arange(log.shape[0]), log, N=top)
        fits.append(fitted - started)
        answers.append(time.perf_counter() - fitted)
    return {
        "peer": f"implicit {implicit.__version__}",
        "model": f"CosineRecommender(K={neighbours})",
        "users": log.shape[0],
        "items": log.shape[1],
        "events": len(users),
        "fit_s": round(float(np.median(fits)), 3),
        f"recommend_{top}_s": round(float(np.median(answers)), 3),
        "users_per_s": round(log.shape[0] / float(np.median(answers))),
    }


def split_log(log: Path, out: Path, *, last_two: bool = False) -> dict[str, Any]:
    """Write the rows of RecBole's split of a log, as they stand in it.

    Args:
        log: RecBole's atomic file NAME.inter; no pair of user and item may occur twice.
        out: the folder for NAME.train.inter, NAME.valid.inter, NAME.test.inter.
        last_two: hold each user's last two events out, as for sequential models, instead of
            a random fifth.
    """
    with _recbole_folder(log) as folder:
        model, how = ("SASRec", LAST_TWO) if last_two else ("BPR", RANDOM_SPLIT)
        config, dataset = _dataset(model, folder, eval_args=how, train_neg_sample_args=None)
        user_field, item_field = config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]
        held_out = {}
        for part, rows in zip(PARTS[1:], dataset.build()[1:], strict=True):
            users = dataset.id2token(user_field, rows.inter_feat[user_field].numpy())
            items = dataset.id2token(item_field, rows.inter_feat[item_field].numpy())
            held_out |= dict.fromkeys(zip(users, items, strict=True), part)
    head, *lines = log.read_text(encoding="utf-8").splitlines()
    columns = [column.partition(":")[0] for column in head.split("\t")]
    user, item = columns.index(user_field), columns.index(item_field)
    pairs = [(values[user], values[item]) for values in (line.split("\t") for line in lines)]
    if len(set(pairs)) < len(pairs):
        raise SystemExit(f"{log}: some pair of user and item occurs twice")
    written: dict[str, list[str]] = {part: [head] for part in PARTS}
    for pair, line in zip(pairs, lines, strict=True):
        written[held_out.get(pair, "train")].append(line)
    out.mkdir(parents=True, exist_ok=True)
    for part, rows in written.items():
        (out / f"{log.stem}.{part}.inter").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return {"split": str(out), **{part: len(rows) - 1 for part, rows in written.items()}}


def run_recbole(
    model_name: str,
    source: Path,
    *,
    minutes: float | None = None,
    checks: bool = True,
    **settings: Any,
) -> dict[str, Any]:
    """Train and test one of RecBole's models.

    Args:
        model_name: as RecBole calls it.
        source: a folder with NAME.train.inter, NAME.valid.inter and NAME.test.inter, or one file
            NAME.inter, which is split by RecBole.
        minutes: training stops after the epoch in which they are over; the best epoch so far
            is tested.
        checks: RecBole 1.2.1 turns torch's anomaly detection on when its sequential models are
            imported; without it an epoch computes the same in less time.
        settings: any of RecBole's settings that differ from its defaults.

    Returns:
        Validation and test scores, seconds of each step and epoch, the process's peak memory.
    """
    with _recbole_folder(source) as folder:
        if source.is_dir():
            settings |= {"benchmark_filename": list(PARTS)}
        elif model_name in SEQUENTIAL:
            # Their loss is a softmax over all items, which RecBole lets no negatives be drawn for.
            settings |= {"eval_args": LAST_TWO, "train_neg_sample_args": None}
        else:
            settings |= {"eval_args": RANDOM_SPLIT}
        config, dataset = _dataset(model_name, folder, **settings)
        if not checks:
            import torch

            torch.autograd.set_detect_anomaly(False)
        return _train_and_test(config, dataset, minutes=minutes) | {
            "log": source.name,
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }


def _train_and_test(config: Any, dataset: Any, *, minutes: float | None) -> dict[str, Any]:
    import recbole
    import torch
    from recbole.data import data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    parts = data_preparation(config, dataset)
    train, valid, test = parts
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    started = time.perf_counter()
    model = get_model(config["model"])(config, train._dataset).to(config["device"])
    built = time.perf_counter()
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    epochs, timed = _time_epochs(trainer)

    def stop_late(epoch: int, score: float) -> None:
        print(f"epoch {epoch + 1}: {config['valid_metric']} {score:.4f}", file=sys.stderr)
        if minutes and time.perf_counter() - built > 60 * minutes:
            raise OutOfTimeError

    whole = True
    try:
        trainer.fit(train, valid, verbose=False, callback_fn=stop_late)
    except OutOfTimeError:
        whole = False
    fitted = time.perf_counter()
    trainer._train_epoch = timed
    scores = {"valid": trainer.best_valid_result, "test": trainer.evaluate(test)}
    tested = time.perf_counter()
    if config["model"] in SEQUENTIAL:
        _hide_seen(trainer, [part.dataset for part in parts[:2]], config)
        scores["test_unseen"] = trainer.evaluate(test, load_best_model=False)
    return {
        "peer": f"RecBole {recbole.__version__}, torch {torch.__version__}",
        "model": config["model"],
        "threads": torch.get_num_threads(),
        "anomaly_detection": torch.is_anomaly_enabled(),
        "train_batch_size": config["train_batch_size"],
        "build_s": round(built - started, 2),
        "fit_s": round(fitted - built, 2),
        "test_s": round(tested - fitted, 2),
        "cpu_s": round(time.process_time(), 1),
        "epochs": len(epochs),
        "epoch_s": round(sum(epochs) / len(epochs), 2),
        "stopped_by_itself": whole,
        **{
            name: {key: float(value) for key, value in found.items()}
            for name, found in scores.items()
            if found
        },
    }


def _time_epochs(trainer: Any) -> tuple[list[float], Callable]:
    """Note the seconds of every epoch, validation not counted."""
    epochs: list[float] = []
    plain = trainer._train_epoch

    def timed(*args: Any, **options: Any) -> Any:
        started = time.perf_counter()
        loss = plain(*args, **options)
        epochs.append(time.perf_counter() - started)
        return loss

    trainer._train_epoch = timed
    return epochs, plain


def _hide_seen(trainer: Any, parts: list[Any], config: Any) -> None:
    """Let no item that the user had rank before the one that is asked for."""
    import numpy as np

    seen = defaultdict(set)
    for part in parts:
        rows = part.inter_feat
        users = rows[config["USER_ID_FIELD"]].tolist()
        items = rows[config["ITEM_ID_FIELD"]].tolist()
        earlier = rows[config["ITEM_ID_FIELD"] + config["LIST_SUFFIX"]].tolist()
        for user, item, history in zip(users, items, earlier, strict=True):
            seen[user] |= {item, *history}
    plain = trainer._full_sort_batch_eval

    def evaluate(batch: Any) -> Any:
        interaction, scores, rows, items = plain(batch)
        users = interaction[config["USER_ID_FIELD"]].tolist()
        for row, (user, item) in enumerate(zip(users, items.tolist(), strict=True)):
            scores[row, list(seen[user] - {item})] = -np.inf
        return interaction, scores, rows, items

    trainer._full_sort_batch_eval = evaluate


class _recbole_folder(tempfile.TemporaryDirectory):
    """A folder as RecBole wants it: NAME/NAME.*; the working directory, as it writes there too."""

    def __init__(self, source: Path):
        super().__init__()
        self.source = source.resolve()

    def __enter__(self) -> Path:
        folder = Path(super().__enter__())
        files = sorted(self.source.glob("*.inter")) if self.source.is_dir() else [self.source]
        name = files[0].name.split(".")[0]
        (folder / name).mkdir()
        for file in files:
            (folder / name / file.name).symlink_to(file)
        self.before = Path.cwd()
        os.chdir(folder)
        return folder / name

    def __exit__(self, *failure: object) -> None:
        os.chdir(self.before)
        super().__exit__(*failure)


def _dataset(model_name: str, folder: Path, **settings: Any) -> tuple[Any, Any]:
    """RecBole's settings and data."""
    # RecBole's checkpoints hold more than weights; torch refuses that unless it is told.
    os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    from recbole.config import Config
    from recbole.data import create_dataset
    from recbole.utils import init_seed

    settings |= {"data_path": str(folder.parent), "state": "ERROR", "show_progress": False}
    config = Config(model=model_name, dataset=folder.name, config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    return config, create_dataset(config)


def _settings(pairs: list[str]) -> dict[str, Any]:
    """``NAME=VALUE`` as a dictionary; values as JSON where they are."""
    found = {}
    for name, _, value in (pair.partition("=") for pair in pairs):
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def main() -> None:
    """Read the command and print its answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("implicit", help="time item neighbours")
    command.add_argument("sequences", type=Path)
    command.add_argument("--neighbours", type=int, default=100)
    command.add_argument("--top", type=int, default=100)
    command.add_argument("--threads", type=int, default=0)
    command.add_argument("--repeats", type=int, default=3)
    command = commands.add_parser("split", help="write RecBole's split as three files")
    command.add_argument("log", type=Path)
    command.add_argument("out", type=Path)
    command.add_argument("--last-two", action="store_true", help="as for sequential models")
    command = commands.add_parser("recbole", help="train and test one of RecBole's models")
    command.add_argument("model")
    command.add_argument("source", type=Path)
    command.add_argument("--minutes", type=float)
    command.add_argument("--no-checks", action="store_true", help="anomaly detection off")
    command.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    told = parser.parse_args()
    # RecBole reads the command line by itself.
    del sys.argv[1:]
    if told.command == "implicit":
        answer = run_implicit(
            told.sequences,
            neighbours=told.neighbours,
            top=told.top,
            threads=told.threads,
            repeats=told.repeats,
        )
    elif told.command == "split":
        answer = split_log(told.log.resolve(), told.out.resolve(), last_two=told.last_two)
    else:
        answer = run_recbole(
            told.model,
            told.source,
            minutes=told.minutes,
            checks=not told.no_checks,
            **_settings(told.set),
        )
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
