"""Rows of numbers as records: those of TensorFlow Datasets, which is the oracle."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from aitk.core.artifacts.number_rows import number_decoder, number_encoder

FEATURES = tfds.features.FeaturesDict(
    {
        "user": tfds.features.Text(),
        "items": tfds.features.Tensor(shape=(None,), dtype=np.int32),
        "times": tfds.features.Tensor(shape=(None,), dtype=np.int64),
        "ratings": tfds.features.Tensor(shape=(None,), dtype=np.float32),
    }
)


def row(user="u", items=(), times=(), ratings=()):
    return {
        "user": user,
        "items": np.array(items, np.int32),
        "times": np.array(times, np.int64),
        "ratings": np.array(ratings, np.float32),
    }


ROWS = [
    row("é", [0, 1, 127, 128, 16_383, 16_384, 2**31 - 1, -1], [2**62, -(2**63), 0], [0.1, -2.5]),
    row(),
    row("u" * 300, range(1000), [1_735_689_600] * 200, np.linspace(0, 5, 500)),
]


def in_tfds(rows):
    from tensorflow_datasets.core.example_serializer import ExampleSerializer

    serializer = ExampleSerializer(FEATURES.get_serialized_info())
    return [serializer.serialize_example(FEATURES.encode_example(each)) for each in rows]


def fields_of(record):
    from tensorflow_datasets.proto import tf_example_pb2

    return tf_example_pb2.Example.FromString(record)


def test_records_are_those_of_tensorflow_datasets():
    found = number_encoder(dict(FEATURES))(ROWS)
    assert [*map(fields_of, found)] == [*map(fields_of, in_tfds(ROWS))]


def test_records_are_read_as_they_were_written():
    decode = number_decoder(FEATURES)
    for stored, wanted in zip(in_tfds(ROWS), ROWS, strict=True):
        found = decode(stored)
        assert found["user"] == wanted["user"]
        for name in ("items", "times", "ratings"):
            assert found[name].dtype == wanted[name].dtype
            assert found[name].tolist() == wanted[name].tolist()


def test_lists_are_written_as_arrays_are():
    plain = {name: getattr(value, "tolist", lambda v=value: v)() for name, value in ROWS[0].items()}
    encode = number_encoder(dict(FEATURES))
    assert encode([plain]) == encode([ROWS[0]])


def test_a_record_that_lacks_a_list_is_damaged():
    short = number_encoder({name: FEATURES[name] for name in ("user", "items")})([ROWS[0]])
    with pytest.raises(KeyError):
        number_decoder(FEATURES)(short[0])


@pytest.mark.parametrize(
    "features",
    [
        {"text": tfds.features.Text()},  # nothing to be gained
        {"a": tfds.features.Tensor(shape=(2,), dtype=np.int32)},
        {"a": tfds.features.Tensor(shape=(None,), dtype=np.float64)},
        {"a": tfds.features.Tensor(shape=(None,), dtype=np.int32), "b": tfds.features.Image()},
    ],
)
def test_other_features_are_left_to_tensorflow_datasets(features):
    assert number_encoder(features) is None
    assert number_decoder(features) is None
