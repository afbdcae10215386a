#!/usr/bin/env bash
# The figures of `aitk recsys` on MovieLens: quality and time, by the commands a user types.
#
#   bench/recsys.sh ML100K_INTER ML1M_SEQUENCES OUT
#
# ML100K_INTER is ml-100k.inter as the package recbole 1.2.1 carries it; ML1M_SEQUENCES a file with
# a user's items in each line, in time order. What is already in OUT is not made again.
set -euo pipefail
ml100k=$1 ml1m=$2 out=$3
mkdir -p "$out"

timed() { # NAME COMMAND...
    local name=$1; shift
    /usr/bin/time -f "$name: %e s wall, %U s user, %M kB peak" "$@"
}

once() { # FOLDER COMMAND...
    local folder=$1; shift
    [ -e "$folder" ] || timed "$(basename "$folder")" "$@" --out "$folder"
}

train() { # NAME DATA ARGUMENTS...
    local name=$1 data=$2; shift 2
    once "$out/$name" aitk recsys finetune "$out/$data" "$@"
    timed "evaluate $name" aitk recsys evaluate "$out/$name" --json |
        python3 -c 'import json, sys; m = json.load(sys.stdin)["metrics"]; print("'"$name"'",
            *(f"{k} {m[k]["value"]:.4f} [{m[k]["low"]:.4f}, {m[k]["high"]:.4f}]"
              for k in ("recall@10", "ndcg@10")))'
}

echo "# MovieLens-100K, leave-one-out by time, models see training events only"
once "$out/ml100k" aitk recsys prepare "$ml100k" --task recommend --test-history train
train ml100k-popular ml100k --model popular
train ml100k-ease ml100k --model ease
train ml100k-item-knn ml100k --model item-knn
for seed in 0 1 2 3 4; do
    train "ml100k-als-$seed" ml100k --model als --seed "$seed"
    train "ml100k-bpr-$seed" ml100k --model bpr --seed "$seed"
done

echo "# MovieLens-1M, leave-one-out on the given sequences"
once "$out/ml1m" aitk recsys prepare "$ml1m" --task recommend
train ml1m-ease ml1m --model ease
train ml1m-sasrec ml1m --model sasrec --set hidden=128 --set loss=sampled-softmax --epochs 40
train ml1m-gsasrec ml1m --model sasrec --set hidden=128 --set loss=gbce --set negatives=256 --epochs 40
