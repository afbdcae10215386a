"""User errors with logs: one line with problem and place, and no lost data."""

import csv
import io
import json
import os

import pytest

from aitk.core.contract.labels import normalise

HEADER = "user,item,rating,time\n"


def good_lines():
    """Users of two kinds, each taking five of the six items of their kind in turn."""
    for user in range(24):
        for place in range(5):
            item = (user + place) % 6
            rating, time = 1 + (user + 2 * item) % 5, 1_700_000_000 + 100 * user + place
            yield f"u{user},{'pq'[user % 2]}{item},{rating},{time}\n"


GOOD = HEADER + "".join(good_lines())
HALF = "item,title\n" + "".join(f"p{n},thing number {n}\n" for n in range(6))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with ``good.csv``, its data in ``data`` and a computed model in ``run``."""
    from aitk.cli.main import main

    folder, before = tmp_path_factory.mktemp("logs"), os.getcwd()
    os.chdir(folder)
    try:
        (folder / "good.csv").write_text(GOOD)
        told = ["--quiet"]
        assert main(["recsys", "prepare", "good.csv", "--task", "recommend", "--out", "data",
                     *told]) == 0  # fmt: skip
        assert main(["recsys", "finetune", "data", "--model", "ease", "--out", "run", *told]) == 0
        yield folder
    finally:
        os.chdir(before)


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    """An empty working folder with the good log, where ``trained`` is near."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text(GOOD)
    (tmp_path / "half.csv").write_text(HALF)
    return tmp_path


