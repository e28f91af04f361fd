"""Colours and procedural patterns: of skin and hair, of cloth, walls and floors. Display values (sRGB) in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Colours = NDArray[np.float32]

#: Skin from light to dark, and hair, as displays show them.
SKIN = (
    (0.96, 0.80, 0.69), (0.93, 0.74, 0.60), (0.88, 0.67, 0.52), (0.80, 0.58, 0.42), (0.68, 0.47, 0.33),
    (0.55, 0.36, 0.25), (0.42, 0.27, 0.19), (0.31, 0.20, 0.15),
)  # fmt: skip
HAIR = (
    (0.08, 0.07, 0.06), (0.16, 0.11, 0.08), (0.27, 0.18, 0.11), (0.42, 0.28, 0.15), (0.62, 0.47, 0.28),
    (0.80, 0.68, 0.45), (0.50, 0.22, 0.10), (0.62, 0.61, 0.60), (0.85, 0.84, 0.82),
)  # fmt: skip


def any_colour(rng: np.random.Generator, vivid: float = 1.0) -> Colours:
    """A colour (3,): of any hue, saturation up to `vivid`, from dark to light."""
    hue, saturation, value = rng.random(), vivid * rng.beta(1.2, 1.2), rng.uniform(0.12, 0.95)
    wheel = np.clip(np.abs((hue + np.array([0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1, 0, 1)
    return (value * (1 - saturation + saturation * wheel)).astype(np.float32)


def jittered(colour: ArrayLike, rng: np.random.Generator, spread: float = 0.04) -> Colours:
    """A colour (3,) somewhat like the one given."""
    return np.clip(np.asarray(colour) * rng.normal(1, 2 * spread) + rng.normal(0, spread, 3), 0.02, 0.98).astype(
        np.float32
    )


def cloudy(size: tuple[int, int], rng: np.random.Generator, cells: int = 4, octaves: int = 4) -> Colours:
    """Smooth noise (height, width) in [0, 1] that repeats at the edges; `cells` hills along the longer side."""
    height, width = size
    total = np.zeros(size)
    for octave in range(octaves):
        n = cells * 2**octave
        rows, columns = max(1, n * height // max(size)), max(1, n * width // max(size))
        grid = rng.random((rows, columns))
        y, x = np.arange(height) * rows / height, np.arange(width) * columns / width
        y0, x0 = y.astype(int), x.astype(int)
        fy, fx = _eased(y - y0)[:, None], _eased(x - x0)[None]
        y1, x1 = (y0 + 1) % rows, (x0 + 1) % columns
        above = grid[y0][:, x0] * (1 - fx) + grid[y0][:, x1] * fx
        below = grid[y1][:, x0] * (1 - fx) + grid[y1][:, x1] * fx
        total += (above * (1 - fy) + below * fy) * 0.5**octave
    low, high = total.min(), total.max()
    return ((total - low) / max(high - low, 1e-9)).astype(np.float32)


def _eased(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x * x * (3 - 2 * x)


def mixed(share: NDArray[np.floating], first: ArrayLike, second: ArrayLike) -> Colours:
    """Between two colours (3,), by a share (...) of the second."""
    part = np.clip(share, 0, 1)[..., None]
    return (np.asarray(first) * (1 - part) + np.asarray(second) * part).astype(np.float32)


# What cloth looks like: a square metre of it, (side, side, 3), from two colours.


def plain(side: int, first: ArrayLike, second: ArrayLike, rng: np.random.Generator) -> Colours:
    """One colour, a little worn."""
    worn = cloudy((side, side), rng, 5)
    return mixed(0.16 * worn, first, np.asarray(first) * 0.55)


def stripes(side: int, first: ArrayLike, second: ArrayLike, rng: np.random.Generator) -> Colours:
    """Stripes across, rarely along, of any breadth."""
    count, broad = rng.integers(7, 22), rng.uniform(0.2, 0.6)
    line = ((np.arange(side) * count / side) % 1 < broad).astype(np.float32)
    rows = np.broadcast_to(line[:, None], (side, side))
    return mixed(rows if rng.random() < 0.75 else rows.T, first, second)


def checks(side: int, first: ArrayLike, second: ArrayLike, rng: np.random.Generator) -> Colours:
    """Checks of two crossing rows of stripes."""
    count = rng.integers(6, 18)
    line = ((np.arange(side) * count / side) % 1 < 0.5).astype(np.float32)
    return mixed((line[:, None] + line[None]) / 2, first, second)


def blotches(side: int, first: ArrayLike, second: ArrayLike, rng: np.random.Generator) -> Colours:
    """Irregular spots, as of camouflage or flowers."""
    spots = cloudy((side, side), rng, int(rng.integers(6, 16)), 2)
    cut = np.quantile(spots, rng.uniform(0.4, 0.7))
    return mixed(np.clip((spots - cut) * 20, 0, 1), first, second)


def prints(side: int, first: ArrayLike, second: ArrayLike, rng: np.random.Generator) -> Colours:
    """One colour with a printed shape where the breast is."""
    y, x = np.mgrid[0:side, 0:side] / side
    middle, radius = np.array([0.5, rng.uniform(0.2, 0.32)]), rng.uniform(0.05, 0.11)
    angle = np.arctan2(y - middle[1], x - middle[0])
    reach = radius * (1 + 0.35 * np.sin(rng.integers(0, 7) * angle + rng.uniform(0, 6)))
    inside = np.hypot(x - middle[0], y - middle[1]) < reach
    if rng.random() < 0.4:
        inside = (np.abs(x - middle[0]) < 1.6 * radius) & (np.abs(y - middle[1]) < rng.uniform(0.2, 0.7) * radius)
    return np.where(inside[..., None], np.asarray(second, np.float32), plain(side, first, second, rng))


CLOTH: dict[str, Callable[..., Colours]] = {
    "plain": plain, "stripes": stripes, "checks": checks, "blotches": blotches, "prints": prints,
}  # fmt: skip


def cloth(rng: np.random.Generator, kinds: dict[str, float], vivid: float = 0.9, side: int = 192) -> Colours:
    """A square metre of cloth (side, side, 3): one of the `kinds`, by weight, in two random colours."""
    names = list(kinds)
    weights = np.array([kinds[name] for name in names])
    name = names[rng.choice(len(names), p=weights / weights.sum())]
    first, second = any_colour(rng, vivid), any_colour(rng, vivid)
    return CLOTH[name](side, first, second, rng)


# What floors and walls look like: one repeat of it.


def planks(side: int, colour: ArrayLike, rng: np.random.Generator) -> Colours:
    """Boards side by side, each of its own shade, with grain along them."""
    count = int(rng.integers(4, 9))
    which = np.minimum(np.arange(side) * count // side, count - 1)
    shade = rng.normal(1, 0.1, count)[which]
    grain = cloudy((side, side), rng, 32, 2)[:, :1] * 0.15 + 0.1 * cloudy((side, side), rng, 3, 3)
    gap = np.diff(which, prepend=-1) != 0
    value = shade[:, None] * (0.88 + grain) * np.where(gap, 0.5, 1.0)[:, None]
    return np.clip(value[..., None] * np.asarray(colour), 0, 1).astype(np.float32)


def tiles(side: int, colour: ArrayLike, rng: np.random.Generator) -> Colours:
    """Tiles with joints, or a chessboard of them."""
    count = int(rng.integers(2, 7))
    place = np.arange(side) * count / side
    cell = place.astype(int)
    joint = (place % 1) < 0.03 * count**0.5
    chess = (cell[:, None] + cell[None]) % 2 * (rng.uniform(0.2, 0.6) if rng.random() < 0.4 else 0)
    shade = 1 - chess + rng.normal(0, 0.03, (count, count))[np.ix_(cell, cell)]
    shade = shade * np.where(joint[:, None] | joint[None], rng.uniform(0.6, 1.25), 1)
    return np.clip(shade[..., None] * np.asarray(colour), 0, 1).astype(np.float32)


def bricks(side: int, colour: ArrayLike, rng: np.random.Generator) -> Colours:
    """A wall of bricks."""
    rows, columns = 8, 4
    y = np.arange(side) * rows / side
    row = y.astype(int)
    x = (np.arange(side)[None] * columns / side + 0.5 * (row % 2)[:, None]) % columns
    shade = rng.normal(1, 0.12, (rows, columns))[row[:, None], x.astype(int)]
    joint = ((y % 1) < 0.1)[:, None] | ((x % 1) < 0.05)
    return np.where(joint[..., None], np.float32(0.72), np.clip(shade[..., None] * np.asarray(colour), 0, 1)).astype(
        np.float32
    )


def rough(side: int, colour: ArrayLike, rng: np.random.Generator) -> Colours:
    """Plaster, asphalt, carpet or grass: uneven in one colour."""
    fine = rng.random((side, side)) * rng.uniform(0, 0.3)
    value = 0.75 + 0.3 * cloudy((side, side), rng, int(rng.integers(2, 10))) + fine - fine.mean()
    return np.clip(value[..., None] * np.asarray(colour), 0, 1).astype(np.float32)


def facade(side: int, colour: ArrayLike, rng: np.random.Generator) -> Colours:
    """The front of a house: rows of windows."""
    picture = rough(side, colour, rng)
    rows, columns = int(rng.integers(2, 6)), int(rng.integers(2, 7))
    y, x = (np.arange(side) * rows / side) % 1, (np.arange(side) * columns / side) % 1
    tall, wide = rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.75)
    frame = (np.abs(y - 0.5) < tall / 2)[:, None] & (np.abs(x - 0.5) < wide / 2)[None]
    glass = (np.abs(y - 0.5) < tall / 2 - 0.05)[:, None] & (np.abs(x - 0.5) < wide / 2 - 0.05)[None]
    picture[frame] = any_colour(rng, 0.3)
    pane = rng.uniform(0.05, 0.5, (rows, columns)).repeat(-(-side // rows), 0).repeat(-(-side // columns), 1)
    picture[glass] = (pane[:side, :side][glass][:, None] * np.array([0.85, 0.95, 1.1])).clip(0, 1)
    return picture


def clutter(side: int, colour: ArrayLike, rng: np.random.Generator) -> Colours:
    """A wall with things before it: shelves, pictures, doors, curtains, as patches of colour."""
    picture = rough(side, colour, rng)
    for _ in range(int(rng.integers(4, 26))):
        h, w = (rng.uniform(0.03, 0.45, 2) * side).astype(int) + 2
        top, left = rng.integers(0, side - h), rng.integers(0, side - w)
        patch = any_colour(rng, 0.8) * (0.8 + 0.4 * cloudy((h, w), rng, 3, 2)[..., None])
        if rng.random() < 0.4:
            patch[:, :: max(3, w // int(rng.integers(3, 9)))] *= 0.5
        picture[top : top + h, left : left + w] = patch.clip(0, 1)
    return picture
