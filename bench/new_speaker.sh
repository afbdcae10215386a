#!/usr/bin/env bash
# A keyword model fits itself to a speaker it never heard, from half of his recordings without
# their labels, and is tested on the other half. Run after bench/keywords.sh, with its arguments.
#
#     bench/new_speaker.sh FSDD OUT MODEL
set -euo pipefail
recordings="$1" out="$2" model="$3"

for speaker in george jackson lucas nicolas theo; do
    heard="$out/$speaker-heard" tested="$out/$speaker-tested" run="$out/$speaker-$model"
    mkdir -p "$heard" "$tested"
    cp "$recordings"/*_"$speaker"_*[02468].wav "$heard"
    cp "$recordings"/*_"$speaker"_*[13579].wav "$tested"
    aitk speech update "$run" "$heard" --without-labels --max-drop 1 --out "$run-fitted" \
        --overwrite --quiet
    for each in "$run" "$run-fitted"; do
        echo "$each: $(aitk speech evaluate "$each" --data "$tested" 2>&1 | grep '^accuracy')"
    done
done
