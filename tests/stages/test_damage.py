"""For any damage to a run, ``predict`` and the report work, or exit with 4 and one line."""

import itertools
import shutil

import pytest

from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.progress import Silent
from aitk.stages.evaluate import refresh_pages
from aitk.stages.options import PredictOptions
from aitk.stages.predict import predict
from tests.stages.damage import changes, damaged_copy

#: Of all changes every so many are tried, and others in each part of the suite.
EVERY, PARTS = 40, 4


def predict_file(run, file):
    predict(
        run,
        [str(file)],
        out="-",
        domain="nlp",
        options=PredictOptions(),
        write=lambda text: None,
        reporter=Silent(),
    )


@pytest.mark.parametrize("part", range(PARTS))
def test_a_damaged_run_is_damage_and_nothing_else(onnx_run, tmp_path, part):
    (tmp_path / "in.csv").write_text("text\ngood day\nbad\n")
    first = part * EVERY // PARTS
    for change in itertools.islice(changes(onnx_run), first, None, EVERY):
        if "'reading'" in change[0]:
            continue  # options that no file has: said as if they were the user's
        run = damaged_copy(onnx_run, tmp_path / "run", change)
        try:
            predict_file(run, tmp_path / "in.csv")
            refresh_pages(load_run(run))
        except ArtifactError as error:
            assert str(run) in error.line and "\n" not in error.line, change[0]
        except Exception as error:
            raise AssertionError(change[0]) from error


def test_labels_that_were_cut_are_noticed(onnx_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(onnx_run, run)
    text = (run / "assets" / "text.json").read_text()
    (run / "assets" / "text.json").write_text(text.replace('"down",', ""))
    (tmp_path / "in.csv").write_text("text\ngood day\n")
    with pytest.raises(ArtifactError, match="has 2 outputs, but its assets need 1"):
        predict_file(run, tmp_path / "in.csv")
