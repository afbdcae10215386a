"""The layout of a run folder, and the shapes of its JSON files as far as they are read.

This module alone defines the layout::

    run.json        how it was made: task, model, settings, options, data, versions, cost
    model.keras     or model.tflite, model.onnx (with model.start.onnx and model.step.onnx),
                    saved_model/, model.json + model.weights.h5
    assets/         labels, tokeniser, statistics
    metrics.json    evaluations, by the name of their data
    history.csv     one line per epoch
    learned.jsonl   rows added by ``update`` since the data was prepared
    report.html     opens offline
    README.md       the model card
    evaluations/    per-row results, for paired comparisons; scores of baselines
    .aitk           marks folders written by aitk; see ``core.artifacts.marker``

For the shapes see ``core.io.json_files``.
"""

from __future__ import annotations

from aitk.core.io.json_files import Count

FORMAT = 1
MODEL_FILES = {
    "keras": "model.keras",
    "keras-quantized": "model.weights.h5",
    "litert": "model.tflite",
    "onnx": "model.onnx",
    "saved_model": "saved_model",
}
#: Files next to ``model.onnx`` that decode token by token: the source and empty caches, one step.
DECODING_FILES = {"start": "model.start.onnx", "step": "model.step.onnx"}
#: Formats whose file is a program: it has the user's access rights.
EXECUTABLE = ("saved_model",)
LEARNED = "learned.jsonl"

_SCORE = {"value": float, "low?": float, "high?": float, "interval?": str}
MANIFEST = {
    "version": Count,
    "aitk?": str,
    "task": str,
    "model": str,
    "format": str,
    "settings": dict,
    "options?": dict,
    "data": {
        "folder": str,
        "fingerprint": str,
        "reading": dict,
        "rows?": {str: Count},
        "labels?": [str],
    },
    "parent?": str | None,
    "source?": str | None,
    "licence?": str | None,
    "command?": str | None,
    "stopped?": str | None,
    "load_report?": [str],
    "main_metric?": str,
    "parameters?": Count | None,
    "wall_s?": float | None,
    "cpu_s?": float | None,
    "peak_memory_mb?": float | None,
    "packages?": dict,
    "compression?": {"table": [dict]},
    "signature?": {"inputs": [dict], "outputs": [dict], "classes?": [str]},
    "updates?": [
        {
            "inputs": [str],
            "rows": Count,
            "replayed": Count,
            "before": {str: float},
            "after": {str: float},
        }
    ],
}
METRICS = {
    str: {
        "rows": Count,
        "metrics": {str: _SCORE},
        "resamples?": Count,
        "warnings?": [str],
        "predict_options?": dict,
        "baselines?": [
            {
                "name": str,
                "value": float,
                "gain": {"value": float, "low": float, "high": float},
                "rows?": Count,
            }
        ],
        "worst?": [dict],
        "pictures?": [{"caption": str, "file": str}],
        "data?": dict,
        "details?": {
            "protocol?": str,
            "tables?": {str: [dict]},
            "per_class?": [{"f1?": (_SCORE, None)}],
            "labels?": [str],
            "confusion?": {str: {str: float}},  # counts, or percentages of pixels
            "calibration?": [{"rows": Count, "confidence": float, "accuracy": float}],
        },
    }
}
BASELINES = {"key": str, "baselines": [{"name": str, "value": float, "per_row": [float]}]}
EVALUATED_ROW = {"key": str, "score": float}
