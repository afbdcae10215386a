"""Heads, units and layers taken out of a transformer: which ones, and that the rest stays."""

import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.compression.pruning.rebuilding import opened
from aitk.core.compression.pruning.taylor import Groups, importances
from aitk.core.compression.pruning.transformers import prune_transformer
from aitk.core.contract.errors import UsageError
from aitk.core.contract.task import Batch

HEADS, WIDTH, LAYERS = 4, 24, 3


def inputs():
    rng = np.random.default_rng(0)
    mask = np.ones((3, 7), np.int32)
    mask[1, 4:] = 0
    return {"token_ids": rng.integers(1, 50, (3, 7)).astype(np.int32) * mask, "padding_mask": mask}


def batches():
    one = inputs()
    return [
        Batch({name: each[row : row + 1] for name, each in one.items()}, np.array([row % 2]))
        for row in range(3)
    ]


def with_head(backbone):
    import keras

    given = {name: keras.Input((None,), dtype="int32", name=name) for name in inputs()}
    x = keras.layers.GlobalAveragePooling1D(name="mean")(backbone(given))
    return keras.Model(given, keras.layers.Dense(2, name="head", dtype="float32")(x))


@pytest.fixture(scope="module")
def hub():
    """A classifier over Keras Hub's BERT, as ``nlp.classify`` wraps it."""
    import keras
    import keras_hub

    from aitk.nlp.models.hub import with_exact_gelu, wrap

    keras.utils.set_random_seed(0)
    bert = keras_hub.models.BertBackbone(
        vocabulary_size=50, num_layers=LAYERS, num_heads=HEADS, hidden_dim=16,
        intermediate_dim=WIDTH, max_sequence_length=12,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    bert.set_weights([rng.normal(0, 0.3, each.shape) for each in bert.get_weights()])
    return with_head(wrap(with_exact_gelu(bert), separator=2))


@pytest.fixture(scope="module")
def own():
    """The same over aitk's own transformer."""
    import keras

    from aitk.core.contract.options import resolve
    from aitk.nlp.models import transformer
    from aitk.nlp.tasks.settings import TransformerSettings

    keras.utils.set_random_seed(0)
    sizes = dict(transformer.SIZES)
    transformer.SIZES["tiny"] = (16, 2, HEADS)
    try:
        backbone = transformer.build_backbone(
            resolve(TransformerSettings, {"size": "tiny", "max_length": 12}), 50
        )
    finally:
        transformer.SIZES.update(sizes)
    rng = np.random.default_rng(1)
    backbone.set_weights([rng.normal(0, 0.3, each.shape) for each in backbone.get_weights()])
    return with_head(backbone)


@pytest.fixture(scope="module")
def loss():
    import keras

    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def outputs(model):
    return np.asarray(model(inputs(), training=False))


def test_an_opened_hub_network_computes_the_same(hub):
    np.testing.assert_allclose(outputs(opened(hub)), outputs(hub), atol=2e-5)


def test_importance_is_the_derivative_of_the_loss_by_a_mask(hub, loss):
    """Against a difference quotient of the loss by the factor of one head."""
    model = opened(hub)
    layer = next(layer for layer in _deep(model) if hasattr(layer, "out_dense"))
    batch = batches()[:1]
    found = importances(model, loss, batch, [Groups((layer.output_dense.kernel,), HEADS)])[0]
    kernel = layer.output_dense.kernel.numpy()
    values = []
    for factor in (1 - 1e-2, 1 + 1e-2):
        scaled = kernel.copy()
        scaled[4:8] *= factor
        layer.output_dense.kernel.assign(scaled)
        logits = np.asarray(model(batch[0].inputs, training=False))
        values.append(float(loss(batch[0].targets, logits)))
    layer.output_dense.kernel.assign(kernel)
    assert found[1] == pytest.approx(abs(values[1] - values[0]) / 2e-2, rel=0.02, abs=1e-5)


@pytest.mark.parametrize("name", ["hub", "own"])
def test_parts_that_do_nothing_go_first_and_are_not_missed(name, loss, request, tmp_path):
    model = opened(request.getfixturevalue(name))
    attention = [layer for layer in _deep(model) if hasattr(layer, "head_size")]
    for layer in attention:
        kernel = layer.output_dense.kernel.numpy()
        kernel[4:8] = 0  # the second head
        layer.output_dense.kernel.assign(kernel)
    for layer in _deep(model):
        if layer.name == "out" or layer.name.endswith("dense_out") or hasattr(layer, "out_dense"):
            dense = getattr(layer, "out_dense", layer)
            kernel = dense.kernel.numpy()
            kernel[::2] = 0
            dense.kernel.assign(kernel)
    due = outputs(model)
    small, lost = prune_transformer(model, loss, batches(), heads=1 / HEADS, units=0.5)
    assert lost.heads == len(attention)
    assert small.count_params() < model.count_params()
    np.testing.assert_allclose(outputs(small), due, atol=2e-5)
    assert not small.compiled  # an optimizer would be stored with it
    small.save(tmp_path / "small.keras")
    np.testing.assert_allclose(outputs(load_keras(tmp_path / "small.keras")), due, atol=2e-5)


def test_the_layer_that_does_nothing_goes_first(hub):
    import keras

    model = opened(hub)
    blocks = [layer for layer in _deep(model) if hasattr(layer, "out_dense")]
    for dense in (blocks[1].output_dense, blocks[1].out_dense):
        dense.set_weights([0 * each for each in dense.get_weights()])
    for norm in (blocks[1].attention_norm, blocks[1].dense_norm):  # what is normed stays as it is
        norm.set_weights([np.ones(16), np.zeros(16)])
    for norm in (blocks[0].dense_norm,):
        norm.set_weights([np.ones(16), np.zeros(16)])
    due = outputs(model)
    told = [Batch(batch.inputs, due[row : row + 1]) for row, batch in enumerate(batches())]
    # By the distance from what the whole network says no other layer can be better.
    error = keras.losses.MeanSquaredError()
    small, lost = prune_transformer(model, error, told, layers=1 / LAYERS)
    assert lost.layers == 1
    np.testing.assert_allclose(outputs(small), due, atol=0.05)


def test_what_has_no_such_parts_says_so(loss):
    import keras

    given = keras.Input((3,), name="x")
    model = keras.Model(given, keras.layers.Dense(2, name="head")(given))
    for options, flag in (({"heads": 0.5}, "heads"), ({"units": 0.5}, "units")):
        with pytest.raises(UsageError) as error:
            prune_transformer(model, loss, [], **options)
        assert flag in str(error.value)


def _deep(model):
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _deep(layer)
        else:
            yield layer
