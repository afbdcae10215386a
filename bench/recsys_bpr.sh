#!/usr/bin/env bash
# BPR at its two operating points: CPU seconds of the whole training, NDCG@10 on the test rows.
#
#   bench/recsys_bpr.sh DATA OUT [SEED...]      DATA: what `aitk recsys prepare` wrote
#
# What is already in OUT is not made again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3} data=$1 out=$2
shift 2
[ $# -gt 0 ] || set -- 0 1 2 3 4
mkdir -p "$out"
for model in popular bpr-sgd bpr; do
    for seed in "$@"; do
        run=$out/$model-$seed
        [ -e "$run" ] || "$python" -m aitk recsys finetune "$data" --model "$model" --seed "$seed" --out "$run" --quiet
        "$python" -m aitk recsys evaluate "$run" --json --quiet | "$python" -c '
import json, sys
scores = json.load(sys.stdin)["metrics"]
cost = json.load(open(sys.argv[1] + "/run.json"))["cpu_s"]
print(sys.argv[1].rsplit("/", 1)[-1], f"{cost:.1f} CPU s",
      *(f"{name} {scores[name]['"'value'"']:.4f}" for name in ("recall@10", "ndcg@10")))' "$run"
        [ "$model" != popular ] || break
    done
done
