"""A run folder: a trained model with everything needed to use, judge and repeat it.

The one file that knows the layout::

    run.json        how it was made: task, model, settings, options, data, versions, cost
    model.keras     or model.tflite, model.onnx, saved_model/, model.json + model.weights.h5
    assets/         labels, tokeniser, statistics
    metrics.json    evaluations by name of the data they were made on
    history.csv     one line an epoch
    learned.jsonl   rows that ``update`` taught it since its data was prepared
    report.html     opens offline
    README.md       the model card
    evaluations/    per-row results, for paired comparisons

A run is written as ``NAME.part`` and renamed when whole; ``NAME.part/state/`` holds what an
interrupted training needs to go on.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aitk import __version__
from aitk.core.errors import ArtifactError, UsageError
from aitk.core.files import atomic_text, draft_folder, part_of, write_bytes, write_json
from aitk.core.spool import dump_line, load_line

FORMAT = 1
MODEL_FILES = {
    "keras": "model.keras",
    "keras-quantized": "model.weights.h5",
    "litert": "model.tflite",
    "onnx": "model.onnx",
    "saved_model": "saved_model",
}


LEARNED = "learned.jsonl"


@dataclass(frozen=True)
class Run:
    """A whole run on disk, read only."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def task(self) -> str:
        return self.manifest["task"]

    @property
    def model(self) -> str:
        return self.manifest["model"]

    @property
    def settings(self) -> dict[str, Any]:
        """The model's settings, as ``--set`` takes them."""
        return dict(self.manifest["settings"])

    @property
    def reading(self) -> dict[str, Any]:
        """How rows were read and cleaned when its data was prepared."""
        return dict(self.manifest["data"]["reading"])

    @property
    def data(self) -> Path | None:
        """The prepared data it was trained on, where that still exists."""
        path = Path(self.manifest["data"]["folder"])
        path = path if path.is_absolute() else (self.folder / path).resolve()
        return path if path.is_dir() else None

    @property
    def format(self) -> str:
        return self.manifest["format"]

    @property
    def model_path(self) -> Path:
        return self.folder / MODEL_FILES[self.format]

    @property
    def assets(self) -> Path:
        return self.folder / "assets"

    @property
    def metrics(self) -> dict[str, Any]:
        path = self.folder / "metrics.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    @property
    def history(self) -> list[dict[str, float | None]]:
        """One mapping an epoch, as training recorded it; None where a cell is empty."""
        path = self.folder / "history.csv"
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        try:
            return [
                {name: float(value) if value else None for name, value in line.items()}
                for line in lines
            ]
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"is damaged ({error})", where=str(path)) from error

    @property
    def learned(self) -> list[dict[str, Any]]:
        """The fields of the rows that updates have taught it, oldest first."""
        path = self.folder / LEARNED
        if not path.exists():
            return []
        try:
            return [load_line(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except ValueError as error:
            raise ArtifactError(f"is damaged ({error})", where=str(path)) from error

    def model_bytes(self) -> int:
        """Size of the model's file or folder."""
        path = self.model_path
        files = path.rglob("*") if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files if file.is_file())

    def add_evaluation(
        self,
        name: str,
        result: Mapping[str, Any],
        rows: list[dict],
        *,
        pictures: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Keep an evaluation: its metrics, one line a row for paired comparisons, its pictures.

        Args:
            pictures: ``caption`` and ``png`` of each; the metrics name their files.
        """
        folder, stem = self.folder / "evaluations", name.replace("/", "_")
        folder.mkdir(exist_ok=True)
        for old in folder.glob(f"{glob.escape(stem)}-*.png"):
            old.unlink()
        kept = []
        for number, picture in enumerate(pictures, 1):
            path = folder / f"{stem}-{number}.png"
            write_bytes(path, picture["png"])
            inside = str(path.relative_to(self.folder))
            kept.append({"caption": picture["caption"], "file": inside})
        entry = dict(result) | ({"pictures": kept} if kept else {})
        write_json(self.folder / "metrics.json", self.metrics | {name: entry})
        if rows:
            with atomic_text(folder / f"{stem}.jsonl") as file:
                for row in rows:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def evaluation_rows(self, name: str) -> list[dict[str, Any]]:
        """The per-row results of one evaluation."""
        path = self.folder / "evaluations" / f"{name.replace('/', '_')}.jsonl"
        if not path.exists():
            raise ArtifactError(
                f"no evaluation on {name!r}",
                where=str(self.folder),
                hint=f"Run: aitk {self.task.split('.')[0]} evaluate {self.folder}",
            )
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def load_run(folder: Path | str, *, domain: str | None = None) -> Run:
    """Open a run folder and check that it is whole, and of the domain if one is named."""
    folder = Path(folder)
    path = folder / "run.json"
    if not folder.is_dir():
        hint = None
        if part_of(folder).is_dir():
            hint = "It was interrupted: repeat its command with --resume"
        raise ArtifactError("no such run", where=str(folder), hint=hint)
    if not path.is_file():
        prepared = (folder / "dataset.json").is_file()
        raise ArtifactError(
            "this is prepared data, not a run" if prepared else "not a run: it has no run.json",
            where=str(folder),
            hint="Train one with: aitk DOMAIN finetune DATA --out RUN",
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        run = Run(folder, manifest)
        exists = run.model_path.exists()
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"run.json is damaged ({error})", where=str(path)) from error
    if manifest.get("version", 0) > FORMAT:
        raise ArtifactError(
            f"written by a newer aitk ({manifest.get('aitk')})",
            where=str(folder),
            hint="Update aitk",
        )
    if not exists:
        raise ArtifactError(f"{run.model_path.name} is missing", where=str(folder))
    own = run.task.partition(".")[0]
    if domain not in (None, own):
        raise ArtifactError(
            f"is a run of {run.task}, not of {domain}",
            where=str(folder),
            hint=f"Use: aitk {own} ...",
        )
    return run


@dataclass
class RunDraft:
    """A run while it is being written, at ``NAME.part``."""

    folder: Path

    @property
    def state(self) -> Path:
        """Where an interrupted training leaves what it needs to go on."""
        return self.folder / "state"

    @property
    def assets(self) -> Path:
        return self.folder / "assets"

    def resumable(self) -> bool:
        return self.state.is_dir() and any(self.state.iterdir())

    def model_path(self, format: str) -> Path:
        return self.folder / MODEL_FILES[format]

    def write(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content, encoding="utf-8")

    def write_learned(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep the rows that an update has learnt, for the next one to build on."""
        with (self.folder / LEARNED).open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(dump_line(row) + "\n")

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write ``run.json``, the last file: its presence means that the run is whole."""
        shutil.rmtree(self.state, ignore_errors=True)
        write_json(
            self.folder / "run.json", {"version": FORMAT, "aitk": __version__} | dict(manifest)
        )


@contextlib.contextmanager
def new_run(out: Path, *, overwrite: bool = False, resume: bool = False) -> Iterator[RunDraft]:
    """Write a run: whole under its name, or not at all.

    On an error the draft is kept only if it holds a training state to resume from.
    """
    out = Path(out)
    draft = RunDraft(part_of(out))
    if resume and not draft.resumable():
        raise ArtifactError(
            "nothing to resume", where=str(draft.folder), hint="Repeat it without --resume"
        )
    if not resume and draft.folder.exists():
        if draft.resumable() and not overwrite:
            raise UsageError(
                "an interrupted run is there",
                where=str(draft.folder),
                hint="Go on with --resume, or start anew with --overwrite",
            )
        shutil.rmtree(draft.folder)
    with draft_folder(out, overwrite=overwrite, keep=lambda part: draft.resumable()):
        draft.assets.mkdir(exist_ok=True)
        yield draft
        if not (draft.folder / "run.json").is_file():
            raise RuntimeError(f"the run {out} was left unfinished")
