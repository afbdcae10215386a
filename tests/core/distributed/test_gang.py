"""Ranks over local processes: all of them or none, and again where one dies."""

import json
import os
import textwrap

import pytest

from aitk.core.contract.errors import DataError, TrainingError, UsageError
from aitk.core.contract.progress import Silent
from aitk.core.distributed.gang import Rank, current_rank, gang

WORK = """
    import os, signal, time
    from pathlib import Path
    from aitk.core.contract.errors import DataError
    from aitk.core.distributed.gang import current_rank

    def count(common, *, reporter):
        rank, folder = current_rank(), Path(common["folder"])

        def work(shard):
            attempt = shard["attempt"]
            (folder / f"{attempt}-{rank.index}").write_text(os.environ["TF_CONFIG"])
            while len(list(folder.glob(f"{attempt}-*"))) < rank.total:
                time.sleep(0.01)
            if rank.index == common.get("dies") and attempt <= common.get("times", 1):
                os.kill(os.getpid(), signal.SIGKILL)
            if rank.index == common.get("fails"):
                raise DataError("no such row")
            if rank.index == 1:
                time.sleep(30)  # rank 0 alone is waited for
            reporter.epoch({"epoch": 1}, best=1, epochs=1)
            if common.get("dies") and attempt <= common.get("times", 1):
                time.sleep(0.5)
            return [attempt, rank.total]

        return work
"""


class Heard(Silent):
    def __init__(self):
        self.epochs, self.warnings = 0, []

    def epoch(self, row, *, best, epochs):
        self.epochs += 1

    def warn(self, text):
        self.warnings.append(text)


@pytest.fixture
def ranks(tmp_path, monkeypatch):
    (tmp_path / "ranks_that_count.py").write_text(textwrap.dedent(WORK))
    monkeypatch.syspath_prepend(tmp_path)
    heard = Heard()

    def ranks(count=2, **common):
        told = {"folder": str(tmp_path), **common}
        return gang("ranks_that_count:count", told, ranks=count, reporter=heard)

    ranks.heard, ranks.folder = heard, tmp_path
    return ranks


def test_rank_0_has_the_result_and_each_knows_its_place(ranks):
    assert ranks(3) == [1, 3]
    assert ranks.heard.epochs == 1
    places = [json.loads((ranks.folder / f"1-{index}").read_text()) for index in range(3)]
    assert [place["task"]["index"] for place in places] == [0, 1, 2]
    assert len({tuple(place["cluster"]["worker"]) for place in places}) == 1
    assert len(set(places[0]["cluster"]["worker"])) == 3


def test_a_lost_rank_begins_all_again(ranks):
    assert ranks(dies=1) == [2, 2]
    (warning,) = ranks.heard.warnings
    assert "rank 1 was lost (SIGKILL)" in warning


def test_ranks_that_die_again_and_again_are_given_up(ranks):
    with pytest.raises(TrainingError, match="a rank was lost 4 times"):
        ranks(dies=1, times=9)


def test_what_a_rank_raises_is_raised_here(ranks, monkeypatch):
    monkeypatch.setattr("aitk.core.distributed.gang.PEER_S", 0.1)
    with pytest.raises(DataError, match="no such row"):
        ranks(fails=0)


def test_a_process_is_no_rank_unless_it_is_told_so(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert current_rank() is None
    place = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(place))
    assert current_rank() == Rank(1, 2, "a:1") and not current_rank().leads
    place["cluster"]["worker"] = ["a:1"]
    place["task"]["index"] = 0
    monkeypatch.setenv("TF_CONFIG", json.dumps(place))
    assert current_rank() is None
    place["task"]["index"] = 1
    for text in ("{}", "no JSON", json.dumps(place)):
        monkeypatch.setenv("TF_CONFIG", text)
        with pytest.raises(UsageError):
            current_rank()
    assert os.environ["TF_CONFIG"]
