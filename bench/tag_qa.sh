#!/usr/bin/env bash
# The figures of `aitk nlp tag` and `aitk nlp qa`, by the commands a user types.
#
#   bench/tag_qa.sh WNUT17_FOLDER XQUAD_FOLDER CMRC2018_FILE MINILM_FOLDER OUT
#
# WNUT17_FOLDER holds train.conll and dev.conll, XQUAD_FOLDER en.json, zh.json, de.json and es.json,
# MINILM_FOLDER the Hugging Face layout of all-MiniLM-L6-v2. No scored row is seen in training: of
# WNUT17 a tenth of train.conll picks the epoch and dev.conll is scored; of XQuAD the last 6 articles
# are scored and the 4 before them pick the epoch, of CMRC 2018 the last 100 and the 60 before. What is already in OUT is not made again.
set -euo pipefail
wnut=$1 xquad=$2 cmrc=$3 minilm=$4 out=$5
mkdir -p "$out"

timed() { # NAME COMMAND...
    local name=$1; shift
    /usr/bin/time -f "$name: %e s wall, %U s user, %M kB peak" "$@"
}

once() { # FOLDER NAME COMMAND...
    local folder=$1; shift
    [ -e "$folder" ] || timed "$@"
}

articles() { # FILE PREFIX DEV TEST: PREFIX_train.json, _dev.json and _test.json, by whole articles
    python - "$@" <<'PYTHON'
import json, sys
source, prefix, dev, test = sys.argv[1:]
articles = json.load(open(source, encoding="utf-8"))["data"]
first, last = len(articles) - int(dev) - int(test), len(articles) - int(test)
parts = {"train": articles[:first], "dev": articles[first:last], "test": articles[last:]}
for name, part in parts.items():
    json.dump({"data": part}, open(f"{prefix}_{name}.json", "w", encoding="utf-8"))
PYTHON
}

echo "# WNUT 2017"
once "$out/wnut" prepare aitk nlp prepare "$wnut/train.conll" --task tag --split 90/10/0 --out "$out/wnut"
once "$out/wnut-bilstm" bilstm-crf aitk nlp finetune "$out/wnut" --model bilstm-crf --out "$out/wnut-bilstm"
once "$out/wnut-minilm" minilm aitk nlp finetune "$out/wnut" --from "$minilm" --learning-rate 1e-4 \
    --precision bfloat16 --out "$out/wnut-minilm"
for run in wnut-bilstm wnut-minilm; do
    timed "evaluate $run" aitk nlp evaluate "$out/$run" --data "$wnut/dev.conll"
done

qa() { # NAME: prepare, the untrained head, training, both scored
    once "$out/$1" "prepare $1" aitk nlp prepare "$out/$1"_{train,dev,test}.json --task qa --out "$out/$1"
    once "$out/$1-untrained" untrained aitk nlp finetune "$out/$1" --from "$minilm" --epochs 0 \
        "${reading[@]}" --out "$out/$1-untrained"
    once "$out/$1-minilm" minilm aitk nlp finetune "$out/$1" --from "$minilm" --epochs 6 \
        --batch-size 16 --learning-rate 2e-4 --precision bfloat16 "${reading[@]}" --out "$out/$1-minilm"
    for run in "$1-untrained" "$1-minilm"; do timed "evaluate $run" aitk nlp evaluate "$out/$run"; done
}

reading=(--set max_length=192 --set max_question=40 --set overlap=48)
for language in en zh de es; do
    echo "# XQuAD, $language"
    articles "$xquad/$language.json" "$out/$language" 4 6
    qa "$language"
done

echo "# CMRC 2018"
articles "$cmrc" "$out/cmrc" 60 100
qa cmrc
