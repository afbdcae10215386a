#!/usr/bin/env bash
# Keras on JAX and on torch against plain torch, in bfloat16 on one GPU: steps/s of training and of
# prediction, and how busy the card is. It has not been run: there was no GPU.
#
#   bench/gpu.sh OUT [MODEL...]     minilm whisper resnet vit sasrec gpt; all by default
#
# Needs: pip install 'jax[cuda12]' torch transformers, beside aitk. Each backend is a process of its
# own. Inputs are made numbers of the sizes in bench/gpu.py, and lie on the card, so that these are
# the speeds of the models; the input pipelines are measured by `aitk DOMAIN finetune`, whose
# history.csv tells in "waiting" which share of an epoch the model waited for its batches.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?OUT}; shift
models=("$@")
[ $# -gt 0 ] || models=(minilm whisper resnet vit sasrec gpt)
python=${PYTHON:-python}
mkdir -p "$out"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv | tee "$out/gpu.csv" ||
  { echo "no NVIDIA GPU here" >&2; exit 2; }

for model in "${models[@]}"; do
  for engine in jax torch plain; do
    for mode in train predict; do
      name=$model-$engine-$mode
      nvidia-smi --query-gpu=utilization.gpu,memory.used --format=csv,noheader,nounits -lms 200 \
        > "$out/$name.busy" & watching=$!
      backend=$engine; [ "$engine" = plain ] && backend=torch
      KERAS_BACKEND=$backend "$python" bench/gpu.py "$model" "$engine" "$mode" \
        > "$out/$name.json" 2> "$out/$name.log" || echo "$name failed: see $out/$name.log" >&2
      kill "$watching" 2> /dev/null || true
      wait "$watching" 2> /dev/null || true
    done
  done
done
"$python" bench/gpu.py table "$out"
