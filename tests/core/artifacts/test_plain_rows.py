"""Rows of texts and labels: the same records as TensorFlow Datasets writes and reads."""

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.artifacts.plain_rows import plain_decoder, plain_encoder
from aitk.core.contract.errors import DataError

LABELS = [f"label {number}" for number in range(300)]
FEATURES = tfds.features.FeaturesDict(
    {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(names=LABELS)}
)


@given(st.text(max_size=300), st.sampled_from(LABELS))
def test_a_row_is_stored_as_tfds_stores_it_and_read_back(text, label):
    row = {"text": text, "label": label}
    record = plain_encoder(FEATURES)(row)
    read = FEATURES.deserialize_example_np(record)
    assert (read["text"].decode(), LABELS[int(read["label"])]) == (text, label)
    assert plain_decoder(FEATURES)(FEATURES.serialize_example(row)) == row
    assert plain_decoder(FEATURES)(record) == row


def test_an_unknown_label_is_refused():
    with pytest.raises(DataError):
        plain_encoder(FEATURES)({"text": "x", "label": "other"})


def test_other_features_are_left_to_tfds():
    features = tfds.features.FeaturesDict({"score": tfds.features.Scalar(np.float64)})
    assert plain_encoder(features) is None and plain_decoder(features) is None


def test_a_damaged_record_is_no_row():
    decode = plain_decoder(FEATURES)
    with pytest.raises(LookupError):
        decode(b"")
