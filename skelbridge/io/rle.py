"""Masks as COCO's compressed run-length codes.

A mask is read column by column. The lengths of its runs (background first), each less the one two before it from the
fourth on, are written in groups of five bits, low ones first, a sixth bit where more follow, plus 48. Sizes are
(width, height) in pixels here, as everywhere in skelbridge; COCO's own files write height, width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.errors import InputError

#: Masks of more pixels are refused: a picture of 16384 x 16384 is the largest.
MAX_PIXELS = 2**28

#: Polygons are drawn on a grid so much finer than the pixels, as COCO's own tools do.
_FINER = 5

#: A run's length fits into so many groups of five bits.
_GROUPS = 7

Ints = NDArray[np.int64]


def encode(mask: ArrayLike) -> bytes:
    """The code of a mask (H, W) of bool. Raises InputError for another shape or too large a mask."""
    pixels = np.asarray(mask, dtype=bool)
    if pixels.ndim != 2:
        raise InputError("a mask", expected="shape (height, width)", got=f"shape {pixels.shape}")
    _pixels(pixels.shape[::-1])
    flat = pixels.ravel(order="F")
    turns = np.flatnonzero(np.diff(flat.view(np.int8), prepend=np.int8(0)))
    return _written(_runs(turns, flat.size))


def decode(code: bytes, size: Sequence[int]) -> NDArray[np.bool_]:
    """The mask (H, W) of a code. Raises InputError for a code that is none or is not of that size."""
    width, height = size
    runs = _read(code, _pixels(size))
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T


def box(code: bytes, size: Sequence[int]) -> tuple[float, float, float, float]:
    """Left, top, width, height of the pixels of a code; all 0 where there are none."""
    mask = decode(code, size)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    return (
        float(columns[0]),
        float(rows[0]),
        float(columns[-1] - columns[0] + 1),
        float(rows[-1] - rows[0] + 1),
    )


def checked(code: bytes, size: Sequence[int]) -> bytes:
    """The code itself, after seeing that it is one of that size; InputError where it is not."""
    _read(code, _pixels(size))
    return bytes(code)


def from_counts(counts: ArrayLike, size: Sequence[int]) -> bytes:
    """The code of run lengths that are written out. Raises InputError where they do not fill that size."""
    try:
        runs = np.asarray(counts)
    except ValueError:
        runs = np.array([None])
    if runs.dtype.kind != "i":
        raise InputError("lengths of runs", expected="whole numbers", got="something else")
    return _written(_filling(runs, _pixels(size)))


def from_polygons(polygons: Sequence[ArrayLike], size: Sequence[int]) -> bytes:
    """The code of what lies in at least one of some polygons, each x, y, x, y ... in pixels, (n, 2) or flat.

    The same pixels as COCO's own tools: the outline is drawn on a grid five times finer, and a pixel belongs to the
    polygon by where the outline crosses its middle column. Raises InputError for lists that are no polygons, and
    places that lie absurdly far outside.
    """
    width, height = size
    total = _pixels(size)
    turns = [_turns(_corners(polygon), width, height) for polygon in polygons]
    return _written(_runs(_united(turns), total))


def _pixels(size: Sequence[int]) -> int:
    width, height = size
    if width < 0 or height < 0 or int(width) * int(height) > MAX_PIXELS:
        raise InputError("the size of a mask", expected=f"at most {MAX_PIXELS} pixels", got=f"{width} x {height}")
    return int(width) * int(height)


def _runs(turns: NDArray[np.integer], total: int) -> Ints:
    """Lengths of runs from the places where background and mask take turns, in order."""
    inner = turns[turns < total]
    return np.diff(inner, prepend=0, append=total).astype(np.int64)


def _filling(runs: Ints, total: int) -> Ints:
    # bounded one by one before they are summed, so that the sum cannot run over
    if runs.ndim != 1 or (runs < 0).any() or (runs > total).any() or runs.sum() != total:
        raise InputError("a run-length code", expected=f"runs of {total} pixels in all", got=f"{len(runs)} others")
    return runs


def _written(runs: Ints) -> bytes:
    rest = runs.copy()
    rest[3:] -= runs[1:-2]
    groups, kept = [], []
    more = np.ones(len(rest), bool)
    for _ in range(_GROUPS):
        low = rest & 31
        rest = rest >> 5
        kept.append(more)
        more = more & (rest != np.where(low & 16, -1, 0))
        groups.append(low + np.where(more, 32, 0) + 48)
    return np.stack(groups, axis=1)[np.stack(kept, axis=1)].astype(np.uint8).tobytes()


def _read(code: bytes, total: int) -> Ints:
    """The lengths of the runs, which fill `total` pixels."""
    groups = np.frombuffer(code, np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(groups & 32 == 0)
    lengths = np.diff(last, prepend=-1)
    fine = not len(groups) or (((groups >= 0) & (groups < 64)).all() and len(last) and last[-1] == len(groups) - 1)
    if not fine or lengths.max(initial=0) > _GROUPS:
        raise InputError("a run-length code", expected="COCO's compressed form", got=code[:40])
    if not len(groups):
        return _filling(np.zeros(0, np.int64), total)
    starts = last - lengths + 1
    place = np.arange(len(groups)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((groups & 31) << (5 * place), starts)
    runs -= np.where(groups[last] & 16, np.int64(1) << (5 * lengths), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return _filling(runs, total)


def _corners(polygon: ArrayLike) -> NDArray[np.float64]:
    try:
        flat = np.asarray(polygon, dtype=float).ravel()
    except (TypeError, ValueError):
        raise InputError("a polygon", expected="x, y, x, y ... in pixels", got="no such list") from None
    if not len(flat) or len(flat) % 2 or not (np.abs(flat) < MAX_PIXELS).all():
        raise InputError("a polygon", expected="pairs of pixel coordinates", got=f"{len(flat)} numbers")
    return flat.reshape(-1, 2)


def _turns(corners: NDArray[np.float64], width: int, height: int) -> Ints:
    """Where, column by column, one steps over the outline of a polygon: sorted places, an even number of them."""
    outline = _outline(np.trunc(_FINER * corners + 0.5).astype(np.int64))
    before, after = outline[:-1], outline[1:]
    crossing = np.minimum(before[:, 0], after[:, 0])
    column, off = np.divmod(crossing - _FINER // 2, _FINER)
    kept = (before[:, 0] != after[:, 0]) & (off == 0) & (column >= 0) & (column < width)
    high = np.minimum(before[kept, 1], after[kept, 1])
    row = np.ceil(np.clip((high + 0.5) / _FINER - 0.5, 0, height)).astype(np.int64)
    places, times = np.unique(column[kept] * height + row, return_counts=True)
    return places[times % 2 == 1]


def _outline(corners: Ints) -> Ints:
    """Points of the fine grid along the closed outline, one for each step along the longer axis of an edge."""
    ends = np.roll(corners, -1, axis=0)
    steep = (np.abs(ends - corners) @ [1, -1] < 0).astype(np.int64)
    edge = np.arange(len(corners))
    counts = np.abs(ends - corners)[edge, steep]
    if counts.sum() > MAX_PIXELS // 16:
        raise InputError("a polygon", expected="an outline about a picture", got=f"one of {counts.sum()} steps")
    # every edge is walked from its low end, and then told in its own direction, lest rounding depend on that
    back = corners[edge, steep] > ends[edge, steep]
    low, high = np.where(back[:, None], ends, corners), np.where(back[:, None], corners, ends)
    slope = (high - low)[edge, 1 - steep] / np.maximum(counts, 1)
    which = np.repeat(edge, counts + 1)
    step = np.arange(len(which)) - np.repeat(np.cumsum(counts + 1) - counts - 1, counts + 1)
    step = np.where(back[which], counts[which] - step, step)
    points = np.empty((len(which), 2), np.int64)
    every, steep = np.arange(len(which)), steep[which]
    points[every, steep] = low[which, steep] + step
    points[every, 1 - steep] = np.trunc(low[which, 1 - steep] + slope[which] * step + 0.5)
    return points


def _united(turns: Sequence[Ints]) -> Ints:
    """Where one enters and leaves what lies in at least one mask, each given by its turns."""
    if len(turns) == 1:
        return turns[0]
    places = np.concatenate([np.zeros(0, np.int64), *turns])
    steps = np.concatenate([np.zeros(0, np.int64), *(1 - 2 * (np.arange(len(one)) % 2) for one in turns)])
    order = np.argsort(places, kind="stable")
    places, depth = places[order], np.cumsum(steps[order])
    last = np.append(places[1:] != places[:-1], True)[: len(places)]
    places, inside = places[last], depth[last] > 0
    return places[np.diff(inside.astype(np.int8), prepend=np.int8(0)) != 0]
