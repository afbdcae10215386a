"""Signals set a flag, which work looks at where it can stop."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from aitk.core.contract.errors import Interrupted
from aitk.core.runtime import interrupts


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_a_signal_stops_work_where_it_looks_and_nowhere_else(number):
    before = signal.signal(number, signal.SIG_DFL)  # under nohup, SIGHUP is ignored
    try:
        with pytest.raises(Interrupted), interrupts.listening():
            send(number)
            assert interrupts.requested()
            interrupts.check()
        assert not interrupts.requested()
    finally:
        signal.signal(number, before)


def test_handlers_are_put_back_and_blocks_may_lie_inside_each_other():
    before = signal.getsignal(signal.SIGTERM)
    with interrupts.listening():
        with interrupts.listening():
            send(signal.SIGTERM)
        assert interrupts.requested()
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_the_process_was_started_to_ignore_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts.listening():
            send(signal.SIGHUP)
            assert not interrupts.requested()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_waiting_for_input_ends_at_once():
    reading, writing = os.pipe()
    threading.Timer(0.05, send, [signal.SIGTERM]).start()
    with interrupts.listening(), pytest.raises(Interrupted), interrupts.waiting():
        os.read(reading, 1)
    os.close(reading)
    os.close(writing)


def test_a_second_signal_soon_after_is_the_same_one_and_a_later_one_raises(monkeypatch):
    with interrupts.listening():
        send(signal.SIGINT)
        send(signal.SIGINT)
        monkeypatch.setattr(interrupts, "REPEAT_S", 0.0)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_other_threads_are_not_stopped():
    failures = []

    def work():
        try:
            interrupts.check()
        except Interrupted as error:
            failures.append(error)

    with interrupts.listening():
        send(signal.SIGINT)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert not failures


def test_an_acknowledged_signal_stops_nothing():
    with interrupts.listening():
        send(signal.SIGINT)
        interrupts.acknowledge()
        interrupts.check()


def test_slow_stops_are_announced(monkeypatch):
    monkeypatch.setattr(interrupts, "TELL_AFTER_S", 0.0)
    told = threading.Event()
    with interrupts.listening(told.set):
        send(signal.SIGINT)
        assert told.wait(5)


def test_native_code_that_never_returns_is_ended_by_the_second_signal():
    program = (
        "import hashlib; from aitk.core.runtime import interrupts\n"
        "interrupts.REPEAT_S = 0.0; interrupts.FORCE_AFTER_S = 0.1\n"
        "with interrupts.listening():\n"
        "    print('ready', flush=True)\n"
        "    hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(2):
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == interrupts.EXIT_CODE
    process.stdout.close()
