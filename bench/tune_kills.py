"""Two `aitk nlp tune` processes on one study, one of them killed: no trial is lost or duplicated.

    python bench/tune_kills.py OUT [--rounds 3] [--trials 8]

On the sample rows of messages. In each round the same command is started twice; after a random time
one of the two, the first in even rounds, gets SIGKILL. The other one ends the search (it takes over
where the first one led it). Prints for each round the number of trials, and checks that each number
was trained to its end once, and that the best of them is the run.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import aitk

SAMPLES = Path(__file__).parent.parent / "sample_data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=8)
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    data = aitk.prepare(
        SAMPLES / "messages.csv", task="nlp.classify", label_column="intent",
        out=told.out / "data", overwrite=True,
    )  # fmt: skip
    draw = random.Random(0)
    for number in range(told.rounds):
        out = told.out / f"best-{number}"
        for path in (out, out.with_name(out.name + ".trials")):
            shutil.rmtree(path, ignore_errors=True)
        command = [
            *(sys.executable, "-m", "aitk", "nlp", "tune", str(data.folder), "--out", str(out)),
            *("--model", "bag", "--epochs", "2", "--trials", str(told.trials)),
        ]
        logs = [(told.out / f"process-{number}-{index}.log").open("w") for index in (0, 1)]
        processes = []
        for log in logs:
            processes.append(subprocess.Popen(command, stdout=log, stderr=log))
            time.sleep(3)  # the first one leads
        seconds = draw.uniform(10, 40)
        time.sleep(seconds)
        victim = processes[number % 2]
        alive = victim.poll() is None
        victim.send_signal(signal.SIGKILL)
        for process in processes:
            process.wait()
        for log in logs:
            log.close()
        trials = json.loads((out / "tuning.json").read_text())["trials"]
        assert [row["trial"] for row in trials] == list(range(told.trials))
        assert {row["state"] for row in trials} <= {"complete", "pruned"}
        assert not out.with_name(out.name + ".trials").exists()
        said = [Path(log.name).read_text() for log in logs]
        told_once = [
            sum(f"trial {row['trial']}: accuracy" in text or f"trial {row['trial']}: given" in text
                for text in said)
            for row in trials
        ]  # fmt: skip
        assert max(told_once) <= 1, told_once  # no trial was trained to its end by both
        print(
            json.dumps(
                {
                    "round": number,
                    "killed": "first" if number % 2 == 0 else "second",
                    "after_s": round(seconds, 1),
                    "was_running": alive,
                    "trials": len(trials),
                    "ended_more_than_once": sum(count > 1 for count in told_once),
                    "other_exit_code": processes[1 - number % 2].returncode,
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
