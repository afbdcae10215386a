"""Kill commands wherever they can be killed, repeat them, and compare with one that was not.

    python bench/kills.py --kills 200

For one task of each domain, prepare, pretrain, finetune, tune, update, compress, evaluate and
predict are sent SIGINT, SIGTERM, SIGHUP and SIGKILL: at a random moment, and at every boundary,
just before or just after it. What they leave behind is gone on with as their message says
(``--resume``, or the same command again). Then the weights, rows, scores or predictions must have
the bytes of the uninterrupted command, and nothing else may be left.

Starting TensorFlow and tracing a step take longer than these small trainings. So one process
imports it, without computing anything, and forks for every command, which runs its steps eagerly;
the boundaries are patched in from here. Compiled steps in processes of their own are what the test
suite kills.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
import importlib
import io
import json
import os
import pkgutil
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
TIMEOUT_S = 600
INTERRUPTED = 130
DONE = (0, 6)  # 6: some rows were refused
RESUMABLE = {"pretrain", "finetune", "tune", "update", "compress", "predict"}
SAMPLES = Path(__file__).resolve().parents[1] / "sample_data"


@dataclasses.dataclass(frozen=True)
class Command:
    """One stage of one domain: its arguments without ``--out``, and what it writes."""

    domain: str
    stage: str
    arguments: tuple[str, ...]
    out: str | None = "out"

    def line(self, *more: str) -> list[str]:
        out = ("--out", self.out) if self.out else ()
        return [self.domain, self.stage, *self.arguments, *out, "--quiet", *more]


@dataclasses.dataclass(frozen=True)
class Chain:
    """The stages of one domain on its sample rows, as small as they get.

    Attributes:
        batch_size: rows a step, so many that an epoch has few steps.
        finetune, pretrain, tune: options of these stages, beside those of ``training``.
    """

    task: str
    sample: str
    batch_size: int
    finetune: tuple[str, ...] = ()
    pretrain: tuple[str, ...] = ()
    tune: tuple[str, ...] = ()

    def beside(self, part: str) -> str:
        """The rows for another stage, next to the sample."""
        path = SAMPLES / self.sample
        return str(path.with_stem(f"{path.stem}_{part}"))

    def training(self, epochs: int = 1) -> tuple[str, ...]:
        """A training whose state is saved at every step."""
        batch_size = str(self.batch_size)
        return ("--epochs", str(epochs), "--batch-size", batch_size, "--save-minutes", "0")


def sets(*settings: str) -> tuple[str, ...]:
    return tuple(part for setting in settings for part in ("--set", setting))


SMALL_SEQUENCE = sets("hidden=8", "layers=1", "max_length=8")
CHAINS = {
    "nlp": Chain(
        task="classify",
        sample="messages.csv",
        batch_size=128,
        finetune=("--model", "cnn", *sets("hidden=4", "filters=4")),
        pretrain=sets("vocabulary_size=400"),
        tune=("--model", "bag", "--space", "dropout=0.1,0.3", *sets("hidden=4")),
    ),
    "speech": Chain(
        task="keywords",
        sample="commands.csv",
        batch_size=32,
        tune=("--space", "learning_rate=1e-4..1e-2"),
    ),
    "vision": Chain(
        task="classify",
        sample="castings.zip",
        batch_size=32,
        finetune=sets("image_size=32", "filters=4"),
        pretrain=sets("image_size=32"),
        tune=("--space", "learning_rate=1e-4..1e-2", *sets("image_size=32", "filters=4")),
    ),
    "recsys": Chain(
        task="recommend",
        sample="shop_events.csv",
        batch_size=64,
        finetune=("--model", "sasrec", *SMALL_SEQUENCE),
        pretrain=SMALL_SEQUENCE,
        tune=("--model", "sasrec", "--space", "learning_rate=1e-4..1e-2", *SMALL_SEQUENCE),
    ),
}


def commands(folder: Path) -> Iterator[Command]:
    """Every stage of a task of each domain; what they start from is in ``folder``."""
    for domain, own in CHAINS.items():
        data, run = str(folder / f"{domain}-data"), str(folder / f"{domain}-run")
        once = own.training()
        yield Command(domain, "prepare", (str(SAMPLES / own.sample), "--task", own.task))
        yield Command(domain, "pretrain", (data, *own.pretrain, *once))
        yield Command(domain, "finetune", (data, *own.finetune, *own.training(epochs=2)))
        yield Command(domain, "tune", (data, *own.tune, *once, "--trials", "2"))
        yield Command(domain, "update", (run, own.beside("update"), "--force", *once))
        yield Command(domain, "compress", (run, "--prune", "0.5", *once))
        yield Command(domain, "evaluate", ("run",), out=None)
        new = own.beside("new")
        yield Command(domain, "predict", (run, new, "--batch-size", "4"), out="out.jsonl")


class Kill:
    """A signal to oneself, before or after the n-th passing of a boundary."""

    def __init__(self, boundary: str, number: int, *, count: int, after: bool):
        self.boundary, self.number, self.left, self.after = boundary, number, count, after

    def around(self, boundary: str, call: Callable[[], Any]) -> Any:
        """Make a call that passes a boundary."""
        due = boundary == self.boundary
        self.left -= due
        if due and self.left == 0 and not self.after:
            self.strike()
        result = call()
        if due and self.left == 0 and self.after:
            self.strike()
        return result

    def strike(self) -> None:
        os.kill(os.getpid(), self.number)


class Count(Kill):
    """Counts how often each boundary is passed."""

    def __init__(self) -> None:
        super().__init__("", 0, count=0, after=False)
        self.passed: Counter[str] = Counter()

    def around(self, boundary: str, call: Callable[[], Any]) -> Any:
        self.passed[boundary] += 1
        return call()


def patch(kill: Kill, out: str) -> None:
    """Let the boundaries of this process be heard of by ``kill``."""
    from aitk.core.io import resumable
    from aitk.core.training import epochs as training
    from aitk.core.training.epochs import Epochs

    def patched(owner: Any, name: str, boundary: Callable[..., str | None]) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def call(*given: Any, **named: Any) -> Any:
            found = boundary(*given)
            run = functools.partial(original, *given, **named)
            return run() if found is None else kill.around(found, run)

        setattr(owner, name, call)

    def step(loop: Any, *_: Any) -> str:
        is_last = loop.progress.step + 1 == loop.steps_per_epoch
        return "last step" if is_last else "step"

    def rename(source: Any, target: Any, *_: Any) -> str:
        name = os.path.basename(os.fspath(target))
        return "save" if name == "training.npz" else "rename" if name == out else "file"

    # Between the update of the weights and its booking; the epoch's end; its validation; what
    # grows piece by piece; what is renamed when it is whole.
    patched(Epochs, "after_batch", step)
    patched(Epochs, "_finish_epoch", lambda *_: "end of epoch")
    patched(training, "measure_rows", lambda *_: "validation")
    patched(resumable, "_write", lambda *_: "piece")
    for function in ("replace", "rename"):
        patched(os, function, rename)


def child(line: list[str], folder: Path, kill: Kill | None, delay_s: float | None) -> int:
    """Run a command in a fork of this process; its exit status as ``waitpid`` gives it."""
    process = os.fork()
    if process:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                os.kill(process, signal.SIGKILL)
                deadline += TIMEOUT_S
            time.sleep(0.01)
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)  # a background job ignores some
        os.chdir(folder)
        log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if kill is not None:
            patch(kill, "out.jsonl" if "out.jsonl" in line else "out")
            if delay_s is not None:
                timer = threading.Timer(delay_s, kill.strike)
                timer.daemon = True
                timer.start()
        from aitk.cli.main import main

        code = main(line)
        if isinstance(kill, Count):
            (folder / "count.json").write_text(json.dumps(kill.passed))
    except BaseException:  # noqa: BLE001  a fork must end here
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def digest(command: Command, folder: Path) -> str:
    """Names what a command has to repeat exactly."""
    found = hashlib.sha256()
    out = folder / (command.out or "run")
    if command.stage == "prepare":
        manifest = json.loads((out / "dataset.json").read_text())
        found.update(json.dumps([manifest["fingerprint"], manifest["rows"]]).encode())
        for path in sorted(out.glob("*array_record*")):
            found.update(path.name.encode() + path.read_bytes())
    elif command.stage == "predict":
        found.update(out.read_bytes())
    elif command.stage == "evaluate":
        found.update((out / "metrics.json").read_bytes())
        for path in sorted((out / "evaluations").iterdir()):
            found.update(path.name.encode() + path.read_bytes())
    else:
        for name, value in weights(out / "model.keras"):
            found.update(name.encode() + value)
        for line in (out / "history.csv").read_text().splitlines():
            found.update(line.encode() if line.startswith("epoch,") else without_times(out, line))
    return found.hexdigest()[:16]


def weights(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every array of a ``.keras`` file by its name."""
    import h5py

    found: list[tuple[str, bytes]] = []
    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "r") as file:
        file.visititems(
            lambda name, item: (
                found.append((name, item[()].tobytes())) if isinstance(item, h5py.Dataset) else None
            )
        )
    return iter(sorted(found))