def write(name, text):
    with open(name, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def rejects(folder):
    lines = (folder / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    return [(json.loads(line)["line"], json.loads(line)["reason"]) for line in lines]


@pytest.mark.parametrize(
    ("log", "arguments", "code", "words"),
    [
        ("user,item\n" + "".join(f"u,i{n}\n" for n in range(9)), [], 3,
         "log.csv: all events are of one user, 'u'. See --user-column"),
        ("user,item\n" + "".join(f"u{n},i\n" for n in range(9)), [], 3,
         "log.csv: all events are with one item, 'i'. See --item-column"),
        ("user,item\n", [], 3, "log.csv: no rows were found"),
        (GOOD, ["--user-column", "usr"], 2, "no column 'usr'. Did you mean 'user'"),
        (GOOD, ["--items", "gone.csv"], 3, "gone.csv: no such file"),
        (GOOD, ["--unknown-items", "drop"], 2, "--unknown-items: there is no items file"),
        (GOOD, ["--encoders", "title=run"], 2, "--encoders: the items have no attributes"),
        (GOOD, ["--items", "half.csv", "--encoders", "titel=run"], 2, "Did you mean 'title'"),
        (GOOD, ["--items", "half.csv", "--encoders", "title=nowhere"], 4, "nowhere"),
        (GOOD, ["--items", "half.csv", "--item-kinds", "titel=text"], 2, "titel"),
        (GOOD, ["--protocol", "tim"], 2, "Did you mean 'time'"),
        (GOOD, ["--min-rating", "6"], 3, "no event is left after cleaning"),
        ("user,item\nu1,a\nu1,b\nu2,a\nu2,c\n", ["--protocol", "time"], 2, "the log has no times"),
    ],
)  # fmt: skip
def test_prepare_refuses_in_one_line(aitk, here, log, arguments, code, words):
    write("log.csv", log)
    before = set(os.listdir(here))
    result = aitk("recsys", "prepare", "log.csv", "--task", "recommend", "--out", "d", *arguments)
    assert result.code == code, result.err
    assert words in result.lines[-1]
    assert "Traceback" not in result.err
    assert set(os.listdir(here)) == before


@pytest.mark.parametrize(
    ("ratings", "words"),
    [(["3"] * 9, "all ratings are 3"), ([""] * 9, "all 9 rows were refused"), (None, "rating")],
)
def test_ratings_that_teach_nothing_are_refused(aitk, here, ratings, words):
    head, told = "user,item\n", [""] * 9
    if ratings is not None:
        head, told = "user,item,rating\n", [f",{rating}" for rating in ratings]
    write("log.csv", head + "".join(f"u{n % 3},i{n}{told[n]}\n" for n in range(9)))
    result = aitk("recsys", "prepare", "log.csv", "--task", "rate", "--out", "d")
    assert result.code in (2, 3)
    assert words in result.lines[-1] and "log.csv" in result.lines[-1]
    assert not (here / "d").exists() and not (here / "d.part").exists()


def test_bad_events_are_refused_and_the_rest_is_kept(aitk, here):
    bad = ["u1,p1,nan,1700000000", "u1,p1,inf,1700000000", "u1,p1,,1700000000", "u1,p1,3,-5",
           "u1,p1,3,yesterday", ",p1,3,1700000000", "u1,,3,1700000000", "u1,p1"]  # fmt: skip
    write("log.csv", GOOD + "".join(f"{line}\n" for line in bad))
    result = aitk("recsys", "prepare", "log.csv", "--task", "rate", "--out", "d")
    assert result.code == 6, result.err
    assert "8 rows were refused" in result.err
    first = GOOD.count("\n") + 1
    reasons = ["rating is 'nan'", "rating is 'inf'", "no rating", "before 1970", "yesterday",
               "user", "item", "field"]  # fmt: skip
    found = rejects(here / "d")
    assert [line for line, _ in found] == list(range(first, first + 8))
    for (_, reason), words in zip(found, reasons, strict=True):
        assert words in reason
    manifest = json.loads((here / "d" / "dataset.json").read_text())
    assert manifest["refused"] == 8
    result = aitk(
        "recsys", "prepare", "log.csv", "--task", "rate", "--out", "e", "--max-errors", "3"
    )
    assert result.code == 3 and "--max-errors" in result.lines[-1]
    assert not (here / "e").exists() and not (here / "e.part").exists()


STRANGE = ["007", "7", "7.5", "a,b", 'say "hi"', "ünï ☃", "two  lines", "nan.", "-1"]


def test_ids_are_kept_but_for_spaces(aitk, here):
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["user", "item"])
    for number, user in enumerate(STRANGE):
        for place in range(5):
            table.writerow([user, STRANGE[(number + place) % len(STRANGE)]])
    write("log.csv", text.getvalue())
    assert aitk("recsys", "prepare", "log.csv", "--task", "recommend", "--out", "d").code == 0
    result = aitk("recsys", "finetune", "d", "--model", "popular", "--out", "r")
    assert result.code == 0, result.err
    asked = io.StringIO()
    csv.writer(asked).writerows([["user"], *([user] for user in [*STRANGE, "0007"])])
    write("asked.csv", asked.getvalue())
    result = aitk("recsys", "predict", "r", "asked.csv", "--out", "-")
    answers = [json.loads(line) for line in result.out.splitlines()]
    assert [answer["user"] for answer in answers] == [*STRANGE, "0007"]
    assert ["note" in answer for answer in answers] == [False] * len(STRANGE) + [True]
    for number, answer in enumerate(answers[:-1]):
        had = {STRANGE[(number + place) % len(STRANGE)] for place in range(5)}
        left = {normalise(item) for item in set(STRANGE) - had}
        assert {each["item"] for each in answer["recommendations"]} == left


def test_missing_items_are_reported_and_can_be_excluded(aitk, here):
    told = ["recsys", "prepare", "good.csv", "--task", "recommend", "--items", "half.csv"]
    result = aitk(*told, "--out", "d")
    assert result.code == 0
    assert "6 items with events but missing from the items file (50.0%)" in result.err
    result = aitk(*told, "--unknown-items", "drop", "--out", "e", "--json")
    assert json.loads(result.out)["rows"]["train"] == 12  # users who take what it has


def test_unknown_users_get_predictions_and_invalid_queries_errors(aitk, here, trained):
    write("asked.csv", 'user,item,history\nu0,,\nnobody,,\n,zz,\n,,\n,,"[""p0"", null]"\nu1,,\n')
    result = aitk("recsys", "predict", trained / "run", "asked.csv", "--out", "a.jsonl")
    assert result.code == 6, result.err
    answers = [json.loads(line) for line in (here / "a.jsonl").read_text().splitlines()]
    assert [answer.get("line") for answer in answers] == [None, None, None, 5, 6, None]
    assert "unknown user 'nobody'" in answers[1]["note"]
    assert "unknown item 'zz'" in answers[2]["note"]
    assert "it has no user, history or item" in answers[3]["error"]
    assert "history" in answers[4]["error"]
    assert answers[0]["prediction"] == "p5" and answers[5]["prediction"] == "q0"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--filter", "titel=x"], 2, "unknown item attribute 'titel'"),
        (["--filter", "item"], 2, "--filter: cannot read 'item'. Use COLUMN=VALUE"),
        (["--top-k", "0"], 2, "at least 1"),
    ],
)
def test_a_wrong_question_leaves_nothing(aitk, here, trained, arguments, code, words):
    before = set(os.listdir(here))
    write("asked.txt", "u0\n")
    result = aitk("recsys", "predict", trained / "run", "asked.txt", "--out", "a.jsonl", *arguments)
    assert result.code == code
    assert words in result.lines[-1]
    assert set(os.listdir(here)) == before | {"asked.txt"}


