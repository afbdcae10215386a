"""Bayesian personalised ranking: factors of users and items (BPR, Rendle et al. 2009)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.models.layers.dot import DotModel
from aitk.recsys.models.layers.fold_in import combined, conjugate_gradient, products
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.tasks.settings import BprSettings

#: Weight of seen items relative to unseen ones in the fold-in, as in ALS.
CONFIDENCE = 3.0
#: Ridge penalty, relative to the mean square of a factor over all items.
RIDGE = 2.0
STEPS = 12


def build_bpr(settings: BprSettings, shape: ItemShape) -> DotModel:
    """User and history -> scores (batch, items); training logits as in ``DotModel``."""
    user = keras.Input((), dtype="int32", name="user")
    history = keras.Input((None,), dtype="int32", name="history")
    vectors, table = Factors(
        shape.users, shape.items, settings.factors, dtype="float32", name="factors"
    )(user, history)
    backbone = keras.Model({"user": user, "history": history}, [vectors, table], name="backbone")
    model = DotModel(backbone, items=shape.items, l2=settings.l2)
    model.fill(shape)
    return model


@keras.saving.register_keras_serializable("aitk.recsys")
class Factors(keras.layers.Layer):
    """Vectors of users and items, with fold-in of unknown users.

    Call: user (batch,), history (batch, length) -> vectors (batch, factors), item vectors (items +
    2, factors). A folded-in vector fits 1 to the history and 0 to all other items (Hu et al. 2008,
    equation 4): training uses only ranks, so its scale is irrelevant.
    """

    def __init__(self, users: int, items: int, factors: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.users, self.items, self.factors = users, items, factors

    def build(self, user_shape: Shape, history_shape: Shape) -> None:
        normal = keras.initializers.RandomNormal(stddev=0.05)
        self.user_vectors = self.add_weight(
            shape=(self.users + 1, self.factors), initializer=normal, name="user_vectors"
        )
        self.item_vectors = self.add_weight(
            shape=(self.items + 2, self.factors), initializer=normal, name="item_vectors"
        )

    def call(
        self, user: Tensor, history: Tensor, training: bool | None = None
    ) -> tuple[Tensor, Tensor]:
        table = ops.convert_to_tensor(self.item_vectors)
        vectors = ops.take(self.user_vectors, user, axis=0)
        if not training:
            known = ops.expand_dims(user > 0, -1)
            vectors = ops.where(known, vectors, self._folded_in(table, history))
        return vectors, table

    def _folded_in(self, table: Tensor, history: Tensor) -> Tensor:
        used = ops.cast(ops.expand_dims(history > 0, -1), table.dtype)
        seen = ops.take(table, history, axis=0) * used  # (batch, length, factors)
        items = table[1 : self.items + 1]
        gram = ops.matmul(ops.transpose(items), items)
        ridge = RIDGE * ops.mean(ops.sum(ops.square(items), axis=0))

        def apply(x: Tensor) -> Tensor:
            extra = CONFIDENCE * combined(seen, products(seen, x))
            return ops.matmul(x, gram) + extra + ridge * x

        right = (1 + CONFIDENCE) * ops.sum(seen, axis=1)
        return conjugate_gradient(apply, right, steps=STEPS)

    def compute_output_spec(
        self, user: Tensor, history: Tensor, training: bool | None = None
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        return (
            keras.KerasTensor((user.shape[0], self.factors), dtype=self.compute_dtype),
            keras.KerasTensor((self.items + 2, self.factors), dtype=self.compute_dtype),
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "users": self.users,
            "items": self.items,
            "factors": self.factors,
        }
