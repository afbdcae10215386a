"""Packages that declare tasks and models are found without opening the others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aitk.core.contract.entry_points import Plugin, PluginError, Table, all_plugins, declares


def distribution(site: Path, name: str, text: str, version: str = "1.0") -> None:
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (folder / "entry_points.txt").write_text(text)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the path; what was found before is forgotten."""
    monkeypatch.syspath_prepend(str(tmp_path))
    all_plugins.cache_clear()
    yield tmp_path
    all_plugins.cache_clear()


def test_finds_both_groups_and_no_others(site) -> None:
    distribution(
        site,
        "one",
        "# two groups\n[aitk.tasks]\nnlp.x = one:ROW\n\n[console_scripts]\none = one:main\n",
    )
    distribution(site, "two", "[aitk.models]\nnlp.classify:y = two.models:SPEC\n")
    distribution(site, "three", "[aitk.others]\nz = three:z\n")
    assert [(each.kind, each.name, each.module, each.package) for each in all_plugins()] == [
        ("model", "nlp.classify:y", "two.models", "two"),
        ("task", "nlp.x", "one", "one"),
    ]


def test_of_a_package_that_is_installed_twice_the_first_on_the_path_counts(
    site, monkeypatch
) -> None:
    distribution(site / "above", "one", "[aitk.tasks]\nnlp.x = one:ROW\n", version="2.0")
    distribution(site, "one", "[aitk.tasks]\nnlp.old = one:ROW\n")
    monkeypatch.syspath_prepend(str(site / "above"))
    assert [(each.name, each.version) for each in all_plugins()] == [("nlp.x", "2.0")]


def test_a_module_belongs_to_a_package_with_an_entry_point_or_to_none(site) -> None:
    distribution(site, "one", "[aitk.tasks]\nnlp.x = one.tasks:ROW\n")
    distribution(site, "shared", "[aitk.tasks]\nnlp.y = shared.one:ROW\n")
    for package in ("one", "shared/one", "shared/two"):
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").write_text("")
    assert declares("one") and declares("one.layers") and declares("shared.one.layers")
    assert not declares("ones") and not declares("os") and not declares("")
    # A namespace is no package: others install into it as well.
    assert not declares("shared.two")


def test_a_table_leaves_out_what_is_broken_and_says_why_where_it_is_requested(site) -> None:
    (site / "plain_values.py").write_text("good = 2\n")
    found = [
        (name, Plugin("aitk.tasks", name, f"{module}:{name}", package, "1.0"))
        for name, module, package in (
            ("good", "plain_values", "p"),
            ("bad", "plain_values", "q"),
            ("own", "plain_values", "r"),
            ("twice", "plain_values", "s"),
            ("twice", "plain_values", "t"),
        )
    ]
    table = Table({"own": 1}, lambda: found, lambda plugin, value: value)
    assert dict(table) == {"own": 1, "good": 2}
    assert "good" in table and "none" not in table and table.has("bad")
    with pytest.raises(PluginError, match=r"'bad' of the package q .*pip uninstall q"):
        table["bad"]
    with pytest.raises(PluginError, match="the package t also declares one"):
        "twice" in table  # noqa: B015
    with pytest.raises(KeyError):
        table["none"]
    assert {error.plugin.package for error in table.errors()} == {"q", "r", "s", "t"}
    sys.modules.pop("plain_values")


def test_where_no_package_declares_one_no_metadata_is_read(python) -> None:
    done = python(
        "import sys; from aitk.registry import TASKS; list(TASKS.items())\n"
        "print('importlib.metadata' in sys.modules)"
    )
    assert done.stdout.strip() == "False", done.stderr
