"""What the bundle of a recommender holds: its catalogue, and what each user did."""

from __future__ import annotations

from aitk.core.edge.parts import BundleParts
from aitk.recsys.data.columns import HISTORY_COLUMNS, ITEM_COLUMNS, USER_COLUMNS
from aitk.recsys.data.options import RecommendOptions, RecommendReading
from aitk.recsys.features.assets import LogAssets


def list_parts(assets: LogAssets, reading: RecommendReading) -> BundleParts:
    """The script, the catalogue and the users' histories of a recommender."""
    given = {"user": reading.user_column, "item": reading.item_column, "history": None}
    usual = {"user": USER_COLUMNS, "item": ITEM_COLUMNS, "history": HISTORY_COLUMNS}
    columns = {
        name: [*([given[name].casefold()] if given[name] else []), *usual[name]]  # type: ignore[union-attr]
        for name in given
    }
    histories = assets.histories
    return BundleParts(
        modules=("aitk.recsys.edge.questions", "aitk.recsys.edge.lists"),
        settings={
            "columns": columns,
            "items": assets.items,
            "titles": assets.titles,
            "users": list(assets.users),
            "histories": list(histories.users),
            "max_length": assets.max_length,
            "top_k": RecommendOptions.default_top_k,
        },
        tables={
            "starts": histories.starts,
            "events": histories.items,
            "counts": assets.counts,
        },
        reads="a `.jsonl` or `.csv` file with any of `user`, `history` (a list of items, the latest"
        " last) and `item`, or a `.txt` file with a user a line. It holds the ids and histories of"
        " all users: do not pass it on without need",
        example="users.txt",
    )
