"""``compress --search`` with a stand-in for compression: which points it keeps and names."""

import json
import shutil

import pytest

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.options import resolve
from aitk.stages.compressing.search import search
from aitk.stages.options import CompressOptions

#: Scheme -> the weights of what it makes, and the spaces that make its file larger.
MADE = {"none": ([1, 1], 400), "dynamic": ([1, 1], 40), "static": ([0, 1], 0)}


@pytest.fixture
def find(write_data, write_run, heard, tmp_path, monkeypatch):
    """Search from a run that is always right; counts what was compressed."""
    rows = [("yes yes", "yes"), ("no", "no"), ("yes", "yes"), ("no no yes", "no")] * 3
    data = write_data("data", train=rows, validation=rows, test=rows[:4])
    run = write_run("run", data, [1, 1])
    monkeypatch.setattr("aitk.stages.compressing.search.require_float_run", lambda run, verb: None)
    made = []

    def compress(source, folder, *, options):
        if options.quantize not in MADE:
            raise ArtifactError("does not suit")
        weights, spaces = MADE[options.quantize]
        shutil.copytree(source, folder)
        (folder / "model.onnx").write_text(json.dumps(weights) + " " * spaces)
        made.append(options)

    def call(**options):
        return search(
            run,
            tmp_path / "out",
            options=resolve(CompressOptions, {"resamples": 20} | options),
            trials=3,
            seed=0,
            compress=compress,
            reporter=heard,
        )

    return call, made, tmp_path / "out"


def test_the_front_the_knee_and_what_does_not_suit(find):
    call, made, out = find
    outcome = call()
    found = json.loads((out / "search.json").read_text())
    points = {line["point"]: line for line in found["points"]}
    assert set(points) == {"the run itself", "float32", "dynamic", "static"}  # float16 did not suit
    assert points["static"]["drop"] > 0 == points["dynamic"]["drop"]
    assert points["the run itself"]["front"]  # nothing is smaller, and it is always right
    assert found["knee"] in points and points[found["knee"]]["knee"]
    assert outcome.missed is None
    assert "test accuracy" in outcome.table[0]  # scored on other rows than they were chosen on
    assert all(options.split == "validation" for options in made)
    assert (out / "report.html").read_text().count("<svg") == 2


def test_a_combination_that_changes_nothing_is_left_out(find, monkeypatch, heard):
    call, *_ = find
    monkeypatch.setattr(
        "aitk.stages.compressing.search._space", lambda run, options: {"prune_heads": (0.0, 0.5)}
    )

    def refuse(old, place, changes, options, compress):
        if changes:
            raise UsageError("a share of 0.5 takes none of 1 heads")
        return old.folder

    monkeypatch.setattr("aitk.stages.compressing.search._network", refuse)
    assert call().facts["points"] == 4
    assert any("takes none of 1 heads" in note for note in heard.notes)


def test_repeated_it_makes_nothing_anew_and_another_search_is_refused(find):
    call, made, _ = find
    call()
    count = len(made)
    assert call(max_bytes=1).missed == "no point of the front is within the budgets"
    assert len(made) == count
    with pytest.raises(ArtifactError, match="other options"):
        call(quantize="dynamic")
