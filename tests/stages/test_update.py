"""``update``: new rows are learnt, old ones replayed, and a worse model is refused."""

import pytest

from aitk.core.errors import BudgetMissed, DataError
from aitk.core.options import resolve
from aitk.core.progress import Silent
from aitk.core.run import load_run
from aitk.stages.options import TrainingOptions, UpdateOptions
from aitk.stages.update import update


@pytest.fixture(scope="module")
def run(good_or_bad, tmp_path_factory):
    """A bag of words that tells "good" from "bad"."""
    from aitk.stages.finetune import finetune

    out = tmp_path_factory.mktemp("update") / "run"
    finetune(
        good_or_bad,
        out,
        domain="nlp",
        options=resolve(TrainingOptions, {"model": "bag", "epochs": 8, "learning_rate": 0.02}),
        settings={"vocabulary_size": 2000, "hidden": 8},
        reporter=Silent(),
    )
    return out


def update_with(run, rows, tmp_path, **options):
    path = tmp_path / "new.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    training = {"epochs": 6, "learning_rate": 0.02}
    return update(
        run,
        [str(path)],
        tmp_path / "out",
        domain="nlp",
        options=resolve(UpdateOptions, options),
        training=resolve(TrainingOptions, training),
        reporter=Silent(),
    )


def test_new_words_are_learnt_without_losing_the_old(run, tmp_path):
    new = [(f"the {'splendid' if n % 2 else 'dreadful'} thing {n}", n % 2) for n in range(80)]
    outcome = update_with(run, new, tmp_path)
    assert outcome.facts["after"]["new"] > outcome.facts["before"]["new"]
    assert outcome.facts["after"]["old"] >= outcome.facts["before"]["old"]
    updated = load_run(tmp_path / "out")
    assert updated.manifest["parent"] == str(run)
    assert "old rows before" in (updated.folder / "report.html").read_text(encoding="utf-8")
    assert updated.manifest["updates"][0]["replayed"] == updated.manifest["updates"][0]["rows"]


def test_a_model_that_got_worse_is_refused_unless_told(run, tmp_path):
    wrong = [(f"the {'good' if n % 2 else 'bad'} thing {n}", 1 - n % 2) for n in range(80)]
    with pytest.raises(BudgetMissed, match="not updated.*--force"):
        update_with(run, wrong, tmp_path, replay=0.0)
    assert not (tmp_path / "out").exists()
    update_with(run, wrong, tmp_path, replay=0.0, force=True)
    assert (tmp_path / "out").exists()


def test_rows_without_a_known_label_are_no_update(run, tmp_path):
    with pytest.raises(DataError, match="no usable new rows"):
        update_with(run, [("something", "other")] * 3, tmp_path)
