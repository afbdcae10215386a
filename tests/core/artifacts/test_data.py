"""Prepared data: a TensorFlow Datasets folder that is read at random."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds

from aitk.core.artifacts.data import DataWriter, load_data
from aitk.core.artifacts.record_encoder import RecordEncoder
from aitk.core.contract.errors import ArtifactError, DataError


@pytest.fixture
def folder(tmp_path):
    features = {
        "text": tfds.features.Text(),
        "label": tfds.features.ClassLabel(names=["no", "yes"]),
    }
    writer = DataWriter(tmp_path, features, description="test")
    writer.write("train", [{"text": "好", "label": "yes"}, {"text": "b", "label": "no"}])
    writer.write("train", [{"text": "c", "label": "no"}])
    writer.write("validation", [{"text": "d", "label": "yes"}])
    writer.close()
    manifest = {
        "task": "toy",
        "reading": {},
        "summary": {"labels": ["no", "yes"]},
        "fingerprint": "abc",
        "rows": {"train": 3, "validation": 1},
    }
    (tmp_path / "dataset.json").write_text(json.dumps(manifest))
    return tmp_path


def test_rows_come_back_in_their_order(folder):
    rows = load_data(folder).rows("train")
    assert [row["text"] for row in rows] == ["好", "b", "c"]
    assert rows[-1] == {"text": "c", "label": "no"}
    assert rows.take([2, 0]) == [rows[2], rows[0]]


def test_tfds_reads_the_folder_by_itself(folder):
    source = tfds.builder_from_directory(str(folder)).as_data_source("train")
    assert source[0] == {"text": "好".encode(), "label": 1}


def test_held_out_falls_back_to_validation(folder):
    assert load_data(folder).held_out("test") == "validation"


def test_a_missing_split_is_named(folder):
    with pytest.raises(DataError, match="no test split"):
        load_data(folder).rows("test")


def test_a_missing_folder_and_a_missing_dataset_are_distinguished(tmp_path):
    with pytest.raises(ArtifactError, match="no such prepared data"):
        load_data(tmp_path / "none")
    with pytest.raises(ArtifactError, match="no dataset.json"):
        load_data(tmp_path)


SHARD, INFO, FEATURES = "data-train.array_record-00000", "dataset_info.json", "features.json"


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / SHARD).unlink(), f"{SHARD} is missing"),
        (lambda folder: (folder / SHARD).write_bytes(b""), "damaged data"),
        (lambda folder: flip(folder / SHARD, 150), "damaged data"),
        (lambda folder: (folder / INFO).write_text("garbage"), r"dataset_info\.json: is damaged"),
        (lambda folder: (folder / INFO).write_text("{}"), "lacks splits"),
        (lambda folder: replace(folder / INFO, '"3"', '"2"'), "dataset.json has 3 train"),
        (lambda folder: replace(folder / INFO, "array_record", "tfrecord"), "not stored as"),
        (lambda folder: replace(folder / INFO, "{DATASET}", "../x"), "is missing"),
        (lambda folder: replace(folder / INFO, "{DATASET}", "x" * 5000), "is missing"),
        (lambda folder: (folder / "label.labels.txt").write_text("no"), "1 names for 2 classes"),
        (lambda folder: (folder / "label.labels.txt").unlink(), "class names lack 'no'"),
        (
            lambda folder: replace(
                folder / FEATURES, "tensorflow_datasets.core.features.text_feature", "antigravity"
            ),
            "not part of tfds",
        ),
        (
            lambda folder: replace(
                folder / FEATURES, "class_label_feature.ClassLabel", "text_feature.Text"
            ),
            "damaged data",
        ),
    ],
)
def test_damaged_files_are_damage(folder, damage, said):
    damage(folder)
    with pytest.raises(ArtifactError, match=said):
        load_data(folder).rows("train").take(range(3))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("task", 3),
        ("rows", {"train": "3"}),
        ("rows", []),
        ("summary", {"labels": "no"}),
        ("fingerprint", None),
        ("version", "1"),
        ("version", 99),
    ],
)
def test_a_manifest_of_odd_values_is_damage(folder, key, value):
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ArtifactError):
        load_data(folder)


def test_plain_rows_need_no_tfds(folder, python):
    program = (
        "import sys; from aitk.core.artifacts.data import load_data;"
        f"rows = load_data({str(folder)!r}).rows('train').take(range(3));"
        "assert len(rows) == 3; sys.exit('tensorflow_datasets' in sys.modules)"
    )
    assert python(program).returncode == 0


def test_rows_are_those_that_tfds_reads(folder):
    plain, whole = load_data(folder), load_data(folder)
    whole.__dict__["_plain"] = None  # as of rows that are not plain
    assert plain.rows("train").take(range(3)) == whole.rows("train").take(range(3))


def test_records_have_the_same_bytes_in_every_process():
    """TensorFlow Datasets writes the fields in an order that differs between processes."""
    names = [f"field{number}" for number in range(12)]
    encoder = RecordEncoder(dict.fromkeys(names, np.float32))
    assert not encoder.is_plain
    (record,) = encoder.records([dict.fromkeys(names, 0.5)])
    found = [record.index(name.encode()) for name in sorted(names)]
    assert found == sorted(found)
