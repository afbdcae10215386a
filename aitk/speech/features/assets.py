"""What a speech model needs besides its weights: how audio becomes features, and the labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.label_task import LABEL_SHAPE, label_values, read_label_values
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.task import Note
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Size, check_shape, read_json
from aitk.speech.data.options import AugmentOptions, FeatureOptions, FeatureSettings
from aitk.speech.features.normalise import Moments, moments_from, moments_of, total

FILE = "audio.json"
#: The shape of ``audio.json``.
SHAPE = {
    "features": dict,
    "augment": dict,
    **LABEL_SHAPE,
    "smoothing": float,
    "moments": {str: {"frames": Size, "sums": [float], "squares": [float]}},
}
CORPUS = ""  # whose moments are kept under no speaker's name


@dataclass(frozen=True)
class AudioAssets:
    """Feature settings, augmentation and labels of a speech model.

    Attributes:
        features: what the model reads of a recording.
        augment: augmentation in training.
        labels: class names in the order of the outputs; empty where there are none.
        weights: weight of each class in the loss, or empty.
        thresholds: of each class, where rows have any number of labels; else empty.
        smoothing: share of the target spread over all classes in the loss.
        moments: mean and variance of the training rows' features, by speaker, by speaker at each
            speed of ``augment``, and (under "") of all, where ``features.normalise`` asks.
    """

    features: FeatureSettings
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    labels: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    smoothing: float = 0.0
    moments: Mapping[str, Moments] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write ``audio.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / FILE, self.as_json())

    def as_json(self) -> dict[str, Any]:
        """JSON values; ``assets_from`` reads them back."""
        return {
            "features": as_dict(self.features),
            "augment": as_dict(self.augment),
            **label_values(self),
            "smoothing": self.smoothing,
            "moments": {name: each.as_json() for name, each in self.moments.items()},
        }


def load_audio_assets(folder: Path) -> AudioAssets:
    """Read what ``AudioAssets.save`` wrote.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    path = folder / FILE
    if not path.is_file():
        raise ArtifactError(f"{FILE} is missing", where=str(folder))
    return assets_from(read_json(path), where=str(path))


def assets_from(values: Mapping[str, Any], *, where: str) -> AudioAssets:
    """What ``AudioAssets.as_json`` made; ``where`` is the file named in errors."""
    from aitk.speech.features.signal import feature_size

    check_shape(values, SHAPE, where=where)
    features = resolve(FeatureSettings, values["features"])
    for name, each in values["moments"].items():
        if not len(each["sums"]) == len(each["squares"]) == feature_size(features):
            raise ArtifactError(f"the moments of {name!r} are of other features", where=where)
    return AudioAssets(
        features=features,
        augment=resolve(AugmentOptions, values["augment"]),
        **read_label_values(values, where=where),
        smoothing=values["smoothing"],
        moments={name: moments_from(each) for name, each in values["moments"].items()},
    )


#: Settings that change a waveform, or say how features are computed from one.
_WAVEFORM_SETTINGS = (
    *(each.name for each in fields(FeatureOptions) if each.name not in ("deltas", "normalise")),
    "speeds", "noise_share", "reverberation_share", "max_shift_ms", "max_gain_db",
)  # fmt: skip


def learn_features(
    rows: Sequence[Mapping[str, Any]], settings: Any, *, note: Note
) -> tuple[FeatureSettings, AugmentOptions]:
    """What a model reads of such rows, and how they are augmented in training.

    The sample rate, or the columns and the frame shift of stored features, are those of the first
    row.

    Raises:
        UsageError: the rows hold features, and a setting needs audio.
    """
    from aitk.speech.data.audio import decode_audio
    from aitk.speech.data.kaldi_files import decode_matrix, matrix_columns
    from aitk.speech.features.signal import settings_for

    augment = augmentation_of(settings)
    first = rows[0]
    columns = matrix_columns(first["audio"])
    if not columns:
        _, rate = decode_audio(first["audio"])
        return settings_for(settings, rate), augment
    defaults = type(settings)()
    for name in _WAVEFORM_SETTINGS:
        if getattr(settings, name, None) != getattr(defaults, name, None):
            raise UsageError(
                "needs audio, and the rows hold features computed elsewhere",
                where=f"--set {name}",
                hint="Leave it out, or prepare the audio",
            )
    if getattr(settings, "speeds", []):
        note("no row is played at other speeds: the rows hold features, not audio")
    shift_ms = round(1000 * first["seconds"] / len(decode_matrix(first["audio"])), 3)
    features = settings_for(settings, FeatureSettings.sample_rate_hz)
    return (
        replace(features, columns=columns, shift_ms=shift_ms, pitch=False, dither=0.0),
        replace(augment, speeds=[]),
    )


def augmentation_of(settings: Any) -> AugmentOptions:
    """The augmentation inside a model's settings; none for models that have no such settings."""
    if isinstance(settings, AugmentOptions):
        return AugmentOptions(
            **{each.name: getattr(settings, each.name) for each in fields(AugmentOptions)}
        )
    return AugmentOptions(time_masks=0, frequency_masks=0)


def at_speed_name(speaker: str, speed: float) -> str:
    """The name of the other speaker whom a speaker becomes when played at another speed."""
    return f"{speaker} x{speed:g}"


def learn_moments(
    rows: Sequence[Mapping[str, Any]], settings: FeatureSettings, *, speeds: Sequence[float] = ()
) -> dict[str, Moments]:
    """Mean and variance of the features of all rows (under ""), and of each speaker's.

    Only what ``settings.normalise`` needs: nothing for ``none`` and ``utterance``.

    Args:
        speeds: at which recordings are played in training, each a speaker of its own.
    """
    if settings.normalise not in ("speaker", "corpus"):
        return {}
    found = moments_by_speaker(rows, settings)
    corpus = {CORPUS: total(found.values())}
    if settings.normalise == "corpus":
        return corpus
    for speed in speeds:
        found |= moments_by_speaker(rows, settings, speed=speed)
    return found | corpus


def with_speakers(assets: AudioAssets, rows: Sequence[Mapping[str, Any]]) -> AudioAssets:
    """Assets that know how the speakers of new rows sound too, where it is asked by speaker."""
    if assets.features.normalise != "speaker":
        return assets
    new = [row for row in rows if row.get("speaker") and row["speaker"] not in assets.moments]
    learned = moments_by_speaker(new, assets.features)
    for speed in assets.augment.speeds:
        learned |= moments_by_speaker(new, assets.features, speed=speed)
    return replace(assets, moments={**assets.moments, **learned})


def moments_by_speaker(
    rows: Iterable[Mapping[str, Any]], settings: FeatureSettings, *, speed: float | None = None
) -> dict[str, Moments]:
    """Mean and variance of the features of each speaker's rows, played at a speed if any."""
    from aitk.speech.data.audio import decode_audio
    from aitk.speech.data.kaldi_files import decode_matrix
    from aitk.speech.features.augment import at_speed
    from aitk.speech.features.signal import features, finish_features

    plain = replace(settings, normalise="none")
    found: dict[str, Moments] = {}
    for row in rows:
        name = row.get("speaker", CORPUS)
        if settings.columns:
            (computed,) = finish_features([decode_matrix(row["audio"])], plain)
        else:
            samples, _ = decode_audio(row["audio"])
            if speed is not None:
                samples, name = at_speed(samples, speed), at_speed_name(name, speed)
            computed = features(samples, plain)
        own = moments_of(computed)
        found[name] = found[name] + own if name in found else own
    return found
