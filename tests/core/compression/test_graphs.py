"""Graphs for converters."""

from __future__ import annotations

import numpy as np


def test_new_axes_become_an_operation_that_litert_has():
    import tensorflow as tf

    from aitk.core.compression.graphs import freeze, operations_of

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)])
    def slices(mask):
        return mask[:, None], mask[:, 1:], mask[None]

    frozen = freeze(slices.get_concrete_function())
    assert operations_of(frozen) >= {"ExpandDims", "StridedSlice"}
    new = [node for node in frozen.graph.as_graph_def().node if node.op == "StridedSlice"]
    assert not any(node.attr["new_axis_mask"].i for node in new)
    given = np.arange(6, dtype=np.int32).reshape(2, 3)
    for made, wanted in zip(frozen(tf.constant(given)), slices(given), strict=True):
        np.testing.assert_array_equal(made, wanted)
