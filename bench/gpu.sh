#!/usr/bin/env bash
# aitk's models by Keras on JAX and on torch against the same models in plain torch, in bfloat16 on
# one GPU: steps/s of training and of prediction, and how busy the card is.
#
#   bench/gpu.sh OUT [--device cpu] [--tiny] [MODEL...]
#
# MODEL: minilm whisper resnet vit yolo conformer sasrec gpt; all by default. Needs aitk,
# 'jax[cuda12]' and torch. Each engine is a process of its own; ENGINES="jax plain" leaves one out.
# `--device cpu --tiny` checks everything but the speed, in a minute or two. It has run on no GPU:
# there was none. Inputs are made numbers of the sizes in bench/gpu.py, so that these are the speeds
# of the models; `aitk DOMAIN finetune` measures the input pipelines: its history.csv tells in
# "waiting" which share of an epoch the model waited for its batches.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?OUT}; shift
device=cuda options=() models=()
while [ $# -gt 0 ]; do
  case $1 in
    --device) device=$2; shift 2 ;;
    --tiny) options+=(--tiny); shift ;;
    *) models+=("$1"); shift ;;
  esac
done
[ ${#models[@]} -gt 0 ] || models=(minilm whisper resnet vit yolo conformer sasrec gpt)
python=${PYTHON:-python}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
mkdir -p "$out"
if [ "$device" = cuda ]; then
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv | tee "$out/gpu.csv" ||
    { echo "no NVIDIA GPU here" >&2; exit 2; }
else
  export CUDA_VISIBLE_DEVICES= JAX_PLATFORMS=cpu
fi

failed=0
for model in "${models[@]}"; do
  for engine in ${ENGINES:-jax torch plain}; do
    for mode in train predict; do
      name=$model-$engine-$mode watching=
      if [ "$device" = cuda ]; then
        nvidia-smi --query-gpu=utilization.gpu,memory.used --format=csv,noheader,nounits -lms 200 \
          > "$out/$name.busy" & watching=$!
      fi
      backend=$engine; [ "$engine" = plain ] && backend=torch
      KERAS_BACKEND=$backend "$python" bench/gpu.py measure "$model" "$engine" "$mode" \
        --device "$device" ${options[@]+"${options[@]}"} > "$out/$name.json" 2> "$out/$name.log" ||
        { failed=1; rm -f "$out/$name.json"; echo "$name failed: see $out/$name.log" >&2; }
      [ -z "$watching" ] || { kill "$watching" 2> /dev/null || true; wait "$watching" 2> /dev/null || true; }
    done
  done
done
"$python" bench/gpu.py table "$out"
exit $failed
