from aitk.core.runtime import benchmark
from aitk.core.runtime.benchmark import Measured


def test_the_disk_is_measured_and_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "FILE_BYTES", 2**21)
    found = benchmark._disk(tmp_path)
    assert found["write"].rate > 0
    assert found["read"].rate > 0
    assert not list(tmp_path.iterdir())
    missing = benchmark._disk(tmp_path / "none")["write"]
    assert missing.rate is None
    assert "cannot write" in missing.why_not


def test_decoding_is_measured(monkeypatch):
    monkeypatch.setattr(benchmark, "LEAST_S", 0.01)
    assert benchmark._images().rate > 10
    assert benchmark._audio().rate > 10


def test_stages_cost_less_on_a_faster_machine_and_nothing_is_made_up():
    def costs(speed):
        rates = {"float32": speed, "images": 1000.0, "audio": 500.0, "read": 100.0}
        measured = {name: Measured(name, rate, "") for name, rate in rates.items()}
        rows = benchmark.stage_costs(measured)
        return {(row["stage"], row["for"]): row["about"] for row in rows}

    text = ("finetune", "10,000 texts of 32 tokens, MiniLM, 3 epochs")
    # 9e4 rows x 2 operations x 10.6e6 weights x 32 tokens, at a third of 100e9 a second.
    assert costs(100.0)[text] == "31 min"
    assert costs(1000.0)[text] == "3 min"
    assert costs(None)[text] == "not known"
