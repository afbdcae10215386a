"""Reports open offline, escape what users wrote, and are the same bytes every time."""

import html.parser
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.reporting.card import model_card
from aitk.core.reporting.charts import column_chart, line_chart, number, ticks
from aitk.core.reporting.explanations_report import explanations_report
from aitk.core.reporting.page import Page, cell
from aitk.core.reporting.report import prepare_report, run_report

HOSTILE = "<script>alert('x')</script> & \"quoted\" 很好"

DATASET = {
    "task": "nlp.classify",
    "sources": [{"source": f"{HOSTILE}.csv", "sha256": "ab", "bytes": 12}],
    "notes": ["reviews.csv: TAB separated"],
    "reading": {"lower": True},
    "options": {"split": "80/10/10"},
    "split_rule": "by a hash",
    "rows": {"train": 8000, "test": 10},
    "refused": 2,
    "fingerprint": "abc",
    "summary": {
        "labels": ["no", "yes"],
        "label_counts": {"train": {"no": 5, HOSTILE: 3}, "test": {"no": 1}},
        "languages": {"en": 7, "zh": 1},
        "charts": {
            "words": {"x": [1, 2, 3], "y": [4, 0, 1]},
            "kinds": {"x": [HOSTILE], "y": [2]},
            "empty": {"x": [], "y": []},
        },
    },
    "findings": [
        {"check": "empty", "grade": "ok", "message": "none empty", "details": {}},
        {"check": "labels", "grade": "error", "message": HOSTILE, "details": {"rows": [1, 2]}},
    ],
    "packages": {"numpy": "2"},
    "wall_s": 1.5,
}

MANIFEST = {
    "task": "nlp.classify",
    "model": "bag",
    "settings": {"dimensions": 64},
    "options": {"epochs": 2},
    "format": "keras",
    "data": {
        "folder": "/home/someone/data/reviews",
        "fingerprint": "abc",
        "reading": {"lower": True, "html": False},
        "rows": {"train": 8000, "test": 10},
        "labels": ["no", "yes"],
    },
    "parent": None,
    "source": None,
    "load_report": [],
    "seed": 7,
    "parameters": 1234,
    "main_metric": "accuracy",
    "packages": {"keras": "3"},
    "wall_s": 3.0,
}
HISTORY = [
    {"epoch": 1, "loss": 0.7, "log_loss": 0.6, "accuracy": 0.8},
    {"epoch": 2, "loss": 0.4, "log_loss": None, "accuracy": 0.9},
]
METRICS = {
    "test": {
        "rows": 10,
        "resamples": 1000,
        "metrics": {
            "accuracy": {"value": 0.9, "low": 0.7, "high": 1.0},
            "log_loss": {"value": 0.3},
        },
        "details": {
            "labels": ["no", "yes"],
            "per_class": [
                {"label": "no", "support": 6, "recall": {"value": 1.0}},
                {"label": "yes", "support": 4, "recall": None},
            ],
            "confusion": {"no": {"no": 6}, "yes": {"no": 1, "yes": 3}},
            "calibration": [{"rows": 10, "confidence": 0.8, "accuracy": 0.9}],
        },
        "worst": [{"text": HOSTILE, "label": "yes", "prediction": "no", "probability": 0.9}],
        "warnings": ["a warning"],
    }
}


