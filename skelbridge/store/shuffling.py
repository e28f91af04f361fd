"""Orders of rows that are computed where they are needed, place by place, and never held.

A permutation of n rows is a Feistel network (Luby and Rackoff, 1988) on the smallest even number of bits that holds
n, walked on until it falls below n. So place p of epoch e is found without the places before it: any step can be
resumed exactly, in any number of processes, with no memory.
"""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError

Places = NDArray[np.int64]
Shuffle = Literal["chunks", "full"]

#: Rows of a chunk, and chunks of a window, within which rows are shuffled.
CHUNK, WINDOW = 256, 64

_ROUNDS = 6
_LEAST_BITS = 3  # of a half: small networks shuffle badly


def checked_shuffle(word: str | None) -> Shuffle | None:
    """The word, or InputError."""
    if word is None or word in get_args(Shuffle):
        return word  # type: ignore[return-value]
    raise InputError("shuffle", expected="'chunks', 'full' or None", got=repr(word))


def shuffled(places: Places, count: int, shuffle: Shuffle | None, *what: object) -> Places:
    """Which of `count` rows come at places (N,) of an order that `what` (seed, dataset, epoch) determines.

    "full": a permutation of all rows. "chunks": of chunks of 256 rows, and of the rows within windows of 64 chunks in
    that order, so that nearby batches read nearby rows. None: the rows in order.
    """
    if shuffle is None:
        return places
    return permuted(places, count, *what) if shuffle == "full" else _chunked(places, count, *what)


def permuted(places: Places, count: int, *what: object) -> Places:
    """Where a permutation of range(count), determined by `what`, takes places (N,)."""
    keys = np.frombuffer(hashlib.blake2b(repr(what).encode(), digest_size=8 * _ROUNDS).digest(), "<u8")
    half = max(_LEAST_BITS, -(-(count - 1).bit_length() // 2))
    found = _network(places.astype(np.uint64), half, keys)
    outside = np.flatnonzero(found >= count)
    while len(outside):
        found[outside] = _network(found[outside], half, keys)
        outside = outside[found[outside] >= count]
    return found.astype(np.int64)


def _network(values: NDArray[np.uint64], half: int, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values >> bits, values & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right + key) & mask)
    return (left << bits) | right


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _chunked(places: Places, count: int, *what: object) -> Places:
    whole, found = count // CHUNK, np.empty_like(places)
    windows = places // (CHUNK * WINDOW)
    for window in np.unique(windows):
        here, start = windows == window, int(window) * CHUNK * WINDOW
        size = min(CHUNK * WINDOW, count - start)
        found[here] = start + permuted(places[here] - start, size, *what, "window", int(window))
    chunks, inside = found // CHUNK, found % CHUNK
    full = chunks < whole  # the last chunk is smaller, and stays last; what is in it changes by the shift
    chunks[full] = permuted(chunks[full], whole, *what, "chunks")
    shift = int(permuted(np.zeros(1, np.int64), count, *what, "shift")[0])
    return (chunks * CHUNK + inside + shift) % count
