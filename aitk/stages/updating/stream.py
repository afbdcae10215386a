"""``update --follow``: score each mini-batch of a stream, then learn it.

Prequential evaluation (Dawid 1984; Gama et al. 2013, "On evaluating stream learning algorithms"):
every row is predicted before it is learned, so that all of them score the model and none flatters
it. Detectors watch these scores, and how unusual the inputs are to the encoder of the first
version. Each mini-batch becomes a version; see ``versions``.
"""

from __future__ import annotations

import dataclasses
import datetime
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.opening import open_task
from aitk.core.artifacts.run import load_run
from aitk.core.artifacts.run_draft import new_run
from aitk.core.contract.capabilities import Grouped
from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter, Silent
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Task
from aitk.core.inference.prediction import measure_rows
from aitk.core.io.files import write_json
from aitk.core.io.json_files import read_json
from aitk.core.metrics.drift import Adwin, Detector, PageHinkley
from aitk.core.reporting.stream_report import stream_report
from aitk.core.runtime import interrupts
from aitk.core.runtime.startup import start_keras
from aitk.registry import load_task
from aitk.stages.options import TrainingOptions, UpdateOptions
from aitk.stages.training.records import measured_cost
from aitk.stages.updating.learner import Learner, is_better
from aitk.stages.updating.rows import read_new
from aitk.stages.updating.source import MiniBatch, Source
from aitk.stages.updating.versions import Versions

#: A mini-batch is few rows: without many old ones, and seen often, it would be learned by heart.
#: Chosen on CLINC150: see "A stream with planted drift" in bench/README.md.
STREAM_REPLAY, STREAM_EPOCHS = 4.0, 4
STATE, REPORT = "stream.json", "stream.html"
#: Held-out rows of earlier mini-batches that a new version is judged by, too.
RECENT_ROWS = 500
#: Training rows that say which inputs are usual.
REFERENCE_ROWS = 500
#: Rows that were refused (a label that is new, say) come again with this many mini-batches.
MOST_RETURNS = 5


def follow(
    versions: Versions,
    inputs: Sequence[str],
    *,
    domain: str,
    options: UpdateOptions,
    training: TrainingOptions,
    reporter: Reporter,
) -> Outcome:
    """Learn from a stream until it ends, or a signal ends it.

    It goes on where the versions end: each says how much of the source was read.

    Raises:
        UsageError: several inputs, or one that cannot be followed.
    """
    if len(inputs) != 1:
        raise UsageError("follows one file, or stdin", where="--follow", hint="Name one")
    run = versions.current()
    task = open_task(run, load_task)
    if isinstance(task, Grouped):
        raise UsageError(
            f"rows of {task.name} are made of a whole log", where="--follow",
            hint="Update it with a file of new events",
        )  # fmt: skip
    options = dataclasses.replace(
        options, replay=STREAM_REPLAY if options.replay is None else options.replay
    )
    training = dataclasses.replace(
        training, epochs=STREAM_EPOCHS if training.epochs is None else training.epochs
    )
    learner = Learner(run, task, options=options, training=training, reporter=Silent())
    learner.open()
    source = Source(
        inputs[0], every=options.every, seconds=options.seconds, idle=options.idle,
        header=getattr(learner.reading, "header", "auto"),
    )  # fmt: skip
    state = _State.open(versions, inputs[0], task)
    start_keras(reporter)
    stream = _Stream(versions, learner, state, options, reporter)
    with learner.start(), tempfile.TemporaryDirectory(prefix="aitk-stream-") as folder:
        stream.start()
        for batch in source.batches(0 if inputs[0] == "-" else state.offset):
            stream.learn(batch, source.write(batch, Path(folder)))
            if interrupts.requested():
                break
    interrupts.acknowledge()  # the regular way to end it
    if not state.batches:
        raise DataError("no row came", where=inputs[0])
    return _outcome(versions, task, state, domain)


