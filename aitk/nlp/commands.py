"""Commands specific to nlp, listed in ``aitk.registry``. Imports stay light for ``--help``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Protocol

import typer

from aitk.core.contract.errors import UsageError
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.nlp.data.options import GenerationOptions

Prompt = Annotated[
    str | None,
    typer.Option("--prompt", metavar="TEXT", help="respond to this text, then exit"),
]
System = Annotated[
    str | None,
    typer.Option("--system", metavar="TEXT", help="system message of a chat model"),
]
Interactive = Annotated[bool, typer.Option("--interactive", help="chat line by line, with history")]
RESET, EXITS = "/reset", ("/exit", "/quit")


class Writer(Reporter, Protocol):
    """A reporter that also writes to stdout."""

    def write(self, text: str) -> None: ...


def generate(
    run: Path,
    options: GenerationOptions,
    reporter: Writer,
    prompt: Prompt = None,
    interactive: Interactive = False,
    system: System = None,
    trust: bool = False,
) -> Outcome:
    """Continue a prompt, or chat.

    A run of nlp.generate trained on dialogues or from a chat model replies; any other run
    continues the text. --interactive keeps the dialogue: /reset begins a new one, /exit or Ctrl-D
    ends.

    For example:

        aitk nlp generate runs/service --prompt "Where is my parcel?"
    """
    if interactive == (prompt is not None):
        raise UsageError("give either --prompt TEXT or --interactive", where="generate")
    generate_reply = _open(run, options, trust=trust, reporter=reporter)
    messages: list[dict[str, str]] = []
    turns = 0
    for text in [prompt] if prompt is not None else _lines(reporter):
        if text == RESET:
            messages = []
            continue
        if not messages and system:
            messages = [{"role": "system", "content": system}]
        messages.append({"role": "user", "content": text})
        reply = generate_reply(messages)
        messages.append({"role": "assistant", "content": reply})
        reporter.write(f"{reply}\n")
        turns += 1
    return Outcome(facts={"run": str(run), "turns": turns})


def _open(
    folder: Path, options: GenerationOptions, *, trust: bool, reporter: Reporter
) -> Callable[[list[dict[str, str]]], str]:
    """The function that replies to a dialogue; without chat training it continues the last text."""
    from aitk.core.artifacts.opening import open_assets, open_model
    from aitk.core.artifacts.run import load_run
    from aitk.core.inference.prediction import decode_rows
    from aitk.nlp.data.formats.dialogues import dialogue_fields
    from aitk.nlp.tasks.generate import Generate

    run = load_run(folder, domain="nlp", trust=trust)
    task = Generate()
    if run.task != task.name:
        raise UsageError(
            f"a run of {run.task} cannot generate text",
            where=str(folder),
            hint="Train a generator with: aitk nlp prepare TEXTS --task generate",
        )
    assets = open_assets(task, run)
    predictor = open_model(task, run, assets, reporter=reporter)

    def generate_reply(messages: list[dict[str, str]]) -> str:
        fields = {"text": messages[-1]["content"]}
        if assets.chat is not None:
            fields = dialogue_fields(messages)
        (found,) = decode_rows(
            [fields], task, assets, predictor, batch_size=1, top_k=1, options=options
        )
        return str(found["prediction"])

    return generate_reply


def _lines(reporter: Reporter) -> Iterator[str]:
    """The user's input, line by line."""
    reporter.note("type a message; /reset begins a new dialogue, /exit or Ctrl-D ends")
    for line in sys.stdin:
        text = line.strip()
        if text in EXITS:
            return
        if text:
            yield text
