"""Rows while they wait for their split, and the name of all of them."""

import hashlib
import io
import json

import numpy as np

from aitk.core.contract.rows import Row
from aitk.stages.stored_rows import Block, Fingerprint, load_block


def test_a_block_keeps_arrays_and_other_values():
    fields = [
        {"text": "a", "score": 1.5, "image": b"png"},
        {"audio": np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::2], "text": "b"},
        {"labels": ["x", "y"], "wave": np.arange(3, dtype=np.int16)},
    ]
    block = Block()
    for line, each in enumerate(fields):
        block.add(Row(each, "file", line, split="train"))
    for line, (found, *place) in enumerate(load_block(block.dump(), where="here")):
        assert found.keys() == fields[line].keys()
        for name, value in fields[line].items():
            np.testing.assert_array_equal(found[name], value, strict=isinstance(value, np.ndarray))
            assert type(found[name]) is type(value)
        assert place == ["train", line, "file"]
    assert not block.rows


def test_a_fingerprint_is_the_digest_of_sorted_json():
    rows = [
        {"text": "a", "label": "é"},
        {"label": "x", "text": '"b"'},
        {"text": "c", "label": None},  # the names of texts, but not all are
        {"text": "d", "label": "y"},
        {},
        {"score": 1.5, "text": "e"},
        {"score": "1.5", "text": "f"},
        *[{"text": str(number), "label": "z"} for number in range(100)],
    ]
    lines = [f"train\0{json.dumps(row, sort_keys=True)}\n" for row in rows]
    digest, kept = Fingerprint(), io.BytesIO()
    other = Fingerprint(kept)
    for row in rows:
        digest.add("train", row)
        other.add("train", row)
    other.flush()
    assert kept.getvalue() == "".join(lines).encode()
    assert str(digest) == hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
    joined = Fingerprint()
    for start in range(0, len(kept.getvalue()), 1000):
        joined.add_lines(kept.getvalue()[start : start + 1000])
    assert str(joined) == str(digest)
