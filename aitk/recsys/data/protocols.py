"""Evaluation protocols: which events are held out, and what a model may see.

Every event gets a code: one of the three splits, or ``HISTORY``: events of held-out users that a
model may see but is not trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import SPLITS
from aitk.core.contract.task import Finding
from aitk.recsys.data.events import Events
from aitk.recsys.data.options import LogReading, RateReading, RecommendReading

TRAIN, VALIDATION, TEST = range(len(SPLITS))
HISTORY = len(SPLITS)
#: Minimum share of held-out events older than training for a time leak warning.
_MUCH_LEAKED = 0.5


def split_events(
    events: Events, reading: LogReading, *, shares: Mapping[str, float], seed: int
) -> np.ndarray:
    """Assign a code to each event, (events,) int8. Splits named by files override the protocol.

    Args:
        events: ordered events from ``clean``.
        shares: shares of train, validation and test; leave-one-out only tests whether they are
            zero.
        seed: seed of random choices.

    Raises:
        DataError: the files name splits, but none for training.
        UsageError: the protocol needs times but the log has none.
    """
    if (events.named >= 0).any():
        return _as_named(events, shares)
    if reading.protocol == "leave-one-out":
        return leave_one_out(events, shares)
    if reading.protocol == "time":
        return cut_by_time(events, shares)
    if reading.protocol == "ratio":
        return cut_by_ratio(events, shares, seed=seed)
    if reading.protocol == "cold-users":
        return hold_out_users(events, shares, seed=seed)
    return hold_out_items(events, shares, seed=seed)


def describe_protocol(events: Events, reading: LogReading, *, shares: Mapping[str, float]) -> str:
    """Describe in one line how the log was split."""
    percents = "/".join(f"{100 * shares[name]:g}" for name in SPLITS)
    order = "by time, ties by file order" if events.has_times else "by file order"
    rule = {
        "leave-one-out": f"leave-one-out {order}",
        "time": f"one cut in time for all, {percents}",
        "ratio": f"a random part of each user's events, {percents}",
        "cold-users": f"whole users by a hash of their id, {percents}; the first half of a"
        " held-out user's events is its history",
        "cold-items": f"whole items by a hash of their id, {percents}",
    }[reading.protocol]
    if (events.named >= 0).any():
        rule = "as the files name it"
        if _lacks_validation(events, shares):
            rule += ", validation being the last training event of each user"
    known = {
        "all": "test histories hold training and validation events",
        "train": "test histories hold training events only",
    }[reading.test_history]
    description = f"{rule}; {known}"
    if not isinstance(reading, RateReading):
        description += "; full ranking"
    if count := sampled_negatives(reading):
        description += f"; sampled_* among {count} random items: not comparable with the others"
    return description


def sampled_negatives(reading: LogReading) -> int:
    """The number of random items to rank a held-out item against; 0 for none or for ratings."""
    return reading.sampled_negatives if isinstance(reading, RecommendReading) else 0


def looked_at(reading: LogReading) -> dict[int, tuple[int, ...]]:
    """The codes of the events that rows of each split show to a model."""
    known = (TRAIN, HISTORY)
    every = (*known, VALIDATION) if reading.test_history == "all" else known
    return {TRAIN: (TRAIN,), VALIDATION: known, TEST: every}


def leave_one_out(events: Events, shares: Mapping[str, float]) -> np.ndarray:
    """Leave-one-out: the last event of each user is test, the previous one validation.

    He et al. 2017, section 4.1. Users with too few events are used for training entirely.
    """
    held_out = [split for split in (TEST, VALIDATION) if shares[SPLITS[split]] > 0]
    starts = events.user_starts()
    sizes = np.diff(starts)
    enough = sizes > len(held_out)
    codes = np.full(len(events), TRAIN, np.int8)
    for back, split in enumerate(held_out, 1):
        codes[starts[1:][enough] - back] = split
    return codes


def cut_by_time(events: Events, shares: Mapping[str, float]) -> np.ndarray:
    """Split the log at two times; events at the same time stay on the later side."""
    if not events.has_times:
        hint = "Set the time column with --time-column, or use another --protocol"
        raise UsageError("the log has no times", where="--protocol time", hint=hint)
    times = np.sort(events.times)
    codes = np.full(len(events), TRAIN, np.int8)
    share = 0.0
    for split in (VALIDATION, TEST):
        share += shares[SPLITS[split - 1]]
        first = round(share * len(times))
        if first < len(times):
            codes[events.times >= times[first]] = split
    return codes


def cut_by_ratio(events: Events, shares: Mapping[str, float], *, seed: int) -> np.ndarray:
    """Hold out a random part of each user's events, of the size of RecBole's random split.

    Validation and test get the integer part of their share, training the rest; a share below one
    event is rounded up to one if two are left. The choice follows from a hash of user and item, so
    it is independent of other users' events.
    """
    starts = events.user_starts()
    sizes = np.diff(starts)
    parts = np.stack([np.floor(shares[name] * sizes + 1e-9).astype(int) for name in SPLITS])
    parts[TRAIN] = sizes - parts[VALIDATION] - parts[TEST]
    for split in (TEST, VALIDATION):
        wanted = shares[SPLITS[split]] * sizes
        one = (parts[TRAIN] > 1) & (wanted > 0) & (wanted < 1)
        parts[split] += one
        parts[TRAIN] -= one
    order = np.lexsort((_pair_positions(events, seed), events.users))
    places = np.empty(len(events), np.int64)
    places[order] = np.arange(len(events)) - starts[events.users[order]]
    train_end = parts[TRAIN][events.users]
    codes = np.full(len(events), TRAIN, np.int8)
    codes[places >= train_end] = VALIDATION
    codes[places >= train_end + parts[VALIDATION][events.users]] = TEST
    return codes


def hold_out_users(events: Events, shares: Mapping[str, float], *, seed: int) -> np.ndarray:
    """Hold out whole users by a hash of their id; the first half of their events is history.

    Users with a single event are used for training.
    """
    sizes = np.diff(events.user_starts())
    split = _splits_by_hash(events.user_ids, shares, seed)
    split[sizes < 2] = TRAIN
    first_half = events.places() < (sizes // 2)[events.users]
    codes = split[events.users]
    codes[first_half & (codes != TRAIN)] = HISTORY
    return codes


def hold_out_items(events: Events, shares: Mapping[str, float], *, seed: int) -> np.ndarray:
    """Hold out whole items by a hash of their id: training has none of their events."""
    return _splits_by_hash(events.item_ids, shares, seed)[events.items]


def check_time_leak(events: Events, codes: np.ndarray, reading: LogReading) -> Finding:
    """The number of held-out events older than the newest training event (Ji et al. 2023).

    The model then learns from events that lie in the future of its test rows.
    """
    check = "time leak"
    held_out = codes == TEST if (codes == TEST).any() else codes == VALIDATION
    if not events.has_times or not held_out.any() or not (codes == TRAIN).any():
        return Finding(check, "skipped", "not checked: no times, or nothing held out")
    older = int((events.times[held_out] < events.times[codes == TRAIN].max()).sum())
    share = older / int(held_out.sum())
    details = {"events": older, "share": round(share, 6)}
    if not older:
        return Finding(check, "ok", "no held-out event is older than training", details)
    message = f"{older:,} held-out events are older than the newest training event ({share:.1%})"
    if share < _MUCH_LEAKED or reading.protocol == "time":
        return Finding(check, "ok", message, details)
    message += ": training sees later events, which --protocol time prevents"
    return Finding(check, "warning", message, details)


def hash_position(key: str, seed: int) -> float:
    """A position in [0, 1) from the hash of an id."""
    return _hash(key, seed) / 2**64


def _hash(key: str, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _splits_by_hash(ids: Sequence[str], shares: Mapping[str, float], seed: int) -> np.ndarray:
    positions = np.array([hash_position(key, seed) for key in ids])
    cuts = np.cumsum([shares["train"], shares["validation"]])
    return np.searchsorted(cuts, positions, side="right").astype(np.int8)


def _pair_positions(events: Events, seed: int) -> np.ndarray:
    """(events,) a pseudo-random number per user-item pair."""
    users = np.array([_hash(key, seed) for key in events.user_ids], np.uint64)
    items = np.array([_hash(key, seed) for key in events.item_ids], np.uint64)
    mixed = users[events.users] ^ _scrambled(items[events.items])
    return _scrambled(mixed)


def _scrambled(numbers: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele et al. 2014), on uint64 arrays."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _as_named(events: Events, shares: Mapping[str, float]) -> np.ndarray:
    codes = np.where(events.named < 0, TRAIN, events.named).astype(np.int8)
    if not (codes == TRAIN).any():
        names = " and ".join(SPLITS[code] for code in np.unique(codes))
        hint = "Add the training file, or rename the file to have it split"
        raise DataError(f"the files have only {names} events, none for training", hint=hint)
    if _lacks_validation(events, shares):
        training = np.flatnonzero(codes == TRAIN)
        users = events.users[training]
        last = np.append(users[1:] != users[:-1], True)
        several = np.bincount(users, minlength=len(events.user_ids))[users] > 1
        codes[training[last & several]] = VALIDATION
    return codes


def _lacks_validation(events: Events, shares: Mapping[str, float]) -> bool:
    return shares["validation"] > 0 and not (events.named == VALIDATION).any()
