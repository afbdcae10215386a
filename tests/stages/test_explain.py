"""Explaining rows: as JSON lines and as a page with coloured words."""

import json

import pytest

from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.stages.explain import explain
from aitk.stages.options import ExplainOptions


@pytest.fixture
def run(write_data, write_run):
    return write_run("run", write_data("data", train=[("yes", "yes"), ("no", "no")]), [1, 1])


@pytest.fixture
def new(tmp_path):
    file = tmp_path / "new.csv"
    file.write_text("?,a yes <b>indeed</b>\n?,no or yes or no\nbroken\n?,so so\n")
    return str(file)


def test_the_telling_word_weighs_most(run, new, tmp_path, heard):
    explain(run, [new], tmp_path / "out", options=ExplainOptions(), reporter=heard)
    lines = (tmp_path / "out" / "explanations.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert first["line"] == 1
    assert first["explained"] == "yes"
    assert "".join(part["text"] for part in first["parts"]) == "a yes <b>indeed</b>"
    assert max(first["parts"], key=lambda part: part["weight"])["text"] == "yes"
    assert len(lines) == 3


def test_the_page_colours_words_and_escapes_text(run, new, tmp_path, heard):
    explain(run, [new], tmp_path / "out", options=ExplainOptions(), reporter=heard)
    page = (tmp_path / "out" / "explanations.html").read_text()
    assert '<mark class="for"' in page
    assert '<mark class="against"' in page
    assert "&lt;b&gt;" in page.replace("</mark>", "")
    assert "<b>indeed" not in page


def test_another_prediction_can_be_explained(run, new, tmp_path, heard):
    options = ExplainOptions(rows=1, target="no")
    outcome = explain(run, [new], tmp_path / "out", options=options, reporter=heard)
    line = json.loads((tmp_path / "out" / "explanations.jsonl").read_text())
    assert line["explained"] == "no"
    assert min(line["parts"], key=lambda part: part["weight"])["text"] == "yes"
    assert outcome.facts["rows"] == 1


def test_named_words_matter_more_than_random_ones(run, new, tmp_path, heard):
    outcome = explain(run, [new], tmp_path / "out", options=ExplainOptions(), reporter=heard)
    facts = outcome.facts
    assert facts["drop_without_named_parts"] > facts["drop_without_random_parts"]


def test_refused_rows_are_counted(run, new, tmp_path, heard):
    outcome = explain(run, [new], tmp_path / "out", options=ExplainOptions(), reporter=heard)
    assert outcome.exit_code == 6
    assert any("new.csv:3: no label" in warning for warning in heard.warnings)


def test_an_out_that_exists_is_left_alone(run, new, tmp_path, heard):
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        explain(run, [new], tmp_path / "out", options=ExplainOptions(), reporter=heard)


def test_nothing_is_written_without_rows(run, tmp_path, heard):
    (tmp_path / "empty.csv").write_text("")
    source = [str(tmp_path / "empty.csv")]
    with pytest.raises(DataError, match="no row to explain"):
        explain(run, source, tmp_path / "out", options=ExplainOptions(), reporter=heard)
    assert not list(tmp_path.glob("out*"))


def test_a_run_of_another_domain_is_refused(run, new, tmp_path, heard):
    with pytest.raises(ArtifactError, match="not of nlp"):
        explain(run, [new], tmp_path / "o", options=ExplainOptions(), domain="nlp", reporter=heard)
