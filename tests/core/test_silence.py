"""TensorFlow's noise, and what must still be heard."""

import pytest


def test_what_native_code_says_inside_is_not_seen(python):
    done = python(
        "import os\n"
        "from aitk.core.silence import hushed\n"
        "with hushed():\n    os.write(2, b'noise')\n"
        "os.write(2, b'after')"
    )
    assert done.stderr == "after"


@pytest.mark.parametrize("debug", [{}, {"AITK_DEBUG": "1"}])
def test_a_failing_import_and_debugging_are_heard(python, tmp_path, debug):
    import os

    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'reason;')\nraise ImportError('no')\n"
    )
    done = python(
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from aitk.core.silence import silence\n"
        "silence()\n"
        "import tensorflow",
        tmp_path,
        env=os.environ | debug,
    )
    assert "reason;" in done.stderr and "ImportError: no" in done.stderr


def test_it_imports_nothing_heavy(python):
    done = python(
        "import sys\n"
        "from aitk.core.silence import silence\n"
        "silence()\n"
        "print({'tensorflow', 'numpy', 'keras'} & set(sys.modules))"
    )
    assert done.stdout == "set()\n"
