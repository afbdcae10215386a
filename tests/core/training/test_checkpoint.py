"""The saved state of an interrupted training."""

import os

import numpy as np
import pytest

from aitk.core.contract.errors import ArtifactError
from aitk.core.training.checkpoint import STATE, load_progress, restore_variables, save_state


class Variable:
    """The part of a Keras variable that the state uses: a shape, a value, ``assign``."""

    def __init__(self, value):
        self.value = np.asarray(value, np.float32)
        self.shape = self.value.shape

    def assign(self, value):
        self.value = value

    def __array__(self, dtype=None, copy=None):
        return self.value


def test_a_state_is_restored_bit_by_bit(tmp_path):
    variables = [Variable([0.1, 0.2]), Variable([[3.0]])]
    save_state(
        tmp_path,
        variables=variables,
        progress={"epoch": 1, "step": 4, "best_weights": [np.ones(2, np.float32)]},
    )
    saved = load_progress(tmp_path)
    fresh = [Variable([0, 0]), Variable([[0]])]
    restore_variables(fresh, saved["variables"])
    assert all((a.value == b.value).all() for a, b in zip(variables, fresh, strict=True))
    assert (saved["epoch"], saved["step"]) == (1, 4)
    assert (saved["best_weights"][0] == 1).all()


def test_a_crash_while_saving_leaves_the_state_before(tmp_path, monkeypatch):
    save_state(tmp_path, variables=[Variable([1.0])], progress={"epoch": 0})

    def killed(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_state(tmp_path, variables=[Variable([2.0])], progress={"epoch": 1})
    saved = load_progress(tmp_path)
    assert (saved["epoch"], saved["variables"]) == (0, [1.0])


def test_a_state_of_another_model_is_refused(tmp_path):
    save_state(tmp_path, variables=[Variable([1.0])], progress={"epoch": 0})
    with pytest.raises(ArtifactError, match="another model"):
        restore_variables([Variable([1.0, 2.0])], load_progress(tmp_path)["variables"])


def test_a_truncated_state_is_refused(tmp_path):
    save_state(tmp_path, variables=[Variable([1.0] * 100)], progress={"epoch": 0})
    path = tmp_path / STATE
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ArtifactError, match="damaged"):
        load_progress(tmp_path)
