"""Log-probabilities as Kaldi archives, read back by kaldiio."""

import kaldiio
import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.io.prediction_files import IndexedLines
from aitk.speech.decoding.posteriors import ArkLines

SCORES = np.log(np.random.default_rng(0).dirichlet(np.ones(4), 6)).round(6)
ROWS = [
    {"id": "u 1", "text": "a", "log_probabilities": SCORES.tolist()},
    {"line": 2, "error": "is silent"},
    {"file": "b.wav", "text": "", "log_probabilities": SCORES[0].tolist()},
]


def test_kaldiio_reads_the_archive_and_its_list(tmp_path):
    lines = ArkLines()
    assert isinstance(lines, IndexedLines)
    path = tmp_path / "x.ark"
    path.write_text(lines.format(ROWS[:1]) + lines.format(ROWS[1:]) + lines.tail())
    found = dict(kaldiio.load_ark(str(path)))
    assert list(found) == ["u_1", "b-0000003"]
    np.testing.assert_allclose(found["u_1"], SCORES, atol=1e-5)
    lines.write_index(path)
    listed = dict(line.split() for line in (tmp_path / "x.scp").read_text().splitlines())
    vector = kaldiio.load_mat(f"{tmp_path}/{listed['b-0000003']}")
    np.testing.assert_allclose(vector, SCORES[0], atol=1e-5)


def test_a_resumed_archive_continues_with_the_number_of_the_row():
    lines = ArkLines()
    lines.format(ROWS[:2])
    resumed = ArkLines()
    resumed.columns = lines.columns
    assert resumed.format(ROWS[2:]) == lines.format(ROWS[2:])


def test_an_archive_of_its_own_is_recognised_and_one_of_kaldi_is_not(tmp_path):
    lines = ArkLines()
    assert lines.recognises(lines.format(ROWS[:1]), ("text",))
    assert lines.recognises(lines.format(ROWS[2:]), ("text",))
    kaldiio.save_ark(str(tmp_path / "x.ark"), {"u": SCORES}, text=True)
    assert not lines.recognises((tmp_path / "x.ark").read_text(), ("text",))


def test_a_list_of_something_else_is_not_overwritten(tmp_path):
    (tmp_path / "x.scp").write_text("u1 feats.ark:3\n")
    with pytest.raises(UsageError, match="not the list of this archive"):
        ArkLines().index_path(tmp_path / "x.ark")


def test_predictions_without_log_probabilities_are_refused():
    with pytest.raises(UsageError, match="the predictions have none"):
        ArkLines().format([{"id": "u", "text": "a"}])
