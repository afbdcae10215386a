import subprocess

from aitk.core.runtime.child import python_command, python_environment

PLANTED = "raise SystemExit('a module of the working directory was run')"


def test_a_child_imports_nothing_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "colorsys.py").write_text(PLANTED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    monkeypatch.syspath_prepend(str(tmp_path))
    done = subprocess.run(
        python_command("-c", "import colorsys, aitk; print(aitk.__file__)"),
        env=python_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("__init__.py")
