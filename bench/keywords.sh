#!/usr/bin/env bash
# Spoken digits by a speaker that training never heard, each of the five in turn.
#
#     bench/keywords.sh FSDD OUT MODEL [finetune's options]
#
# FSDD is the folder of the Free Spoken Digit Dataset, DIGIT_SPEAKER_NUMBER.wav. A twentieth of the
# other speakers' recordings chooses the epoch.
set -euo pipefail
recordings="$1" out="$2" model="$3"
shift 3

mkdir -p "$out"
for speaker in george jackson lucas nicolas theo; do
    data="$out/$speaker" run="$out/$speaker-$model"
    [ -d "$data" ] || aitk speech prepare "$recordings" --task keywords --out "$data" --quiet \
        --file-names '{label}_{speaker}_{}' --test-speakers "$speaker" --split 95/5/0 \
        --sample-rate-hz 8000 --trim-silence
    aitk speech finetune "$data" --model "$model" --out "$run" --overwrite --quiet "$@"
    echo "$speaker: $(aitk speech evaluate "$run" --quiet | grep '^accuracy')"
done
