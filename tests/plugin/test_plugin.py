"""Packages from outside add a task and a model, and a broken one breaks nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aitk import registry
from aitk.core.contract.entry_points import PluginError, all_plugins
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.progress import Silent
from aitk.nlp.tasks.classify import Classify
from aitk.registry import TASKS, load_task

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
sys.path.insert(0, str(FOLDER))
from install import install, write_metadata  # noqa: E402

sys.path.pop(0)

OWN_PACKAGES = ("aitk_language", "aitk_attention")
ROW = """from aitk.registry import Row
ROW = Row(task="{module}:T", reading="{reading}", summary="", sample="")
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the path to install into; what was found before is forgotten."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(TASKS, "_found", {})
    monkeypatch.setattr(Classify, "models", Classify.models)
    all_plugins.cache_clear()
    before = set(sys.modules)
    yield folder
    all_plugins.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith((*OWN_PACKAGES, "plugin_")):
            del sys.modules[name]


@pytest.fixture
def installed(site):
    """Both packages, installed."""
    for name in ("language", "attention"):
        install(FOLDER / name, site)
    return site


def declare(site: Path, name: str, value: str, *, group: str = "aitk.tasks", package: str) -> None:
    write_metadata(site, package, "1.0", {group: {name: value}})


# What the packages add ----------------------------------------------------


def test_no_file_of_aitk_names_the_packages() -> None:
    named = re.compile(r"aitk[-_](language|attention)\b|nlp\.language\b|classify:attention")
    files = [path for path in (ROOT / "aitk").rglob("*") if path.suffix in (".py", ".html", ".md")]
    assert [path for path in files if named.search(path.read_text(encoding="utf-8"))] == []


def test_the_packages_are_small() -> None:
    def lines(*names: str) -> int:
        return sum(len((FOLDER / name).read_text().splitlines()) for name in names)

    assert lines("language/aitk_language/task.py") < 150
    attention = "attention/aitk_attention"
    assert lines(f"{attention}/__init__.py", f"{attention}/backbone.py") < 60


@pytest.mark.usefixtures("installed")
def test_tasks_lists_them_with_their_packages(aitk) -> None:
    rows = {row["task"]: row for row in json.loads(aitk("tasks", "--json").out)["table"]}
    assert rows["nlp.language"]["package"] == "aitk-language 0.1.0"
    assert rows["nlp.classify"]["package"] == "aitk"
    assert "attention (aitk-attention)" in rows["nlp.classify"]["models"]
    models = json.loads(aitk("tasks", "nlp.classify", "--json").out)["models"]
    assert models["attention"]["package"] == "aitk-attention 0.1.0"
    assert models["bag"]["package"] == "aitk"


@pytest.mark.usefixtures("installed")
def test_a_task_with_a_parent_class_has_its_models_too() -> None:
    from aitk.nlp.data.options import ClassifyReading

    task = load_task("nlp.classify").for_reading(ClassifyReading(multi_label=True))
    assert "attention" in task.models


@pytest.mark.usefixtures("installed")
def test_the_reading_options_of_a_task_are_flags(aitk) -> None:
    assert "column of the language" not in aitk("vision", "prepare", "--help").out
    result = aitk("nlp", "prepare", "rows.csv", "--task", "language", "--labelcolumn", "x")
    assert result.code == 2


@pytest.mark.slow
def test_the_battery_passes(tmp_path) -> None:
    """In a process of its own, with both packages on its path."""
    for name in ("language", "attention"):
        install(FOLDER / name, tmp_path)
    path = os.pathsep.join([str(ROOT), str(tmp_path), os.environ.get("PYTHONPATH", "")])
    chosen = "nlp.language or attention"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-k", chosen,
         str(ROOT / "tests" / "test_battery.py")],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": path},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) > 20, done.stdout[-1000:]


# Layers -------------------------------------------------------------------


def test_a_saved_layer_is_imported_only_from_an_installed_package(installed, tmp_path) -> None:

    from aitk.core.artifacts.keras_file import load_keras

    task = load_task("nlp.classify")
    spec = task.models["attention"]
    build = __import__("importlib").import_module("aitk_attention.backbone").build_backbone
    model = build(spec.settings(hidden=4), 300)
    model.save(tmp_path / "model.keras")
    forget("aitk_attention")
    assert load_keras(tmp_path / "model.keras").count_params() == model.count_params()
    forget("aitk_attention")
    for folder in installed.glob("aitk_attention*.dist-info"):
        (folder / "entry_points.txt").unlink()
    all_plugins.cache_clear()
    with pytest.raises(ArtifactError, match=r"model\.keras: has layers of 'aitk_attention'"):
        load_keras(tmp_path / "model.keras")
    assert "aitk_attention.backbone" not in sys.modules


def forget(package: str) -> None:
    """Unload a package, with the layers that it registered."""
    import keras

    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
    objects = keras.saving.get_custom_objects()
    for name in [name for name in objects if name.startswith(package)]:
        del objects[name]


# Broken packages ----------------------------------------------------------


