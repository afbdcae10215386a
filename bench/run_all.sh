#!/usr/bin/env bash
# The table of "Performance" in README.md, one command a row, on a quiet machine.
#
#   bench/run_all.sh DATA [ROW...]        all rows, or those named
#   bench/run_all.sh --list               their names
#
# DATA holds the public data sets, one folder each: sst2/ (train.tsv, dev.tsv: text TAB label),
# ml1m/sequences.txt. OUT (a variable of the environment, by default bench_out) keeps what is made on
# the way: rows, prepared data, runs. MINILM, WHISPER, SOUNDS and ML100K name what single rows need,
# see there; a row without its data says so. To add a row, write a function row_NAME that ends with
# `told WORKLOAD MEASURED TARGET`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
out=${OUT:-bench_out}
aitk() { "$python" -m aitk "$@"; }

told() { printf '| %s | %s | %s |\n' "$@"; } # WORKLOAD MEASURED TARGET

lacks() { # NAME WHAT: whether a variable of the environment is unset; says what it should name
    [ -n "${!1:-}" ] && return 1
    told "${FUNCNAME[1]#row_}" "set $1: $2" ""
}

cost() { # COMMAND...: sets wall, cpu (seconds) and peak (MB); the command's talk goes to OUT/log
    "$python" "$here/cost.py" "$out/cost" "$@" >>"$out/log" 2>&1 || { tail -n 5 "$out/log" >&2; return 1; }
    read -r wall cpu peak <"$out/cost"
}

calc() { "$python" -c "print($1)"; } # an expression, such as f'{3/2:.1f}'

need_texts() { # 300,000 labelled texts and what prepare makes of them
    [ -e "$out/made.csv" ] || "$python" "$here/made_texts.py" "$data/sst2/train.tsv" "$out/made.csv"
    [ -e "$out/made" ] || aitk nlp prepare "$out/made.csv" --task classify --out "$out/made" --quiet
}

need_bag() {
    need_texts
    [ -e "$out/made-bag" ] || aitk nlp finetune "$out/made" --epochs 1 --out "$out/made-bag" --quiet
}

row_help() {
    cost "$python" -m aitk --help
    told "\`aitk --help\`" "$wall s" "under .25 s"
}

row_prepare_texts() {
    need_texts
    cost "$python" -m aitk nlp prepare "$out/made.csv" --task classify --out "$out/again" --overwrite --quiet
    told "\`nlp prepare\`, 300,000 rows, 63 MB CSV" "$cpu CPU s, $wall s, $peak MB" "at most 6 CPU s"
}

row_train_bag() {
    need_texts
    cost "$python" -m aitk nlp finetune "$out/made" --epochs 1 --out "$out/made-bag" --overwrite --quiet
    rate=$("$python" "$here/training_rate.py" "$out/made-bag")
    told "training \`bag\`, one epoch of 240,000 rows" "$rate; whole process $wall s, $cpu CPU s, $peak MB" \
        "at least 25,000 rows/s, first step within 5 s"
}

row_predict_bag() {
    need_bag
    cost "$python" -m aitk nlp predict "$out/made-bag" "$out/made.csv" --out "$out/bag.jsonl" --overwrite --quiet
    told "\`predict\` with \`bag\`, 300,000 rows, whole process" \
        "$(calc "f'{300000 / $wall:,.0f}'") rows/s, $peak MB" "at least 40,000 rows/s"
}

row_first_step() {
    need_texts
    told "first training step of \`bag\`, 240,000 rows" "$("$python" "$here/first_step.py" "$out/made")" \
        "within seconds, whatever the number of rows"
}

need_sst2() {
    [ -e "$out/sst2" ] || aitk nlp prepare "$data/sst2/train.tsv" "$data/sst2/dev.tsv" --task classify --out "$out/sst2" --quiet
}

row_train_minilm() { # MINILM: all-MiniLM-L6-v2 in Hugging Face layout
    lacks MINILM "the folder of all-MiniLM-L6-v2" && return
    need_sst2
    local rates=""
    for precision in float32 auto; do
        aitk nlp finetune "$out/sst2" --from "$MINILM" --epochs 1 --learning-rate 1e-4 --precision "$precision" \
            --out "$out/minilm-$precision" --overwrite --quiet
        rates+="$precision $("$python" "$here/training_rate.py" "$out/minilm-$precision"); "
    done
    told "fine-tuning MiniLM, one epoch of SST-2 with validation" "$rates" "1.3 x torch bfloat16, 2 x torch float32"
}

