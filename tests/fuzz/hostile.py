"""Hostile inputs: files in every format that ``prepare`` and ``predict`` read, and their options.

An attempt begins as good data. Then cells are replaced by values that readers stumble over, files
are cut, flipped, renamed and made to claim more than they hold, and options get odd values.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cells import TEXTS, Draw, Files, rarely
from formats import logs, sounds, texts
from hypothesis import strategies as st
from picture_formats import annotated_pictures

from aitk.core.contract.options import describe
from aitk.registry import load_task
from aitk.stages.options import PredictOptions, PrepareOptions

OUT = "out"
TASKS = {
    "nlp": ("classify", "masked-lm", "generate"),
    "recsys": ("recommend", "rate", "masked-items"),
    "speech": ("keywords", "asr", "masked-speech"),
    "vision": ("classify", "detect", "segment", "multitask", "masked-image"),
}
#: What makes the files of a domain, the name of those that are read, and options.
MAKERS = {"nlp": texts, "recsys": logs, "speech": sounds, "vision": annotated_pictures}
#: Options that fetch models, or import TensorFlow.
_LEFT_OUT = ("lemmas", "encoders", "scenes")
NAMES = (
    b"caf\xe9", b"\xff\xfe", "é".encode(), "e\u0301".encode(), b"x" * 240, b"-", b"--json", b"a b",
    b"a\nb", b"\x1b[31m", b"a'b\"c", b"%41", b"#1", b"[a]", b"*", b"train", b"test", b"tfds:x",
    b".hidden", b"con", b"a.part", b"dataset.json", b"data.yaml", b"x.json", b"wav.scp", b"text",
)  # fmt: skip
NUMBERS = (
    "nan", "inf", "-inf", "1e400", "-1", "0", "1", "0.5", "3", "1000000000000", "9" * 400, "", "x",
    "8000", "100", "1_0",
)  # fmt: skip
SPLITS = ("80/10/10", "0/0/100", "100/0/0", "nan/nan/nan", "inf/0/0", "-1/100/1", "//", "1e2/0/0")
ENCODINGS = (
    "utf-8", "utf-16", "utf-16-le", "utf-32", "cp1252", "gb18030", "zip", "rot13", "idna", "utf-7",
    "punycode", "unicode_escape", "cp037", "hz", "iso2022_jp", "undefined", "none", "x" * 300,
)  # fmt: skip


@dataclass(frozen=True)
class Attempt:
    """One command in a folder of files."""

    files: Files
    arguments: tuple[str, ...]
    stdin: bytes = b""

    def __repr__(self) -> str:
        return f"Attempt({shlex.join(self.arguments)[:200]}, {len(self.files)} files)"

    @property
    def command(self) -> str:
        """The counted key: domain and stage."""
        return " ".join(self.arguments[:2])

    @property
    def key(self) -> object:
        """Equal for equal attempts."""
        return tuple(sorted(self.files.items())), self.arguments, self.stdin


@st.composite
def attempts(draw: Draw, runs: Mapping[str, Sequence[str]]) -> Attempt:
    """A command on hostile files.

    Args:
        runs: of each domain, those that can be asked without TensorFlow.
    """
    domain = draw(st.sampled_from(("nlp", "recsys", "speech", "vision")))
    predicting = bool(runs.get(domain)) and rarely(draw, 3)
    task = draw(st.sampled_from(TASKS[domain]))
    files, source, options = MAKERS[domain](draw, task)
    files, source = _mutated(draw, files, source)
    stdin = b""
    if source in files and rarely(draw, 15):
        stdin, source = files[source], b"-"
    if predicting:
        arguments = [domain, "predict", draw(st.sampled_from(runs[domain])), os.fsdecode(source)]
        out = draw(st.sampled_from(("out.jsonl", "out.csv", "-")))
        asked = [PredictOptions, load_task(f"{domain}.{TASKS[domain][0]}").answering]
        arguments += ["--out", out, *_options(draw, asked, list(files))]
    else:
        arguments = [domain, "prepare", os.fsdecode(source), "--task", task, "--out", OUT]
        asked = [PrepareOptions, load_task(f"{domain}.{task}").reading]
        arguments += [*options, *_options(draw, asked, list(files))]
        if rarely(draw, 15):
            files = {**files, b"c.toml": _config(draw)}
            arguments += ["--config", "c.toml"]
    arguments += draw(st.sampled_from(([], ["--json"], ["--quiet"], ["--json", "--quiet"])))
    return Attempt(files, tuple(arguments), stdin)


def _options(draw: Draw, described: Sequence[type], files: Sequence[bytes]) -> list[str]:
    """A few options of these dataclasses, mostly with odd values."""
    known = [option for options in described for option in describe(options)]
    known = [option for option in known if option.name not in _LEFT_OUT]
    given: list[str] = []
    chosen = draw(st.lists(st.sampled_from(known), max_size=2, unique_by=lambda item: item.name))
    chosen = chosen if rarely(draw, 3) else []  # most of them end it before a file is read
    for option in chosen:
        if option.type is bool:
            given.append(option.flag)
            continue
        values = [st.sampled_from(TEXTS)]
        if option.type in (int, float):
            values = [st.sampled_from(NUMBERS)]
        elif option.choices:
            values = [st.sampled_from((*option.choices, "x"))]
        elif option.name == "split":
            values = [st.sampled_from(SPLITS)]
        elif option.name == "encoding":
            values = [st.sampled_from(ENCODINGS)]
        else:
            values.append(st.sampled_from([os.fsdecode(name) for name in files]))
            values.append(st.sampled_from(("text", "label", "2", "user", "item", "path", "audio")))
        value = draw(st.one_of(values)).replace("\0", "")
        given.append(f"{option.flag}={value[:5000]}")
    return given


def _config(draw: Draw) -> bytes:
    lines = draw(st.lists(st.sampled_from((
        'split = "80/10/10"', "split = nan", "seed = inf", "seed = 9e999", "max_errors = -1",
        "seed = 1979-05-27", "seed = [1]", "x = 1", "[a]", "a = " + "[" * 500, 'seed = "\\ud800"',
        "max_errors = " + "9" * 5000, "seed = {a = 1}", "\xff",
    )), max_size=3))  # fmt: skip
    return "\n".join(lines).encode("latin-1")


def _mutated(draw: Draw, files: Files, source: bytes) -> tuple[Files, bytes]:
    """Files of which some are damaged, renamed or gone."""
    changed = dict(files)
    for _ in range(draw(st.sampled_from((0, 0, 1, 1, 2)))):
        name = draw(st.sampled_from(sorted(changed)))
        change = draw(st.sampled_from((_cut, _flip, _claim, _insert, _repeat, _rename, _swap)))
        if change is _rename:
            new = draw(st.sampled_from(NAMES))
            folder, slash, file = name.rpartition(b"/")
            new = folder + slash + new + (b"." + file.rpartition(b".")[2]) * (b"." in file)
            if new != name and new not in changed and not any(
                other.startswith(new + b"/") for other in changed
            ):  # fmt: skip
                changed[new] = changed.pop(name)
                source = new if source == name else source
        elif change is _swap:
            changed[name] = changed[draw(st.sampled_from(sorted(changed)))]
        else:
            changed[name] = change(draw, changed[name])
    return changed, source


def _place(draw: Draw, content: bytes) -> int:
    # Headers matter more than what follows.
    return draw(st.integers(0, min(len(content), 100)) | st.integers(0, len(content)))


def _cut(draw: Draw, content: bytes) -> bytes:
    return content[: _place(draw, content)]


def _flip(draw: Draw, content: bytes) -> bytes:
    place, bits = _place(draw, content), draw(st.integers(1, 255))
    flipped = bytes(byte ^ bits for byte in content[place : place + 1])
    return content[:place] + flipped + content[place + 1 :]


def _claim(draw: Draw, content: bytes) -> bytes:
    """Sizes and lengths far beyond what is there."""
    size = draw(st.sampled_from((b"\xff\xff\xff\xf0", b"\x7f\xff\xff\xff", b"\xff\xff", b"\0" * 4)))
    place = _place(draw, content)
    return content[:place] + size + content[place + len(size) :]


def _insert(draw: Draw, content: bytes) -> bytes:
    place = _place(draw, content)
    new = draw(st.sampled_from(TEXTS).map(lambda text: text.encode()) | st.binary(max_size=8))
    return content[:place] + new + content[place:]


def _repeat(draw: Draw, content: bytes) -> bytes:
    start, end = sorted((_place(draw, content), _place(draw, content)))
    part = content[start:end]
    return content[:end] + part * min(200, 1_000_000 // max(len(part), 1)) + content[end:]


def _rename(draw: Draw, content: bytes) -> bytes:
    raise NotImplementedError


def _swap(draw: Draw, content: bytes) -> bytes:
    raise NotImplementedError
