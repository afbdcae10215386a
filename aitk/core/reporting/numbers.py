"""One rule of rounding for all that people read: terminals, reports, cards."""

from __future__ import annotations


def decimals(largest: float) -> int:
    """How many decimals are shown of numbers up to this size: scores have four."""
    return 4 if largest < 10 else 2 if largest < 1000 else 1 if largest < 100_000 else 0


def format_number(value: float, places: int | None = None) -> str:
    """A number in a few characters; one too small for its decimals keeps two digits."""
    places = decimals(abs(value)) if places is None else places
    # Rounded to nothing, a small number would look like none.
    tiny = 0 < abs(value) < 0.5 * 10**-places
    return f"{value:.1e}" if tiny else f"{value:.{places}f}"
