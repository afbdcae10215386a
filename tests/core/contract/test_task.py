"""What tasks are given to say something with."""

from aitk.core.contract.task import once


def test_a_note_said_twice_is_passed_on_once():
    heard = []
    note = once(heard.append)
    for sentence in ("a", "b", "a"):
        note(sentence)
    assert heard == ["a", "b"]
