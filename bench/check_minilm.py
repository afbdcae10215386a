"""Compare a pretrained text encoder, as aitk loads it, with the reference implementation.

    pip install torch transformers            # in an environment of their own, or this one
    python bench/check_minilm.py dump FOLDER aitk.npz         # with aitk
    python bench/check_minilm.py compare FOLDER aitk.npz      # with torch and transformers

``dump`` saves the token ids and sequence outputs of aitk; ``compare`` computes the same with
transformers, prints the largest difference and the token ids that differ, and exits with 1 if
it is above 1e-4 or an id differs. ``dump`` also saves the backbone to a ``.keras`` file and
loads it again first, since that is how a run keeps it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

LIMIT = 1e-4
MAX_LENGTH = 64
SENTENCES = [
    "A short sentence.",
    "",
    "THE CAPITALS ARE IGNORED BY AN UNCASED VOCABULARY",
    "Déjà vu: the café's naïve façade, über-cool señor Ångström",
    "我昨天收到的包裹坏了，请给我退款。",
    "日本語のテストです。カタカナとひらがな",
    "สวัสดีครับ ขอบคุณมาก",
    "Great product 👍🎉 would buy again 🤷🏽‍♀️",
    "Visit https://example.com/path?x=1&y=2 or mail me@example.com",
    "1234567890 3.14159 $99.99 50% #hashtag @user",
    "internationalization antidisestablishmentarianism floccinaucinihilipilification",
    "don't can't won't it's they'll we've",
    "tabs\tand\nnewlines\r\nand   many    spaces",
    "control \x00\x01 and zero\u200bwidth and soft\u00adhyphen characters",
    "Ελληνικά και русский текст",
    "word " * 200,
    "x" * 150,
    "[MASK] and [SEP] inside a text",
    "¿Qué tal? ¡Muy bien! “quotes” — dashes… «guillemets»",
    "İstanbul ß ﬁ ½ ² Ⅷ ㎏",
    "हिन्दी में एक वाक्य और العربية جملة",
    "the quick brown fox jumps over the lazy dog",
]


def dump(folder: str, out: str) -> int:
    """Save what aitk computes."""
    import keras

    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.artifacts.pretrained import load_pretrained
    from aitk.nlp.features.batching import pad_tokens
    from aitk.nlp.tasks.classify import Classify

    found = load_pretrained(folder, model=None, task=Classify())
    for line in found.report():
        print(line)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "model.keras"
        keras.Model(found.backbone.inputs, found.backbone.outputs).save(path)
        backbone = load_keras(path)
    ids = found.tokenizer.encode_many(SENTENCES, MAX_LENGTH)
    batch = pad_tokens([np.asarray(each, np.int32) for each in ids])
    features = keras.ops.convert_to_numpy(backbone(batch))
    np.savez(out, features=features, **batch)
    return 0


def compare(folder: str, saved: str) -> int:
    """Compare the saved arrays with transformers'."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    encoded = tokenizer(
        SENTENCES, padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt"
    )
    with torch.no_grad():
        features = model(**encoded).last_hidden_state.numpy()
    ours = np.load(saved)
    mask = encoded["attention_mask"].numpy().astype(bool)
    different = 0
    for sentence, left, right in zip(
        SENTENCES,
        ours["token_ids"] * ours["padding_mask"],
        (encoded["input_ids"] * encoded["attention_mask"]).numpy(),
        strict=True,
    ):
        if left.tolist() != right.tolist():
            different += 1
            print(f"token ids differ: {sentence[:40]!r}")
    print(f"sentences: {len(SENTENCES)}, with other token ids: {different}")
    if different:
        return 1
    largest = float(np.abs(ours["features"] - features)[mask].max())
    print(f"largest difference of the sequence outputs: {largest:.2e} (limit {LIMIT:.0e})")
    return int(largest > LIMIT)


if __name__ == "__main__":
    verbs = {"dump": dump, "compare": compare}
    if len(sys.argv) != 4 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    sys.exit(verbs[sys.argv[1]](*sys.argv[2:]))
