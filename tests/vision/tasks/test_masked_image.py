"""Masked-image pretraining: what is hidden, how it is scored, what the networks see and learn."""

from __future__ import annotations

import base64

import keras
import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.contract.capabilities import DistillsBatches, DistillsRows, Explainable
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import resolve
from aitk.core.io.images import decode_checked, encode_png
from aitk.vision.models.masked import MaskedImageModel
from aitk.vision.models.spark import blind
from aitk.vision.tasks.masked_image import MaskedImage, side_by_side

TASK = MaskedImage()
SMALL = {
    "vit": {"hidden": 16, "layers": 1, "heads": 2, "decoder_width": 16, "decoder_layers": 1},
    "resnet": {"filters": 4, "blocks": "1,1", "decoder_width": 8, "decoder_layers": 1},
}


def chosen(model: str, **given):
    return resolve(TASK.models[model].settings, {"image_size": "16"} | SMALL[model], given)


def rows(count: int = 6, side: int = 16) -> list[dict]:
    """Stripes of random directions and colours, which can be filled in."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        y, x = np.mgrid[:side, :side]
        angle, colour = rng.uniform(0, np.pi), rng.uniform(60, 120, 3)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 0.9 + rng.uniform(0, 6))
        image = (128 + wave[..., None] * colour).clip(0, 255).astype(np.uint8)
        made.append({"image": encode_png(image), "height": side, "width": side})
    return made


def learned(model: str = "vit", **given):
    return TASK.learn(rows(), {}, chosen(model, **given), note=print)


def test_three_quarters_of_the_patches_are_hidden():
    assert learned("vit").parameters == {"patch": 4, "shown": 4}
    assert learned("vit", mask_share=0.5).parameters == {"patch": 4, "shown": 8}


def test_convolutions_hide_patches_of_their_own_stride_at_least_of_4():
    assert learned("resnet").parameters["patch"] == 4
    assert learned("resnet", blocks="1,1,1,1", image_size="32").parameters["patch"] == 8


def test_something_is_shown_and_something_is_hidden():
    assert learned("vit", mask_share=0.95).parameters["shown"] == 1
    assert learned("vit", mask_share=0.05).parameters["shown"] == 15


def test_images_of_no_whole_patches_are_refused():
    with pytest.raises(UsageError, match="patches of 4"):
        learned("resnet", image_size="18")
    with pytest.raises(UsageError, match="patches of 16"):
        learned("resnet", blocks="1,1,1,1,1")


def test_weights_count_hidden_pixels_alone():
    assets = learned()
    batch = TASK.collate(TASK.encode(rows(), assets), assets, rng=np.random.default_rng(0))
    shown = batch.weights == 0
    assert shown.mean() == pytest.approx(1 / 4)
    assert batch.weights.mean() == pytest.approx(1)
    first = batch.inputs["visible"][0]
    grid = shown[0, ::4, ::4].ravel()
    assert np.flatnonzero(grid).tolist() == first.tolist()


def test_training_hides_anew_and_evaluation_does_not():
    assets = learned()
    examples = TASK.encode(rows(), assets)
    rng = np.random.default_rng(0)
    one, two = (TASK.collate(examples, assets, rng=rng).inputs["visible"] for _ in range(2))
    assert (one != two).any()
    still = TASK.collate(examples, assets).inputs["visible"]
    assert (TASK.collate(examples[2:4], assets).inputs["visible"] == still[2:4]).all()
    assert (still[0] != still[1]).any()


def test_no_knowledge_has_an_error_of_about_one():
    assets = learned()
    batch = TASK.collate(TASK.encode(rows(), assets), assets)
    nothing = TASK.measure(batch, np.zeros_like(batch.targets), assets)
    assert TASK.score(nothing, assets).metrics["error"].value == pytest.approx(1, abs=0.01)
    right = TASK.measure(batch, batch.targets, assets)
    scored = TASK.score(right, assets, resamples=20)
    assert scored.metrics["error"].value == scored.metrics["shades"].value == 0


def test_errors_are_those_of_hidden_pixels():
    assets = learned()
    batch = TASK.collate(TASK.encode(rows(1), assets), assets)
    wrong_where_shown = batch.targets + (batch.weights == 0)[..., None] * 5
    assert TASK.measure(batch, wrong_where_shown, assets)["error"] == pytest.approx(0)
    two_off = batch.targets + 2
    measured = TASK.measure(batch, two_off, assets)
    assert measured["error"] == pytest.approx(4)
    scored = TASK.score(measured, assets)
    assert scored.metrics["shades"].value == pytest.approx(np.sqrt(measured["squared_shades"][0]))


def test_an_evaluation_shows_images_from_best_to_worst():
    assets = learned()
    examples = TASK.encode(rows(4), assets)
    batches = [TASK.collate([each], assets) for each in examples]
    wrong = [3, 0, 2, 1]
    measured = [
        TASK.measure(batch, batch.targets + off, assets)
        for batch, off in zip(batches, wrong, strict=True)
    ]
    joined = {name: np.concatenate([each[name] for each in measured]) for name in measured[0]}
    images = TASK.score(joined, assets).details["pictures"]
    assert [each["caption"][-5:] for each in images] == ["0.000", "1.000", "4.000", "9.000"]
    assert decode_checked(images[0]["png"]).shape == (128, 392, 3)


def test_a_prediction_is_drawn():
    assets = learned()
    fields = rows(1)[0]
    batch = TASK.collate(TASK.encode([fields], assets), assets)
    (answer,) = TASK.decode(batch, batch.targets, assets, options=TASK.predict_options())
    assert answer["prediction"] == 0
    assert answer["visible"] == batch.inputs["visible"][0].tolist()
    original = decode_checked(fields["image"])
    assert (decode_checked(base64.b64decode(answer["filled"])) == original).all()
    drawn = TASK.draw(fields, answer)
    assert (drawn[:, 264:] == original.repeat(8, axis=0).repeat(8, axis=1)).all()


def test_evaluation_stores_no_images_in_predictions():
    assets = learned()
    batch = TASK.collate(TASK.encode(rows(1), assets), assets)
    (answer,) = TASK.decode(batch, batch.targets, assets)
    assert "filled" not in answer
    assert TASK.draw(rows(1)[0], answer) is None


def test_holes_are_drawn_grey():
    black = np.zeros((4, 4, 3), np.uint8)
    hidden = np.zeros((4, 4), bool)
    hidden[:2] = True
    drawn = side_by_side(black, hidden, black)
    assert drawn.shape == (128, 3 * 128 + 8, 3)
    assert (drawn[:64, :128] == 128).all()
    assert (drawn[64:, :128] == 0).all()


def test_an_objective_explains_and_distils_nothing():
    assert not isinstance(TASK, Explainable | DistillsRows | DistillsBatches)


# Networks -----------------------------------------------------------------


def built(name: str):
    settings = resolve(TASK.models[name].settings, {"image_size": "16"} | SMALL[name])
    assets = TASK.learn(rows(), {}, settings, note=print)
    return TASK.models[name].build(settings, assets), assets


@pytest.fixture(scope="module", params=list(SMALL))
def made(request):
    keras.utils.set_random_seed(0)
    return built(request.param)


def test_hidden_pixels_change_nothing(made):
    model, assets = made
    batch = TASK.collate(TASK.encode(rows(2), assets), assets)
    changed = dict(batch.inputs)
    hidden = batch.weights > 0
    changed["image"] = np.where(hidden[..., None], 255 - changed["image"], changed["image"])
    before, after = (np.asarray(model(inputs)) for inputs in (batch.inputs, changed))
    np.testing.assert_array_equal(before, after)
    shown = dict(batch.inputs)
    shown["image"] = np.where(hidden[..., None], shown["image"], 255 - shown["image"])
    assert np.abs(np.asarray(model(shown)) - before).max() > 1e-3


def test_it_learns_and_reloads_with_the_backbone_as_a_layer(made, tmp_path):
    model, assets = made
    examples = TASK.encode(rows(), assets)
    model.compile(keras.optimizers.Adam(5e-3), loss=TASK.models["vit"].loss(assets))
    losses = []
    for _ in range(40):
        batch = TASK.collate(examples, assets)
        losses.append(float(model.train_on_batch(batch.inputs, batch.targets, batch.weights)))
        model.reset_metrics()
    assert losses[0] > 0.9
    assert losses[-1] < 0.8
    plain = MaskedImageModel.from_config(model.get_config())
    plain.set_weights(model.get_weights())
    plain.save(tmp_path / "model.keras")
    loaded = load_keras(tmp_path / "model.keras")
    batch = TASK.collate(examples, assets)
    np.testing.assert_array_equal(np.asarray(loaded(batch.inputs)), np.asarray(model(batch.inputs)))
    backbone = loaded.get_layer("backbone")
    image = batch.inputs["image"]
    np.testing.assert_array_equal(
        np.asarray(backbone(image)), np.asarray(model.get_layer("backbone")(image))
    )
    assert loaded.count_params() == model.count_params() > backbone.count_params()


def test_a_frozen_backbone_stays_as_it_is(made):
    model, _ = made
    backbone = model.get_layer("backbone")
    backbone.trainable = False
    own = {id(weight) for weight in backbone.weights}
    assert model.trainable_weights
    assert not own & {id(weight) for weight in model.trainable_weights}
    backbone.trainable = True
    assert own & {id(weight) for weight in model.trainable_weights}


def test_a_blind_network_that_is_shown_everything_is_the_network_itself():
    model, _ = built("resnet")
    backbone = model.get_layer("backbone")
    image = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    normalised = backbone.get_layer("normalise")(image)
    everything = np.ones((2, 16, 16, 1), np.float32)
    masked = keras.ops.concatenate([normalised, everything], axis=-1)
    for training in (False, True):
        seen, whole = (
            blind(backbone)(masked, training=training),
            backbone(image, training=training),
        )
        np.testing.assert_allclose(np.asarray(seen), np.asarray(whole), atol=2e-4)


def test_holes_are_cut_into_the_last_map_and_out_of_the_statistics():
    model, _ = built("resnet")
    backbone = model.get_layer("backbone")
    half = np.zeros((2, 16, 16, 4), np.float32)
    half[:, :8] = 1
    half[:, :8, :, :3] = np.random.default_rng(0).normal(size=(2, 8, 16, 3))
    x = np.asarray(blind(backbone)(half, training=True))
    assert (x[:, 4:] == 0).all()
    assert np.abs(x[:, :4]).max() > 0.1
    norm = backbone.get_layer("stem_norm")
    features = np.asarray(backbone.get_layer("stem")(half[..., :3]))[:, :8]
    norm.moving_mean.assign(np.zeros(4))
    blind(backbone)(half, training=True)
    seen = np.asarray(norm.moving_mean) / (1 - norm.momentum)
    np.testing.assert_allclose(seen, features.mean(axis=(0, 1, 2)), atol=1e-4)
