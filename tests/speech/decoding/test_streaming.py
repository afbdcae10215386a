"""Streaming: the output in chunks equals that of the whole audio."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.speech.decoding.streaming import Stream
from aitk.speech.tasks.settings import ConformerSettings, TcnSettings

MODELS = {
    "tcn": TcnSettings(channels=4, blocks=2, stacks=2, width=3, subsampling=2, causal=True),
    "conformer": ConformerSettings(
        hidden=8, layers=2, heads=2, width=3, subsampling=4, causal=True,
        chunk_steps=3, left_steps=2,
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    from aitk.speech.models import build_backbone
    from aitk.speech.models.head import transcriber

    settings = MODELS[request.param]
    model = transcriber(build_backbone(request.param, settings, 3), units=4, dropout=0.0)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(scale=0.5, size=variable.shape))
    return settings, model


def stream_of(settings, predict, *, context=None):
    return Stream(
        predict,
        frames_per_step=settings.subsampling,
        chunk_frames=settings.chunk_frames,
        context_frames=settings.context_frames if context is None else context,
    )


def streamed(stream: Stream, features: np.ndarray, size: int) -> np.ndarray:
    parts = [stream.feed(features[at : at + size]) for at in range(0, len(features), size)]
    parts.append(stream.finish())
    return np.concatenate([part for part in parts if len(part)])


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_steps_are_those_of_the_whole_sound(model, size):
    settings, network = model
    frames = settings.context_frames + 61 if size > 1 else 60
    features = np.random.default_rng(1).normal(size=(frames, 3)).astype("float32")
    whole = {"features": features[None], "padding_mask": np.ones((1, frames), "int32")}
    wanted = np.asarray(network(whole))[0]
    found = streamed(stream_of(settings, network), features, size)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_the_past_that_is_held_is_bounded(model):
    settings, network = model
    longest = 0

    def watched(inputs):
        nonlocal longest
        longest = max(longest, inputs["features"].shape[1])
        return network(inputs)

    features = np.zeros((3 * settings.context_frames, 3), "float32")
    streamed(stream_of(settings, watched), features, settings.chunk_frames)
    assert longest <= settings.context_frames + 2 * settings.chunk_frames


def test_a_shorter_past_would_change_what_comes_out(model):
    settings, network = model
    features = np.random.default_rng(2).normal(size=(200, 3)).astype("float32")
    whole = {"features": features[None], "padding_mask": np.ones((1, 200), "int32")}
    found = streamed(stream_of(settings, network, context=0), features, settings.chunk_frames)
    assert np.abs(found - np.asarray(network(whole))[0]).max() > 0.01


def test_silence_of_no_frames_has_no_steps(model):
    settings, network = model
    assert len(stream_of(settings, network).finish()) == 0
