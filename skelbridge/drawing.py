"""Skeletons drawn with characters, for the terminal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge import rest_body
from skelbridge.skeletons import Skeleton

#: The bit of each of the 2 x 4 dots of a braille character, by row and column.
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


def draw_text(skeleton: Skeleton, height: int = 28, width: int = 60) -> str:
    """A format on the body at rest, from the front, in braille characters (its left is on the right)."""
    points = skeleton.placement @ rest_body().landmarks
    flat = np.stack([points[:, 0], -points[:, 1]], axis=1)
    flat -= flat.min(axis=0)
    scale = min((2 * width - 1) / max(flat[:, 0].max(), 1), (4 * height - 1) / max(flat[:, 1].max(), 1))
    dots = np.zeros((4 * height, 2 * width), dtype=bool)
    for a, b in skeleton.edge_index:
        _mark(dots, np.linspace(flat[a], flat[b], 200) * scale)
    for point in flat:
        _mark(dots, point * scale + np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]))
    cells = dots.reshape(height, 4, width, 2).transpose(0, 2, 1, 3)
    codes = 0x2800 + (cells * _DOTS).sum(axis=(2, 3))
    lines = ["".join(map(chr, row)).rstrip("\u2800") for row in codes]
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines)


def _mark(dots: NDArray[np.bool_], points: NDArray) -> None:
    """Set the dots at points (n, 2), column and row; those outside are left out."""
    column, row = np.rint(points).astype(int).T
    inside = (row >= 0) & (row < dots.shape[0]) & (column >= 0) & (column < dots.shape[1])
    dots[row[inside], column[inside]] = True
