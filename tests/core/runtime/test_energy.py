from aitk.core.runtime.energy import Energy


def zone(root, name, value, largest=1000_000_000):
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{value}\n")
    (folder / "max_energy_range_uj").write_text(f"{largest}\n")


def test_packages_count_and_what_is_inside_them_does_not(tmp_path):
    zone(tmp_path, "intel-rapl:0", 5_000_000)
    zone(tmp_path, "intel-rapl:1", 990_000_000)
    zone(tmp_path, "intel-rapl:0:0", 1)
    energy = Energy(tmp_path)
    zone(tmp_path, "intel-rapl:0", 8_000_000)
    zone(tmp_path, "intel-rapl:1", 10_000_000)  # the counter began anew at 1000 J
    zone(tmp_path, "intel-rapl:0:0", 500_000_000)
    assert energy.readable
    assert energy.joules() == 3 + 20


def test_without_counters_it_says_so(tmp_path):
    energy = Energy(tmp_path / "none")
    assert not energy.readable
    assert energy.joules() is None
    assert "not readable" in energy.why_not
    (tmp_path / "broken" / "intel-rapl:0").mkdir(parents=True)
    assert "root" in Energy(tmp_path / "broken").why_not
