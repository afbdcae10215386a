#!/usr/bin/env bash
# DP-SGD at epsilon 8, delta 1e-5: accuracy beside the same training without noise, and the attack on both.
#
#   bench/private.sh SST2_FOLDER MINILM_FOLDER FASHION_FOLDER OUT [frozen] [lora] [fashion]
#
# SST2_FOLDER holds train.tsv and dev.tsv (text TAB label), MINILM_FOLDER the Hugging Face layout of
# all-MiniLM-L6-v2, FASHION_FOLDER the IDX files of Fashion-MNIST. A tenth of the training rows picks
# the epoch; dev.tsv and the test images are scored. What is already in OUT is not made again.
set -euo pipefail
sst2=$1 minilm=$2 fashion=$3 out=$4
shift 4
[ $# -gt 0 ] || set -- frozen lora fashion
mkdir -p "$out"
private=(--private --epsilon 8 --delta 1e-5)

once() { # FOLDER COMMAND...
    local folder=$1; shift
    [ -e "$folder" ] || /usr/bin/time -f "$folder: %e s wall, %U s user, %M kB peak" "$@" --out "$folder"
}

both() { # NAME DOMAIN DATA TEST OPTIONS...: with and without noise, scored on TEST, and attacked
    local name=$1 domain=$2 data=$3 test=$4; shift 4
    once "$out/$name-plain" aitk "$domain" finetune "$data" "$@"
    once "$out/$name-private" aitk "$domain" finetune "$data" "$@" "${private[@]}"
    for run in plain private; do aitk "$domain" evaluate "$out/$name-$run" --data "$test"; done
    aitk "$domain" evaluate "$out/$name-private" --privacy --against "$out/$name-plain"
}

need_sst2() {
    once "$out/sst2" aitk nlp prepare "$sst2/train.tsv" --task classify --split 90/10/0
}

row_frozen() {
    need_sst2
    both frozen nlp "$out/sst2" "$sst2/dev.tsv" --from "$minilm" --epochs 5 --freeze-epochs 5 --batch-size 256 --learning-rate 5e-3
}

row_lora() {
    need_sst2
    both lora nlp "$out/sst2" "$sst2/dev.tsv" --from "$minilm" --epochs 5 --lora-rank 8 --batch-size 512 --learning-rate 1e-3
}

row_fashion() {
    once "$out/fashion" aitk vision prepare "$fashion" --task classify
    both fashion vision "$out/fashion" "$out/fashion" --model cnn --set normalization=group --epochs 6 --batch-size 512 --learning-rate 2e-3
}

for row in "$@"; do "row_$row"; done
