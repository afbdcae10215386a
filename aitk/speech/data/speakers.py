"""Which speakers are held out, so that scores are of voices that are not in the training rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

#: Fewer speakers than these are needed for training, or none is held out for test.
FEWEST, FEWEST_FOR_TEST = 3, 5
#: Share of the recordings that each held-out split should reach, and that no one speaker may pass.
SHARE, LARGEST_SHARE = 0.1, 0.3


def choose_speakers(recordings: Mapping[str, int], *, test: bool = True) -> dict[str, str]:
    """Choose speakers for validation and test, by a hash of their names.

    Of fewer than three speakers none is held out; of three or four one, for validation: it
    chooses the epoch, and an epoch chosen on known voices is a poor one for new voices.

    Args:
        recordings: how many there are of each speaker.
        test: hold some out for test as well, where there are enough.

    Returns:
        The split of each speaker who is held out.
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
