"""Bundles predict what aitk predicts, in an interpreter that has neither aitk nor TensorFlow."""

import csv
import dataclasses
import json
import os
import struct
import subprocess
import sys
import wave

import numpy as np
import pytest

from aitk.core.compression.litert_file import write_litert
from aitk.core.contract.capabilities import Bundled
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.rows import Row
from aitk.core.edge.bundle import write_bundle
from aitk.core.inference.prediction import decode_rows
from aitk.core.inference.predictors import LiteRTPredictor
from aitk.registry import load_task

ROWS = 100
#: What a bare environment lacks, and what aitk predicts with.
ABSENT = (
    *("aitk", "tensorflow", "keras", "scipy", "cv2", "soundfile", "tokenizers", "pyarrow"),
    *("PIL", "sklearn"),
)
BARE = """
import runpy, sys
for name in {absent}: sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def predict_bare(bundle, source):
    """The lines that a bundle's script writes."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    out = bundle / "found.jsonl"
    code = BARE.format(absent=ABSENT)
    subprocess.run(
        [sys.executable, "-c", code, str(bundle / "predict.py"), str(source), "--out", str(out)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def bundled(task, assets, model, folder, *, reading=None, **settings):
    """A LiteRT file of a Keras model, and the bundle of both."""
    folder.mkdir()
    path = folder.with_suffix(".tflite")
    write_litert(model, path, scheme="dynamic", calibration=())
    assert isinstance(task, Bundled)
    parts = task.bundle(assets, reading or resolve(task.reading, {}))
    parts = dataclasses.replace(parts, settings={**parts.settings, **settings})
    write_bundle(
        folder, path, parts, format="litert", name="b",
        manifest={"model": "small", "task": task.name}, metrics={},
    )  # fmt: skip
    return path


def predictions(task, assets, path, sources, *, reading=None, top_k=1, options=None):
    """The output of ``aitk predict`` for files."""
    reading = reading or resolve(task.reading, {})
    items = list(task.read(sources, reading, labelled=False, note=print))
    assert all(isinstance(item, Row) for item in items)
    return list(
        decode_rows(
            [item.fields for item in items], task, assets, LiteRTPredictor(path),
            batch_size=16, top_k=top_k, options=options,
        )
    )  # fmt: skip


def same(found, due):
    """Whether two predictions agree: all but numbers exactly, those but for rounding."""
    if isinstance(due, float):
        return abs(found - due) <= 1e-4 * max(1, abs(due))
    if isinstance(due, dict):
        return all(same(found[name], value) for name, value in due.items())
    if isinstance(due, list):
        return len(found) == len(due) and all(map(same, found, due))
    return found == due


def check_same(found, due):
    assert len(found) == len(due) == ROWS
    different = [pair for pair in zip(found, due, strict=True) if not same(*pair)]
    assert not different, different[0]


TEXTS = [
    "Where is my parcel?",
    "Déjà vu: the café's naïve façade, über-cool señor",
    "我昨天收到的包裹坏了，请给我退款。",
    "日本語のテストです。カタカナ ภาษาไทย",
    "Great product 👍🎉 would buy again 🤷🏽‍♀️",
    "https://example.com/path?x=1&y=2 or mail me@example.com $99.99 50%",
    "x" * 150 + " [MASK] inside, don't can't",
    "İstanbul ß ﬁ ½ ² Ⅷ ㎏ हिन्दी العربية",
]


@pytest.mark.parametrize("tokenizer", ["wordpiece", "char", "bpe", "hashed"])
def test_texts(tokenizer, tmp_path):
    task = load_task("nlp.classify")
    texts = [f"{TEXTS[at % len(TEXTS)]} {at}" for at in range(ROWS)]
    rows = [{"text": text, "label": "ab"[len(text) % 2]} for text in texts]
    name = "bag" if tokenizer == "hashed" else "cnn"
    spec = task.models[name]
    settings = resolve(
        spec.settings,
        {"vocabulary_size": 400, "hidden": 8, "max_length": 40, "tokenizer": tokenizer},
    )
    summary = {"labels": ["a", "b"], "label_counts": {"train": {"a": 50, "b": 50}}}
    assets = task.learn(rows, summary, settings, note=print)
    path = bundled(task, assets, spec.build(settings, assets), tmp_path / "b")
    source = tmp_path / "texts.csv"
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    check_same(predict_bare(tmp_path / "b", source), predictions(task, assets, path, [str(source)]))


@pytest.mark.parametrize(
    "chosen",
    [
        {"features": "fbank"},
        {"features": "mfcc", "deltas": 2, "normalise": "corpus", "snip_edges": False},
    ],
    ids=["fbank", "mfcc"],
)
def test_recordings(chosen, tmp_path):
    from aitk.speech.data.audio import encode_audio

    task = load_task("speech.keywords")
    rng = np.random.default_rng(0)
    folder = tmp_path / "wavs"
    folder.mkdir()
    rows = []
    for at in range(ROWS):
        time_s = np.arange(int(rng.integers(900, 6000))) / 8000
        tone = 0.3 * np.sin(2 * np.pi * 200 * (1 + at % 7) * time_s)
        samples = tone + 0.05 * rng.standard_normal(len(time_s))
        whole = (samples * 32767).astype("<i2")
        with wave.open(str(folder / f"{at:03}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(whole.tobytes())
        rows.append({"audio": encode_audio(whole / 32768, 8000), "label": "ab"[at % 2]})
    spec = task.models["dscnn"]
    settings = resolve(spec.settings, {"filters": 16} | chosen)
    summary = {"labels": ["a", "b"], "label_counts": {"train": {"a": 50, "b": 50}}}
    assets = task.learn(rows, summary, settings, note=print)
    reading = resolve(task.reading, {"sample_rate_hz": 8000})
    path = bundled(task, assets, spec.build(settings, assets), tmp_path / "b", reading=reading)
    due = predictions(task, assets, path, [str(folder)], reading=reading)
    check_same(predict_bare(tmp_path / "b", folder), due)


def write_bmp(path, image):
    """A BMP file of 24 bits."""
    height, width = image.shape[:2]
    step = (3 * width + 3) // 4 * 4
    rows = np.zeros((height, step), np.uint8)
    rows[:, : 3 * width] = image[::-1, :, ::-1].reshape(height, -1)
    head = struct.pack("<2sIHHI", b"BM", 54 + rows.size, 0, 0, 54)
    head += struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, rows.size, 0, 0, 0, 0)
    path.write_bytes(head + rows.tobytes())


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Blocks of colour, larger than the models' size in some direction."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for at in range(ROWS):
        shape = (int(rng.integers(65, 140)), int(rng.integers(65, 140)), 3)
        image = rng.integers(0, 60, shape, dtype=np.uint8)
        top, left = rng.integers(0, 40, 2)
        image[top : top + 30, left : left + 20] += rng.integers(60, 190, 3, dtype=np.uint8)
        write_bmp(folder / f"{at:03}.bmp", image)
    return folder


@pytest.mark.parametrize(
    ("name", "fit"), [("vision.detect", "letterbox"), ("vision.segment", "crop")]
)
def test_images(name, fit, images, tmp_path):
    task = load_task(name)
    spec = next(iter(task.models.values()))
    settings = resolve(spec.settings, {"image_size": "64", "fit": fit})
    assets = task.learn([], {"labels": ["a", "b", "c"], "label_counts": {}}, settings, note=print)
    options, limits = None, {}
    if name == "vision.detect":  # an untrained detector is sure of nothing
        limits = {"min_score": 1e-4}
        options = resolve(task.predict_options, limits)
    path = bundled(task, assets, spec.build(settings, assets), tmp_path / "b", **limits)
    due = predictions(task, assets, path, [str(images)], options=options)
    if name == "vision.detect":
        assert any(row["boxes"] for row in due)
    check_same(predict_bare(tmp_path / "b", images), due)


@pytest.mark.parametrize("model", ["item-knn", "sasrec"])
def test_users(model, tmp_path):
    import pyarrow

    from aitk.recsys.features.assets import LogAssets, pack_histories

    task = load_task("recsys.recommend")
    rng = np.random.default_rng(0)
    items = [f"i{number}" for number in range(60)]
    events = {
        f"u{number}": (rng.permutation(60)[: rng.integers(2, 20)].astype(np.int32), None)
        for number in range(ROWS - 3)
    }
    events = {user: (told, np.ones(len(told), np.float32)) for user, (told, _) in events.items()}
    counts = np.bincount(np.concatenate([told for told, _ in events.values()]), minlength=60)
    spec = task.models[model]
    settings = resolve(spec.settings, {"hidden": 8} if model == "sasrec" else {})
    assets = LogAssets(
        attributes=pyarrow.table({"item": items, "title": [f"Item {item}" for item in items]}),
        kinds={"title": "text"},
        users=tuple(events),
        histories=pack_histories(events),
        counts=counts,
        protocol="",
        max_length=12 if model == "sasrec" else None,
        model=model,
        settings=dataclasses.asdict(settings),
        batches="next" if model == "sasrec" else "",
    )
    if model == "sasrec":
        keras_model = spec.build(settings, assets)
    else:
        rows = [
            {"user": user, "items": told, "ratings": ones, "times": told, "seen": told[:0],
             "targets": told[:0], "target_ratings": ones[:0]}
            for user, (told, ones) in events.items()
        ]  # fmt: skip
        from aitk.core.contract.progress import Silent

        keras_model = spec.fit(settings, assets, rows, seed=0, reporter=Silent())
    path = bundled(task, assets, keras_model, tmp_path / "b")
    source = tmp_path / "asked.jsonl"
    asked = [{"user": user} for user in events]
    asked += [{"user": "stranger"}, {"history": ["i3", "i9", "none"]}, {"item": "i7"}]
    source.write_text("\n".join(map(json.dumps, asked)) + "\n", encoding="utf-8")
    due = predictions(task, assets, path, [str(source)], top_k=10)
    check_same(predict_bare(tmp_path / "b", source), due)


def test_a_task_that_decodes_token_by_token_is_refused_with_the_reason(tmp_path, monkeypatch):
    from types import SimpleNamespace

    from aitk.stages.compressing import bundle
    from aitk.stages.options import CompressOptions

    old = SimpleNamespace(task="nlp.generate", reading={}, folder=tmp_path)
    monkeypatch.setattr(bundle, "load_run", lambda *_, **__: old)
    with pytest.raises(UsageError, match="once for a row, and this task several times"):
        bundle.bundle(tmp_path, tmp_path / "b", options=CompressOptions(), compress=None)


def test_what_a_script_cannot_do_is_refused():
    task = load_task("nlp.classify")
    from aitk.nlp.features.assets import TextAssets
    from aitk.nlp.features.tokenizers.hashing import HashedNgrams

    assets = TextAssets(HashedNgrams(100), 20, ("a", "b"))
    with pytest.raises(UsageError, match="strip-html"):
        task.bundle(assets, resolve(task.reading, {"strip_html": True}))
