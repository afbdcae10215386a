"""Every architecture: padding changes nothing, in training either; files reload."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.contract.errors import UsageError
from aitk.speech.tasks.settings import (
    BiLstmSettings,
    CnnSettings,
    ConformerSettings,
    DsCnnSettings,
    TcnSettings,
    TcResNetSettings,
    TransformerSettings,
)

DIMENSIONS = 6
MODELS = {
    "cnn": CnnSettings(channels=2, channel_dropout=0.0),
    "dscnn": DsCnnSettings(channels=4, blocks=2),
    "tc-resnet": TcResNetSettings(multiplier=0.2, blocks=2),
    "bilstm": BiLstmSettings(hidden=4, layers=2, subsampling=2),
    "transformer": TransformerSettings(hidden=8, layers=2, heads=2, subsampling=4),
    "tcn": TcnSettings(channels=4, blocks=2, stacks=1, width=3, subsampling=2, dropout=0.0),
    "conformer": ConformerSettings(
        hidden=8, layers=2, heads=2, width=3, subsampling=4, dropout=0.0
    ),
    "conformer-plane": ConformerSettings(
        hidden=8, layers=1, heads=2, width=3, subsampling=4, dropout=0.0, front="plane"
    ),
}
CAUSAL = {
    "tcn": TcnSettings(channels=4, blocks=2, stacks=2, width=3, subsampling=2, causal=True),
    "conformer": ConformerSettings(
        hidden=8, layers=2, heads=2, width=3, subsampling=2, causal=True,
        chunk_steps=3, left_steps=2,
    ),
}  # fmt: skip


def backbone_of(name: str, settings, dimensions: int = DIMENSIONS):
    from aitk.speech.models import build_backbone

    return build_backbone(name.removesuffix("-plane"), settings, dimensions)


def build(name: str, **changed):
    from aitk.speech.models.head import classifier

    settings = dataclasses.replace(MODELS[name], **changed)
    backbone = backbone_of(name, settings)
    return with_large_weights(
        classifier(backbone, classes=3, pooling=settings.pooling, dropout=0.0)
    )


def with_large_weights(model):
    """Weights far from their start, so that a wrong mask would show."""
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(scale=0.5, size=variable.shape))
    return model


def batch(*, pad_to: int):
    """Sounds of 23, 9, 1 and 16 frames; the padding holds numbers that must not be seen."""
    features = np.random.default_rng(1).normal(size=(4, pad_to, DIMENSIONS)).astype("float32")
    features[:, :23] = np.random.default_rng(2).normal(size=(4, 23, DIMENSIONS))
    mask = (np.arange(pad_to) < np.array([[23], [9], [1], [16]])).astype("int32")
    return {"features": features, "padding_mask": mask}


def logits(model, inputs):
    return np.asarray(model(inputs))


@pytest.mark.parametrize("name", MODELS)
def test_padding_changes_no_logits(name):
    model = build(name)
    short = logits(model, batch(pad_to=23))
    for pad_to in (24, 31, 46):
        np.testing.assert_allclose(logits(model, batch(pad_to=pad_to)), short, atol=1e-4)
    alone = {key: value[1:2, :9] for key, value in batch(pad_to=23).items()}
    np.testing.assert_allclose(logits(model, alone), short[1:2], atol=1e-4)


@pytest.mark.parametrize(
    "name", ["cnn", "dscnn", "tc-resnet", "tcn", "conformer", "conformer-plane"]
)
def test_padding_does_not_enter_the_statistics_of_batches(name):
    means = []
    for pad_to in (23, 40):
        model = build(name)
        model(batch(pad_to=pad_to), training=True)
        statistics = [w for w in model.non_trainable_variables if "moving" in w.path]
        assert statistics
        means.append([np.asarray(weight) for weight in statistics])
    for one, other in zip(*means, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_is_the_same_after_loading(name, tmp_path):
    model = build(name)
    model.save(tmp_path / "model.keras")
    loaded = load_keras(tmp_path / "model.keras")
    inputs = batch(pad_to=25)
    np.testing.assert_array_equal(logits(loaded, inputs), logits(model, inputs))
    assert loaded.get_layer("backbone").name == "backbone"
    assert loaded.get_layer("head").name == "head"


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_float32_in_mixed_precision(name):
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        out = logits(build(name), batch(pad_to=24))
    finally:
        keras.config.set_dtype_policy("float32")
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


def test_each_keyword_model_has_fewer_than_200_000_parameters():
    from aitk.speech.models import build_backbone

    sizes = {
        name: build_backbone(name, type(settings)(), 40).count_params()
        for name, settings in list(MODELS.items())[:5]
    }
    assert max(sizes.values()) < 200_000, sizes


@pytest.mark.parametrize("name", MODELS)
def test_steps_are_the_frames_divided_by_frames_per_step(name):
    from aitk.speech.models.inputs import frames_per_step

    backbone = backbone_of(name, MODELS[name])
    each = frames_per_step(backbone)
    assert each == {"cnn": 8, "dscnn": 2, "tc-resnet": 8, "bilstm": 2, "tcn": 2}.get(name, 4)
    for frames in (23, 24, 25):
        assert logits(backbone, batch(pad_to=frames)).shape[1] == -(-frames // each)


def test_a_model_without_weights_of_its_own_reports_it():
    from aitk.speech.models import build_backbone

    with pytest.raises(UsageError, match="--from"):
        build_backbone("hub", None, 10)


@pytest.mark.parametrize(
    ("changed", "named"), [({"causal": True}, "later frames"), ({"subsampling": 3}, "is 3")]
)
def test_unsupported_settings_of_a_front_over_the_plane_are_refused(changed, named):
    settings = dataclasses.replace(MODELS["conformer-plane"], **changed)
    with pytest.raises(UsageError, match=named):
        backbone_of("conformer", settings)


def test_features_that_heads_cannot_share_are_refused():
    from aitk.speech.models import build_backbone

    with pytest.raises(UsageError, match="multiple of 4"):
        build_backbone("transformer", TransformerSettings(hidden=10), 6)


def transcriber(name: str, settings):
    from aitk.speech.models import build_backbone
    from aitk.speech.models.head import transcriber

    backbone = build_backbone(name, settings, DIMENSIONS)
    return with_large_weights(transcriber(backbone, units=5, dropout=0.0))


@pytest.mark.parametrize("name", ["bilstm", "tcn", "transformer", "conformer"])
def test_padding_changes_no_step_of_a_transcriber(name):
    model = transcriber(name, MODELS[name])
    short, long = logits(model, batch(pad_to=23)), logits(model, batch(pad_to=37))
    np.testing.assert_allclose(long[:, : short.shape[1]], short, atol=1e-4)
    assert (long[:, short.shape[1] :] == 0).all()
    assert short.shape[2] == 5


@pytest.mark.parametrize("name", CAUSAL)
def test_a_causal_model_sees_nothing_beyond_its_chunk(name):
    model = transcriber(name, CAUSAL[name])
    inputs = {key: value[:1] for key, value in batch(pad_to=23).items()}
    changed = inputs | {"features": inputs["features"].copy()}
    changed["features"][:, 12:] += 3.0  # steps 6 and on: a new chunk of three
    before, after = logits(model, inputs), logits(model, changed)
    np.testing.assert_allclose(after[:, :6], before[:, :6], atol=1e-4)
    assert np.abs(after[:, 6:] - before[:, 6:]).max() > 0.01


def test_attention_by_distance_matches_its_formula():
    from aitk.speech.models.attention import RelativeSelfAttention, sinusoids

    layer = RelativeSelfAttention(2)
    x = np.random.default_rng(0).normal(size=(1, 5, 8)).astype("float32")
    layer.build(x.shape, (1, 5))
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(rng.normal(scale=0.5, size=weight.shape))
    found = np.asarray(layer.scores(x))[0]
    query, key = (
        np.asarray(dense(x))[0].reshape(5, 2, 4) for dense in (layer.query_dense, layer.key_dense)
    )
    content, place = np.asarray(layer.content_bias), np.asarray(layer.position_bias)
    for i in range(5):
        for j in range(5):
            code = sinusoids(np.array([i - j], "float32"), 8)
            position = np.asarray(layer.position_dense(code)).reshape(2, 4)
            for head in range(2):
                wanted = (query[i, head] + content[head]) @ key[j, head]
                wanted += (query[i, head] + place[head]) @ position[head]
                assert found[head, i, j] == pytest.approx(wanted / 2, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("dscnn", {"backbone/first", "backbone/block_0_pointwise"}),
        ("tc-resnet", {"backbone/block_0_0_a", "backbone/block_0_1_a"}),
        ("tcn", {"backbone/block_0_0_a", "backbone/block_0_1_a"}),
    ],
)
def test_channels_taken_out_change_nothing_where_nobody_read_them(name, inside):
    from aitk.core.compression.pruning.channels import (
        inner_channels,
        prune_channels,
        smallest_removed,
    )

    wide = {"multiplier": 0.6} if name == "tc-resnet" else {"channels": 12}
    model = build(name, **wide)
    found = inner_channels(model)
    assert inside <= {inner.path for inner in found}
    narrow, removed = prune_channels(model, share=0.25)
    before = logits(model, batch(pad_to=31))
    kernels = [inner.layer.get_weights()[0] for inner in found]
    for inner, kernel in zip(found, kernels, strict=True):
        gone = np.setdiff1d(np.arange(kernel.shape[-1]), smallest_removed(kernel, share=0.25))
        removed -= len(gone)
        for reader in inner.readers:
            weights = reader.get_weights()
            weights[0][..., gone, :] = 0
            reader.set_weights(weights)
    assert removed == 0
    unread = logits(model, batch(pad_to=31))
    assert np.abs(unread - before).max() > 1e-3
    np.testing.assert_allclose(logits(narrow, batch(pad_to=31)), unread, rtol=1e-3, atol=1e-4)
