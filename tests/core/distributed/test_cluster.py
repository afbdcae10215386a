"""Two Ray nodes on this machine: shards and ranks on both, and one node killed."""

import contextlib
import os
import textwrap

import pytest

from aitk.core.contract.progress import Silent
from aitk.core.distributed.gang import gang
from aitk.core.distributed.map_shards import map_shards

pytestmark = pytest.mark.cluster

WORK = """
    import os, time
    from pathlib import Path
    from aitk.core.distributed.gang import current_rank

    def squares(common, *, reporter):
        def work(shard):
            time.sleep(0.5)
            part = Path(common["folder"], f"{shard}.{os.getpid()}")
            part.write_text(str(shard * shard))
            os.replace(part, Path(common["folder"], f"{shard}.txt"))
            return shard * shard
        return work

    def ranks(common, *, reporter):
        def work(shard):
            rank = current_rank()
            Path(common["folder"], f"rank-{shard['attempt']}-{rank.index}").touch()
            while len(list(Path(common["folder"]).glob(f"rank-{shard['attempt']}-*"))) < 2:
                time.sleep(0.05)
            if rank.index == 1 and shard["attempt"] == 1:
                os._exit(9)
            time.sleep(2 if shard["attempt"] == 1 else 0)
            return [shard["attempt"], rank.total]
        return work
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    from ray.cluster_utils import Cluster

    (tmp_path / "work_of_rays.py").write_text(textwrap.dedent(WORK))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    for name, value in {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_health_check_initial_delay_ms": "1000",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }.items():
        monkeypatch.setenv(name, value)
    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    head = {**node, "include_dashboard": False, "node_ip_address": "127.0.0.2"}
    started = Cluster(initialize_head=True, head_node_args=head)
    started.second = started.add_node(**node, node_ip_address="127.0.0.3")
    yield started
    with contextlib.suppress(Exception):
        started.shutdown()


def test_a_killed_node_loses_no_shard_and_a_lost_rank_starts_all_again(cluster, tmp_path):
    common = {"folder": str(tmp_path)}
    found = gang("work_of_rays:ranks", common, ranks=2, engine=cluster.address, reporter=Silent())
    assert found == [2, 2]

    lost, done = [], []

    class Heard(Silent):
        def warn(self, text):
            lost.append(text)

    for result in map_shards(
        "work_of_rays:squares",
        common,
        range(12),
        workers=2,
        what="squaring",
        engine=cluster.address,
        reporter=Heard(),
    ):
        done.append(result)
        if len(done) == 3:
            cluster.remove_node(cluster.second, allow_graceful=False)
    assert done == [number**2 for number in range(12)]
    assert len(list(tmp_path.glob("*.txt"))) == 12
    assert len(lost) == 1
