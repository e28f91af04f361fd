"""Where a known body stands before a known camera, from its joints in the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

#: Steps from each of the 24 starts, and further ones from the best.
_STEPS, _LAST_STEPS = 12, 15

#: Poses solved in one go, times the starts of each.
_BATCH = 256

#: No point comes nearer to the camera than this, in the body's unit.
_NEAR = 0.05


def placed(body: Array, rays: Array, known: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Rotations (N, 3, 3), translations (N, 3) and errors (N,) that bring bodies (N, P, 3) onto rays (N, P, 2).

    rays: x / z and y / z in the camera. known (N, P): which points count. The error is the root mean square of what is
    left, in the rays' unit. Levenberg and Marquardt's method on the sum of squares, from the 24 rotations that bring
    axes onto axes, since one start may end in the mirror image in depth.
    """
    parts = [
        _solved(body[rows], rays[rows], known[rows])
        for rows in (slice(start, start + _BATCH) for start in range(0, len(body), _BATCH))
    ]
    if not parts:
        return np.empty((0, 3, 3)), np.empty((0, 3)), np.empty(0)
    turns, shifts, errors = zip(*parts, strict=True)
    return np.concatenate(turns), np.concatenate(shifts), np.concatenate(errors)


def _solved(body: Array, rays: Array, known: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    starts = Rotation.create_group("O").as_matrix()
    count = len(body)
    bodies, goals = (np.repeat(values, len(starts), axis=0) for values in (body, rays))
    which = np.repeat(known, len(starts), axis=0)
    turns = np.tile(starts, (count, 1, 1))
    shifts = _start(bodies, goals, which, turns)
    turns, shifts, errors = descended(bodies, goals, which, turns, shifts, _STEPS)
    best = np.arange(count) * len(starts) + np.argmin(errors.reshape(count, -1), axis=1)
    return descended(body, rays, known, turns[best], shifts[best], _LAST_STEPS)


def _start(body: Array, rays: Array, known: NDArray[np.bool_], turns: Array) -> Array:
    """The translation that is best for a rotation where x = ray z is solved as a linear equation."""
    turned = np.einsum("nij,npj->npi", turns, body)
    # (1, 0, -x) t = x Z - X and (0, 1, -y) t = y Z - Y for every point
    rows = np.zeros((*rays.shape, 3))
    rows[..., 0, 0] = rows[..., 1, 1] = 1
    rows[..., 2] = -rays
    rows *= known[..., None, None]
    goal = rays * turned[..., 2:] - turned[..., :2]
    left, right = np.einsum("npri,nprj->nij", rows, rows), np.einsum("npri,npr->ni", rows, goal)
    found = np.linalg.solve(left + 1e-9 * np.eye(3), right[..., None])[..., 0]
    size = np.sqrt((body**2).sum(axis=-1).max(axis=1))
    found[:, 2] = np.where(found[:, 2] > size, found[:, 2], 3 * size)
    return found


def descended(
    body: Array, rays: Array, known: NDArray[np.bool_], turns: Array, shifts: Array, steps: int = _LAST_STEPS
) -> tuple[Array, Array, Array]:
    """As `placed`, from rotations and translations that are near already."""
    damping = np.full(len(body), 1e-3)
    error = _left(body, rays, known, turns, shifts)[0]
    for _ in range(steps):
        _, off, slope = _left(body, rays, known, turns, shifts, slopes=True)
        normal = np.einsum("nri,nrj->nij", slope, slope)
        scale = np.einsum("nii->ni", normal) + 1e-12
        normal += damping[:, None, None] * scale[:, :, None] * np.eye(6)
        step = np.linalg.solve(normal, -np.einsum("nri,nr->ni", slope, off)[..., None])[..., 0]
        step[:, :3] *= np.minimum(1, 1 / np.maximum(np.linalg.norm(step[:, :3], axis=1), 1e-12))[:, None]
        turned, moved = Rotation.from_rotvec(step[:, :3]).as_matrix() @ turns, shifts + step[:, 3:]
        tried = _left(body, rays, known, turned, moved)[0]
        better = tried < error
        turns = np.where(better[:, None, None], turned, turns)
        shifts, error = np.where(better[:, None], moved, shifts), np.where(better, tried, error)
        damping = np.clip(np.where(better, damping / 10, damping * 10), 1e-12, 1e6)
    return turns, shifts, error


def _left(
    body: Array, rays: Array, known: NDArray[np.bool_], turns: Array, shifts: Array, slopes: bool = False
) -> tuple[Array, Array, Array]:
    """The error, what is left (N, 2 P), and its derivatives by a turn (after) and a shift (N, 2 P, 6)."""
    turned = np.einsum("nij,npj->npi", turns, body)
    seen = turned + shifts[:, None]
    depth = np.maximum(seen[..., 2], _NEAR)
    flat = seen[..., :2] / depth[..., None]
    weight = known[..., None].astype(float)
    off = (weight * (flat - rays)).reshape(len(body), -1)
    error = np.sqrt((off**2).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    if not slopes:
        return error, off, np.empty(0)
    by_place = np.zeros((*flat.shape, 3))
    by_place[..., 0, 0] = by_place[..., 1, 1] = 1 / depth
    by_place[..., 2] = -flat / depth[..., None]
    by_place *= weight[..., None]
    x, y, z = np.moveaxis(turned, -1, 0)
    zero = np.zeros_like(x)
    # a small turn w moves a point q by w x q
    by_turn = np.stack([np.stack([zero, z, -y], -1), np.stack([-z, zero, x], -1), np.stack([y, -x, zero], -1)], -2)
    slope = np.concatenate([np.einsum("npri,npij->nprj", by_place, by_turn), by_place], axis=-1)
    return error, off, slope.reshape(len(body), -1, 6)
