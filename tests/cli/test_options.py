"""Options of a stage: flags override the config file, which overrides the defaults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aitk.cli.options import Located, group
from aitk.core.contract.outcome import Outcome


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments of the stage ``finetune``, which is not run."""
    seen: dict[str, Any] = {}

    def finetune(data: Path, out: Path, **more: Any) -> Outcome:
        seen.update(more, data=data, out=out)
        return Outcome(facts={"run": str(out)}, refused=seen.get("refused", 0))

    monkeypatch.setattr("aitk.stages.finetune.finetune", finetune)
    return seen


FINETUNE = ("nlp", "finetune", "data", "--out", "run")


def test_flags_become_the_resolved_dataclass(aitk, called) -> None:
    assert aitk(*FINETUNE, "--epochs", 7, "--from", "base", "--balance").code == 0
    options = called["options"]
    assert (options.epochs, options.from_, options.balance) == (7, "base", True)
    assert options.batch_size is None
    assert called["data"] == Path("data")
    assert called["domain"] == "nlp"
    assert (called["overwrite"], called["resume"]) == (False, False)


def test_an_option_can_be_none(aitk, called) -> None:
    aitk(*FINETUNE, "--clip-norm", "none")
    assert called["options"].clip_norm is None


def test_set_assigns_settings(aitk, called) -> None:
    aitk(*FINETUNE, "--set", "dropout=0.1", "--set", "max-length=9")
    assert called["settings"] == {"dropout": "0.1", "max_length": "9"}


def test_flags_win_over_the_config_file(aitk, called, tmp_path) -> None:
    config = tmp_path / "aitk.toml"
    config.write_text(
        'epochs = 3\nbatch-size = 8\nfrom = "base"\n[set]\ndropout = 0.5\nngrams = 1\n'
    )
    aitk(*FINETUNE, "--config", config, "--epochs", 5, "--set", "ngrams=2")
    options = called["options"]
    assert (options.epochs, options.batch_size, options.from_) == (5, 8, "base")
    assert called["settings"] == {"dropout": 0.5, "ngrams": "2"}


def test_a_table_named_after_a_stage_is_for_that_stage(aitk, called, tmp_path) -> None:
    config = tmp_path / "aitk.toml"
    config.write_text(
        "seed = 4\n[finetune]\nepochs = 9\n[finetune.set]\nhidden = 8\n[prepare]\nmax_errors = 1\n"
    )
    assert aitk(*FINETUNE, "--config", config).code == 0
    assert (called["options"].epochs, called["options"].seed) == (9, 4)
    assert called["settings"] == {"hidden": 8}


PICTURES = ("vision", *FINETUNE[1:])


def test_a_setting_may_be_a_flag_of_its_own(aitk, called, tmp_path) -> None:
    assert aitk(*PICTURES, "--image-size", "24x32", "--set", "fit=crop").code == 0
    assert called["settings"] == {"image_size": "24x32", "fit": "crop"}
    config = tmp_path / "aitk.toml"
    config.write_text("image-size = 64\n[set]\nfit = 'crop'\n")
    assert aitk(*PICTURES, "--config", config).code == 0
    assert called["settings"] == {"image_size": 64, "fit": "crop"}
    assert aitk(*PICTURES, "--config", config, "--set", "image_size=8").code == 0
    assert called["settings"]["image_size"] == "8"
    config.write_text("[set]\nimage_size = 64\n")
    assert aitk(*PICTURES, "--config", config, "--image-size", "9").code == 0
    assert called["settings"] == {"image_size": "9"}


def test_a_setting_is_given_in_one_way_only(aitk, called, tmp_path) -> None:
    result = aitk(*PICTURES, "--image-size", 24, "--set", "image-size=32")
    assert result.code == 2
    assert "--image-size: image_size is set twice" in result.err
    config = tmp_path / "aitk.toml"
    config.write_text("image_size = 64\n[set]\nimage_size = 32\n")
    assert "image_size is set twice" in aitk(*PICTURES, "--config", config).err
    assert called == {}


def test_other_domains_have_no_such_flag(aitk, called) -> None:
    result = aitk(*FINETUNE, "--image-size", 24)
    assert result.code == 2
    assert "--image-size" in result.err


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("epoch = 3", "'epochs'"),
        ("[fintune]\nepochs = 3", "fintune"),
        ("[finetune]\nlearning_rat = 3", "'learning_rate'"),
        ("finetune = 3", "[finetune]"),
        ("epochs = ", "not valid TOML"),
    ],
)
def test_a_wrong_config_file_is_named(aitk, called, tmp_path, text: str, named: str) -> None:
    config = tmp_path / "aitk.toml"
    config.write_text(text)
    result = aitk(*FINETUNE, "--config", config)
    assert result.code == 2
    assert str(config) in result.err
    assert named in result.err


def test_the_config_may_be_another_run(aitk, called, tmp_path) -> None:
    config = tmp_path / "run.json"
    config.write_text(
        json.dumps({"options": {"epochs": 6, "model": None}, "settings": {"dropout": 0.3}})
    )
    assert aitk(*FINETUNE, "--config", config).code == 0
    assert called["options"].epochs == 6
    assert called["settings"] == {"dropout": 0.3}


def test_prepare_gives_the_task_its_own_reading_options(aitk, monkeypatch) -> None:
    seen: dict[str, Any] = {}

    def prepare(sources: list[str], out: Path, **more: Any) -> Outcome:
        seen.update(more, sources=sources)
        return Outcome(facts={})

    monkeypatch.setattr("aitk.stages.prepare.prepare", prepare)
    result = aitk(
        *("nlp", "prepare", "a.csv", "-", "--task", "classify", "--label-column", "y"),
        *("--out", "d", "--split", "70/20/10"),
    )
    assert result.code == 0, result.err
    assert seen["task"] == "nlp.classify"
    assert seen["reading"].label_column == "y"
    assert seen["options"].split == "70/20/10"
    assert seen["sources"] == ["a.csv", "-"]


def test_refused_rows_exit_6_and_are_reported(aitk, called) -> None:
    called["refused"] = 3
    result = aitk(*FINETUNE, "--quiet")
    assert result.code == 6
    assert result.err == "3 rows were refused\n"


def test_json_prints_one_object_on_stdout(aitk, called) -> None:
    result = aitk(*FINETUNE, "--json")
    assert json.loads(result.out) == {"run": "run", "exit_code": 0}


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        ("vision", {"outside", "path_column", "every"}),
        ("speech", {"outside", "file_names"}),
        ("nlp", {"text_column", "delimiter"}),
        ("recsys", {"user_column"}),
    ],
)
def test_predict_takes_how_rows_are_found_but_not_what_is_done_to_them(domain, names) -> None:
    fields = {field.name for field in group(Located, domain).fields}
    assert names <= fields
    assert not fields & {"largest_side", "sample_rate_hz", "lowercase", "min_rating"}