row_predict_minilm() {
    lacks MINILM "the folder of all-MiniLM-L6-v2" && return
    need_sst2
    [ -e "$out/minilm-float32" ] || aitk nlp finetune "$out/sst2" --from "$MINILM" --epochs 1 --learning-rate 1e-4 \
        --precision float32 --out "$out/minilm-float32" --quiet
    [ -e "$out/minilm-int8" ] || aitk nlp compress "$out/minilm-float32" --quantize int8 --out "$out/minilm-int8" --quiet
    cost "$python" -m aitk nlp predict "$out/minilm-int8" "$data/sst2/train.tsv" --out "$out/minilm.jsonl" --overwrite --quiet
    told "\`predict\` with MiniLM int8, 6,920 rows, whole process" "$(calc "f'{6920 / $wall:,.0f}'") rows/s" \
        "3 x onnxruntime dynamic int8"
}

row_whisper() { # WHISPER: tiny.en as a Keras Hub preset; SOUNDS: pocketsphinx-testdata's sentences
    lacks WHISPER "the folder of Whisper tiny.en" && return
    lacks SOUNDS "the folder of read sentences" && return
    told "Whisper tiny.en" "$("$python" "$here/whisper.py" "$SOUNDS" "$WHISPER" | grep -o 'real-time factor [^(]*')" \
        "1.5 x CTranslate2 or whisper.cpp"
}

row_images() {
    found=$("$python" "$here/image_pipeline.py" "$out/images" 2>>"$out/log" | paste -sd ';')
    told "batches of images at 224 px, 4,000 JPEG files" "$found" "ahead of tf.data"
}

need_log() { # 5 million events
    [ -e "$out/log.csv" ] || "$python" "$here/recsys_made.py" "$out/log.csv" >>"$out/log"
}

need_ml100k() { # every tenth user of MovieLens-1M: 103,000 events
    [ -e "$out/ml100k" ] && return
    awk 'NR % 10 == 0' "$data/ml1m/sequences.txt" >"$out/ml100k.txt"
    aitk recsys prepare "$out/ml100k.txt" --task recommend --test-history train --out "$out/ml100k" --quiet
}

row_prepare_log() {
    need_log
    cost "$python" -m aitk recsys prepare "$out/log.csv" --task recommend --out "$out/log-data" --overwrite --quiet
    told "\`recsys prepare\`, 5 million events" "$cpu CPU s, $wall s, $peak MB" "at most 20 CPU s"
}

row_train_bpr() {
    need_ml100k
    cost "$python" -m aitk recsys finetune "$out/ml100k" --model bpr-sgd --out "$out/bpr-sgd" --overwrite --quiet
    fast="\`bpr-sgd\` $cpu CPU s, whole process"
    cost "$python" -m aitk recsys finetune "$out/ml100k" --model bpr --out "$out/bpr" --overwrite --quiet
    told "training \`bpr\`, 103,000 events of MovieLens-1M" "$fast; \`bpr\` $cpu CPU s" \
        "cornac's time and quality"
}

row_top_100() {
    found=$("$python" "$here/recsys_speed.py" "$data/ml1m/sequences.txt")
    told "top 100 for all users, cosine neighbours, MovieLens-1M" "\`$found\`" "at most implicit's .79 s"
}

row_closed_form() {
    need_ml100k
    [ -e "$out/item-knn" ] || aitk recsys finetune "$out/ml100k" --model item-knn --out "$out/item-knn" --quiet
    cost "$python" -m aitk recsys evaluate "$out/item-knn" --quiet
    measured="evaluate $wall s, $cpu CPU s, $peak MB"
    cost "$python" -m aitk recsys predict "$out/item-knn" "$out/ml100k" --out "$out/lists.jsonl" --overwrite --quiet
    told "\`item-knn\`, 604 users" "$measured; predict $wall s, $cpu CPU s, $peak MB" "under 1 s, under 200 MB"
}

row_six_commands() {
    cost bash "$here/six_commands.sh" "$out/six"
    told "the README's six commands" "$wall s, $cpu CPU s" "at most 15 s"
}

if [ "${1:-}" = --list ]; then
    declare -F | sed -n 's/^declare -f row_//p'
    exit
fi
data=${1:?the folder of the data sets}
shift
mkdir -p "$out"
out=$(cd "$out" && pwd)
[ $# -gt 0 ] || mapfile -t rows < <(declare -F | sed -n 's/^declare -f row_//p')
[ $# -eq 0 ] || rows=("$@")
printf '| workload | measured | target |\n|---|---|---|\n'
for row in "${rows[@]}"; do "row_$row"; done