def test_a_package_that_cannot_be_imported_breaks_nothing_else(site, aitk) -> None:
    (site / "plugin_a.py").write_text("import a_module_that_is_not_there\n")
    declare(site, "nlp.odd", "plugin_a:ROW", package="plugin-a")
    assert aitk("nlp", "prepare", "--help").code == 0
    assert "nlp.odd" not in TASKS.own and load_task("nlp.classify")
    with pytest.raises(PluginError, match="package plugin-a .*a_module_that_is_not_there"):
        load_task("nlp.odd")
    result = aitk("nlp", "prepare", "rows.csv", "--task", "odd", "--out", "x")
    assert result.code == 4 and "pip uninstall plugin-a" in result.err
    rows = {row["task"]: row for row in json.loads(aitk("tasks", "--json").out)["table"]}
    assert "a_module_that_is_not_there" in rows["nlp.odd"]["what"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ROW = 3\n", "no aitk.registry.Row"),
        (ROW.format(module="plugin_b", reading="plugin_b:Missing"), "has no attribute 'Missing'"),
        ("raise SystemExit(3)\n", "SystemExit"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(site, text, reason) -> None:
    (site / "plugin_b.py").write_text(text)
    declare(site, "nlp.odd", "plugin_b:ROW", package="plugin-b")
    assert "nlp.odd" not in list(TASKS)
    (error,) = registry.plugin_errors()
    assert reason in error.what and error.plugin.package == "plugin-b"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("T = 3\n", "not callable"),
        ("class T:\n    name = 'nlp.other'\n", "not a task of that name"),
    ],
)
def test_a_class_that_is_no_task_is_named(site, text, reason) -> None:
    row = ROW.format(module="plugin_c", reading="aitk.nlp.data.options:TextReading")
    (site / "plugin_c.py").write_text(row + text)
    declare(site, "nlp.odd", "plugin_c:ROW", package="plugin-c")
    with pytest.raises(PluginError, match=reason):
        load_task("nlp.odd")
    assert [error.plugin.package for error in registry.plugin_errors()] == ["plugin-c"]


def test_a_domain_that_aitk_does_not_have_is_refused(site) -> None:
    (site / "plugin_d.py").write_text(ROW.format(module="plugin_d", reading="x:y"))
    declare(site, "smell.classify", "plugin_d:ROW", package="plugin-d")
    with pytest.raises(PluginError, match="speech, nlp, vision, recsys"):
        load_task("smell.classify")


def test_no_package_replaces_a_task_of_aitk(site) -> None:
    declare(site, "nlp.classify", "plugin_e:ROW", package="plugin-e")
    assert type(load_task("nlp.classify")) is Classify
    (error,) = registry.plugin_errors()
    assert "aitk has a task of that name" in error.what


def test_of_two_packages_with_one_name_both_are_named(site) -> None:
    for package in ("plugin-f", "plugin-g"):
        declare(site, "nlp.odd", "plugin_f:ROW", package=package)
    with pytest.raises(PluginError, match="package plugin-f .*package plugin-g"):
        load_task("nlp.odd")


def test_a_broken_model_leaves_the_others_of_its_task(site, aitk, tmp_path) -> None:
    group = "aitk.models"
    (site / "plugin_h.py").write_text("SPEC = object()\n")
    declare(site, "nlp.classify:odd", "plugin_h:SPEC", group=group, package="plugin-h")
    declare(site, "nlp.classify:bag", "plugin_h:SPEC", group=group, package="plugin-i")
    declare(site, "nlp.nothing:x", "plugin_h:SPEC", group=group, package="plugin-j")
    declare(site, "classify", "plugin_h:SPEC", group=group, package="plugin-k")
    models = load_task("nlp.classify").models
    assert next(iter(models)) == "bag" and "odd" not in list(models)
    with pytest.raises(PluginError, match="package plugin-h .*no TrainedModel"):
        models["odd"]
    reasons = {error.plugin.package: error.what for error in registry.plugin_errors()}
    assert "aitk has a model of that name" in reasons["plugin-i"]
    assert "no task 'nlp.nothing'" in reasons["plugin-j"]
    assert "TASK:MODEL" in reasons["plugin-k"]
    assert set(reasons) == {"plugin-h", "plugin-i", "plugin-j", "plugin-k"}


def test_the_doctor_names_a_broken_package_and_is_content_otherwise(site, monkeypatch) -> None:
    from aitk.core.runtime import environment
    from aitk.core.runtime.environment import Package
    from aitk.stages.tools.doctor import doctor

    package = Package("keras", ">=3.15.1", "3.15.1", None, None)
    monkeypatch.setattr(environment, "packages", lambda: [package])
    monkeypatch.setattr(environment, "devices", lambda: {"gpus": []})
    (site / "plugin_l.py").write_text("1 / 0\n")
    declare(site, "nlp.odd", "plugin_l:ROW", package="plugin-l")
    outcome = doctor(reporter=Silent())
    assert outcome.exit_code == 0
    (told,) = outcome.facts["plug-ins"]
    assert told["package"] == "plugin-l 1.0" and "ZeroDivisionError" in told["state"]


def test_a_task_that_is_not_installed_is_unknown() -> None:
    with pytest.raises(UsageError, match="unknown task 'nlp.odd'"):
        load_task("nlp.odd")
