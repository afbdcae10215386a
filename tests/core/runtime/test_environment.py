"""The description of the machine."""

from __future__ import annotations

from aitk.core.runtime import environment


def test_packages_are_those_that_aitk_declares() -> None:
    found = {package.name: package for package in environment.packages()}
    assert found["tensorflow"].extra is None
    assert found["sounddevice"].extra == "mic"
    assert "pytest" not in found


def test_a_version_below_the_lower_bound_is_too_old(monkeypatch) -> None:
    monkeypatch.setattr(environment.metadata, "requires", lambda name: ["pip>=999.1"])
    (package,) = environment.packages()
    assert package.problem == "too old"


def test_a_distribution_that_is_not_there_is_missing(monkeypatch) -> None:
    needed = ["no-such-distribution>=1; extra == 'mic'"]
    monkeypatch.setattr(environment.metadata, "requires", lambda name: needed)
    (package,) = environment.packages()
    assert (package.problem, package.installed, package.extra) == ("missing", None, "mic")


def test_versions_are_compared_by_their_numbers() -> None:
    assert environment._numbers("3.10.0") == environment._numbers("3.10")
    assert environment._numbers("0.9") < environment._numbers("0.23.3")
    assert environment._numbers("5.0.0rc1")[:1] == (5,)


def test_the_machine_has_a_processor_and_a_disk(tmp_path) -> None:
    machine = environment.machine(tmp_path)
    assert machine["processors"] >= 1
    assert machine["disk_free_gib"] >= 0
