"""The sample audio: small, valid, and enough of each word."""

from collections import Counter

import pytest

from aitk.core.contract.rows import Row
from aitk.core.runtime.samples import sample_folder
from aitk.speech.data.options import AudioReading, LabelledAudioReading, TranscribedAudioReading
from aitk.speech.data.reading import read_audio_rows

KINDS = {"label": LabelledAudioReading, "text": TranscribedAudioReading, None: AudioReading}


def read(name, content, *, labelled=True):
    reading = KINDS[content](sample_rate_hz=8000)
    source = str(sample_folder() / name)
    return list(
        read_audio_rows([source], reading, content=content, labelled=labelled, note=[].append)
    )


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("commands.csv", "label", 120),
        ("commands_update.csv", "label", 20),
        ("requests.csv", "text", 36),
        ("requests_update.csv", "text", 8),
        ("voices.csv", None, 156),
    ],
)
def test_every_row_is_a_sound(name, content, rows):
    found = read(name, content)
    assert [item for item in found if not isinstance(item, Row)] == []
    assert len(found) == rows


@pytest.mark.parametrize(("name", "rows"), [("commands_new.csv", 20), ("requests_new.csv", 6)])
def test_rows_to_predict_have_no_label(name, rows):
    found = read(name, "label", labelled=False)
    assert len(found) == rows
    assert set(found[0].record) == {"id", "audio", "start", "end"}


def test_every_speaker_says_every_keyword_twice():
    result = Counter(
        (row.fields["label"], row.fields["speaker"]) for row in read("commands.csv", "label")
    )
    assert len(result) == 60
    assert set(result.values()) == {2}


def test_all_of_it_is_small():
    names = ("commands", "requests", "voices")
    files = [path for path in sample_folder().iterdir() if path.name.startswith(names)]
    assert sum(path.stat().st_size for path in files) < 400_000