class _State:
    """What is known of a stream: its mini-batches, their scores, drifts; ``stream.json``."""

    def __init__(self, path: Path, values: dict[str, Any]):
        self._path, self.values = path, values

    @classmethod
    def open(cls, versions: Versions, source: str, task: Task) -> _State:
        path = versions.folder / STATE
        values: dict[str, Any] = {
            "task": task.name,
            "metric": task.metric.name,
            "higher_is_better": task.metric.higher_is_better,
            "sources": {},
            "batches": [],
        }
        if path.exists():
            values |= read_json(path)
        state = cls(path, values)
        booked = {batch["version"] for batch in state.batches}
        for version in versions.all():  # a kill came before it was booked
            entry = load_run(version).manifest.get("stream")
            if entry and entry["version"] not in booked and entry["version"] == version.name:
                state.book(entry)
        state.source = str(source) if source == "-" else str(Path(source).resolve())
        return state

    source: str

    @property
    def batches(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.values["batches"]
        return found

    @property
    def offset(self) -> int:
        return int(self.values["sources"].get(self.source, 0))

    @property
    def rows(self) -> int:
        """Rows that were scored so far."""
        return sum(batch["rows"] for batch in self.batches)

    def book(self, batch: Mapping[str, Any]) -> None:
        self.batches.append(dict(batch))
        self.values["sources"][batch["source"]] = batch["offset"]

    def save(self) -> None:
        write_json(self._path, self.values)


class _Stream:
    """Scores, watches and learns mini-batches."""

    def __init__(
        self,
        versions: Versions,
        learner: Learner,
        state: _State,
        options: UpdateOptions,
        reporter: Reporter,
    ):
        self.versions, self.learner, self.state = versions, learner, state
        self.options, self.reporter = options, reporter
        self._recent: list[dict[str, Any]] = []
        self._returned: list[tuple[Row, int]] = []
        self._detectors: dict[str, Detector] = {}
        self._novelty: _Novelty | None = None

    def start(self) -> None:
        """Learn which inputs are usual, and show the detectors what was scored before."""
        if self.options.drift == "none":
            return
        kind = {"adwin": Adwin, "page-hinkley": PageHinkley}[self.options.drift]
        self._detectors = {"score": kind(), "inputs": kind()}
        self._novelty = _Novelty.of(self.learner)

    def learn(self, batch: MiniBatch, path: Path) -> None:
        """Score a mini-batch, then learn it as a version."""
        learner, task, reporter = self.learner, self.learner.task, self.reporter
        first = self.state.rows
        read = list(task.read([str(path)], learner.reading, labelled=True, note=_quiet))
        rows = [dict(item.fields) for item in read if isinstance(item, Row)]
        entry: dict[str, Any] = {
            "source": self.state.source,
            "offset": batch.offset,
            "at": _moment(batch.at),
            "first_row": first,
            "rows": len(rows),
            "refused": len(read) - len(rows),
            "drifts": [],
        }
        if rows:
            entry |= self._score(rows, first, batch.at)
        kept = [*read, *(row for row, _ in self._returned)]
        assets, extended = task.extend(
            iter(kept), learner.assets, learner.known, reading=learner.reading
        )
        items = list(extended)
        self._keep_returned(kept, items)
        out = self.versions.next()
        entry["version"] = out.name
        usable = [item for item in items if isinstance(item, Row)]
        if not usable:
            reporter.note(f"rows {first:,} to {first + len(rows):,}: nothing to learn")
            self._book(entry | {"version": None})
            return
        new = read_new(task, iter(usable), [self.state.source], reporter)
        entry["labels"] = len(getattr(assets, "labels", ()))
        with new_run(out, overwrite=True) as draft, measured_cost() as cost:
            updated = learner.learn(
                new, assets, draft, inputs=[self.state.source], recent=self._recent, select=False
            )
            better, _ = is_better(task, updated.record, options=self.options)
            better = better or not self.options.keep_if_better
            entry |= {
                "learned": updated.record["rows"],
                "replayed": updated.record["replayed"],
                "old": updated.record["after"]["old"],
                "old_before": updated.record["before"]["old"],
                "new_before": updated.record["before"].get("new"),
                "new": updated.record["after"].get("new"),
                "current": better,
            }
            learner.save(updated, draft, out.name, cost(), {"stream": entry})
        if better:
            self.versions.promote(out)
        learner.take_if(better, updated, load_run(out))
        self._recent = [*self._recent, *new.held_out][-RECENT_ROWS:]
        self._book(entry)

    def _score(self, rows: Sequence[dict[str, Any]], first: int, at: float) -> dict[str, Any]:
        """The prequential score of a mini-batch, and where the stream has changed."""
        from aitk.core.inference.predictors import KerasPredictor

        learner = self.learner
        measured = measure_rows(
            rows, learner.task, learner.assets, KerasPredictor(learner.model),
            batch_size=learner.batch_size,
        )  # fmt: skip
        evaluation = learner.task.score(measured, learner.assets)
        signals = {"score": np.asarray(evaluation.per_row, float)}
        if self._novelty is not None:
            signals["inputs"] = self._novelty.of_rows(rows)
        drifts = []
        for name, detector in self._detectors.items():
            for place, value in enumerate(signals.get(name, ())):
                if np.isfinite(value) and detector.update(float(value)):
                    drifts.append({"signal": name, "row": first + place, "at": _moment(at)})
                    self.reporter.warn(f"drift of the {name} at row {first + place:,}")
        return {
            "score": float(evaluation.metrics[learner.task.metric.name].value),
            "inputs": float(np.mean(signals["inputs"])) if "inputs" in signals else None,
            "drifts": drifts,
        }

    def _keep_returned(self, kept: Sequence[Row | Refusal], items: Sequence[Row | Refusal]) -> None:
        """Rows that were refused come again: a label may be new, and have too few rows yet."""
        times = {id(row): count for row, count in self._returned}
        refused = {(item.file, item.line) for item in items if isinstance(item, Refusal)}
        self._returned = [
            (item, times.get(id(item), 0) + 1)
            for item in kept
            if isinstance(item, Row)
            and (item.file, item.line) in refused
            and times.get(id(item), 0) < MOST_RETURNS
        ]

    def _book(self, entry: dict[str, Any]) -> None:
        self.state.book(entry)
        self.state.save()
        stream_report(
            self.state.values, self.versions.folder / REPORT, name=self.versions.folder.name
        )
        name = self.state.values["metric"]
        rows = f"rows {entry['first_row']:,} to {entry['first_row'] + entry['rows']:,}"
        score = (
            f": {name} {entry['score']:.4f} before they were learned" if "score" in entry else ""
        )
        after = f", held-out {entry['old']:.4f}, {entry['version']}" if "old" in entry else ""
        kept = "" if entry.get("current", True) else " (not made the current one)"
        self.reporter.note(f"{rows}{score}{after}{kept}")


class _Novelty:
    """How unusual inputs are to an encoder: the mean distance of its outputs from those of training
    rows, in standard deviations of these."""

    def __init__(self, encode: Any, mean: np.ndarray, deviation: np.ndarray):
        self._encode, self._mean, self._deviation = encode, mean, deviation

    @classmethod
    def of(cls, learner: Learner) -> _Novelty | None:
        """Of the model as it is now; None where it has no encoder."""
        encode = learner.encoder()
        if encode is None:
            return None
        known = learner.data.rows("train")
        numbers = np.random.default_rng(0).permutation(len(known))[:REFERENCE_ROWS]
        vectors = encode(known.take(numbers))
        return cls(encode, vectors.mean(axis=0), vectors.std(axis=0) + 1e-6)

    def of_rows(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """(rows,): about 0.8 for inputs like those of training."""
        apart = np.abs(self._encode(rows) - self._mean) / self._deviation
        return np.minimum(apart, 10.0).mean(axis=1)


def _outcome(versions: Versions, task: Task, state: _State, domain: str) -> Outcome:
    batches = [batch for batch in state.batches if "old" in batch]
    scored = [batch for batch in state.batches if "score" in batch]
    rows = sum(batch["rows"] for batch in scored)
    drifts = [drift for batch in state.batches for drift in batch["drifts"]]
    facts: dict[str, Any] = {
        "versions": str(versions.folder),
        "task": task.name,
        "rows": rows,
        "updates": len(batches),
        "current": versions.current().folder.name,
        "drifts": drifts,
    }
    if scored:
        total = sum(batch["score"] * batch["rows"] for batch in scored)
        facts[f"prequential_{task.metric.name}"] = total / max(1, rows)
    if batches:
        facts["held_out"] = {"before": batches[0]["old_before"], "after": batches[-1]["old"]}
    return Outcome(
        facts=facts | {"report": str(versions.folder / REPORT)},
        table=[
            {
                "version": batch["version"],
                "rows": batch["rows"],
                f"{task.metric.name} before": batch.get("score"),
                "held-out": batch["old"],
                "drift": ", ".join(f"{d['signal']} at {d['row']}" for d in batch["drifts"]),
            }
            for batch in batches
        ],
        refused=sum(batch["refused"] for batch in state.batches),
        next=f"aitk {domain} evaluate {versions.folder / 'current'}",
    )


def _moment(at: float) -> str:
    """A time as ISO 8601, in UTC."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="seconds")


def _quiet(sentence: str) -> None:
    """What reading decides by itself was reported when the data was prepared."""
