#!/usr/bin/env bash
# Measure embeddings on real data: word vectors beside gensim's, sentence encoders on STS.
# Usage: bench/embeddings.sh TEXTS ANALOGIES STS MINILM OUT [PYTHON_WITH_GENSIM]
#   TEXTS      a few million words, a text a line
#   ANALOGIES  Google's questions-words.txt
#   STS        a folder of SemEval pairs: score TAB text TAB text, 2015.images.test.tsv among them
#   MINILM     a Hugging Face folder of all-MiniLM-L6-v2
set -euo pipefail
texts=$1 analogies=$2 sts=$3 minilm=$4 out=$5 peer=${6:-}
here=$(dirname "$0")
export PYTHONPATH="$here/.."
aitk() { python -m aitk nlp "$@"; }
mkdir -p "$out"

# Word vectors.
aitk prepare "$texts" --task embed --split 100/0/0 --out "$out/words"
train() {  # NAME MODEL OPTIONS...
    aitk finetune "$out/words" --model "$2" --out "$out/$1" "${@:3}"
    aitk evaluate "$out/$1" --data "$analogies" --batch-size 256
    python "$here/embeddings.py" vectors "$out/$1" "$out/$1.txt"
}
train sg word2vec
train cbow word2vec --set architecture=cbow
train fasttext fasttext
train glove glove
if [ -n "$peer" ]; then
    for kind in sg cbow fasttext; do
        for seed in 0 1; do
            "$peer" "$here/embeddings.py" gensim "$texts" "$out/gensim-$kind-$seed.txt" \
                --kind $kind --seed $seed --analogies "$analogies"
        done
        # What two seeds of gensim have in common is what another program can have at most.
        python "$here/embeddings.py" overlap "$out/gensim-$kind-0.txt" "$out/gensim-$kind-1.txt"
        python "$here/embeddings.py" overlap "$out/$kind.txt" "$out/gensim-$kind-0.txt"
    done
fi

# Sentences: the encoder as it is, distilled to a table, and fine-tuned on the other sets.
columns=(--text-column 2 --pair-column 3 --score-column 1)
find "$sts" -name '*.tsv' ! -name '2015.images*' | sort | xargs cat > "$out/others.tsv"
cp "$sts"/2015.images.test.tsv "$out/images.tsv"
aitk prepare "$out/others.tsv" --task embed "${columns[@]}" --max-errors 10000 --out "$out/sts"
aitk finetune "$out/sts" --from "$minilm" --epochs 0 --out "$out/minilm"
aitk finetune "$out/sts" --from "$minilm" --model static --out "$out/static"
aitk finetune "$out/sts" --from "$minilm" --precision bfloat16 --epochs 2 --set max_length=64 \
    --out "$out/minilm-tuned"
for run in minilm static minilm-tuned; do
    aitk evaluate "$out/$run" --data "$out/images.tsv" "${columns[@]}" || [ $? = 6 ]
done
cut -f2 "$out/images.tsv" > "$out/images.txt"
aitk predict "$out/minilm" "$out/images.txt" --out "$out/minilm.npy" --overwrite
python "$here/embeddings.py" reference "$minilm" "$out/images.txt" "$out/minilm.npy"
aitk predict "$out/static" "$out/images.txt" --out "$out/static.npy" --overwrite --batch-size 256
