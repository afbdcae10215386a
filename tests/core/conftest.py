"""Fixtures of the core's tests."""

import importlib.util
import sys
from pathlib import Path

import pytest


def _load_toy():
    spec = importlib.util.spec_from_file_location("toy_task", Path(__file__).parent / "toy_task.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["toy_task"] = module
    spec.loader.exec_module(module)
    return module


toy = _load_toy()


@pytest.fixture
def toy_task():
    return toy.ToyTask()


@pytest.fixture
def toy_rows():
    return toy.toy_rows
