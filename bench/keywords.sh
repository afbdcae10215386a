#!/usr/bin/env bash
# Spoken digits by a speaker that training never heard, each of the five in turn.
#
#     [VOICES=DIR] [PREPARE=OPTIONS] [SPLIT_BY=auto] bench/keywords.sh FSDD OUT MODEL [finetune's options]
#
# FSDD is the folder of the Free Spoken Digit Dataset, DIGIT_SPEAKER_NUMBER.wav; VOICES is what
# bench/digit_voices.py wrote, to be learned from as well. PREPARE has more options of
# that stage. A twentieth of the rows chooses the epoch, or with SPLIT_BY=auto whole speakers do.
set -euo pipefail
recordings="$1" out="$2" model="$3"
shift 3

mkdir -p "$out"
for speaker in george jackson lucas nicolas theo; do
    data="$out/$speaker" run="$out/$speaker-$model"
    [ -d "$data" ] || aitk speech prepare "$recordings" ${VOICES:+"$VOICES"} --task keywords \
        --out "$data" --quiet --file-names '{label}_{speaker}_{}' --test-speakers "$speaker" \
        --split 95/5/0 --split-by "${SPLIT_BY:-recording}" --sample-rate-hz 8000 ${PREPARE:-}
    SECONDS=0
    aitk speech finetune "$data" --model "$model" --out "$run" --overwrite --quiet "$@"
    took=$SECONDS
    echo "$speaker: $(aitk speech evaluate "$run" 2>&1 | grep '^accuracy'), $took s of training"
done
