"""``finetune`` as a process: killed in mid-epoch, resumed, and the same bits come out."""

import hashlib
import os
import signal
import subprocess
import sys

from aitk.core.keras_file import load_keras
from aitk.core.run import load_run

TRAIN = """
import os, signal, sys
from pathlib import Path
from aitk.core.options import resolve
from aitk.core.progress import Silent
from aitk.stages.finetune import finetune
from aitk.stages.options import TrainingOptions

data, out, how = sys.argv[1:]

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
"""


def run_training(data, out, how):
    command = [sys.executable, "-c", TRAIN, str(data), str(out), how]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(command, env=environment, capture_output=True, text=True).returncode


def weights_hash(run):
    digest = hashlib.sha256()
    for weight in load_keras(load_run(run).model_path).weights:
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


def test_killed_and_resumed_is_as_if_never_killed(good_or_bad, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run_training(good_or_bad, whole, "through") == 0
    assert run_training(good_or_bad, cut, "kill") == -signal.SIGKILL
    assert (tmp_path / "cut.part" / "state" / "current").is_dir()
    assert not cut.exists()
    assert run_training(good_or_bad, cut, "resume") == 0
    assert weights_hash(cut) == weights_hash(whole)
