"""``predict`` on an ONNX run small enough to be done by hand, without TensorFlow."""

import csv
import errno
import io
import itertools
import json
import os
import threading

import numpy as np
import pytest

from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.contract.rows import Refusal, Row
from aitk.stages.options import PredictOptions
from aitk.stages.predict import predict
from aitk.stages.request import windows


@pytest.fixture(scope="module")
def run(onnx_run):
    return onnx_run


@pytest.fixture
def ask(run, tmp_path):
    """Predict and return the outcome: ``ask(path, out="a.jsonl", top_k=2)``."""

    def ask(
        *inputs,
        out="out.jsonl",
        reporter=None,
        overwrite=False,
        domain="nlp",
        located=None,
        **options,
    ):
        return predict(
            run,
            [str(item) for item in inputs],
            out=out if out == "-" else str(tmp_path / out),
            domain=domain,
            options=resolve(PredictOptions, options),
            located=located,
            overwrite=overwrite,
            write=written.append,
            reporter=reporter or Silent(),
        )

    written: list[str] = []
    ask.written = written
    return ask


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def objects(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_row_keeps_its_columns_and_gets_a_prediction(ask, tmp_path):
    rows = write(tmp_path / "rows.csv", "id,text\n7,a good day\n8,bad bad\n")
    outcome = ask(rows, out="out.jsonl")
    odds = 1 / (1 + np.exp(-np.array([2, 4])))
    assert objects(tmp_path / "out.jsonl") == [
        {"id": "7", "text": "a good day", "prediction": "up", "probability": round(odds[0], 6)},
        {"id": "8", "text": "bad bad", "prediction": "down", "probability": round(odds[1], 6)},
    ]
    assert outcome.facts["rows"] == 2 and outcome.exit_code == 0


def test_options_describe_differences_from_the_training_files(ask, tmp_path):
    rows = write(tmp_path / "rows.csv", "id;said\n7;a good day\n")
    ask(rows, out="out.jsonl", located={"text_column": "said", "delimiter": ";"})
    (row,) = objects(tmp_path / "out.jsonl")
    assert (row["said"], row["prediction"]) == ("a good day", "up")
    with pytest.raises(UsageError, match="unknown reading option"):
        ask(rows, out="other.jsonl", located={"outside": True})


def test_csv_holds_the_same_and_lists_as_json(ask, tmp_path):
    rows = write(tmp_path / "rows.csv", 'id,text\n7,"good,\nday"\n')
    ask(rows, out="out.csv", top_k=2)
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text()))
    assert row["text"] == "good,\nday" and row["prediction"] == "up" and row["error"] == ""
    assert [item["label"] for item in json.loads(row["top_k"])] == ["up", "down"]


def test_an_invalid_row_has_an_error_in_its_place(ask, tmp_path):
    rows = write(tmp_path / "rows.jsonl", '{"text": "good"}\n{"text": \n{"text": "bad"}\n')
    outcome = ask(rows)
    first, second, third = objects(tmp_path / "out.jsonl")
    assert (first["prediction"], third["prediction"]) == ("up", "down")
    assert second["line"] == 2 and second["error"]
    assert outcome.refused == 1 and outcome.exit_code == 6


def test_csv_has_columns_for_errors_even_where_they_come_first(ask, tmp_path):
    rows = write(tmp_path / "rows.jsonl", '{"text": \n{"text": "bad", "id": 1}\n')
    ask(rows, out="out.csv", batch_size=1)
    first, second = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text()))
    assert first["line"] == "1" and first["error"] and first["prediction"] == ""
    assert second["id"] == "1" and second["prediction"] == "down" and second["error"] == ""


def test_a_column_of_the_input_is_never_overwritten(ask, tmp_path):
    rows = write(tmp_path / "rows.csv", "text,prediction\ngood,mine\n")
    ask(rows)
    (row,) = objects(tmp_path / "out.jsonl")
    assert row["prediction"] == "mine" and row["predicted_prediction"] == "up"


