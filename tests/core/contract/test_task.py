"""Notes of tasks."""

from aitk.core.contract.task import once


def test_repeated_notes_are_passed_on_once():
    heard = []
    note = once(heard.append)
    for sentence in ("a", "b", "a"):
        note(sentence)
    assert heard == ["a", "b"]
