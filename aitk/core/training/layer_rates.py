"""Learning rates that fall from the head down to the input (``--layer-decay``).

What lies near the input of a pretrained network fits any task, and is changed with care; the head
is new. Clark et al. 2020 (ELECTRA, appendix B) and Bao et al. 2022 (BEiT) multiply the rate of a
layer by the decay once for each layer above it, the head included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

#: ``stage2_block1`` of ``stage2_block1_conv1``, ``block_0_1`` of ``block_0_1_a``, ``layer_0``,
#: ``block2a``.
BLOCK = re.compile(r"(.*?(?:block|layer)(?:(?:_\d+)+|\d+[a-z]?))(?:_|$)")


def rate_factors(backbone: keras.Model, *, decay: float) -> dict[int, float]:
    """What the learning rate of each variable of a backbone is multiplied by.

    Returns:
        ``id`` of the Keras variable -> ``decay ** depth``, where the last layer has depth 1. What
        is not in it belongs to the head.
    """
    groups = layer_groups(backbone)
    return {
        id(variable): decay ** (len(groups) - place)
        for place, group in enumerate(groups)
        for variable in group
    }


def layer_groups(backbone: keras.Model) -> list[list[keras.Variable]]:
    """The variables of a backbone in what counts as its layers, from the input on.

    A layer is a block where a network is made of them: a transformer block, a residual block or an
    inverted one, told by its name. To count every convolution of a block would make the same decay
    mean far more in a convolutional network than in a transformer, for which its usual values were
    found. What comes before the first block, a stem or embeddings, is one layer. Elsewhere each
    Keras layer with a matrix is one; normalisation goes with what it follows.
    """
    parts = [(name, variables) for name, variables in _parts(backbone) if variables]
    named = any(BLOCK.match(name) for name, _ in parts)
    groups: dict[str, list[keras.Variable]] = {}
    placed: set[int] = set()  # what layers share belongs to the first of them
    key = "entry"
    for name, shared in parts:
        variables = [each for each in shared if id(each) not in placed]
        if not variables:
            continue
        placed |= {id(each) for each in variables}
        if block := BLOCK.match(name):
            key = block[1]
        elif _has_matrix(variables) and not (named and key == "entry"):
            key = name
        groups.setdefault(key, []).extend(variables)
    return list(groups.values())


def with_rate_factors(kind: type[Any], factors: Mapping[int, float]) -> type[Any]:
    """An update rule as another, where each variable has its own share of the learning rate.

    Args:
        kind: a class of Keras optimizers; decoupled weight decay is scaled with the rate, too.
        factors: ``id`` of the Keras variable -> its share; 1 where it has none.
    """
    import keras

    class WithRateFactors(kind):
        def build(self, variables: list[keras.Variable]) -> None:
            # Told by place, since backends hand their own variables to ``update_step``.
            self._factors = tuple(factors.get(id(variable), 1.0) for variable in variables)
            super().build(variables)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            factor = self._factors[self._get_variable_index(variable)]
            rate = keras.ops.multiply(keras.ops.cast(learning_rate, variable.dtype), factor)
            if self.weight_decay and self._use_weight_decay(variable):
                # As Keras does it, before the step, but at the variable's own rate.
                decayed = keras.ops.multiply(variable, self.weight_decay)
                self.assign_sub(variable, keras.ops.multiply(decayed, rate))
            super().update_step(gradient, variable, rate)

        def _apply_weight_decay(self, variables: Iterable[Any]) -> None:
            """Left to ``update_step``: Keras would decay all at the full rate."""

    return WithRateFactors


def _parts(layer: keras.Layer) -> Iterator[tuple[str, list[keras.Variable]]]:
    """(name, variables) of the layers inside, in the order in which the network computes them.

    Networks are opened, and so is a layer that holds several blocks: a whole encoder as one.
    """
    children = _children(layer)
    within = {id(variable) for child in children for variable in child.variables}
    yield layer.name, [each for each in layer.variables if id(each) not in within]
    for child in children:
        if _is_network(child):
            yield from _parts(child)
        else:
            yield child.name, child.variables


def _children(layer: keras.Layer) -> list[keras.Layer]:
    """The layers directly inside."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _is_network(layer: keras.Layer) -> bool:
    import keras

    if isinstance(layer, keras.Model):
        return True
    return sum(bool(BLOCK.match(child.name)) for child in _children(layer)) > 1


def _has_matrix(variables: Iterable[keras.Variable]) -> bool:
    return any(len(variable.shape) > 1 for variable in variables)
