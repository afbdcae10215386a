"""Stop signals, handled at points where nothing is lost.

SIGINT, SIGTERM and SIGHUP only set a flag. Work checks it between rows, batches and steps
(``check``), so that neither a training step nor the renaming of a folder is split, and native code
has no exception to swallow. A second signal, a second or more after the first, raises
KeyboardInterrupt at once, and ends the process shortly afterwards if native code does not return.

"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from aitk.core.contract.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Wrappers and terminals may duplicate a signal: a second one counts only after this time.
REPEAT_S = 1.0
TELL_AFTER_S = 1.0  # most work stops sooner and needs no message
FORCE_AFTER_S = 3.0  # time for cleaning up after KeyboardInterrupt
EXIT_CODE = 130

_received: float | None = None  # time at which Python handled the first signal
_heard: float | None = None  # time at which the watching thread received it
_waiting = 0  # depth of ``waiting`` blocks


@contextlib.contextmanager
def listening(tell: Callable[[], None] | None = None) -> Iterator[None]:
    """Let signals set the flag while the block runs.

    A signal that was ignored at the start of the process (``nohup``) stays ignored. Inside another
    such block, and outside the main thread, this does nothing.

    Args:
        tell: called if the work has not stopped shortly after a signal.
    """
    global _received, _heard
    inside_another = signal.getsignal(signal.SIGTERM) is _on_signal
    if inside_another or threading.current_thread() is not threading.main_thread():
        yield
        return
    _received = _heard = None
    before: dict[signal.Signals, Any] = {}
    with _watching(tell):
        try:
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    before[number] = signal.signal(number, _on_signal)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            _received = _heard = None


def requested() -> bool:
    """Whether a signal has requested a stop."""
    return _received is not None


def check() -> None:
    """Stop here if a signal has requested it.

    Raises:
        Interrupted: in the main thread; other threads continue until it ends.
    """
    if _received is not None and threading.current_thread() is threading.main_thread():
        raise Interrupted("interrupted", hint="Repeat the command")


def acknowledge() -> None:
    """Clear the request: it was the regular way to end something (a recording)."""
    global _received, _heard
    _received = _heard = None


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Stop at once while the block waits for something: input, another process.

    Raises:
        Interrupted: a signal was received, before or during the block.
    """
    global _waiting
    check()
    _waiting += 1
    try:
        yield
    except KeyboardInterrupt:
        check()
        raise
    finally:
        _waiting -= 1


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _received
    del number, frame
    now = time.monotonic()
    if _received is None:
        _received = now
        if _waiting:
            raise KeyboardInterrupt
    elif now - _received >= REPEAT_S:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _watching(tell: Callable[[], None] | None) -> Iterator[None]:
    """A thread that receives signals even while native code blocks Python's handlers."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(reading, ended, tell), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        os.close(writing)
        thread.join()
        os.close(reading)


def _watch(reading: int, ended: threading.Event, tell: Callable[[], None] | None) -> None:
    global _heard
    while number := os.read(reading, 1):
        if number[0] not in SIGNALS:
            continue
        now = time.monotonic()
        if _heard is None:
            _heard = now
            if tell is not None:
                threading.Thread(target=_tell_late, args=(ended, tell), daemon=True).start()
        elif now - _heard >= REPEAT_S and not ended.wait(FORCE_AFTER_S):
            os._exit(EXIT_CODE)


def _tell_late(ended: threading.Event, tell: Callable[[], None]) -> None:
    if not ended.wait(TELL_AFTER_S) and _heard is not None:
        tell()
