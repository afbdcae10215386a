"""Columns of a log table: users, items, ratings, times and histories."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aitk.core.contract.errors import UsageError
from aitk.core.contract.task import Finding
from aitk.core.io.tables import Table, find_column, usual_column
from aitk.recsys.data.layouts import plain_name
from aitk.recsys.data.options import ORDERED, LogReading, RateReading
from aitk.recsys.data.values import TimeReader, are_dates

USER_COLUMNS = (
    "user_id", "userid", "user", "uid", "user-id", "user_name", "username", "customer_id",
    "customerid", "customer", "reviewer_id", "reviewerid", "visitor_id", "visitorid", "member_id",
    "account_id", "client_id", "session_id", "sessionid", "session", "用户id", "用户", "用户编号",
    "用户标识", "会员id", "会员", "顾客id", "客户id", "买家id", "ユーザーid", "ユーザー",
)  # fmt: skip
ITEM_COLUMNS = (
    "item_id", "itemid", "item", "iid", "item-id", "movie_id", "movieid", "movie", "product_id",
    "productid", "product", "asin", "parent_asin", "book_id", "bookid", "isbn", "business_id",
    "venue_id", "location_id", "song_id", "track_id", "artist_id", "artistid", "video_id",
    "article_id", "news_id", "recipe_id", "game_id", "app_id", "goods_id", "sku_id", "sku",
    "poi_id", "物品id", "物品", "商品id", "商品", "商品编号", "商品标识", "电影id", "电影",
    "图书id", "视频id", "歌曲id", "文章id", "アイテムid", "商品コード", "artist", "track", "song",
    "game", "book",
)  # fmt: skip
RATING_COLUMNS = (
    "rating", "ratings", "user_rating", "book-rating", "score", "stars", "star_rating", "overall",
    "preference", "weight", "play_count", "plays", "评分", "打分", "得分", "分数", "星级", "評価",
)  # fmt: skip
TIME_COLUMNS = (
    "timestamp", "time", "unixreviewtime", "unix_time", "event_time", "time_stamp", "ts",
    "datetime", "date", "created_at", "review_date", "时间戳", "时间", "日期", "行为时间",
    "评分时间", "日時",
)  # fmt: skip
HISTORY_COLUMNS = (
    "history", "items", "item_ids", "item_id_list", "item_list", "sequence", "历史", "历史记录",
    "浏览记录", "物品序列", "履歴",
)  # fmt: skip
RATING_LISTS = ("ratings", "rating", "item_ratings", "评分")
_TIME_LISTS = ("times", "timestamps", "timestamp", "time", "时间")
NAMES = frozenset(USER_COLUMNS + ITEM_COLUMNS + RATING_COLUMNS + TIME_COLUMNS + HISTORY_COLUMNS)
#: Numbers this large are times, not ratings (1973 as unix seconds).
_TIME_FROM = 1e8
_NO, _YES = frozenset(("0", "0.0", "-1")), frozenset(("1", "1.0"))
_FEEDBACK_WORDS = re.compile(
    r"click|label|like|target|feedback|purchas|bought|buy|convert|conversion|is_|点击|标签|喜欢|购买"
)
_TIME_WORDS = re.compile(r"time|date|stamp|created|(^|_)(ts|dat|day|at)($|_)|时间|日期|日時")


@dataclass(frozen=True, slots=True)
class Columns:
    """Record keys of the log's columns, None for absent ones."""

    user: str | None
    item: str
    rating: str | None
    time: str | None
    lists: bool = False


def choose_columns(table: Table, reading: LogReading) -> Columns:
    """The columns given in the options, by usual names, or by position without a header."""
    given = {
        "user": reading.user_column,
        "item": reading.item_column,
        "rating": reading.rating_column,
        "time": reading.time_column,
    }
    if has_no_header(table):
        places = _usual_places(table) if not (given["user"] and given["item"]) else {}
        taken = {value for value in given.values() if value}
        given = {
            name: value or (places.get(name) if places.get(name) not in taken else None)
            for name, value in given.items()
        }
    user = usual_key(table, given["user"], USER_COLUMNS, what="user")
    item = usual_key(table, given["item"], ITEM_COLUMNS + HISTORY_COLUMNS, what="item")
    if item is not None and _has_lists(table, item):
        return Columns(
            user,
            item,
            usual_key(table, given["rating"], RATING_LISTS, what="rating"),
            usual_key(table, given["time"], _TIME_LISTS, what="time"),
            lists=True,
        )
    plain = [plain_name(column) for column in table.columns]
    if user is None:
        find_column(plain, None, USER_COLUMNS, what="user", where=table.source)
    if item is None:
        find_column(plain, None, ITEM_COLUMNS, what="item", where=table.source)
    rating = usual_key(table, given["rating"], RATING_COLUMNS, what="rating")
    if rating is None and isinstance(reading, RateReading):
        find_column(plain, None, RATING_COLUMNS, what="rating", where=table.source)
    time = usual_key(table, given["time"], TIME_COLUMNS, what="time")
    chosen = [column for column in (user, item, rating, time) if column is not None]
    twice = next((column for column in chosen if chosen.count(column) > 1), None)
    if twice is not None:
        raise UsageError(f"column {twice!r} has two roles", where=table.source)
    return Columns(user, str(item), rating, time)


