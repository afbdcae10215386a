"""Texts, logs and audio in every supported format."""

from __future__ import annotations

import functools
import io
import os

import av
import numpy as np
import soundfile
from cells import GOOD_TEXTS, LABELS, ROWS, Draw, Files, cell, rarely, records, table
from hypothesis import strategies as st
from picture_formats import pictures


def texts(draw: Draw, task: str) -> tuple[Files, bytes, list[str]]:
    """Texts with labels: files, the name of what is read, and options."""
    layout = draw(st.sampled_from(("table", "table", "folder", "lines")))
    if layout == "table":
        files = table(draw, {"text": GOOD_TEXTS, "label": LABELS, "n": (1, 2.5, None)})
        return files, next(iter(files)), []
    lines = [cell(draw, text) for text in GOOD_TEXTS * 2]
    if layout == "lines":
        return {b"t.txt": "\n".join(map(str, lines)).encode("utf-8", "replace")}, b"t.txt", []
    files = {
        b"in/%s/%d.txt" % (LABELS[row % 2].encode(), row): str(text).encode("utf-8", "replace")
        for row, text in enumerate(lines)
    }
    return files, b"in", []


def logs(draw: Draw, task: str) -> tuple[Files, bytes, list[str]]:
    """The same of events, perhaps with what is known of the items."""
    users, items = [f"u{number % 4}" for number in range(ROWS)], ("i1", "i2", "i3", "i4", "i5")
    layout = draw(st.sampled_from(("table", "table", "table", "lines", "atomic")))
    if layout == "lines":
        lines = [" ".join(str(cell(draw, item)) for item in items) for _ in range(ROWS)]
        return {b"t.txt": "\n".join(lines).encode("utf-8", "replace")}, b"t.txt", []
    times = [1_700_000_000 + 60 * number for number in range(ROWS)]
    columns = {"user": users, "item": items, "rating": (1, 2.5, 5), "time": times}
    if layout == "atomic":
        lines = ["user:token\titem:token\trating:float\ttime:float"]
        lines += ["\t".join(map(str, record.values())) for record in records(draw, columns)]
        return {b"t.inter": "\n".join(lines).encode("utf-8", "replace")}, b"t.inter", []
    files = dict(table(draw, columns, more=("::",)))
    source = next(iter(files))
    options: list[str] = []
    if rarely(draw, 2):
        facts = table(draw, {
            "item": items, "title": GOOD_TEXTS, "price": (1, 2.5, 10**9), "tags": ("a|b", "b"),
            "picture": ("0.png", "1.jpg"), "vector": ("[1, 2]", "[3, 4]"),
        }, name=b"items")  # fmt: skip
        files |= facts
        files[b"0.png"] = pictures()[0]
        options = ["--items", os.fsdecode(next(iter(facts)))]
    return files, source, options


def sounds(draw: Draw, task: str) -> tuple[Files, bytes, list[str]]:
    """The same for audio with labels and texts."""
    tones = {b"%d%s" % (number, _tones()[number][0]): _tones()[number][1] for number in range(8)}
    names = [name.decode() for name in tones]
    files: dict[bytes, bytes]
    options = ["--sample-rate-hz=8000"]
    layout = draw(st.sampled_from(("folder", "manifest", "manifest", "kaldi", "chapters")))
    if layout == "folder":
        files = {b"in/%s/%s" % (LABELS[at % 2].encode(), name): content
                 for at, (name, content) in enumerate(tones.items())}  # fmt: skip
        if task == "asr":
            files |= {name.rpartition(b".")[0] + b".txt": b"hello there" for name in list(files)}
        return files, b"in", options
    if layout == "manifest":
        columns = {"audio": names, "text": GOOD_TEXTS, "label": LABELS, "start": (0, 0.05, ""),
                   "end": (0.3, 0.25, ""), "speaker": ("s1", "s2")}  # fmt: skip
        files = dict(table(draw, columns))
        return files | tones, next(iter(files)), options
    if layout == "kaldi":
        files = {b"in/" + name: content for name, content in tones.items()}
        for name, values in (("wav.scp", names), ("text", GOOD_TEXTS), ("utt2spk", ("s1", "s2")),
                             ("segments", [f"u{at} 0 0.3" for at in range(8)])):  # fmt: skip
            if name != "segments" or rarely(draw, 2):
                lines = [f"u{at} {cell(draw, values[at % len(values)])}" for at in range(8)]
                files[b"in/" + name.encode()] = "\n".join(lines).encode("utf-8", "replace")
        return files, b"in", options
    files = {b"in/train-clean/7/1/7-1-%s" % name: content for name, content in tones.items()}
    result = [f"7-1-{at} {cell(draw, 'HELLO THERE')}" for at in range(8)]
    files[b"in/train-clean/7/1/7-1.trans.txt"] = "\n".join(result).encode("utf-8", "replace")
    return files, b"in", options


@functools.cache
def _tones() -> tuple[tuple[bytes, bytes], ...]:
    """Half a second of eight tones in several formats, with their endings."""
    made = []
    formats = (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("WAV", "FLOAT"), ("M4A", "AAC"))
    for number in range(8):
        name, subtype = formats[number % len(formats)]
        tone = 0.3 * np.sin(np.arange(4000) * 0.05 * (number + 1))
        file = io.BytesIO()
        if name == "M4A":
            _write_m4a(file, tone)
        else:
            soundfile.write(file, tone, 8000, format=name, subtype=subtype)
        made.append((b"." + name.lower().encode(), file.getvalue()))
    return tuple(made)


def _write_m4a(file: io.BytesIO, tone: np.ndarray) -> None:
    with av.open(file, "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
