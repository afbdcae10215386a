"""A run folder: a trained model with everything needed to use, evaluate and repeat it."""

from __future__ import annotations

import csv
import glob
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aitk import __version__
from aitk.core.artifacts.drafts import missing_hint, recover
from aitk.core.artifacts.marker import MARKER, alone_in
from aitk.core.artifacts.run_draft import RunDraft
from aitk.core.artifacts.run_layout import (
    BASELINES,
    DECODING_FILES,
    EVALUATED_ROW,
    EXECUTABLE,
    FORMAT,
    LEARNED,
    MANIFEST,
    METRICS,
    MODEL_FILES,
)
from aitk.core.artifacts.targets import part_of
from aitk.core.contract.errors import ArtifactError
from aitk.core.io.files import atomic_text, fingerprint, write_bytes, write_json
from aitk.core.io.json_files import Count, check_shape, parse_line, read_json, read_text
from aitk.core.io.names import check_text, fit_name
from aitk.core.io.spool import load_line
from aitk.core.metrics.baselines import MOST_ROWS, BaselineScores, spread

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Run:
    """A complete run on disk, read only.

    Attributes:
        trusted: whether its model may be executed even if it is a program.
    """

    folder: Path
    manifest: Mapping[str, Any]
    trusted: bool = False

    @property
    def task(self) -> str:
        return self.manifest["task"]

    @property
    def model(self) -> str:
        return self.manifest["model"]

    @property
    def settings(self) -> dict[str, Any]:
        """The model's settings, in the form of ``--set``."""
        return dict(self.manifest["settings"])

    @property
    def reading(self) -> dict[str, Any]:
        """The options with which its data was read and cleaned."""
        return dict(self.manifest["data"]["reading"])

    @property
    def data(self) -> Path | None:
        """The prepared data it was trained on, if it still exists."""
        path = self.folder / self.manifest["data"]["folder"]
        return path.resolve() if os.path.isdir(path) else None

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
        return read_json(path, METRICS) if path.exists() else {}

    @property
    def history(self) -> list[dict[str, float | None]]:
        """One mapping per epoch, as recorded in training; None for an empty cell."""
        path = self.folder / "history.csv"
        if not path.exists():
            return []
        text = read_text(path)
        try:
            lines = list(csv.DictReader(io.StringIO(text, newline="")))
            history = [
                {name: float(value) if value else None for name, value in line.items()}
                for line in lines
            ]
        except (TypeError, ValueError, csv.Error) as error:
            raise ArtifactError(f"is damaged ({error})", where=str(path)) from error
        for number, line in enumerate(history, 2):
            if line.get("epoch") is None or not all(map(_is_finite, line.values())):
                raise ArtifactError("is not a training epoch", where=f"{path}:{number}")
        return history

    @property
    def learned(self) -> list[dict[str, Any]]:
        """The fields of the rows learned in updates, oldest first."""
        path = self.folder / LEARNED
        if not path.exists():
            return []
        return _read_lines(path, load_line, dict)

    def model_bytes(self) -> int:
        """Size of the model's files or folder."""
        path = self.model_path
        files = list(path.rglob("*")) if path.is_dir() else [path]
        if self.format == "onnx":
            files += [self.folder / name for name in DECODING_FILES.values()]
        return sum(file.stat().st_size for file in files if file.is_file())

    def add_evaluation(
        self,
        name: str,
        result: Mapping[str, Any],
        rows: list[dict],
        *,
        pictures: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Store an evaluation: its metrics, one line per row for paired comparisons, its images.

        Args:
            pictures: ``caption`` and ``png`` of each; the metrics refer to their files.
        """
        folder = self.folder / "evaluations"
        folder.mkdir(exist_ok=True)
        with alone_in(folder):
            self._replace_evaluation(name, result, rows, pictures)

    def _replace_evaluation(
        self,
        name: str,
        result: Mapping[str, Any],
        rows: list[dict],
        pictures: Sequence[Mapping[str, Any]],
    ) -> None:
        folder, stem = self.folder / "evaluations", _stem(name)
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

    def save_baselines(
        self, name: str, keys: Sequence[str], scores: Sequence[BaselineScores]
    ) -> None:
        """Store baseline scores on the rows of an evaluation, for reuse.

        Args:
            keys: keys of the rows.
        """
        values = [
            {"name": each.name, "value": each.value, "per_row": each.per_row.round(6).tolist()}
            for each in scores
        ]
        path = self._baselines_path(name)
        path.parent.mkdir(exist_ok=True)
        with alone_in(path.parent):
            write_json(path, {"key": self._baselines_key(keys), "baselines": values})

    def load_baselines(self, name: str, keys: Sequence[str]) -> list[BaselineScores] | None:
        """Stored baseline scores on the rows of an evaluation, or None."""
        path = self._baselines_path(name)
        if not path.is_file():
            return None
        kept = read_json(path, BASELINES)
        if kept["key"] != self._baselines_key(keys):
            return None
        scores = [
            BaselineScores(each["name"], each["value"], np.array(each["per_row"], float))
            for each in kept["baselines"]
        ]
        if any(len(each.per_row) != len(spread(len(keys), MOST_ROWS)) for each in scores):
            raise ArtifactError("does not have a score for each row", where=str(path))
        return scores

    def _baselines_path(self, name: str) -> Path:
        return self.folder / "evaluations" / f"{_stem(name)}-baselines.json"

    def _baselines_key(self, keys: Sequence[str]) -> str:
        """A hash of what the scores depend on: training data, rows, and their computation."""
        train = self.manifest["data"]["fingerprint"]
        return fingerprint({"aitk": __version__, "train": train, "rows": list(keys)})

    def copy_into(self, draft: Path) -> None:
        """Copy the run into the draft of another run."""
        marker = shutil.ignore_patterns(MARKER)
        shutil.copytree(self.folder, draft, ignore=marker, dirs_exist_ok=True)

    def evaluation_rows(self, name: str) -> list[dict[str, Any]]:
        """The per-row results of one evaluation."""
        path = self.folder / "evaluations" / f"{_stem(name)}.jsonl"
        if not os.path.exists(path):  # false also for invalid file names
            raise ArtifactError(
                f"no evaluation on {name!r}",
                where=str(self.folder),
                hint=f"Run: aitk {self.task.split('.')[0]} evaluate {self.folder}",
            )
        return _read_lines(path, parse_line, EVALUATED_ROW)


def _read_lines(path: Path, parse: Callable[..., Any], shape: Any) -> list[dict[str, Any]]:
    """The objects of a JSON lines file, checked against a shape."""
    rows = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line:
            where = f"{path}:{number}"
            rows.append(parse(line, where=where))
            check_shape(rows[-1], shape, where=where)
    return rows


def _stem(name: str) -> str:
    """The file stem of an evaluation."""
    return fit_name(name.replace("/", "_"))


def load_run(folder: Path | str, *, domain: str | None = None, trust: bool | None = None) -> Run:
    """Open a run folder and check that it is complete, and of the given domain if any.

    Args:
        trust: whether a model that is a program may be executed; None if none will be.
    """
    folder = Path(folder)
    path = folder / "run.json"
    check_text(folder)
    if not os.path.isdir(folder):
        recover(folder)
    if not os.path.isdir(folder):
        hint = missing_hint(folder, resumable=RunDraft(part_of(folder)).resumable())
        raise ArtifactError("no such run", where=str(folder), hint=hint)
    if not path.is_file():
        prepared = (folder / "dataset.json").is_file()
        raise ArtifactError(
            "this is prepared data, not a run" if prepared else "not a run: it has no run.json",
            where=str(folder),
            hint="Train one with: aitk DOMAIN finetune DATA --out RUN",
        )
    manifest = read_json(path)
    check_shape(manifest, {"version": Count}, where=str(path))
    if manifest["version"] > FORMAT:
        raise ArtifactError(
            f"written by a newer aitk ({manifest.get('aitk')})",
            where=str(folder),
            hint="Update aitk",
        )
    check_shape(manifest, MANIFEST, where=str(path))
    run = Run(folder, manifest, trusted=bool(trust))
    if run.format not in MODEL_FILES:
        raise ArtifactError(f"unknown model format {run.format!r}", where=str(path))
    if not (run.model_path.is_file() or run.model_path.is_dir()):  # a pipe could be endless
        raise ArtifactError(f"{run.model_path.name} is missing", where=str(folder))
    own = run.task.partition(".")[0]
    if domain not in (None, own):
        raise ArtifactError(
            f"is a run of {run.task}, not of {domain}",
            where=str(folder),
            hint=f"Use: aitk {own} ...",
        )
    if trust is not None:
        check_trusted(run)
    return run


def check_trusted(run: Run) -> None:
    """Raise ``ArtifactError`` if the run's model is a program that is not trusted."""
    if run.format in EXECUTABLE and not run.trusted:
        raise ArtifactError(
            f"its {run.model_path.name} is a program that can read and write your files",
            where=str(run.folder),
            hint="Add --trust if you created it or trust its author",
        )


def read_figure(folder: Path, name: str) -> bytes | None:
    """A PNG image named in a run's ``metrics.json``.

    None if it is missing (a run may be copied without its evaluations), or if the name or a link
    points outside the run.
    """
    path = folder / name
    if not os.path.isfile(path) or not path.resolve().is_relative_to(folder.resolve()):
        return None
    content = path.read_bytes()
    return content if content.startswith(PNG) else None


def _is_finite(value: float | None) -> bool:
    return value is None or math.isfinite(value)
