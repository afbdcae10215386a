"""Common number formatting for terminals, reports and cards."""

from __future__ import annotations


def decimals(largest: float) -> int:
    """The number of decimals for numbers up to this size: four for scores."""
    return 4 if largest < 10 else 2 if largest < 1000 else 1 if largest < 100_000 else 0


def format_number(value: float, places: int | None = None) -> str:
    """Format a number briefly; one too small for its decimals keeps two digits."""
    places = decimals(abs(value)) if places is None else places
    # A small number must not be rounded to zero.
    tiny = 0 < abs(value) < 0.5 * 10**-places
    return f"{value:.1e}" if tiny else f"{value:.{places}f}"