def test_too_many_errors_stop_it_and_it_can_go_on(ask, tmp_path):
    rows = write(tmp_path / "rows.jsonl", '{"text": "good"}\n' + "{\n" * 3 + '{"text": "bad"}\n')
    with pytest.raises(DataError, match="more than --max-errors 1"):
        ask(rows, batch_size=2, max_errors=1)
    ask(rows, resume=True, max_errors=3)
    assert len(objects(tmp_path / "out.jsonl")) == 5


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_resumed_it_ends_with_the_same_bytes(ask, tmp_path, suffix):
    texts = [" ".join(["good", "bad", "day"][: n % 3 + 1] * (n % 4 + 1)) for n in range(50)]
    rows = write(tmp_path / "rows.csv", "text\n" + "\n".join(texts) + "\n")
    ask(rows, out=f"whole.{suffix}", batch_size=2)

    class Stopping(Silent):
        def update(self, what, done, total, detail=""):
            if done > 10:
                raise KeyboardInterrupt

    out = f"broken.{suffix}"
    with pytest.raises(KeyboardInterrupt):
        ask(rows, out=out, batch_size=2, reporter=Stopping())
    assert not (tmp_path / out).exists()
    with (tmp_path / f"{out}.part").open("a") as half:
        half.write('{"text": "half a li')
    with pytest.raises(UsageError, match="--resume"):
        ask(rows, out=out, batch_size=2)
    outcome = ask(rows, out=out, batch_size=2, resume=True)
    assert 0 < outcome.facts["resumed_after"] < 50
    assert (tmp_path / out).read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    assert not list(tmp_path.glob("*.p*"))


def test_other_rows_are_not_resumed(ask, tmp_path):
    rows = write(tmp_path / "rows.jsonl", '{"text": "good"}\n{\n')
    with pytest.raises(DataError):
        ask(rows, batch_size=1, max_errors=0)
    write(rows, '{"text": "bad"}\n{"text": "other"}\n')
    with pytest.raises(ArtifactError, match="other inputs"):
        ask(rows, resume=True)


def test_a_full_disk_is_reported_with_the_file_and_a_hint(ask, tmp_path, monkeypatch):
    rows = write(tmp_path / "rows.csv", "text\ngood\n")

    def full(file, content):
        if b"prediction" in content:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("aitk.core.io.resumable._write", full)
    with pytest.raises(UsageError, match=r"out\.jsonl\.part.*No space left.*--resume"):
        ask(rows)


def test_stdout_gets_the_rows_and_nothing_is_written(ask, tmp_path):
    rows = write(tmp_path / "rows.csv", "text\ngood\nbad\n")
    ask(rows, out="-")
    answers = [json.loads(line)["prediction"] for line in "".join(ask.written).splitlines()]
    assert answers == ["up", "down"]
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_wrong_calls_are_refused(ask, run, tmp_path):
    rows = write(tmp_path / "rows.csv", "text\ngood\n")
    with pytest.raises(UsageError, match=r"\.jsonl, .*\.csv"):
        ask(rows, out="out.xlsx")
    with pytest.raises(UsageError, match="cannot be resumed"):
        ask("-", resume=True)
    with pytest.raises(UsageError, match="--draw: .* cannot be drawn"):
        ask(rows, draw="drawn")
    with pytest.raises(ArtifactError, match="not of vision"):
        ask(rows, domain="vision")


def test_at_most_a_window_is_read_ahead():
    pulled = itertools.count()
    stream = (Row({"text": "x"}, "f", next(pulled)) for _ in range(10**9))
    taken = windows(stream, 2, max_batches=32)
    lengths = [len(next(taken)[0]) for _ in range(9)]
    assert lengths[:3] == [2, 4, 8] and max(lengths) == 64
    assert next(pulled) == sum(lengths)


def test_the_first_window_of_a_csv_holds_a_row():
    items = [Refusal("f", n, "bad") for n in range(5)] + [Row({}, "f", 6), Row({}, "f", 7)]
    lengths = [len(window) for window, _ in windows(items, 2, max_batches=9, until_row=True)]
    assert lengths == [6, 1]
    assert [len(window) for window, _ in windows(items, 2, max_batches=9)] == [2, 4, 1]


def test_windows_that_go_on_are_those_that_would_have_come():
    items = [Row({}, "f", number) for number in range(40)]
    whole = [(len(window), batches) for window, batches in windows(items, 2, max_batches=4)]
    done, batches = whole[0][0] + whole[1][0], whole[1][1]
    resumed = windows(items[done:], 2, batches=batches, max_batches=4)
    assert [(len(window), batches) for window, batches in resumed] == whole[2:]


def test_tensorflow_is_not_imported(run, tmp_path, python):
    rows = write(tmp_path / "rows.csv", "text\ngood\n")
    done = python(
        "import sys\n"
        "from aitk.cli.main import main\n"
        "assert main(['nlp', 'predict', *sys.argv[1:]]) == 0\n"
        "print(sorted({'tensorflow', 'keras', 'pandas', 'spacy'} & set(sys.modules)))",
        run,
        rows,
    )
    assert done.stderr == "" or "Error" not in done.stderr
    first, modules = done.stdout.splitlines()
    assert json.loads(first)["prediction"] == "up" and modules == "[]"


