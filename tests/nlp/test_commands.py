"""The command ``generate``: a prompt, and a dialogue a line at a time."""

from __future__ import annotations

import io
import json

import pytest

SAMPLING = ("--temperature", "0", "--tokens", "6", "--quiet")


@pytest.fixture(scope="module")
def run(tmp_path_factory, small_transformers):
    """A chat model with random weights."""
    from aitk.cli.main import main

    folder = tmp_path_factory.mktemp("chat")
    rows = [
        {"messages": [{"role": "user", "content": f"{word} one two {number}"},
                      {"role": "assistant", "content": f"three four {word}"}]}
        for word in ("red", "blue", "green", "white", "black")
        for number in range(4)
    ]  # fmt: skip
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(lines)
    data, made = folder / "data", folder / "run"
    files = (str(folder / "rows.jsonl"), "--task", "generate", "--split", "60/40/0")
    assert main(["nlp", "prepare", *files, "--out", str(data), "--quiet"]) == 0
    settings = ("size=tiny", "tokenizer=word", "vocabulary_size=300", "max_length=64")
    chosen = [part for each in settings for part in ("--set", each)]
    assert main(["nlp", "finetune", str(data), *chosen, "--epochs", "1", "--out", str(made)]) == 0
    return made


def answers(aitk, run, tmp_path, *dialogues):
    """The reply of ``predict`` to each dialogue."""
    source = tmp_path / "asked.jsonl"
    source.write_text("".join(json.dumps({"messages": each}) + "\n" for each in dialogues))
    result = aitk("nlp", "predict", run, source, *SAMPLING)
    assert result.code == 0, result.err
    return [json.loads(line)["prediction"] for line in result.out.splitlines()]


def user(text):
    return {"role": "user", "content": text}


def test_a_prompt_gets_the_reply_of_predict(aitk, run, tmp_path):
    (expected,) = answers(aitk, run, tmp_path, [user("red one")])
    result = aitk("nlp", "generate", run, "--prompt", "red one", *SAMPLING)
    assert (result.code, result.out) == (0, f"{expected}\n")


def test_a_chat_keeps_the_dialogue_until_it_is_reset(aitk, run, tmp_path, monkeypatch):
    (first,) = answers(aitk, run, tmp_path, [user("red one")])
    kept = [user("red one"), {"role": "assistant", "content": first or "-"}, user("two")]
    second, fresh = answers(aitk, run, tmp_path, kept, [user("two")])
    monkeypatch.setattr("sys.stdin", io.StringIO("red one\n\ntwo\n/reset\ntwo\n/exit\nred one\n"))
    result = aitk("nlp", "generate", run, "--interactive", *SAMPLING)
    assert result.code == 0
    assert result.out.splitlines() == [first, second, fresh]
    assert fresh != second  # what was said before counts


def test_a_system_message_comes_first(aitk, run, tmp_path):
    told = [{"role": "system", "content": "blue green"}, user("red one")]
    (expected,) = answers(aitk, run, tmp_path, told)
    asked = ("--prompt", "red one", "--system", "blue green")
    assert aitk("nlp", "generate", run, *asked, *SAMPLING).out == f"{expected}\n"


@pytest.mark.parametrize("given", [(), ("--prompt", "a", "--interactive")])
def test_it_takes_a_prompt_or_a_chat(aitk, run, given):
    result = aitk("nlp", "generate", run, *given)
    assert result.code == 2 and "--interactive" in result.lines[-1]
