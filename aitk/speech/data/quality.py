"""Checks and statistics of recordings, speakers, labels and transcripts.

A single pass stores a few numbers per recording, so memory does not hold the audio.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.options import require_names
from aitk.core.contract.rows import SPLITS, Row
from aitk.core.contract.task import Finding, Grade
from aitk.core.metrics.class_checks import HELD_OUT_SHARE, LabelTally
from aitk.speech.data.audio import content_key, count_clipped, decode_audio
from aitk.speech.data.formats.kaldi_files import matrix_columns
from aitk.speech.data.items import Content
from aitk.speech.data.options import AudioReading
from aitk.speech.features.spectrogram_images import spectrogram_png
from aitk.speech.features.waveform import SILENCE_DBFS, level_dbfs, signal_to_noise_db

#: Minimum share of clipped samples that is audible.
CLIPPED_SHARE = 0.001
NOISY_DB = 10.0
#: Maximum distance from the usual characters per second, in robust standard deviations.
OUTLIER = 4.0
FEW_CHARACTERS = 5
#: With more speakers, only their number is reported.
MOST_SPEAKERS = 200
_EXAMPLES, _BARS, _PICTURES = 10, 30, 4
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)


class AudioInspector:
    """Inspects every accepted row once; see ``aitk.core.contract.task.Inspector``.

    Args:
        content: content of rows besides audio: a text, a label, or neither.
    """

    def __init__(self, reading: AudioReading, *, content: Content | None):
        self._reading, self._content = reading, content
        self._files: dict[str, int] = {}
        self._speakers: dict[str, int] = {}
        self._labels = LabelTally()
        self._keys: dict[str, int] = {}
        self._seconds, self._levels = array("f"), array("f")
        self._ratios, self._clipped = array("f"), array("f")
        self._key_numbers, self._file_numbers, self._lines = array("I"), array("I"), array("Q")
        self._speaker_numbers = array("I")
        self._lengths, self._splits = array("I"), array("B")
        self._characters = {split: Counter[str]() for split in SPLITS}
        self._pictures: dict[str, bytes] = {}

    def add(self, row: Row, split: str) -> None:
        fields = row.fields
        samples, rate = np.zeros(0, np.float32), 1
        if not matrix_columns(fields["audio"]):
            samples, rate = decode_audio(fields["audio"])
        ratio = signal_to_noise_db(samples, rate)
        self._splits.append(SPLITS.index(split))
        self._lines.append(row.line)
        self._file_numbers.append(self._files.setdefault(row.file, len(self._files)))
        key = content_key(fields["audio"])
        self._key_numbers.append(self._keys.setdefault(key, len(self._keys)))
        self._seconds.append(len(samples) / rate if len(samples) else fields["seconds"])
        self._levels.append(level_dbfs(samples) if len(samples) else np.nan)
        self._ratios.append(np.nan if ratio is None else ratio)
        self._clipped.append(count_clipped(samples) / max(len(samples), 1))
        speaker = fields["speaker"]
        self._speaker_numbers.append(self._speakers.setdefault(speaker, len(self._speakers)))
        if self._content == "label":
            self._labels.add(fields, split)
        elif self._content == "text":
            self._characters[split].update(fields["text"])
            self._lengths.append(len(fields["text"]))
        labels = ", ".join(fields.get("labels", ()))
        title = fields.get("label") or fields.get("text") or labels or fields["id"]
        if len(samples) and len(self._pictures) < _PICTURES and title not in self._pictures:
            self._pictures[title] = spectrogram_png(samples, rate)

    def findings(self) -> list[Finding]:
        """All checks made, including those without a fault.

        Raises:
            UsageError: a speaker to hold out does not occur.
        """
        self._require_speakers()
        found = [
            self._find_duplicates(),
            self._find_leakage(),
            self._find_speakers(),
            self._find_clipping(),
            self._find_noise(),
        ]
        if self._content == "label":
            found += self._labels.findings()
        elif self._content == "text":
            found += [self._find_wrong_lengths(), self._find_characters()]
        return found

    def summary(self) -> dict[str, Any]:
        """JSON statistics and charts of rows, hours, speakers, levels, labels or characters.

        ``pictures`` are spectrograms of some recordings: ``{"caption": str, "png": bytes}``.
        """
        splits, seconds = np.array(self._splits), np.array(self._seconds)
        rows = np.bincount(splits, minlength=len(SPLITS))
        present = [split for split, count in zip(SPLITS, rows, strict=True) if count]
        ratios = np.array(self._ratios)
        levels = np.array(self._levels)
        levels = levels[~np.isnan(levels)]  # rows with features have no level
        summary: dict[str, Any] = {
            "sample_rate_hz": self._reading.sample_rate_hz,
            "hours": round(float(seconds.sum()) / 3600, 4),
            "speakers": len(set(self._speakers) - {""}),
            "clipped_share": round(_share(self._clipped, CLIPPED_SHARE), 6),
            "rows": {split: int(rows[SPLITS.index(split)]) for split in present},
            "seconds": {
                split: round(float(seconds[splits == SPLITS.index(split)].sum()), 1)
                for split in present
            },
            "measured": {
                "seconds_of_a_sound": _describe(seconds),
                "level_dbfs": _describe(levels),
                "signal_to_noise_db_guessed": _describe(ratios[~np.isnan(ratios)]),
            },
            "charts": {
                "seconds_of_a_sound": _histogram(seconds),
                "level_of_a_sound_dBFS": _histogram(levels),
                "signal_to_noise_ratio_dB_guessed": _histogram(ratios[~np.isnan(ratios)]),
            },
            "pictures": [
                {"caption": caption, "png": png} for caption, png in self._pictures.items()
            ],
        }
        if 0 < summary["speakers"] <= MOST_SPEAKERS:
            summary["speaker_rows"] = self._speaker_rows(present)
        if self._content == "label":
            summary |= self._labels.summary()
        elif self._content == "text":
            summary["characters"] = dict(sorted(self._characters["train"].items()))
            summary["measured"]["characters_a_second"] = _describe(self._rates())
            summary["charts"]["characters_a_second"] = _histogram(self._rates())
        return summary

    def _rates(self) -> np.ndarray:
        return np.array(self._lengths) / np.maximum(np.array(self._seconds), 1e-3)

    def _speaker_rows(self, present: Sequence[str]) -> dict[str, dict[str, int]]:
        counts = self._counts(self._speakers, self._speaker_numbers)
        return {split: counts[split] for split in present}

    def _counts(
        self, names: Mapping[str, int], numbers: Sequence[int]
    ) -> dict[str, dict[str, int]]:
        kinds = max(len(names), 1)
        codes = np.array(self._splits, np.int64) * kinds + np.array(numbers)
        table = np.bincount(codes, minlength=len(SPLITS) * kinds).reshape(len(SPLITS), kinds)
        return {
            split: {name: int(line[at]) for name, at in sorted(names.items()) if line[at]}
            for split, line in zip(SPLITS, table, strict=True)
        }

    def _find_duplicates(self) -> Finding:
        codes = np.array(self._key_numbers, np.int64) * len(SPLITS) + np.array(self._splits)
        _, first = np.unique(codes, return_index=True)
        repeated = np.ones(len(codes), bool)
        repeated[first] = False
        return self._judge("duplicates", repeated, "recordings that occur twice in their split")

    def _find_leakage(self) -> Finding:
        keys, splits = np.array(self._key_numbers), np.array(self._splits)
        earlier = np.isin(keys, keys[splits == 0])
        earlier |= (splits == 2) & np.isin(keys, keys[splits == 1])
        return self._judge(
            "duplicates across splits",
            (splits > 0) & earlier,
            "held-out recordings that occur in another split, which inflates scores",
            among=splits > 0,
            error_share=HELD_OUT_SHARE,
        )

    def _require_speakers(self) -> None:
        """Check that the speakers to hold out occur."""
        for name in ("test_speakers", "validation_speakers"):
            where = "--" + name.replace("_", "-")
            wanted = getattr(self._reading, name)
            require_names(wanted, set(self._speakers) - {""}, where=where, what="speaker")

    def _find_speakers(self) -> Finding:
        speakers, splits = np.array(self._speaker_numbers), np.array(self._splits)
        known = np.ones(len(speakers), bool)
        if "" in self._speakers:
            known = speakers != self._speakers[""]
        if not known.any():
            message = "not checked: speakers are unknown, so splits may share some"
            return Finding("speakers", "skipped", message)
        held_out = known & (splits > 0)
        shared = held_out & np.isin(speakers, speakers[splits == 0])
        options = {1: "--validation-speakers", 2: "--test-speakers"}
        named = [
            f"{SPLITS[split]} (see {option})"
            for split, option in options.items()
            if (shared & (splits == split)).any()
        ]
        names = list(self._speakers)
        return self._judge(
            "speakers",
            shared,
            "held-out recordings of speakers who are in the training rows: the scores do not"
            f" generalise to new speakers, in {' and '.join(named)}"
            if named
            else "held-out recordings of speakers in the training rows",
            among=held_out,
            speakers=sorted({names[number] for number in speakers[shared]})[:_EXAMPLES],
        )

    def _find_clipping(self) -> Finding:
        return self._judge(
            "clipping",
            np.array(self._clipped) > CLIPPED_SHARE,
            f"recordings with over {CLIPPED_SHARE:.1%} clipped samples",
            among=~np.isnan(np.array(self._levels)),
        )

    def _find_noise(self) -> Finding:
        ratios = np.array(self._ratios)
        return self._judge(
            "noise",
            np.nan_to_num(ratios, nan=np.inf) < NOISY_DB,
            f"recordings with an estimated signal-to-noise ratio below {NOISY_DB:g} dB",
            among=~np.isnan(np.array(self._levels)),
        )

    def _find_wrong_lengths(self) -> Finding:
        """Find transcripts that are much too long or too short for their recording."""
        rates = np.log(np.maximum(self._rates(), 1e-3))
        middle = np.median(rates) if len(rates) else 0.0
        # 1.4826 times the median absolute deviation estimates a normal standard deviation.
        spread = 1.4826 * float(np.median(np.abs(rates - middle))) if len(rates) else 0.0
        wrong = np.abs(rates - middle) > OUTLIER * max(spread, 0.05)
        return self._judge(
            "transcripts and durations",
            wrong,
            "transcripts far too long or too short for their recording, probably wrong",
            usual_characters_a_second=round(float(np.exp(middle)), 2),
        )

    def _find_characters(self) -> Finding:
        train = self._characters["train"]
        held_out: Counter[str] = self._characters["validation"] + self._characters["test"]
        if not train:
            return Finding("characters", "skipped", "not checked: there are no training rows")
        unseen = {name: count for name, count in held_out.items() if name not in train}
        rare = {name: count for name, count in train.items() if count < FEW_CHARACTERS}
        message = f"{len(train)} characters"
        if rare:
            message += f", {len(rare)} of them under {FEW_CHARACTERS} times in training"
        if unseen:
            message += f"; only in held-out rows: {' '.join(sorted(unseen))!r}"
        grade: Grade = "warning" if rare or unseen else "ok"
        return Finding("characters", grade, message, {"rare": rare, "unseen": unseen})

    def _judge(
        self,
        check: str,
        faulty: np.ndarray,
        what: str,
        *,
        among: np.ndarray | None = None,
        error_share: float = 2.0,
        **details: Any,
    ) -> Finding:
        """A finding about faulty rows: an error above the share, a warning if there are any."""
        total = len(faulty) if among is None else int(among.sum())
        count = int(faulty.sum())
        if not total:
            return Finding(check, "skipped", f"not checked, too few rows: {what}", details)
        share = count / total
        grade: Grade = "error" if share > error_share else "warning" if count else "ok"
        message = f"{count:,} {what} ({share:.1%})" if count else f"no {what}"
        files = list(self._files)
        places = [
            f"{files[self._file_numbers[row]]}:{self._lines[row]}"
            for row in np.flatnonzero(faulty)[:_EXAMPLES]
        ]
        counts = {"rows": count, "share": round(share, 6), "examples": places}
        return Finding(check, grade, message, counts | details)


def _share(values: Sequence[float], above: float) -> float:
    return float((np.array(values) > above).mean()) if len(values) else 0.0


def _describe(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    cuts = np.percentile(values, _PERCENTILES)
    return {
        "mean": round(float(values.mean()), 2),
        **{
            f"p{share}": round(float(cut), 2) for share, cut in zip(_PERCENTILES, cuts, strict=True)
        },
        "most": round(float(values.max()), 2),
    }


def _histogram(values: np.ndarray) -> dict[str, list[float]]:
    """Counts by value; the outermost 1% on either side are clipped."""
    values = values[values > SILENCE_DBFS]
    if not len(values):
        return {"x": [], "y": []}
    low, high = np.percentile(values, [1, 99])
    counts, edges = np.histogram(np.clip(values, low, high), bins=min(_BARS, len(values)))
    return {"x": ((edges[:-1] + edges[1:]) / 2).round(3).tolist(), "y": counts.tolist()}