def test_impossible_training_update_and_comparison_are_refused(aitk, here, trained):
    def last_line(*arguments, code):
        before = set(os.listdir(here))
        result = aitk(*arguments)
        assert result.code == code, result.err
        assert "Traceback" not in result.err
        assert set(os.listdir(here)) == before
        return result.lines[-1]

    data, run = trained / "data", trained / "run"
    finetune = ["recsys", "finetune", data, "--out", "x"]
    assert "Did you mean 'l2'" in last_line(*finetune, "--model", "ease", "--set", "l3=1", code=2)
    assert "Did you mean 'ease'" in last_line(*finetune, "--model", "eas", code=2)
    line = last_line(*finetune, "--from", run, code=2)
    assert "ease is a closed-form model" in line
    line = last_line("recsys", "tune", data, "--model", "popular", "--out", "x", code=2)
    assert "no settings to tune" in line
    line = last_line("recsys", "update", run, "good.csv", "--out", "x", code=3)
    assert "no usable new rows. 120 rows were refused" in line
    line = last_line("recsys", "evaluate", run, "--data", "good.csv", code=2)
    assert "aitk recsys prepare good.csv --task recommend" in line

    told = ["--format", "litert", "--quantize", "none", "--resamples", "10"]
    assert aitk("recsys", "compress", run, "--out", "small", *told).code == 0
    write("new.csv", HEADER + "u0,p5,3,1800000000\n")
    line = last_line("recsys", "update", "small", "new.csv", "--out", "x", code=2)
    assert "cannot be updated" in line and str(run) in line

    prepare = ["recsys", "prepare", "good.csv", "--task", "recommend"]
    assert aitk(*prepare, "--protocol", "ratio", "--out", "other").code == 0
    assert aitk("recsys", "finetune", "other", "--model", "ease", "--out", "two").code == 0
    assert "Run: aitk recsys evaluate" in last_line("compare", run, "two", code=4)
    for each in (run, "two"):
        assert aitk("recsys", "evaluate", each, "--resamples", "0").code == 0
    assert "another protocol (a random part" in last_line("compare", run, "two", code=4)

    fewer = "".join(GOOD.splitlines(keepends=True)[:61])
    write("fewer.csv", fewer)
    prepare[2] = "fewer.csv"
    assert aitk(*prepare, "--out", "few").code == 0
    assert aitk("recsys", "finetune", "few", "--model", "ease", "--out", "three").code == 0
    assert aitk("recsys", "evaluate", "three", "--resamples", "0").code == 0
    assert "12 test rows, of which 12 also occur among the 24" in last_line(
        "compare", run, "three", code=4
    )
