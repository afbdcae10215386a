"""``finetune`` as a process: killed in mid-epoch and resumed, with bit-identical results."""

import hashlib
import json
import signal

import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.runtime.forking import ForkServer

JOBS = """
import json, os, signal
from pathlib import Path
import keras, tensorflow
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.runtime.forking import serve
from aitk.stages.finetune import finetune
from aitk.stages.options import TrainingOptions

def train(folder):
    data, out, how = json.loads((folder / "job.json").read_text())

    class Killing(Silent):
        def update(self, what, done, total, detail=""):
            if how == "kill" and what.startswith("epoch 2") and done == total // 2:
                os.kill(os.getpid(), signal.SIGKILL)

    finetune(
        Path(data),
        Path(out),
        domain="nlp",
        options=resolve(
            TrainingOptions, {"model": "cnn", "epochs": 3, "batch_size": 8, "save_minutes": 0.0005}
        ),
        settings={"hidden": 8, "filters": 8, "vocabulary_size": 400},
        resume=how == "resume",
        reporter=Killing(),
    )

serve(train)
"""


@pytest.fixture
def run_training(tmp_path, monkeypatch):
    """Train in a process of its own, forked from one that has imported TensorFlow."""
    (tmp_path / "training_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    server = ForkServer("training_jobs")

    def run(data, out, how):
        (tmp_path / "job.json").write_text(json.dumps([str(data), str(out), how]))
        return server.run(tmp_path).code

    yield run
    server.stop()


def weights_hash(run):
    digest = hashlib.sha256()
    for weight in load_keras(load_run(run).model_path).weights:
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.slow
def test_killed_and_resumed_is_as_if_never_killed(good_or_bad, tmp_path, run_training):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run_training(good_or_bad, whole, "through") == 0
    assert run_training(good_or_bad, cut, "kill") == -signal.SIGKILL
    assert (tmp_path / "cut.part" / "state" / "training.npz").is_file()
    assert not cut.exists()
    assert run_training(good_or_bad, cut, "resume") == 0
    assert weights_hash(cut) == weights_hash(whole)


def test_a_computed_model_has_one_epoch_and_what_it_validates_at(ease_run):
    run = load_run(ease_run)
    assert [row["epoch"] for row in run.history] == [1]
    assert run.metrics["validation"]["metrics"]["ndcg@10"]["value"] > 0.5
    assert run.manifest["settings"]["l2"] == 5
    assert run.manifest["load_report"] == []


def test_a_computed_model_is_given_no_weights_from_another_source(
    choices, ease_run, train_log, tmp_path
):
    with pytest.raises(UsageError, match="ease is a closed-form model"):
        train_log(choices, tmp_path / "run", from_=str(ease_run))
    assert list(tmp_path.iterdir()) == []


SMALL = {"hidden": 4, "layers": 1, "heads": 1, "max_length": 6}


def item_vectors(run):
    """The learned vector of each item, by its id."""
    from aitk.recsys.features.assets import load_log_assets

    backbone = load_keras(run.model_path).get_layer("backbone")
    (weight,) = [each for each in backbone.weights if each.name == "item_vectors"]
    items = load_log_assets(run.assets).items
    return dict(zip(items, np.asarray(weight)[1:], strict=False))


def test_what_was_pretrained_on_one_catalogue_serves_another(choices, prepare_log, train_log,
                                                            tmp_path):  # fmt: skip
    visits = [f"v{n},{'qz'[n % 2]}{(n + place) % 6},3,{n + place}"
              for n in range(12) for place in range(4)]  # fmt: skip
    base = train_log(prepare_log("masked-items", lines=visits), tmp_path / "base",
                     objective="masked-items", model="sasrec", settings=SMALL)  # fmt: skip
    # Nothing is learned at a rate of 0: what is there was taken over.
    out = train_log(choices, tmp_path / "run", from_=str(base), learning_rate=0.0)
    old, new = (item_vectors(load_run(folder)) for folder in (base, out))
    shared = old.keys() & new.keys()
    assert shared == {f"q{n}" for n in range(6)}
    assert new.keys() - old.keys() == {f"p{n}" for n in range(6)}
    assert all(np.array_equal(old[item], new[item]) for item in shared)
    manifest = load_run(out).manifest
    assert manifest["parent"] == str(base) and manifest["model"] == "sasrec"
    assert manifest["load_report"][-1] == (
        "not taken: vectors of 6 of 12 items (items missing from the source)"
    )
    with pytest.raises(ArtifactError, match="vectors have size 4 instead of 8"):
        train_log(choices, tmp_path / "wide", from_=str(base), settings={"hidden": 8})
    assert not (tmp_path / "wide").exists()
