"""What every test can use: the command line inside this process, and outside of it."""

from __future__ import annotations

import gc
import importlib.util
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from aitk.core.metrics import latency
from aitk.core.runtime.environment import usable_cpus
from aitk.core.runtime.speed import tune_process
from aitk.registry import TASKS

# The same examples at each run, and no race against the clock of a busy machine.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
tune_process()
# What ``compress`` tells of speed is not looked at here, and takes seconds.
latency.MEASUREMENTS = 5
# A shell starts what it puts in the background deaf to Ctrl-C, and aitk would stay so.
signal.signal(signal.SIGINT, signal.default_int_handler)

#: A worker starts TensorFlow for itself, in 1 to 2 GB.
MOST_WORKERS = 4

#: The files that take longest, longest first.
LONGEST = (
    "test_battery.py",
    "test_detectors.py",
    "test_plugin.py",
    "test_tune.py",
    "test_compress.py",
    "test_update.py",
    "test_segmentation_heads.py",
    "test_masked_image.py",
    "test_backbones.py",
    "test_export.py",
    "test_hostile.py",
    "test_bundle.py",
    "test_whisper.py",
    "test_streaming.py",
)

#: What ``--fast`` keeps out: importing any of them takes longer than most tests.
HEAVY = {"tensorflow", "keras", "keras_hub"}


class SkipHeavyImports:
    """Skips the test that imports TensorFlow or Keras, at whatever depth it does so.

    The skip is a ``BaseException``: no ``except Exception`` of the code under test hides it.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in HEAVY:
            pytest.skip("starts TensorFlow", allow_module_level=True)
        return None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="only tests that need no TensorFlow")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--fast"):
        sys.meta_path.insert(0, SkipHeavyImports())


def pytest_xdist_auto_num_workers() -> int:
    return min(usable_cpus(), MOST_WORKERS)


class FilesAndChains(LoadScopeScheduling):
    """Gives a worker whole files, of the battery a whole chain: what they share is made once."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        if not path.endswith("test_battery.py"):
            return path
        first = test.partition("[")[2]
        return path + next((name for name in TASKS if first.startswith(name)), "")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, so that the workers end together."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesAndChains:
    config.option.loadscopereorder = False  # not by the number of tests, which are of all lengths
    return FilesAndChains(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a missing extra, and start from the same random state whatever ran before.

    Keras draws the seeds of initialisers and dropout layers from Python's ``random``.
    """
    if item.get_closest_marker("slow") and item.config.getoption("--fast"):
        pytest.skip("slow")
    if item.get_closest_marker("onnx") and not importlib.util.find_spec("tf2onnx"):
        pytest.skip("the extra onnx is not installed")
    if item.get_closest_marker("search") and not importlib.util.find_spec("usearch"):
        pytest.skip("the extra search is not installed")
    if item.get_closest_marker("cluster") and not importlib.util.find_spec("ray"):
        pytest.skip("the extra cluster is not installed")
    if "tensorflow" in sys.modules and not gc.get_freeze_count():
        gc.freeze()  # half a million objects, which no search for garbage looks through again
    random.seed(0)
    np.random.seed(0)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name no test by the bytes of a file: they may hold the time, which workers do not share."""
    return argname if isinstance(val, bytes) else None


@dataclass(frozen=True)
class Result:
    """Result of a command: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on stderr."""
        return self.err.splitlines()


@pytest.fixture
def aitk(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run ``aitk`` in this process: ``aitk("nlp", "finetune", "--help")``."""
    from aitk.cli.main import main

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        before = signal.getsignal(signal.SIGTERM)
        try:
            code = main([str(argument) for argument in arguments])
        finally:
            signal.signal(signal.SIGTERM, before)
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return run


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a Python program in a process of its own: ``python("print(1)")``."""

    def run(program: str, *arguments: object, **more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **more,  # type: ignore[call-overload]
        )

    return run


@pytest.fixture(scope="module")
def small_transformers() -> Iterator[None]:
    """Transformers of one layer instead of the two of "tiny": tracing them takes half the time."""
    from aitk.nlp.models import transformer
    from aitk.nlp.models.decoders import gpt, seq2seq

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(transformer.SIZES, "tiny", (64, 1, 2))
        patch.setitem(gpt.SIZES, "tiny", (64, 1, 2))
        patch.setitem(seq2seq.SIZES, "tiny", (64, 1, 2, 128))
        yield
