"""Help names everything a person can say."""

from __future__ import annotations

import pytest

from aitk import __version__
from aitk.cli import QUESTIONS, STAGES
from aitk.core.errors import EXIT_CODES
from aitk.core.options import describe
from aitk.stages.options import TrainingOptions
from aitk.tasks import DOMAINS


def test_lists_domains_questions_and_exit_codes(aitk) -> None:
    said = aitk("--help")
    assert said.code == 0
    for name in (*DOMAINS, *QUESTIONS, *map(str, EXIT_CODES)):
        assert name in said.out


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_lists_its_stages(aitk, domain: str) -> None:
    assert all(stage in aitk(domain, "--help").out for stage in STAGES)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_shows_an_example_that_is_not_wrapped(aitk, domain: str, stage: str) -> None:
    said = aitk(domain, stage, "--help")
    assert said.code == 0
    assert f"      aitk {domain} {stage} " in said.out
    assert "--json" in said.out
    assert "--quiet" in said.out


def test_every_training_option_is_a_flag(aitk) -> None:
    said = aitk("nlp", "finetune", "--help")
    for item in describe(TrainingOptions):
        assert f"{item.flag} " in said.out


def test_what_a_run_decides_is_no_flag_of_update(aitk) -> None:
    said = aitk("nlp", "update", "--help")
    assert "--learning-rate" in said.out
    assert "--from" not in said.out


def test_defaults_and_choices_are_shown(aitk) -> None:
    said = " ".join(aitk("nlp", "finetune", "--help").out.split())
    assert "--optimizer adamw|adam|sgd update rule [default: adamw]" in said
    assert "--seed INT seed of weights, order and dropout [default: 0]" in said


def test_version(aitk) -> None:
    assert aitk("--version").out == f"aitk {__version__}\n"


def test_nothing_asked_shows_help_and_exits_2(aitk) -> None:
    said = aitk()
    assert said.code == 2
    assert "Commands:" in said.err
    assert said.out == ""


def test_what_is_asked_of_answers_is_an_option_of_evaluate_where_it_is_scored(aitk) -> None:
    speech, vision, recsys = (
        aitk(domain, "evaluate", "--help").out for domain in ("speech", "vision", "recsys")
    )
    assert all(flag in speech for flag in ("--beam ", "--lm ", "--lexicon ", "--hot-words "))
    assert "--view " in vision and "--mirror" in vision
    for flag, said in {
        "--words": speech,
        "--least-score": vision,
        "--exclude-seen": recsys,
    }.items():
        assert flag not in said