class Tags(html.parser.HTMLParser):
    """Checks that what is opened is closed, and keeps tags and addresses."""

    def __init__(self, text):
        super().__init__()
        self.names, self.addresses, self._open = set(), [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.add(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag


def write_all(folder):
    (folder / "reviews.part").mkdir(parents=True)
    prepare_report(DATASET, folder / "data.html")
    run_report(MANIFEST, HISTORY, METRICS, folder / "reviews.part" / "report.html")
    parts = [{"text": HOSTILE, "weight": 0.5}, {"text": " ", "weight": 0.0}]
    explanations_report(
        [{"prediction": "yes", "probability": 0.9, "parts": parts}],
        folder / "explained.html",
        run="runs/reviews",
        facts={"rows": 1},
    )
    return sorted(folder.rglob("*.html"))


def test_pages_are_whole_without_scripts_or_addresses(tmp_path):
    for path in write_all(tmp_path):
        tags = Tags(path.read_text(encoding="utf-8"))
        assert {"html", "style", "body"} <= tags.names
        assert "script" not in tags.names
        assert not tags.addresses
        assert not re.search(r"https?://|@import|url\(", path.read_text(encoding="utf-8"))


def test_what_users_wrote_is_escaped(tmp_path):
    for path in write_all(tmp_path):
        text = path.read_text(encoding="utf-8")
        assert "<script>" not in text
        assert "&lt;script&gt;" in text
        assert "很好" in text


def test_the_same_facts_give_the_same_bytes(tmp_path):
    first = [path.read_bytes() for path in write_all(tmp_path / "a")]
    assert first == [path.read_bytes() for path in write_all(tmp_path / "b")]


def test_the_data_report_shows_the_gravest_finding_first(tmp_path):
    prepare_report(DATASET, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.index('<li class="error">') < text.index('<li class="ok">')
    assert "8,000" in text


def test_the_run_report_has_scores_and_usage(tmp_path):
    (tmp_path / "reviews.part").mkdir()
    path = tmp_path / "reviews.part" / "report.html"
    run_report(MANIFEST, HISTORY, METRICS, path)
    text = path.read_text(encoding="utf-8")
    assert "<h1>reviews</h1>" in text
    assert "aitk nlp predict reviews INPUT --out predictions.jsonl" in text
    assert "[0.700, 1.000]" in text
    assert "validation accuracy" in text
    assert "validation log loss" not in text  # one epoch has none


def test_a_run_without_scores_or_history_has_a_report(tmp_path):
    run_report(MANIFEST, [], {}, tmp_path / "report.html")
    assert "How it was made" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("interval", [{}, {"low": 0.7, "high": 1.0}])
def test_intervals_are_drawn_only_where_there_are_any(tmp_path, interval):
    metrics = {"test": {"rows": 10, "metrics": {"accuracy": {"value": 0.9} | interval}}}
    run_report(MANIFEST, [], metrics, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ("from 0 to 1" in text) == bool(interval)


def test_many_classes_become_a_image_and_a_list_of_confusions(tmp_path):
    labels = [f"intent{index}" for index in range(60)]
    confusion = {label: {label: 5} for label in labels}
    confusion["intent3"]["intent7"] = 4
    details = {"labels": labels, "confusion": confusion}
    metrics = {"test": {"rows": 300, "metrics": {}, "details": details}}
    run_report(MANIFEST, [], metrics, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'class="heat"' in text
    assert "<td>intent3</td><td>intent7</td>" in text


def test_the_card_has_usage_scores_and_limits():
    card = model_card(MANIFEST, METRICS, name="reviews")
    assert card.startswith("# reviews\n")
    assert "aitk nlp predict reviews INPUT --out predictions.jsonl" in card
    assert "| accuracy | 0.9000 | 0.7000 to 1.0000 |" in card
    assert "| log loss | 0.3000 |  |" in card
    assert "only 10 rows" in card
    assert "trained from scratch" in card
    assert "/home/someone" not in card
    assert "html False" not in card


def test_the_card_of_an_unevaluated_run_reports_it():
    card = model_card(MANIFEST | {"source": "hf://some/model"}, {})
    assert "not been evaluated" in card
    assert "no score on a test split" in card
    assert "`hf://some/model`" in card


def test_cells_are_for_people():
    assert cell(None) == "–"
    assert cell(True) == "yes"
    assert cell(1234567) == "1,234,567"
    assert cell(0.123456) == "0.1235"
    assert cell({"value": 0.5}) == "0.5000"
    assert cell(["a", 1.5]) == "a, 1.5"
    assert len(cell("x" * 1000)) == 400


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path):
    page = Page("title")
    with pytest.raises(FileNotFoundError):
        page.write(tmp_path / "none" / "report.html")
    assert not list(tmp_path.iterdir())


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_inside(low, span):
    marks = ticks(low, low + span)
    assert 2 <= len(marks) <= 10
    assert low - 1e-6 * span <= marks[0] <= marks[-1] <= low + span * (1 + 1e-6)


def test_charts_bear_odd_numbers():
    for points in ([], [(1, 0.5)], [(1, 0.5), (2, float("nan"))], [(0, 1), (1, 1)]):
        chart = line_chart({"loss": points}, x_label="epoch")
        assert "nan" not in chart
        Tags(chart)
    Tags(column_chart([3], [0], x_label="words"))


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (12345.6, "12,346"), (0.00001234, "1.234e-05"), (-2, "-2")]
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_names_in_a_card_are_no_markdown():
    hostile = "a`b\n# title\n<script>x</script>\u202e[click](http://x) | *bold*"
    data = MANIFEST["data"] | {"labels": [hostile], "folder": f"/data/{hostile}"}
    manifest = MANIFEST | {"data": data, "source": hostile, "settings": {"name": hostile}}
    card = model_card(manifest, METRICS, name="reviews")
    headings = [line for line in card.splitlines() if line.startswith("#")]
    assert not any("title" in line for line in headings)
    assert "\u202e" not in card
    # What is not inside of a code span has its brackets escaped.
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", card)
    assert "<script>" not in outside.replace(r"\<script", "")
    assert "[click](" not in outside.replace(r"\[click", "")


def test_a_report_holds_no_file_from_outside_of_the_run(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"\x89PNG\r\n\x1a\nsecret")
    folder = tmp_path / "run"
    folder.mkdir()
    pictures = [{"caption": "c", "file": name} for name in ("../secret.png", str(secret))]
    metrics = {"test": {"rows": 1, "metrics": {}, "pictures": pictures}}
    run_report(MANIFEST, [], metrics, folder / "report.html")
    assert "data:image/png" not in (folder / "report.html").read_text().partition("<body>")[2]
