"""How a log of interactions is found, cleaned and split. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import PredictOptions, option

DUPLICATES = ("keep-last", "keep-first", "keep-all")
PROTOCOLS = ("leave-one-out", "time", "ratio", "cold-users", "cold-items")
#: What they hold out depends on which event came before which.
ORDERED = ("leave-one-out", "time")
TEST_HISTORIES = ("all", "train")
UNKNOWN_ITEMS = ("keep", "drop")
#: What an attribute may be told to be; ``none`` leaves it out.
TOLD_KINDS = ("text", "tags", "number", "picture", "audio", "none")


@dataclass(frozen=True)
class LogReading:
    """Where the events are, which of them count, and what is held out to be found."""

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
        "auto", "does the first line name the columns", choices=("auto", "yes", "no"), locates=True
    )
    delimiter: str | None = option(
        None, "what separates fields: one character, or TAB", locates=True
    )
    encoding: str | None = option(
        None, "encoding of the files, for instance cp1252 or gb18030", locates=True
    )
    keep_na: bool = option(False, "ids such as NULL, nan, None and N/A are names, not missing")
    items: str | None = option(None, "file of what is known of the items: titles, tags, pictures")
    users: str | None = option(None, "file of what is known of the users")
    item_kinds: list[str] = option(
        [],
        f"what an attribute of the items is, as NAME=KIND: {', '.join(TOLD_KINDS)}",
        keyed=True,
    )
    encoders: list[str] = option(
        [],
        "encode a text, picture or audio attribute of the items, as NAME=RUN (or a Keras Hub preset"
        " folder); pictures and sounds without an encoder are described by colours and timbre",
        keyed=True,
    )
    since: str | None = option(None, "leave out events before this date (ISO) or unix second")
    until: str | None = option(None, "leave out events from this date (ISO) or unix second on")
    min_rating: float | None = option(
        None, "keep events with at least this rating: what people liked"
    )
    unknown_items: str = option(
        "keep", "events with items that the items file lacks", choices=UNKNOWN_ITEMS
    )
    max_user_percentile: float | None = option(
        None,
        "leave out users with more events than this percentile: robots",
        minimum=0.0,
        maximum=100.0,
    )
    session_gap_hours: float | None = option(
        None, "cut a user's events into sessions at gaps of this length, each a user", minimum=0.0
    )
    duplicates: str = option(
        "keep-last", "events that repeat a user and an item", choices=DUPLICATES
    )
    min_user_events: int = option(1, "leave out users with fewer events", minimum=1)
    min_item_events: int = option(1, "leave out items with fewer events", minimum=1)
    protocol: str = option(
        "leave-one-out",
        "what is held out: the last event of each user, the latest events, a random part of"
        " each user's, or all events of some users or items",
        choices=PROTOCOLS,
    )
    test_history: str = option(
        "all",
        "what a model may look at in a test row: all that came before, or training events only",
        choices=TEST_HISTORIES,
    )


@dataclass(frozen=True)
class RecommendReading(LogReading):
    """Events of users with items; ratings, where there are any, say how strong they are."""

    sampled_negatives: int = option(
        0,
        "also rank each row's first held-out item among so many random ones, as some papers do;"
        " 0 for not",
        minimum=0,
    )


@dataclass(frozen=True)
class RateReading(LogReading):
    """Ratings that users gave to items."""

    protocol: str = option(
        "ratio",
        "what is held out: the last rating of each user, the latest ratings, a random part of"
        " each user's, or all ratings of some users or items",
        choices=PROTOCOLS,
    )


@dataclass(frozen=True)
class RecommendOptions(PredictOptions):
    """Which items are recommended."""

    default_top_k: ClassVar[int] = 10

    exclude_seen: bool = option(True, "leave out what the user has had")
    filter: list[str] = option(
        [], "only items with COLUMN=VALUE, or COLUMN=LOW..HIGH; may be repeated", keyed=True
    )
