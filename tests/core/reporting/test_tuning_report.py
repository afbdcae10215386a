"""The report of a search: what it compares, and that it needs no more than ``tuning.json``."""

from aitk.core.reporting.tuning_report import tuning_report


def trial(number, model, value, **parameters):
    state = "complete" if value is not None else "failed"
    return {"trial": number, "model": model, "state": state, "value": value,
            "parameters": parameters, "seconds": 3.0}  # fmt: skip


def test_models_and_parameters_are_compared(tmp_path):
    rows = [
        trial(0, "bag", 0.7, rate=0.01, kind="a"),
        trial(1, "cnn", 0.6) | {"stopped": "--max-minutes 1 reached"},
        trial(2, "bag", 0.8, rate=0.02, kind="b"),
        trial(3, "bag", 0.75, rate=0.05, kind="a"),
        trial(4, "bag", None, rate=0.09, kind="b") | {"reason": "out of <memory>"},
    ]
    ranges = {"low": 0.01, "high": 0.1, "log": True, "whole": False}
    tuning = {
        "task": "nlp.classify", "metric": "accuracy", "higher_is_better": True, "seconds": 20.0,
        "sampler": "tpe", "pruner": "asha", "best_trial": 2, "trials": rows,
        "importances": {"bag.rate": 0.9, "bag.kind": 0.1},
        "space": {"bag": {"rate": ranges, "kind": {"values": ["a", "b"]}}, "cnn": {}},
    }  # fmt: skip
    tuning_report(tuning, tmp_path / "tuning.html", name="best")
    text = (tmp_path / "tuning.html").read_text(encoding="utf-8")
    for words in (">Models<", "0.8", "bag.rate", "out of &lt;memory&gt;", "--max-minutes 1"):
        assert words in text
    # The history, parallel coordinates, and a slice for each of two parameters.
    assert text.count('<svg class="chart"') == 4
