"""TensorFlow's messages: suppressed ones, and those that must be shown."""

import pytest

from aitk.core.runtime.silence import debugging


def test_native_output_inside_is_suppressed(python):
    done = python(
        "import os\n"
        "from aitk.core.runtime.silence import suppress_stderr\n"
        "with suppress_stderr():\n    os.write(2, b'noise')\n"
        "os.write(2, b'after')"
    )
    assert done.stderr == "after"


@pytest.mark.parametrize("debug", [{}, {"AITK_DEBUG": "1"}])
def test_a_failing_import_and_debug_output_are_shown(python, tmp_path, debug):
    import os

    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'reason;')\nraise ImportError('no')\n"
    )
    done = python(
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from aitk.core.runtime.silence import silence\n"
        "silence()\n"
        "import tensorflow",
        tmp_path,
        env=os.environ | debug,
    )
    assert "reason;" in done.stderr and "ImportError: no" in done.stderr


def test_it_imports_nothing_heavy(python):
    done = python(
        "import sys\n"
        "from aitk.core.runtime.silence import silence\n"
        "silence()\n"
        "print({'tensorflow', 'numpy', 'keras'} & set(sys.modules))"
    )
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("value", "asked"), [("1", True), ("yes", True), ("0", False), ("", False)]
)
def test_a_debug_variable_of_0_disables_debugging(monkeypatch, value, asked):
    monkeypatch.setenv("AITK_DEBUG", value)
    assert debugging() is asked
