"""Time log-mel filterbanks of an hour of made sound: aitk, librosa and kaldi-native-fbank.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python bench/features_speed.py

One process, one thread, the three in turn, medians of three rounds: seconds of sound a CPU second.
All take frames of 25 ms every 10 ms and 40 filters; librosa's definition of them is another one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

RATE = 16000
PIECE_S = 10
FILTERS = 40


def made_sound(seconds: int) -> list[np.ndarray]:
    """Pieces of coloured noise that rises and falls, (n,) float32 each."""
    rng = np.random.default_rng(0)
    time_s = np.arange(PIECE_S * RATE) / RATE
    envelope = (0.1 + 0.1 * np.sin(2 * np.pi * 3 * time_s)).astype(np.float32)
    return [
        envelope * rng.standard_normal(PIECE_S * RATE, np.float32)
        for _ in range(seconds // PIECE_S)
    ]


def by_aitk(sounds: Sequence[np.ndarray]) -> None:
    """In batches of 32, as training makes them."""
    from aitk.speech.data.options import FeatureSettings
    from aitk.speech.features.signal import features_of_many

    settings = FeatureSettings(filters=FILTERS, normalise="none", sample_rate_hz=RATE)
    for start in range(0, len(sounds), 32):
        features_of_many(sounds[start : start + 32], settings)


def by_librosa(sounds: Sequence[np.ndarray]) -> None:
    """Mel power, then its logarithm."""
    import librosa

    for sound in sounds:
        power = librosa.feature.melspectrogram(
            y=sound,
            sr=RATE,
            n_fft=512,  # as Kaldi pads 25 ms
            win_length=400,
            hop_length=160,
            n_mels=FILTERS,
            center=False,
        )
        np.log(np.maximum(power, 1e-10))


def by_kaldi(sounds: Sequence[np.ndarray]) -> None:
    """Kaldi's own definition, whose features aitk's equal to 1e-3."""
    import kaldi_native_fbank as kaldi

    options = kaldi.FbankOptions()
    options.frame_opts.samp_freq = RATE
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = FILTERS
    for sound in sounds:
        fbank = kaldi.OnlineFbank(options)
        fbank.accept_waveform(RATE, sound * 32768)
        fbank.input_finished()
        np.stack([fbank.get_frame(at) for at in range(fbank.num_frames_ready)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=3600)
    given = parser.parse_args()
    sounds = made_sound(given.seconds)
    ways: dict[str, Callable[[Sequence[np.ndarray]], None]] = {
        "aitk": by_aitk,
        "librosa": by_librosa,
        "kaldi-native-fbank": by_kaldi,
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(4):
        for name, compute in ways.items():
            started = time.process_time()
            compute(sounds)
            if repeat:  # the first round warms up
                spent[name].append(time.process_time() - started)
    print(
        json.dumps({name: round(given.seconds / statistics.median(s)) for name, s in spent.items()})
    )


if __name__ == "__main__":
    main()
