"""Layer-wise learning-rate decay from the head to the input (``--layer-decay``).

Layers near the input of a pretrained network are general and should change little; the head is new.
Clark et al. 2020 (ELECTRA, appendix B) and Bao et al. 2022 (BEiT) multiply the learning rate of a
layer by the decay once per layer above it, including the head.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

#: Block names: ``stage2_block1`` of ``stage2_block1_conv1``, ``block_0_1`` of ``block_0_1_a``,
#: ``layer_0``, ``block2a``.
BLOCK = re.compile(r"(.*?(?:block|layer)(?:(?:_\d+)+|\d+[a-z]?))(?:_|$)")


def rate_factors(backbone: keras.Model, *, decay: float) -> dict[int, float]:
    """The learning-rate factor of each variable of a backbone.

    Returns:
        ``id`` of the Keras variable -> ``decay ** depth``, where the last layer has depth 1.
        Variables that are not included belong to the head.
    """
    groups = layer_groups(backbone)
    return {
        id(variable): decay ** (len(groups) - place)
        for place, group in enumerate(groups)
        for variable in group
    }


def layer_groups(backbone: keras.Model) -> list[list[keras.Variable]]:
    """The variables of a backbone grouped into layers, from the input on.

    A layer is a block if the network has blocks: a transformer, residual or inverted residual
    block, identified by name. Counting every convolution of a block would make a decay far stronger
    in convolutional networks than in transformers, for which its usual values were found. The parts
    before the first block, a stem or embeddings, form one layer. In other networks, each Keras
    layer with a matrix is one; normalisation is grouped with the layer it follows.
    """
    parts = [(name, variables) for name, variables in _parts(backbone) if variables]
    named = any(BLOCK.match(name) for name, _ in parts)
    groups: dict[str, list[keras.Variable]] = {}
    placed: set[int] = set()  # shared variables belong to the first layer
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
    """A variant of an optimizer with its own share of the learning rate per variable.

    Args:
        kind: a Keras optimizer class; decoupled weight decay is scaled as well.
        factors: ``id`` of the Keras variable -> its share; by default 1.
    """
    import keras

    class WithRateFactors(kind):
        def build(self, variables: list[keras.Variable]) -> None:
            # Identified by position, since backends pass their own variables to ``update_step``.
            self._factors = tuple(factors.get(id(variable), 1.0) for variable in variables)
            super().build(variables)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            factor = self._factors[self._get_variable_index(variable)]
            rate = keras.ops.multiply(keras.ops.cast(learning_rate, variable.dtype), factor)
            if self.weight_decay and self._use_weight_decay(variable):
                # Before the step, as in Keras, but at the variable's own rate.
                decayed = keras.ops.multiply(variable, self.weight_decay)
                self.assign_sub(variable, keras.ops.multiply(decayed, rate))
            super().update_step(gradient, variable, rate)

        def _apply_weight_decay(self, variables: Iterable[Any]) -> None:
            """Done in ``update_step``: Keras would decay all variables at the full rate."""

    return WithRateFactors


def _parts(layer: keras.Layer) -> Iterator[tuple[str, list[keras.Variable]]]:
    """(name, variables) of the inner layers, in the order of computation.

    Networks are expanded, and so are layers with several blocks, such as a whole encoder.
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
    """The direct inner layers."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _is_network(layer: keras.Layer) -> bool:
    import keras

    if isinstance(layer, keras.Model):
        return True
    return sum(bool(BLOCK.match(child.name)) for child in _children(layer)) > 1


def _has_matrix(variables: Iterable[keras.Variable]) -> bool:
    return any(len(variable.shape) > 1 for variable in variables)
