"""Rotation matrices, as many at a time as wanted; matrices act on column vectors from the left."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def unit(vectors: ArrayLike) -> Floats:
    """Vectors (..., 3) at length one; a zero vector stays zero."""
    vectors = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def about(axis: ArrayLike, angle: ArrayLike) -> Floats:
    """Rotation about `axis` (..., 3) by `angle` (...) radians, (..., 3, 3): Rodrigues' formula."""
    x, y, z = np.moveaxis(unit(axis), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    angle = np.asarray(angle, dtype=np.float64)[..., None, None]
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def between(start: ArrayLike, end: ArrayLike) -> Floats:
    """The smallest rotation that turns the direction `start` (..., 3) into `end` (..., 3), (..., 3, 3)."""
    start, end = unit(start), unit(end)
    axis = np.cross(start, end)
    # Opposite directions leave the axis open: any perpendicular one serves.
    spare = np.cross(start, np.eye(3)[np.argmin(np.abs(start), axis=-1)])
    degenerate = np.linalg.norm(axis, axis=-1, keepdims=True) < 1e-12
    angle = np.arctan2(np.linalg.norm(axis, axis=-1), np.sum(start * end, axis=-1))
    return about(np.where(degenerate, spare, axis), angle)


def frame(primary: ArrayLike, secondary: ArrayLike) -> Floats:
    """Right-handed frame: `primary` is the first column, `secondary` lies in the plane of the first two."""
    first = unit(primary)
    third = unit(np.cross(first, np.asarray(secondary, dtype=np.float64)))
    return np.stack([first, np.cross(third, first), third], axis=-1)


def rotation_vector(rotation: Floats) -> Floats:
    """Axis times angle, (..., 3), of rotations (..., 3, 3); angles up to 180 degrees."""
    skew = np.stack(
        [
            rotation[..., 2, 1] - rotation[..., 1, 2],
            rotation[..., 0, 2] - rotation[..., 2, 0],
            rotation[..., 1, 0] - rotation[..., 0, 1],
        ],
        axis=-1,
    )
    cosine = np.clip((np.trace(rotation, axis1=-2, axis2=-1) - 1) / 2, -1, 1)
    angle = np.arctan2(np.linalg.norm(skew, axis=-1) / 2, cosine)
    # Near half a turn the skew part vanishes; the axis is then the strongest column of (R + 1) / 2.
    symmetric = (rotation + np.eye(3)) / 2
    column = np.argmax(np.diagonal(symmetric, axis1=-2, axis2=-1), axis=-1)
    axis = np.take_along_axis(symmetric, column[..., None, None], axis=-1)[..., 0]
    axis = np.where((cosine < -0.999)[..., None], axis * np.where(np.sum(axis * skew, -1) < 0, -1, 1)[..., None], skew)
    return unit(axis) * angle[..., None]


def power(rotation: Floats, share: ArrayLike) -> Floats:
    """The same turn carried out to a `share` (...) of its angle, (..., 3, 3)."""
    vector = rotation_vector(rotation)
    return about(vector, np.linalg.norm(vector, axis=-1) * np.asarray(share, dtype=np.float64))


def blend(start: Floats, end: Floats, share: float) -> Floats:
    """The rotation at `share` of the way from `start` to `end`, (..., 3, 3)."""
    return start @ power(np.swapaxes(start, -1, -2) @ end, share)


def twist_angle(rotation: Floats, axis: ArrayLike) -> Floats:
    """Angle (...) of the turn about `axis` that is left when the smallest swing of the axis is taken off."""
    axis = unit(axis)
    turned = rotation @ axis
    rest = np.swapaxes(between(np.broadcast_to(axis, turned.shape), turned), -1, -2) @ rotation
    return np.einsum("...i,i->...", rotation_vector(rest), axis)
