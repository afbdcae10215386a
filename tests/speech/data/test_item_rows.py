"""The rows of one recording: pieces of a long one, and where they begin."""

import numpy as np
import pytest

from aitk.speech.data.options import LabelledAudioReading, TranscribedAudioReading
from aitk.speech.data.reading import read_audio_rows


def rows_of(*sources, content="text", labelled=True, notes=None, check=None, **options):
    """Rows and refusals of sources."""
    kind = LabelledAudioReading if content == "label" else TranscribedAudioReading
    return list(
        read_audio_rows(
            [str(source) for source in sources],
            kind(**{"sample_rate_hz": 8000} | options),
            content=content,
            labelled=labelled,
            note=[].append if notes is None else notes.append,
            check=check,
        )
    )


def test_long_recordings_without_text_are_cut_at_pauses(save_sound, voice, tmp_path):
    quiet = np.zeros(4000, np.float32)
    path = save_sound("long.wav", np.concatenate([voice(1.5), quiet, voice(1.5), quiet, voice(1)]))
    rows = rows_of(path, labelled=False, max_seconds=2.5)
    assert [row.fields["id"][:-1] for row in rows] == ["long-000000", "long-000017", "long-000037"]
    assert [row.fields["seconds"] for row in rows] == pytest.approx([1.75, 2.0, 1.25], abs=0.03)
    assert rows[1].record["start"] == pytest.approx(1.75, abs=0.02)
    assert rows[1].record["end"] == rows[2].record["start"] == rows[2].fields["start"]
    (refused,) = rows_of(path, max_seconds=2.5)
    assert refused.reason == "there is no transcript long.txt next to it"


def test_predictions_know_where_a_trimmed_sound_began(save_sound, voice):
    path = save_sound("a.wav", np.concatenate([np.zeros(8000), voice(1.0), np.zeros(8000)]))
    (row,) = rows_of(path, labelled=False, trim_silence=True)
    assert row.fields["start"] == pytest.approx(0.9, abs=0.03)
    assert row.fields["seconds"] == pytest.approx(1.2, abs=0.05)
