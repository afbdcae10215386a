"""The report of a stream."""

from aitk.core.reporting.stream_report import stream_report


def batch(number, **more):
    return {
        "version": f"v{number + 1}", "first_row": 100 * number, "rows": 100, "drifts": [],
        "at": "2026-01-01T00:00:00+00:00", "score": 0.8, "inputs": 0.8, "old": 0.9 - number / 100,
        "old_before": 0.9, "new": 0.85, "new_before": 0.8, "learned": 80, "replayed": 320,
        "current": True,
    } | more  # fmt: skip


def test_scores_drifts_and_what_was_forgotten_are_told(tmp_path):
    drift = {"signal": "score", "row": 130, "at": "2026-01-01T00:01:00+00:00"}
    batches = [batch(0), batch(1, score=0.4, drifts=[drift]), batch(2, current=False)]
    batches.append({"version": None, "first_row": 300, "rows": 0, "drifts": [], "at": "..."})
    stream = {"task": "nlp.classify", "metric": "accuracy", "batches": batches}
    stream_report(stream, tmp_path / "stream.html", name="live")
    text = (tmp_path / "stream.html").read_text(encoding="utf-8")
    assert text.count('<svg class="chart"') == 2  # scores, and distance of the inputs
    assert "drift of the score at row 130" in text
    assert "Forgetting and gain" in text and "-0.0200 since the start" in text
