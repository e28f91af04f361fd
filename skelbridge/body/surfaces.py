"""Surfaces of triangles: what is seen, and simple things made of them. Millimetres, y up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.body.rotations import Floats

#: Whose a surface is: a person's number, or nobody's.
NOBODY = -1


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles with a colour.

    vertices (V, 3) mm; triangles (F, 3), either way round. colour: one (3,), one a vertex (V, 3), or a texture
    (height, width, 3) that repeats, with places (V, 2) in it, x to the right and y down, 1 for a repeat. Display
    values in [0, 1]. smooth: shaded by normals of vertices. shine: how strongly it mirrors, 0 for none. person: whose.
    """

    vertices: Floats
    triangles: NDArray[np.int64]
    colour: NDArray[np.float32]
    places: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    smooth: bool = False
    shine: float = 0.0
    person: int = NOBODY

    def moved(self, turn: float = 0.0, shift: ArrayLike = (0, 0, 0)) -> Surface:
        """Turned about y by an angle in radians, then shifted."""
        c, s = np.cos(turn), np.sin(turn)
        rotation = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        return replace(self, vertices=self.vertices @ rotation.T + np.asarray(shift))


def vertex_normals(vertices: Floats, triangles: NDArray[np.int64]) -> Floats:
    """Unit normals of vertices (V, 3), the mean of the triangles about them weighted by area."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    of_face = np.cross(b - a, c - a)
    summed = np.stack(
        [np.bincount(triangles.ravel(), np.repeat(of_face[:, axis], 3), len(vertices)) for axis in range(3)],
        axis=1,
    )
    return summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12)


def sheet(corner: ArrayLike, along: ArrayLike, up: ArrayLike, colour: NDArray[np.float32], repeat: float = 0,
          shine: float = 0.0) -> Surface:  # fmt: skip
    """A parallelogram from a corner; a texture is as large as it, or repeats every `repeat` mm."""
    corner, along, up = (np.asarray(x, float) for x in (corner, along, up))
    size = np.array([np.linalg.norm(along), np.linalg.norm(up)])
    repeats = size / repeat if repeat else np.ones(2)
    vertices = np.stack([corner, corner + along, corner + along + up, corner + up])
    places = np.array([[0, 1], [1, 1], [1, 0], [0, 0]]) * repeats
    return Surface(vertices, np.array([[0, 1, 2], [0, 2, 3]]), colour, places, shine=shine)


def block(size: ArrayLike, colour: NDArray[np.float32], repeat: float = 0, shine: float = 0.0) -> Surface:
    """A box of width, height, depth on the ground about the origin; every face has the texture."""
    w, h, d = np.asarray(size, float)
    faces = [
        sheet((-w / 2, 0, d / 2), (w, 0, 0), (0, h, 0), colour, repeat),
        sheet((w / 2, 0, -d / 2), (-w, 0, 0), (0, h, 0), colour, repeat),
        sheet((w / 2, 0, d / 2), (0, 0, -d), (0, h, 0), colour, repeat),
        sheet((-w / 2, 0, -d / 2), (0, 0, d), (0, h, 0), colour, repeat),
        sheet((-w / 2, h, d / 2), (w, 0, 0), (0, 0, -d), colour, repeat),
        sheet((-w / 2, 0, -d / 2), (w, 0, 0), (0, 0, d), colour, repeat),
    ]
    return replace(joined(faces), shine=shine)


def round_body(radii: ArrayLike, heights: ArrayLike, colour: NDArray[np.float32], around: int = 14,
               shine: float = 0.0) -> Surface:  # fmt: skip
    """A body turned on the y axis: its radius at each height; poles, balls, trees' crowns, lamps."""
    radii, heights = np.asarray(radii, float), np.asarray(heights, float)
    angles = np.linspace(0, 2 * np.pi, around + 1)
    rings = np.stack(
        [radii[:, None] * np.cos(angles), np.repeat(heights[:, None], around + 1, 1), radii[:, None] * np.sin(angles)],
        axis=-1,
    )
    share = (heights - heights.min()) / max(np.ptp(heights), 1e-9)
    places = np.stack(np.broadcast_arrays(np.linspace(0, 2, around + 1)[None], 1 - share[:, None]), axis=-1).reshape(
        -1, 2
    )
    return Surface(rings.reshape(-1, 3), grid(len(radii), around + 1), colour, places, smooth=True, shine=shine)


def ball(radius: float, colour: NDArray[np.float32], flat: float = 1.0) -> Surface:
    """A ball that lies on the ground; `flat` is its height over its breadth."""
    angles = np.linspace(0, np.pi, 10)
    return round_body(radius * np.sin(angles), flat * radius * (1 - np.cos(angles)), colour)


def grid(rows: int, columns: int) -> NDArray[np.int64]:
    """Triangles of a grid of vertices, row by row."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    upper = np.stack([corner, corner + 1, corner + columns + 1], axis=1)
    lower = np.stack([corner, corner + columns + 1, corner + columns], axis=1)
    return np.concatenate([upper, lower])


def joined(surfaces: list[Surface]) -> Surface:
    """Surfaces of one look as one."""
    starts = np.cumsum([0, *(len(surface.vertices) for surface in surfaces)])
    return replace(
        surfaces[0],
        vertices=np.concatenate([surface.vertices for surface in surfaces]),
        triangles=np.concatenate([s.triangles + start for s, start in zip(surfaces, starts, strict=False)]),
        places=np.concatenate([surface.places for surface in surfaces]),
    )
