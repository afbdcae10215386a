"""Pretraining on logs without targets: guess hidden items, or the next one."""

from __future__ import annotations

from aitk.recsys.tasks.recommend import SEQUENCE_MODELS, Recommend


class MaskedItems(Recommend):
    """Masked items (``bert4rec``, Sun et al. 2019), or the next item (``sasrec``, ``gru4rec``).

    What it learns, ``finetune --from`` takes over item by item, into other catalogues too.
    """

    name = "recsys.masked-items"
    models = {name: SEQUENCE_MODELS[name] for name in ("bert4rec", "sasrec", "gru4rec")}