def _usual_places(table: Table) -> dict[str, str]:
    """The roles of columns without names, by position: user, item, rating, time; or fewer."""
    width = len(table.columns)
    if width == 2:
        return {"user": "1", "item": "2"}
    if width == 3:
        return {"user": "1", "item": "2", "time" if _holds_times(table, "3") else "rating": "3"}
    if width == 4:
        time, rating = ("3", "4") if _holds_times(table, "3") else ("4", "3")
        return {"user": "1", "item": "2", "rating": rating, "time": time}
    return {}


def _holds_times(table: Table, column: str) -> bool:
    cells = [record.get(column) for record in table.preview]
    reader = TimeReader(None, cells)
    times = map(reader.read, cells)
    return all(problem is None and time_s >= _TIME_FROM for time_s, problem in times)


def find_unused_times(table: Table, columns: Columns, reading: LogReading) -> Finding | None:
    """An unused column with dates, or with numbers and a name of times, although the protocol
    depends on the order of events."""
    if columns.time is not None or columns.lists or reading.protocol not in ORDERED:
        return None
    chosen = (columns.user, columns.item, columns.rating)
    for column in table.columns:
        cells = [record.get(column) for record in table.preview]
        is_named = bool(_TIME_WORDS.search(plain_name(column).casefold()))
        if column in chosen or not (are_dates(cells) or (is_named and _holds_times(table, column))):
            continue
        message = (
            f"{table.source}: {column!r} has times but is not used, although {reading.protocol}"
            f" needs the order of events: use --time-column {column}"
        )
        return Finding("unused times", "warning", message, {"column": column})
    return None


def find_unused_feedback(table: Table, columns: Columns, reading: LogReading) -> Finding | None:
    """An unused column of binary feedback, such as clicks: without it, negative feedback is learned
    as a choice."""
    if columns.rating is not None or columns.lists or isinstance(reading, RateReading):
        return None
    for column in table.columns:
        cells = {str(record.get(column)).strip().casefold() for record in table.preview}
        is_named = bool(_FEEDBACK_WORDS.search(plain_name(column).casefold()))
        if is_named and cells & _NO and cells <= _NO | _YES:
            message = (
                f"{table.source}: {column!r} contains binary feedback but is not used, so"
                f" negatives are learned as choices: use --rating-column {column} --min-rating 1"
            )
            return Finding("unused feedback", "warning", message, {"column": column})
    return None


def _has_lists(table: Table, column: str) -> bool:
    """Whether a column holds lists: typed, or as JSON in a column with such a name."""
    values = [value for record in table.preview if (value := record.get(column)) is not None]
    if plain_name(column).casefold() in HISTORY_COLUMNS:
        return bool(values)
    return any(isinstance(value, list) for value in values)


def describe_columns(columns: Columns) -> str:
    """Describe the selected columns in words."""
    parts = {"user": columns.user, "item": columns.item}
    parts |= {"rating": columns.rating, "time": columns.time}
    found = [f"the {name} is in column {key!r}" for name, key in parts.items() if key is not None]
    lists = "lists per line; " if columns.lists else ""
    return lists + ", ".join(found)


def usual_key(table: Table, given: str | None, usual: Sequence[str], *, what: str) -> str | None:
    """The record key of the column that was given or has a usual name, or None.

    Raises:
        UsageError: the given column does not exist.
    """
    plain = [plain_name(column) for column in table.columns]
    if given is not None and given in table.columns:
        return given
    if given is None and usual_column(plain, usual) is None:
        return None
    found = find_column(plain, given, usual, what=what, where=table.source)
    return table.columns[plain.index(found)]


def has_no_header(table: Table) -> bool:
    """Whether its columns are numbered."""
    return table.columns == [str(number + 1) for number in range(len(table.columns))]
