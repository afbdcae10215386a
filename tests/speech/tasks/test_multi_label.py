"""Recordings with any number of labels: reading, targets, assets, and models that have them."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from aitk.core.contract.rows import Refusal
from aitk.speech.data.audio import encode_audio
from aitk.speech.data.options import KeywordOptions, LabelledAudioReading
from aitk.speech.tasks.keywords import Keywords, MultiLabelKeywords
from aitk.speech.tasks.settings import DsCnnSettings

TASK = Keywords().for_reading(LabelledAudioReading(multi_label=True))
RATE = 8000
TIME_S = np.arange(RATE // 4) / RATE
SUMMARY = {
    "labels": ["high", "low"],
    "label_counts": {"train": {"high": 2, "low": 2}},
    "rows": {"train": 4},
}


def sound(*labels: str) -> np.ndarray:
    hertz = {"high": 2200, "low": 400}
    tones = [0.2 * np.sin(2 * np.pi * hertz.get(label, 0) * TIME_S) for label in labels]
    noise = 0.01 * np.random.default_rng(len(labels)).standard_normal(len(TIME_S))
    return (sum(tones) + noise).astype("float32")


def row(*labels: str) -> dict:
    return {
        "audio": encode_audio(sound(*labels), RATE), "labels": list(labels), "speaker": "",
        "seconds": 0.25, "id": "+".join(labels),
    }  # fmt: skip


ROWS = [row(), row("high"), row("low"), row("low", "high")]


def test_the_reading_options_choose_the_variant():
    assert isinstance(TASK, MultiLabelKeywords)
    assert "gmm-hmm" not in TASK.models
    assert type(Keywords().for_reading(LabelledAudioReading())) is Keywords


@pytest.mark.parametrize(
    ("table", "options"),
    [
        ("file,labels\na.wav,low|high\nb.wav,\n", {"label_separator": "|"}),
        ("file,high,low\na.wav,1,1\nb.wav,0,0\n", {"label_columns": ["high", "low"]}),
        ('{"file": "a.wav", "labels": ["low", "high"]}\n{"file": "b.wav", "labels": []}\n',
         {"multi_label": True}),
    ],
)  # fmt: skip
def test_a_table_names_any_number_of_labels(tmp_path, table, options):
    for name, labels in (("a", ("low", "high")), ("b", ())):
        soundfile.write(tmp_path / f"{name}.wav", sound(*labels), RATE)
    path = tmp_path / ("rows.jsonl" if table.startswith("{") else "rows.csv")
    path.write_text(table)
    reading = LabelledAudioReading(**options)
    rows = list(TASK.read([str(path)], reading, labelled=True, note=print))
    assert not any(isinstance(each, Refusal) for each in rows)
    assert [sorted(each.fields["labels"]) for each in rows] == [["high", "low"], []]


def test_it_learns_two_tones_and_its_assets_reload(tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    settings = DsCnnSettings(time_masks=0, frequency_masks=0)
    assets = TASK.learn(ROWS, SUMMARY, settings, note=print)
    spec = TASK.models["dscnn"]
    model = spec.build(settings, assets)
    model.compile(keras.optimizers.Adam(1e-2), loss=spec.loss(assets))
    batch = TASK.collate(TASK.encode(ROWS * 4, assets), assets)
    assert batch.targets[:4].tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]
    losses = [model.train_on_batch(batch.inputs, batch.targets, batch.weights) for _ in range(30)]
    assert losses[-1] < 0.3 * losses[0]
    outputs = np.asarray(model(batch.inputs, training=True))
    tuned = TASK.calibrate(TASK.measure(batch, outputs, assets), assets)
    assert TASK.score(TASK.measure(batch, outputs, tuned), tuned).metrics["micro_f1"].value == 1
    tuned.save(tmp_path)
    assert TASK.load_assets(tmp_path).thresholds == pytest.approx(tuned.thresholds)


@pytest.mark.parametrize("task", [Keywords(), TASK])
def test_log_probabilities_are_reported_on_request(task):
    settings = DsCnnSettings()
    assets = task.learn(ROWS, SUMMARY, settings, note=print)
    outputs = np.array([[2.0, -1.0]], np.float32)
    (plain,) = task.decode(None, outputs, assets, options=KeywordOptions())
    assert "log_probabilities" not in plain
    asked = KeywordOptions(log_probabilities=True)
    (prediction,) = task.decode(None, outputs, assets, options=asked)
    assert prediction.items() >= plain.items()
    expected = task.probabilities(outputs, assets)[0]
    np.testing.assert_allclose(np.exp(prediction["log_probabilities"]), expected, atol=1e-5)
