"""Images of TensorFlow Datasets."""

import cv2
import numpy as np
import pytest

from aitk.core.contract.errors import DataError
from aitk.vision.data.formats.masks import decode_mask
from aitk.vision.data.options import MultitaskImages
from aitk.vision.data.reading import read_images


def test_labels_boxes_and_masks_of_a_data_set(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    image = np.full((20, 30, 3), 90, np.uint8)
    image[:, 15:] = 200, 10, 60
    path = tmp_path / "one.png"
    cv2.imwrite(str(path), image[..., ::-1])

    class TinyParts(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            kinds = tfds.features
            thing = {"bbox": kinds.BBoxFeature(), "label": kinds.ClassLabel(names=["bolt", "nut"])}
            return tfds.core.DatasetInfo(
                builder=self,
                features=kinds.FeaturesDict(
                    {
                        "image": kinds.Image(shape=(None, None, 3)),
                        "label": kinds.ClassLabel(names=["few", "many"]),
                        "objects": kinds.Sequence(thing),
                        "segmentation_mask": kinds.Image(shape=(None, None, 1)),
                    }
                ),
            )

        def _split_generators(self, manager):
            return {"train": self._generate_examples(1), "test": self._generate_examples(-1)}

        def _generate_examples(self, label):
            yield (
                "one",
                {
                    "image": str(path),
                    "label": label,
                    "objects": [{"bbox": tfds.features.BBox(0.1, 0.2, 0.5, 1.0), "label": "nut"}],
                    "segmentation_mask": np.full((20, 30, 1), 2, np.uint8),
                },
            )

    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))

    def read(annotation_kinds, **told):
        reading = MultitaskImages(**told)
        return list(
            read_images(
                ["tfds:tiny_parts"],
                reading,
                annotation_kinds=annotation_kinds,
                labelled=True,
                note=print,
            )
        )

    train, test = sorted(read({"label", "boxes", "mask"}), key=lambda row: row.split != "train")
    assert train.fields["image"] == path.read_bytes()  # the file, not a copy of its pixels
    assert (train.split, train.fields["label"], test.fields["label"]) == ("train", "many", "")
    np.testing.assert_allclose(train.fields["boxes"], [[6, 2, 30, 10]], atol=1e-5)
    assert train.fields["box_labels"] == ["nut"]
    assert (decode_mask(train.fields["mask"]) == 2).all()
    with pytest.raises(DataError, match="has no label 'colour'; its labels: label"):
        read({"label"}, label_column="colour")
