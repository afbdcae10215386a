"""Assets of a speech model: feature settings, augmentation, labels."""

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
CORPUS = ""  # key of the moments over all speakers


@dataclass(frozen=True)
class AudioAssets:
    """Feature settings, augmentation and labels of a speech model.

    Attributes:
        features: settings of the model's features.
        augment: augmentation in training.
        labels: class names in output order; empty if there are none.
        weights: weight of each class in the loss, or empty.
        thresholds: threshold per class for multi-label rows; else empty.
        smoothing: share of the target spread over all classes in the loss.
        moments: mean and variance of the training features: by speaker, by speaker at each speed of
            ``augment``, and (under "") overall, as needed by ``features.normalise``.
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
    """Read assets written by ``AudioAssets.save``.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    path = folder / FILE
    if not path.is_file():
        raise ArtifactError(f"{FILE} is missing", where=str(folder))
    return assets_from(read_json(path), where=str(path))


def assets_from(values: Mapping[str, Any], *, where: str) -> AudioAssets:
    """Restore assets from ``AudioAssets.as_json``; ``where`` is the file named in errors."""
    from aitk.speech.features.signal import feature_size

    check_shape(values, SHAPE, where=where)
    features = resolve(FeatureSettings, values["features"])
    for name, each in values["moments"].items():
        if not len(each["sums"]) == len(each["squares"]) == feature_size(features):
            raise ArtifactError(f"the moments of {name!r} belong to other features", where=where)
    return AudioAssets(
        features=features,
        augment=resolve(AugmentOptions, values["augment"]),
        **read_label_values(values, where=where),
        smoothing=values["smoothing"],
        moments={name: moments_from(each) for name, each in values["moments"].items()},
    )


#: Settings that change a waveform or the features computed from it.
_WAVEFORM_SETTINGS = (
    *(each.name for each in fields(FeatureOptions) if each.name not in ("deltas", "normalise")),
    "speeds", "noise_share", "reverberation_share", "max_shift_ms", "max_gain_db",
)  # fmt: skip


def learn_features(
    rows: Sequence[Mapping[str, Any]], settings: Any, *, note: Note
) -> tuple[FeatureSettings, AugmentOptions]:
    """The feature settings and augmentation for these rows.

    The sample rate, or the columns and frame shift of precomputed features, are those of the first
    row.

    Raises:
        UsageError: the rows have features, but a setting needs audio.
    """
    from aitk.speech.data.audio import decode_audio
    from aitk.speech.data.formats.kaldi_files import decode_matrix, matrix_columns
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
                "needs audio, but the rows have precomputed features",
                where=f"--set {name}",
                hint="Leave it out, or prepare the audio",
            )
    if getattr(settings, "speeds", []):
        note("speed perturbation is off: the rows have features, not audio")
    shift_ms = round(1000 * first["seconds"] / len(decode_matrix(first["audio"])), 3)
    features = settings_for(settings, FeatureSettings.sample_rate_hz)
    return (
        replace(features, columns=columns, shift_ms=shift_ms, pitch=False, dither=0.0),
        replace(augment, speeds=[]),
    )


def augmentation_of(settings: Any) -> AugmentOptions:
    """The augmentation in a model's settings; none for models without it."""
    if isinstance(settings, AugmentOptions):
        return AugmentOptions(
            **{each.name: getattr(settings, each.name) for each in fields(AugmentOptions)}
        )
    return AugmentOptions(time_masks=0, frequency_masks=0)


def at_speed_name(speaker: str, speed: float) -> str:
    """The name of the pseudo-speaker for a speaker at another speed."""
    return f"{speaker} x{speed:g}"


def learn_moments(
    rows: Sequence[Mapping[str, Any]], settings: FeatureSettings, *, speeds: Sequence[float] = ()
) -> dict[str, Moments]:
    """Mean and variance of the features of all rows (under ""), and per speaker.

    Only as needed by ``settings.normalise``: nothing for ``none`` and ``utterance``.

    Args:
        speeds: training speeds, each treated as a separate speaker.
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
    """Assets with moments for the speakers of new rows too, for normalisation by speaker."""
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
    """Mean and variance of each speaker's features, optionally at another speed."""
    from aitk.speech.data.audio import decode_audio
    from aitk.speech.data.formats.kaldi_files import decode_matrix
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
