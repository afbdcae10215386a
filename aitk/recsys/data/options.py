"""Options of reading, cleaning and splitting a log. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import PredictOptions, option

DUPLICATES = ("keep-last", "keep-first", "keep-all")
PROTOCOLS = ("leave-one-out", "time", "ratio", "cold-users", "cold-items")
#: Protocols whose held-out events depend on the order of events.
ORDERED = ("leave-one-out", "time")
TEST_HISTORIES = ("all", "train")
UNKNOWN_ITEMS = ("keep", "drop")
#: Attribute kinds that the user may give; ``none`` leaves a column out.
TOLD_KINDS = ("text", "tags", "number", "picture", "audio", "none")


@dataclass(frozen=True)
class LogReading:
    """Location, cleaning and splitting of the events."""

    user_column: str | None = option(
        None, "column of the user, by name or number from 1", locates=True
    )
    item_column: str | None = option(
        None, "column of the item, by name or number from 1", locates=True
    )
    rating_column: str | None = option(
        None, "column of the rating, by name or number from 1", locates=True
    )
    time_column: str | None = option(
        None, "column of the time (unix seconds or dates), by name or number from 1", locates=True
    )
    time_format: str | None = option(
        None,
        "date format: dmy, mdy, or codes such as %d/%m/%Y %H:%M; detected by default",
        locates=True,
    )
    decimal: str | None = option(
        None,
        "decimal separator; detected where fields are not delimited by commas",
        choices=(".", ","),
        locates=True,
    )
    header: str = option(
        "auto", "whether the first line is a header", choices=("auto", "yes", "no"), locates=True
    )
    delimiter: str | None = option(None, "field delimiter: one character, or TAB", locates=True)
    encoding: str | None = option(
        None, "encoding of the files, such as cp1252 or gb18030", locates=True
    )
    keep_na: bool = option(False, "ids such as NULL, nan, None and N/A are ids, not missing")
    items: str | None = option(None, "file of item attributes: titles, tags, images")
    users: str | None = option(None, "file of user attributes")
    item_kinds: list[str] = option(
        [],
        f"kind of an item attribute, as NAME=KIND: {', '.join(TOLD_KINDS)}",
        keyed=True,
    )
    encoders: list[str] = option(
        [],
        "encode a text, picture or audio attribute of the items, as NAME=RUN (or a Keras Hub preset"
        " folder); by default, images and audio are described by colours and timbre",
        keyed=True,
    )
    since: str | None = option(None, "drop events before this date (ISO) or unix second")
    until: str | None = option(None, "drop events from this date (ISO) or unix second on")
    min_rating: float | None = option(None, "keep only events with at least this rating")
    unknown_items: str = option(
        "keep", "events with items missing from the items file", choices=UNKNOWN_ITEMS
    )
    max_user_percentile: float | None = option(
        None,
        "drop users above this percentile of events (robots)",
        minimum=0.0,
        maximum=100.0,
    )
    session_gap_hours: float | None = option(
        None, "split a user's events into sessions at gaps of this length", minimum=0.0
    )
    duplicates: str = option("keep-last", "events that repeat a user-item pair", choices=DUPLICATES)
    min_user_events: int = option(1, "drop users with fewer events", minimum=1)
    min_item_events: int = option(1, "drop items with fewer events", minimum=1)
    protocol: str = option(
        "leave-one-out",
        "held-out events: the last event of each user, the latest events, a random part of"
        " each user's, or all events of some users or items",
        choices=PROTOCOLS,
    )
    test_history: str = option(
        "all",
        "events that a test row shows to the model: all earlier ones, or training events only",
        choices=TEST_HISTORIES,
    )


@dataclass(frozen=True)
class RecommendReading(LogReading):
    """User-item events, optionally with ratings as their strength."""

    sampled_negatives: int = option(
        0,
        "also rank each row's first held-out item among this many random items, as some papers do;"
        " 0: off",
        minimum=0,
    )


@dataclass(frozen=True)
class RateReading(LogReading):
    """Ratings of items by users."""

    protocol: str = option(
        "ratio",
        "held-out ratings: the last rating of each user, the latest ratings, a random part of"
        " each user's, or all ratings of some users or items",
        choices=PROTOCOLS,
    )


@dataclass(frozen=True)
class RecommendOptions(PredictOptions):
    """Which items are recommended."""

    default_top_k: ClassVar[int] = 10

    exclude_seen: bool = option(True, "exclude items of the user's history")
    filter: list[str] = option(
        [], "only items with COLUMN=VALUE, or COLUMN=LOW..HIGH; may be repeated", keyed=True
    )
