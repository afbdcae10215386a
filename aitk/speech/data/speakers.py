"""Selection of held-out speakers, so that scores are for voices not in the training rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

#: Minimum number of training speakers for holding any out for test.
FEWEST, FEWEST_FOR_TEST = 3, 5
#: Target share of each held-out split, and the maximum share of one speaker.
SHARE, LARGEST_SHARE = 0.1, 0.3


def choose_speakers(recordings: Mapping[str, int], *, test: bool = True) -> dict[str, str]:
    """Select speakers for validation and test, by a hash of their names.

    With fewer than three speakers, none is held out; with three or four, one for validation: it
    selects the epoch, and an epoch selected on known voices suits new voices badly.

    Args:
        recordings: number of recordings per speaker.
        test: hold some out for test as well, if there are enough.

    Returns:
        The split of each held-out speaker.
    """
    if len(recordings) < FEWEST:
        return {}
    total = sum(recordings.values())
    chosen: dict[str, str] = {}
    test = test and len(recordings) >= FEWEST_FOR_TEST
    for split in ("validation", "test") if test else ("validation",):
        left = sorted(recordings.keys() - chosen.keys(), key=_position)
        fitting = [name for name in left if recordings[name] <= LARGEST_SHARE * total]
        held = 0
        for name in fitting or [min(left, key=lambda name: recordings[name])]:
            if held >= SHARE * total:
                break
            chosen[name] = split
            held += recordings[name]
    return chosen if len(chosen) < len(recordings) else {}


def _position(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
