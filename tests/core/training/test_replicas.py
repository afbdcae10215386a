"""Several ranks take the steps of one process, though one of them dies."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest


@pytest.mark.slow
def test_ranks_end_with_the_weights_of_one_process_though_one_is_killed(tmp_path):
    import aitk

    rows = ["text,label"]
    rows += [f"{'good' if number % 2 else 'bad'} thing {number % 11},{number % 2}"
             for number in range(120)]  # fmt: skip
    (tmp_path / "rows.csv").write_text("\n".join(rows) + "\n")
    data = aitk.prepare(tmp_path / "rows.csv", task="nlp.classify", out=tmp_path / "data")
    killed = []

    def kill_rank_1(progress):
        if progress.kind == "step" and progress.text.startswith("epoch 1") and not killed:
            killed.append(rank_1())
            os.kill(killed[0], signal.SIGKILL)

    settings = {"vocabulary_size": 300, "dropout": 0}
    given = {"model": "bag", "epochs": 2, "batch_size": 25, "settings": settings}
    one = aitk.finetune(data, out=tmp_path / "one", **given)
    two = aitk.finetune(
        data, out=tmp_path / "two", ranks=2, save_minutes=0.0, progress=kill_rank_1, **given
    )
    assert killed
    for first, second in zip(one.model.get_weights(), two.model.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


def rank_1() -> int:
    """The process that was told to be rank 1 by this one."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if b'"index": 1}' in environment and int(parent) == os.getpid():
            return int(folder.name)
    pytest.fail("there is no rank 1")
