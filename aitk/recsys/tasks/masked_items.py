"""Pretraining on logs without targets: predict masked items, or the next one."""

from __future__ import annotations

from aitk.recsys.tasks.recommend import SEQUENCE_MODELS, Recommend


class MaskedItems(Recommend):
    """Masked items (``bert4rec``, Sun et al. 2019), or the next item (``sasrec``, ``esasrec``,
    ``gru4rec``).

    ``finetune --from`` transfers the weights item by item, also to other catalogues.
    """

    name = "recsys.masked-items"
    models = {name: SEQUENCE_MODELS[name] for name in ("bert4rec", "sasrec", "esasrec", "gru4rec")}
