"""Names for latents: each is called after the landmark nearest to it on the average body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge.acae.joints import Joints
from skelbridge.bridge.acae.sample import Floats
from skelbridge.bridge.file import rest_body
from skelbridge.landmarks import landmarks, mirrored_name

Array = NDArray[np.float64]

#: A latent farther than this from its landmark, mm, is not at it.
FAR = 100.0


def average_body(joints: Joints, poses: Floats) -> Array:
    """The joints of the average body, (J, 3) mm: of the rest body where the formats say where their joints lie.

    Else the mean of the poses (N, J, 3), turned onto each other (generalised Procrustes analysis, Gower 1975).
    """
    if joints.placed:
        body: Array = joints.placement @ rest_body().landmarks
        return body
    complete = poses[~np.isnan(poses).any(axis=(1, 2))].astype(np.float64)
    if not len(complete):
        return np.asarray(np.nanmean(poses - np.nanmean(poses, axis=1, keepdims=True), axis=0), dtype=np.float64)
    centred = complete[:1000] - complete[:1000].mean(axis=1, keepdims=True)
    mean = centred[0]
    for _ in range(5):
        u, _, vt = np.linalg.svd(np.einsum("njd,je->nde", centred, mean))
        u[:, :, -1] *= np.sign(np.linalg.det(u @ vt))[:, None]
        mean = (centred @ (u @ vt)).mean(axis=0)
    return mean


def oriented(encoder: Array, decoder: Array, pairs: int, mean_pose: Array) -> tuple[Array, Array]:
    """Encoder (L, J) and decoder (J, L) with each pair of latents swapped so that the left one is on the left (x > 0),

    and pairs and central ones from the head down.
    """
    at = encoder @ mean_pose
    left, right = np.arange(pairs), np.arange(pairs, 2 * pairs)
    swap = at[left, 0] < at[right, 0]
    left, right = np.where(swap, right, left), np.where(swap, left, right)
    down = np.argsort(-at[left, 1], kind="stable")
    central = np.arange(2 * pairs, len(encoder))
    order = np.concatenate([left[down], right[down], central[np.argsort(-at[central, 1], kind="stable")]])
    return encoder[order], decoder[:, order]


def named(latents: Array, pairs: int, joints: Joints, mean_pose: Array) -> tuple[str, ...]:
    """A name for each latent (L, 3) mm: of the nearest landmark, no two the same, left and right ones mirrored.

    One that is FAR from its landmark says in which direction: "below_crotch". Without placements the joints of the
    formats stand in for the landmarks.
    """
    if joints.placed:
        names, points = landmarks().names, rest_body().landmarks
    else:
        names, points = tuple(name.rpartition("/")[2] for name in joints.names), mean_pose
    left = np.array([name.startswith("left_") for name in names])
    central = np.array([joints.one_hand or mirrored_name(name) == name for name in names])
    lefts = _nearest(latents[:pairs], names, points, left)
    lefts = [f"left_{name.removeprefix('left_')}" for name in lefts]
    middles = _nearest(latents[2 * pairs :], names, points, central)
    if joints.one_hand:
        middles = [name.removeprefix("left_").removeprefix("right_") for name in middles]
    return (*lefts, *map(mirrored_name, lefts), *middles)


def _nearest(latents: Array, names: tuple[str, ...], points: Array, allowed: NDArray[np.bool_]) -> list[str]:
    """The names of the nearest of the allowed points, each used once; a number where there are too few."""
    from scipy.optimize import linear_sum_assignment

    unique = {names[i]: i for i in np.flatnonzero(allowed)}
    position = np.array(list(unique.values()), dtype=np.intp)
    distance = np.linalg.norm(latents[:, None] - points[position][None], axis=-1)
    result = [f"latent_{number}" for number in range(len(latents))]
    for number, candidate in zip(*linear_sum_assignment(distance), strict=True):
        name, off = names[position[candidate]], latents[number] - points[position[candidate]]
        axis = int(np.abs(off).argmax())
        where = (("beside_", "beside_"), ("below_", "above_"), ("behind_", "before_"))[axis][int(off[axis] > 0)]
        result[number] = where + name.removeprefix("left_") if distance[number, candidate] > FAR else name
    return result
