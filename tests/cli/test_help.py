"""Help lists every argument and option."""

from __future__ import annotations

import os

import pytest

from aitk import __version__
from aitk.cli import GENERAL, STAGES
from aitk.core.contract.errors import EXIT_CODES
from aitk.core.contract.options import describe
from aitk.registry import DOMAINS
from aitk.stages.options import TrainingOptions


def test_lists_domains_questions_and_exit_codes(aitk) -> None:
    result = aitk("--help")
    assert result.code == 0
    for name in (*DOMAINS, *GENERAL, *map(str, EXIT_CODES)):
        assert name in result.out


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_lists_its_stages(aitk, domain: str) -> None:
    assert all(stage in aitk(domain, "--help").out for stage in STAGES)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_shows_an_example_in_80_columns(aitk, domain: str, stage: str) -> None:
    result = aitk(domain, stage, "--help")
    assert result.code == 0
    assert max(map(len, result.out.splitlines())) <= 80
    assert f"      aitk {domain} {stage} " in result.out
    assert "--json" in result.out
    assert "--quiet" in result.out


def test_every_training_option_is_a_flag(aitk) -> None:
    result = aitk("nlp", "finetune", "--help")
    for item in describe(TrainingOptions):
        assert f"{item.flag} " in result.out


def test_what_a_run_decides_is_no_flag_of_update(aitk) -> None:
    result = aitk("nlp", "update", "--help")
    assert "--learning-rate" in result.out
    assert "--from" not in result.out


def test_options_are_listed_in_parts_the_most_used_first(aitk) -> None:
    result = aitk("nlp", "finetune", "--help").out
    titles = ["Arguments:", "Output:", "Training:", "Training in detail:", "Options:"]
    assert [line for line in result.splitlines() if line in titles] == titles
    assert (
        result.index("--model ") < result.index("Training in detail:") < result.index("--warmup ")
    )


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("aitk nlp fine", "finetune"),
        ("aitk nlp finetune data --epo", "--epochs"),
        ("aitk vis", "vision"),
    ],
)
def test_a_shell_completes_stages_and_options(python, line: str, completed: str) -> None:
    done = python(
        "from aitk.cli.main import main; import sys; sys.exit(main([]))",
        env=os.environ
        | {
            "_AITK_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(line.count(" ")),
        },
    )
    assert done.stdout.split() == [completed]


def test_defaults_and_choices_are_shown(aitk) -> None:
    result = " ".join(aitk("nlp", "finetune", "--help").out.split())
    assert "--optimizer adamw|adam|sgd|muon|schedule-free update rule;" in result
    assert "--seed INT seed of weights, order and dropout [default: 0]" in result


def test_version(aitk) -> None:
    assert aitk("--version").out == f"aitk {__version__}\n"


def test_no_arguments_show_help_and_exit_with_2(aitk) -> None:
    result = aitk()
    assert result.code == 2
    assert "Commands:" in result.err
    assert result.out == ""


def test_predict_options_that_change_scores_are_options_of_evaluate(aitk) -> None:
    speech, vision, recsys = (
        aitk(domain, "evaluate", "--help").out for domain in ("speech", "vision", "recsys")
    )
    assert all(flag in speech for flag in ("--beam ", "--lm ", "--lexicon ", "--hot-words "))
    assert "--view " in vision and "--mirror" in vision
    for flag, result in {
        "--words": speech,
        "--min-score": vision,
        "--exclude-seen": recsys,
    }.items():
        assert flag not in result


def test_help_and_plain_options_need_no_pydantic(python) -> None:
    program = (
        "import sys; from aitk.cli.main import main;"
        "main(['nlp', 'predict', 'no-such-run', 'a.csv', '--out', 'b.jsonl', '--batch-size', '3']);"
        "main(['nlp', 'finetune', '--help']);"
        "sys.exit('pydantic' in sys.modules)"
    )
    assert python(program).returncode == 0
