"""CPU settings of TensorFlow are set, unless the user set them."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aitk.core.runtime.speed import prefer_onednn

ROUNDS = """
import resource, threading
from aitk.core.runtime.speed import keep_freed_memory

keep_freed_memory()

def fill():
    for _ in range(3):
        b"x" * (3 * 2**24)

def faults(work):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def in_thread():
    other = threading.Thread(target=fill)
    other.start()
    other.join()

fill()
print(faults(fill), faults(in_thread))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
def test_freed_arrays_are_filled_again_without_new_pages():
    told = subprocess.run(
        [sys.executable, "-c", ROUNDS], capture_output=True, text=True, check=True
    )
    here, in_thread = map(int, told.stdout.split())
    one_array = 3 * 2**24 // 4096  # pages
    assert here < one_array / 4
    assert in_thread < one_array / 4


@pytest.mark.parametrize(("users", "kept"), [({}, "1"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0")])
def test_the_users_own_choice_is_kept(monkeypatch, users, kept):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    for name, value in users.items():
        monkeypatch.setenv(name, value)
    prefer_onednn()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == kept


WRAPPERS = """
import gc, sys
from aitk.core.runtime.speed import tune_process

tune_process()
names = vars(sys.modules["keras.src.wrappers.sklearn_wrapper"])
print(gc.get_threshold()[0], *(name for name in names if name.startswith("SKLearn")))
"""


def test_all_wrappers_that_keras_names_are_left_out():
    told = subprocess.run(
        [sys.executable, "-c", WRAPPERS], capture_output=True, text=True, check=True
    )
    threshold, *names = told.stdout.split()
    keras = Path(importlib.util.find_spec("keras").origin)
    text = (keras.parent / "wrappers" / "__init__.py").read_text(encoding="utf-8")
    assert set(names) == set(re.findall(r"\bas (\w+)", text))
    assert int(threshold) > 700  # Python's own
