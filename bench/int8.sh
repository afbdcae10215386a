#!/usr/bin/env bash
# What int8 costs: short trainings, `compress --quantize int8 --max-drop`, and the scores of both
# runs, each in a process of its own.
#
#   bench/int8.sh CIFAR10 CAMVID FSDD MULTI30K ML1M_SEQUENCES OUT [cifar] [camvid] [keywords] [asr] [multi30k] [ml1m]
#
# CIFAR10 has a folder of pictures per class, CAMVID train/ and val/ with masks, FSDD recordings
# named DIGIT_SPEAKER_NUMBER.wav, MULTI30K {train,val}.{de,en}.gz, ML1M_SEQUENCES a user's items a line.
# MINUTES (4) bounds each training. What is already in OUT is not made again.
set -euo pipefail
cifar=$1 camvid=$2 fsdd=$3 multi30k=$4 ml1m=$5 out=$6
shift 6
[ $# -gt 0 ] || set -- cifar camvid keywords asr multi30k ml1m
minutes=${MINUTES:-4}
here=$(dirname "$0")
mkdir -p "$out"

once() { # FOLDER COMMAND...
    local folder=$1; shift
    [ -e "$folder" ] || /usr/bin/time -f "$folder: %e s wall, %U s user, %M kB peak" "$@" --out "$folder"
}

small() { # NAME DOMAIN SPLIT: compress the run, then score both in new processes
    local name=$1 domain=$2 split=$3 code=0
    once "$out/$name-int8" aitk "$domain" compress "$out/$name" --quantize int8 --max-drop 0.01 || code=$?
    echo "$name: compress exits with $code"
    for run in "$name" "$name-int8"; do
        [ ! -e "$out/$run" ] || aitk "$domain" evaluate "$out/$run" --split "$split"
        du -b "$out/$run"/model.* || true
    done
}

row_cifar() {
    once "$out/cifar-data" aitk vision prepare "$cifar" --task classify
    once "$out/cifar" aitk vision finetune "$out/cifar-data" --model cnn --max-minutes "$minutes"
    small cifar vision test
}

row_camvid() {
    # 11 is void and not scored.
    printf '%s\n' sky building pole road pavement tree sign fence car pedestrian bicyclist > "$out/classes.txt"
    once "$out/camvid-data" aitk vision prepare "$camvid" --task segment --classes "$out/classes.txt" --held-out keep
    once "$out/camvid" aitk vision finetune "$out/camvid-data" --model unet --max-minutes "$minutes"
    small camvid vision validation
}

row_keywords() {
    once "$out/keywords-data" aitk speech prepare "$fsdd" --task keywords --sample-rate-hz 8000 \
        --file-names '{label}_{speaker}_{}' --test-speakers theo
    once "$out/keywords" aitk speech finetune "$out/keywords-data" --max-minutes "$minutes"
    small keywords speech test
}

row_asr() {
    [ -e "$out/digits" ] || python "$here/connected_digits.py" "$fsdd" "$out/digits"
    once "$out/asr-data" aitk speech prepare "$out/digits"/{train,validation,test}.csv --task asr --sample-rate-hz 8000
    once "$out/asr" aitk speech finetune "$out/asr-data" --max-minutes "$minutes"
    small asr speech test
}

row_multi30k() {
    for part in train val; do
        paste <(zcat "$multi30k/$part.de.gz") <(zcat "$multi30k/$part.en.gz") > "$out/$part.tsv"
    done
    awk 'NR % 29 != 0' "$out/train.tsv" > "$out/mt_train.tsv"
    awk 'NR % 29 == 0' "$out/train.tsv" > "$out/mt_valid.tsv"
    cp "$out/val.tsv" "$out/mt_test.tsv"
    once "$out/multi30k-data" aitk nlp prepare "$out"/mt_{train,valid,test}.tsv --task translate \
        --source-column 1 --target-column 2
    once "$out/multi30k" aitk nlp finetune "$out/multi30k-data" --batch-size 128 --set vocabulary_size=6000 \
        --set lowercase=true --max-minutes "$minutes"
    small multi30k nlp test
}

row_ml1m() {
    once "$out/ml1m-data" aitk recsys prepare "$ml1m" --task recommend
    once "$out/ml1m" aitk recsys finetune "$out/ml1m-data" --model sasrec --max-minutes "$minutes"
    small ml1m recsys test
}

for row in "$@"; do "row_$row"; done