def without_times(run: Path, line: str) -> bytes:
    """A line of ``history.csv`` without what it took and waited."""
    names = (run / "history.csv").read_text().splitlines()[0].split(",")
    cells = dict(zip(names, line.split(","), strict=True))
    return json.dumps({k: v for k, v in cells.items() if k not in ("seconds", "waiting")}).encode()


def begin(command: Command, base: Path, folder: Path) -> None:
    """An empty folder to run a command in, with a copy of what it changes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if command.stage == "evaluate":
        shutil.copytree(base / f"{command.domain}-run", folder / "run")


def leftovers(command: Command, folder: Path) -> list[str]:
    """What is there besides the result."""
    known = {"log", "count.json", command.out or "run"}
    inside = folder / (command.out or "run")
    found = {path.name for path in folder.iterdir()} - known
    if inside.is_dir():
        found |= {path.name for path in inside.rglob("*") if path.name.endswith((".part", ".old"))}
        found |= {"state"} & {path.name for path in inside.iterdir()}
    return sorted(found)


def finish(command: Command, folder: Path) -> str | None:
    """Go on after a kill as a person would; what went wrong, or None."""
    tries = [["--resume"], []] if command.stage in RESUMABLE else [[]]
    codes = []
    for more in tries:
        code = child(command.line(*more), folder, None, None)
        if code in DONE:
            return None
        codes.append(code)
        if code == 2 and command.out and (folder / command.out).exists():
            return None  # killed after it had its name: it is whole
    return f"exit codes {codes}: {(folder / 'log').read_text().splitlines()[-1]}"


@dataclasses.dataclass(frozen=True)
class Reference:
    """What the uninterrupted command makes, the boundaries it passes, and how long it takes."""

    digest: str
    passed: dict[str, int]
    seconds: float


def reference(command: Command, base: Path, folder: Path) -> Reference:
    """Run a command to its end."""
    begin(command, base, folder)
    started = time.monotonic()
    if child(command.line(), folder, Count(), None) not in DONE:
        raise SystemExit(f"{command}: {(folder / 'log').read_text()}")
    seconds = time.monotonic() - started
    passed = json.loads((folder / "count.json").read_text())
    print(f"# {command.domain} {command.stage}: {seconds:.1f} s, {passed}", flush=True)
    return Reference(digest(command, folder), passed, seconds)


def prepare_inputs(base: Path) -> None:
    """The data and runs that the stages start from."""
    for command in list(commands(base)):
        if command.stage in ("prepare", "finetune"):
            kind = "data" if command.stage == "prepare" else "run"
            named = dataclasses.replace(command, out=f"{command.domain}-{kind}")
            if (base / named.out).exists():
                continue
            if child(named.line(), base, None, None) not in DONE:
                raise SystemExit((base / "log").read_text())


def load_everything() -> None:
    """Import, without computing, what the commands need."""
    from aitk.core.runtime.silence import silence

    silence()
    import ai_edge_litert.interpreter  # noqa: F401
    import h5py  # noqa: F401
    import keras  # noqa: F401
    import optuna  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    import tensorflow as tf
    import tensorflow_datasets  # noqa: F401

    import aitk

    for module in pkgutil.walk_packages(aitk.__path__, "aitk."):
        if not module.name.endswith(("__main__", ".convert")):
            importlib.import_module(module.name)

    # Tracing costs more than these few steps.
    tf.config.run_functions_eagerly(True)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--stage", action="append")
    options.add_argument("--domain", action="append")
    options.add_argument("--folder", type=Path)
    given = options.parse_args()
    base = given.folder or Path(tempfile.mkdtemp(prefix="aitk-kills-"))
    base.mkdir(parents=True, exist_ok=True)
    # Ctrl-C, or kill -INT of a background job, ends with the table so far.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    load_everything()
    prepare_inputs(base)
    rng = random.Random(given.seed)
    chosen = [
        command
        for command in commands(base)
        if (not given.stage or command.stage in given.stage)
        and (not given.domain or command.domain in given.domain)
    ]
    rng.shuffle(chosen)
    tally: Counter[tuple[str, str, str, bool]] = Counter()
    references: dict[Command, Reference] = {}
    try:
        for number in range(given.kills):
            turn, place = divmod(number, len(chosen))
            command = chosen[place]
            folder = base / f"{command.domain}-{command.stage}"
            if command not in references:
                references[command] = reference(command, base, folder)
            known = ["random", *sorted(references[command].passed)]
            boundary = known[(turn + place) % len(known)]
            # Drawn, since signals in turn would meet the same boundaries each time.
            sent = rng.choice(SIGNALS)
            after = rng.random() < 0.5
            wrong = once(command, base, folder, references[command], sent, boundary, after, rng)
            tally[command.stage, boundary, sent.name, wrong is None] += 1
            where = boundary if boundary == "random" else f"{('before', 'after')[after]} {boundary}"
            said = f"{command.domain} {command.stage} {sent.name} {where}: {wrong or 'same'}"
            print(said, flush=True)
            if wrong:
                shutil.copytree(folder, base / f"wrong-{number}", dirs_exist_ok=True)
    except KeyboardInterrupt:
        print("stopped")
    print(table(tally))


def once(
    command: Command,
    base: Path,
    folder: Path,
    expected: Reference,
    sent: signal.Signals,
    boundary: str,
    after: bool,
    rng: random.Random,
) -> str | None:
    """Kill a command, go on with it, and compare; what was wrong, or None."""
    count = rng.randint(1, expected.passed.get(boundary, 1))
    delay_s = rng.uniform(0, expected.seconds) if boundary == "random" else None
    begin(command, base, folder)
    kill = Kill(boundary, sent, count=count, after=after)
    code = child(command.line(), folder, kill, delay_s)
    if code not in DONE:
        if code != (-signal.SIGKILL if sent == signal.SIGKILL else INTERRUPTED):
            return f"exit code {code}"
        if (failed := finish(command, folder)) is not None:
            return failed
    if digest(command, folder) != expected.digest:
        return "other bytes"
    left = leftovers(command, folder)
    return f"left behind: {', '.join(left)}" if left else None


def table(tally: Counter[tuple[str, str, str, bool]]) -> str:
    """Same results of all kills, by stage, boundary and signal."""
    names = [number.name for number in SIGNALS]
    lines = [f"| stage | boundary | {' | '.join(names)} |", "|---|---|" + "--:|" * len(names)]
    for stage, boundary in sorted({key[:2] for key in tally}):
        cells = []
        for name in names:
            same, other = (tally[stage, boundary, name, fine] for fine in (True, False))
            cells.append(f"{same} of {same + other}" if same + other else "")
        lines.append(f"| {stage} | {boundary} | {' | '.join(cells)} |")
    same = sum(count for key, count in tally.items() if key[3])
    return "\n".join([*lines, f"\nthe same result after {same} of {sum(tally.values())} kills"])


if __name__ == "__main__":
    main()
