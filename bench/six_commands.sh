#!/usr/bin/env bash
# The six commands of the project's README on the sample rows, one after the other, into OUT.
#
#   bench/six_commands.sh OUT
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:?the folder to write}
python=${PYTHON:-python3}
rm -rf "$out"
mkdir -p "$out"
timed() { # COMMAND...
    local began=$EPOCHREALTIME
    PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" "$python" -m aitk "$@" --quiet
    printf '%s %.2f s\n' "$2" "$("$python" -c "print($EPOCHREALTIME - $began)")"
}
timed nlp prepare "$root/sample_data/messages.csv" --task classify --label-column intent --out "$out/data"
timed nlp finetune "$out/data" --out "$out/run"
timed nlp evaluate "$out/run"
timed nlp compress "$out/run" --quantize int8 --out "$out/int8"
timed nlp predict "$out/int8" "$root/sample_data/messages_new.csv" --out "$out/predictions.jsonl"
timed nlp explain "$out/run" "$root/sample_data/messages_new.csv" --out "$out/explained"
