"""A LiteRT conversion is refused before it fills the memory."""

from types import SimpleNamespace

import pytest

from aitk.core.compression import litert_file
from aitk.core.compression.calibration import Unsuitable


def test_a_model_whose_copies_are_too_large_is_refused(tmp_path, monkeypatch):
    weights = [SimpleNamespace(shape=(100, 30)), SimpleNamespace(shape=())]  # 12,004 bytes
    model = SimpleNamespace(weights=weights)
    monkeypatch.setattr(litert_file, "trace", lambda model: "batch")
    monkeypatch.setattr(litert_file, "operations_of", lambda function: {"MatMul"})
    monkeypatch.setattr(
        litert_file, "decoding_graphs", lambda model: {"start": "start", "step": "step"}
    )
    monkeypatch.setattr(litert_file, "_save_frozen", lambda *_: ["batch_any", "start", "step"])
    monkeypatch.setattr(litert_file, "_litert", lambda *_, scheme: b"file")
    for most, fits in ((24_008, True), (24_007, False)):
        monkeypatch.setattr(litert_file, "LARGEST_BYTES", most)
        if fits:
            litert_file.write_litert(model, tmp_path / "a", scheme="none", calibration=())
            assert (tmp_path / "a").read_bytes() == b"file"
            continue
        with pytest.raises(Unsuitable, match="--quantize int4"):
            litert_file.write_litert(model, tmp_path / "a", scheme="none", calibration=())
