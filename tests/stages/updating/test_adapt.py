"""``update --without-labels``: unlabelled audio of a new speaker."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import BudgetMissed, DataError, UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.registry import load_task
from aitk.stages.options import TrainingOptions, UpdateOptions
from aitk.stages.updating.adapt import adapt

RATE = 8000


def record(folder, speaker, *, count, times=1.0):
    """Low and high tones as files LABEL_SPEAKER_NUMBER.wav, all ``times`` as high."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        for label, hertz in (("low", 400.0), ("high", 1600.0)):
            rng = np.random.default_rng([number, len(label)])
            time_s = np.arange(int(rng.uniform(0.2, 0.3) * RATE)) / RATE
            tone = np.sin(2 * np.pi * times * hertz * rng.uniform(0.95, 1.05) * time_s)
            noise = 0.02 * rng.normal(size=len(tone))
            soundfile.write(folder / f"{label}_{speaker}_{number}.wav", 0.3 * tone + noise, RATE)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Model name -> a run of it, each trained on the tones of one speaker."""
    from aitk.stages.finetune import finetune
    from aitk.stages.options import PrepareOptions
    from aitk.stages.prepare import prepare

    folder = tmp_path_factory.mktemp("adapt")
    prepare(
        [str(record(folder / "sounds", "ann", count=12))],
        folder / "data",
        task="speech.keywords",
        options=resolve(PrepareOptions, {"split": "60/20/20"}),
        reading=resolve(
            load_task("speech.keywords").reading,
            {"file_names": "{label}_{speaker}_{}", "sample_rate_hz": RATE},
        ),
        reporter=Silent(),
    )
    for model, settings in (("cnn", {"channels": 2}), ("gmm-hmm", {"states": 2, "mixtures": 1})):
        finetune(
            folder / "data",
            folder / model,
            domain="speech",
            options=resolve(TrainingOptions, {"model": model, "epochs": 4, "batch_size": 8}),
            settings=settings,
            reporter=Silent(),
        )
    return folder


def fit(run, sounds, out, *, training=None, **options):
    return adapt(
        run,
        [str(sounds)],
        out,
        domain="speech",
        options=resolve(UpdateOptions, {"without_labels": True} | options),
        training=resolve(TrainingOptions, {"epochs": 2} | (training or {})),
        reporter=Silent(),
    )


def test_a_new_speaker_is_learned_and_known_from_then_on(trained, tmp_path):
    sounds = record(tmp_path / "new", "bob", count=10, times=1.3)
    outcome = fit(trained / "cnn", sounds, tmp_path / "out", force=True)
    assert outcome.facts["rows"] == 20
    run = load_run(tmp_path / "out")
    update = run.manifest["updates"][0]
    assert update["without_labels"]
    assert set(update["before"]) == set(update["after"]) == {"old"}
    assets = load_task(run.task).load_assets(run.assets)
    assert {"ann", "bob"} <= set(assets.moments)
    assert "Updates" in (run.folder / "report.html").read_text(encoding="utf-8")
    assert len((run.folder / "history.csv").read_text().splitlines()) == 3


def test_a_model_that_forgot_is_refused(trained, tmp_path, monkeypatch):
    from aitk.stages.updating import adapt as stage

    scores = iter([0.9, 0.4])
    monkeypatch.setattr(stage, "main_score", lambda *_: next(scores))
    sounds = record(tmp_path / "new", "bob", count=4)
    with pytest.raises(BudgetMissed, match=r"0\.9000 before, 0\.4000 after") as error:
        fit(trained / "cnn", sounds, tmp_path / "out")
    assert "--replay" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_too_few_rows_for_the_classes_are_refused(trained, tmp_path):
    sounds = record(tmp_path / "new", "bob", count=1)
    with pytest.raises(DataError, match="2 rows are too few for 2 classes.*at least 4"):
        fit(trained / "cnn", sounds, tmp_path / "out")


def test_word_models_cannot_be_adapted(trained, tmp_path):
    sounds = record(tmp_path / "new", "bob", count=4)
    with pytest.raises(UsageError, match="without a dense head cannot be adapted"):
        fit(trained / "gmm-hmm", sounds, tmp_path / "out")


def test_a_task_that_is_not_source_free_reports_it(trained, tmp_path, monkeypatch):
    other = SimpleNamespace(name="speech.keywords")
    monkeypatch.setattr("aitk.stages.updating.adapt.open_task", lambda run, load: other)
    with pytest.raises(UsageError, match="cannot learn from rows without labels"):
        fit(trained / "cnn", tmp_path, tmp_path / "out")


def test_an_option_without_effect_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--freeze-epochs has no effect with --without-labels"):
        fit(tmp_path / "run", tmp_path, tmp_path / "out", training={"freeze_epochs": 1})