@pytest.fixture
def recommend(ease_run, tmp_path):
    """Ask the log's model: ``recommend(path, chosen={"filter": [...]}, top_k=2)``."""

    def recommend(source, *, chosen=None, run=ease_run, out="answers.jsonl", **options):
        outcome = predict(
            run,
            [str(source)],
            out=str(tmp_path / out),
            domain="recsys",
            options=resolve(PredictOptions, options),
            predict_options=chosen,
            write=print,
            reporter=Silent(),
        )
        return outcome, tmp_path / out

    return recommend


def items_of(answer):
    return [each["item"] for each in answer["recommendations"]]


def test_users_histories_and_items_are_answered_side_by_side(recommend, tmp_path):
    asked = write(
        tmp_path / "asked.csv",
        'user,history,item\nu0,,\n,"[""p0"", ""p1"", ""zz""]",\n,,q3\nnobody,,\n,,\n',
    )
    outcome, out = recommend(asked, top_k=3)
    known, given, alike, stranger, nothing = objects(out)
    assert known["user"] == "u0" and "note" not in known
    assert items_of(known)[0] == "p5"  # the only one of its kind that u0 has not had
    assert set(items_of(given)) < {f"p{n}" for n in range(2, 6)}
    assert given["note"] == "unknown items ignored: zz"
    assert "q3" not in items_of(alike) and {item[0] for item in items_of(alike)} == {"q"}
    assert stranger["note"].startswith("unknown user 'nobody'")
    assert len(items_of(stranger)) == 3
    assert nothing == {"line": 6, "error": "it has no user, history or item"}
    assert (outcome.facts["rows"], outcome.refused, outcome.exit_code) == (5, 1, 6)


def test_known_items_are_recommended_only_on_request(recommend, tmp_path):
    asked = write(tmp_path / "asked.txt", "u0\n")
    had = {f"p{n}" for n in range(5)}
    _, out = recommend(asked, top_k=12)
    assert not had & set(items_of(objects(out)[0]))
    _, out = recommend(asked, top_k=12, chosen={"exclude_seen": False}, out="again.jsonl")
    assert had < set(items_of(objects(out)[0]))


def test_an_unknown_filter_is_refused_and_leaves_nothing(recommend, tmp_path):
    asked = write(tmp_path / "asked.txt", "u0\n")
    with pytest.raises(UsageError, match="unknown item attribute 'titel'"):
        recommend(asked, chosen={"filter": ["titel=x"]})
    assert list(tmp_path.iterdir()) == [asked]
    _, out = recommend(asked, chosen={"filter": ["item=q1"]}, out="one.jsonl")
    assert items_of(objects(out)[0]) == ["q1"]


def test_all_users_of_a_prepared_log_get_predictions(recommend, choices):
    outcome, out = recommend(choices)
    answers = objects(out)
    assert [answer["user"] for answer in answers] == [f"u{n}" for n in range(24)]
    assert items_of(answers[0])[0] == "p5"
    assert outcome.refused == 0


def test_only_a_file_of_predictions_is_replaced(ask, tmp_path):
    rows = write(tmp_path / "rows.csv", "text\ngood\n")
    for out in ("out.jsonl", "out.csv"):
        ask(rows, out=out)
        with pytest.raises(UsageError, match="exists already"):
            ask(rows, out=out)
        ask(rows, out=out, overwrite=True)
    labels = write(tmp_path / "labels.jsonl", '{"text": "good", "label": "up"}\n')
    for mine in (labels, rows):
        before = mine.read_bytes()
        with pytest.raises(UsageError, match="not written by aitk|is the input"):
            ask(rows, out=mine.name, overwrite=True)
        assert mine.read_bytes() == before


def test_a_pipe_and_a_device_get_the_rows_as_they_are_done(ask, tmp_path):
    rows = write(tmp_path / "rows.csv", "text\ngood\n")
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    ask(rows, out="pipe")
    reader.join()
    assert json.loads(read[0])["prediction"] == "up"
    assert ask(rows, out="/dev/null").facts["rows"] == 1
    with pytest.raises(UsageError, match="streams cannot be resumed"):
        ask(rows, out="/dev/null", resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipe", "rows.csv"]
