"""The events of the training rows as one matrix."""

from aitk.recsys.features.training_log import training_log


def test_a_log_is_a_matrix_with_a_row_a_user(make_assets):
    rows = [
        {"items": [0, 2], "ratings": [5.0, 1.0], "times": [7, 9]},
        {"items": [4], "ratings": [2.0], "times": [8]},
    ]
    log = training_log(rows, make_assets(), seed=3)
    assert log.events.toarray().tolist() == [[1, 0, 1, 0, 0], [0, 0, 0, 0, 1]]
    assert log.times.tolist() == [7, 9, 8]
    rated = training_log(rows, make_assets(batches="ratings"), seed=3)
    assert rated.events.toarray().tolist() == [[5, 0, 1, 0, 0], [0, 0, 0, 0, 2]]
