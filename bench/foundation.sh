#!/usr/bin/env bash
# The figures of `aitk nlp classify`: quality, size, speed, memory, each by the commands a user types.
#
#   bench/foundation.sh SST2_FOLDER CLINC150_FOLDER MINILM_FOLDER OUT
#
# SST2_FOLDER holds train.tsv and dev.tsv (text TAB label), CLINC150_FOLDER train.jsonl and val.jsonl
# (text, intent), MINILM_FOLDER the Hugging Face layout of all-MiniLM-L6-v2. Every step prints its
# wall time and peak memory; what is already in OUT is not made again.
set -euo pipefail
sst2=$1 clinc=$2 minilm=$3 out=$4
mkdir -p "$out"

timed() { # NAME COMMAND...
    local name=$1; shift
    /usr/bin/time -f "$name: %e s wall, %U s user, %M kB peak" "$@"
}

once() { # FOLDER NAME COMMAND...
    local folder=$1; shift
    [ -e "$folder" ] || timed "$@"
}

echo "# SST-2"
once "$out/sst2" prepare aitk nlp prepare "$sst2/train.tsv" "$sst2/dev.tsv" --task classify --out "$out/sst2"
once "$out/sst2-bag" bag aitk nlp finetune "$out/sst2" --model bag --out "$out/sst2-bag"
once "$out/sst2-minilm" minilm aitk nlp finetune "$out/sst2" --from "$minilm" \
    --learning-rate 1e-4 --ema 0.99 --out "$out/sst2-minilm"
for run in sst2-bag sst2-minilm; do timed "evaluate $run" aitk nlp evaluate "$out/$run"; done
aitk compare "$out/sst2-bag" "$out/sst2-minilm"

echo "# CLINC150"
once "$out/clinc" prepare aitk nlp prepare "$clinc/train.jsonl" "$clinc/val.jsonl" --task classify --out "$out/clinc"
once "$out/clinc-minilm" minilm aitk nlp finetune "$out/clinc" --from "$minilm" \
    --learning-rate 2e-4 --epochs 6 --ema 0.99 --out "$out/clinc-minilm"
timed "evaluate clinc-minilm" aitk nlp evaluate "$out/clinc-minilm"

echo "# int8"
once "$out/sst2-int8" compress aitk nlp compress "$out/sst2-minilm" --quantize int8 --max-drop 0.01 --out "$out/sst2-int8"
timed "evaluate sst2-int8" aitk nlp evaluate "$out/sst2-int8"
for run in sst2-minilm sst2-int8; do
    for times in 1 2 3; do
        timed "predict 6,920 rows with $run" \
            aitk nlp predict "$out/$run" "$sst2/train.tsv" --out "$out/predictions.jsonl" --overwrite --quiet
    done
done

echo "# memory of predict"
for rows in 10000 100000; do
    python3 - "$sst2/train.tsv" "$rows" >"$out/$rows.tsv" <<'PYTHON'
import itertools, sys
lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
print("\n".join(itertools.islice(itertools.cycle(lines), int(sys.argv[2]))))
PYTHON
    for run in sst2-bag sst2-int8; do
        timed "predict $rows rows with $run" \
            aitk nlp predict "$out/$run" "$out/$rows.tsv" --out "$out/predictions.jsonl" --overwrite --quiet
    done
done

echo "# first answer of a compressed run"
printf 'a stirring , funny and finally transporting film\n' >"$out/one.txt"
for times in 1 2 3 4 5; do
    timed "predict 1 row with sst2-int8" aitk nlp predict "$out/sst2-int8" "$out/one.txt" --out -
done

echo "# help"
for times in 1 2 3 4 5; do timed "aitk --help" aitk --help >/dev/null; done
for times in 1 2 3 4 5; do timed "aitk nlp finetune --help" aitk nlp finetune --help >/dev/null; done
