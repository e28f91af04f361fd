"""Names for latents: each is called after the landmark nearest to it on the average body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge.acae.joints import Joints
from skelbridge.bridge.acae.sample import Floats
from skelbridge.bridge.file import rest_body
from skelbridge.landmarks import landmarks, mirrored_name

Array = NDArray[np.float64]


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

    Without placements the joints of the formats stand in for the landmarks. A latent may lie well outside the body.
    """
    from scipy.optimize import linear_sum_assignment

    if joints.placed:
        names, points = landmarks().names, rest_body().landmarks
    else:
        names, points = tuple(name.rpartition("/")[2] for name in joints.names), mean_pose
    side = np.array([mirrored_name(name) == name for name in names])
    left = np.array([name.startswith("left_") for name in names])
    result = [""] * len(latents)
    for rows, allowed in ((np.arange(pairs), left), (np.arange(2 * pairs, len(latents)), side)):
        unique = {names[i]: i for i in np.flatnonzero(allowed)}
        candidates = list(unique.values())
        distance = np.linalg.norm(latents[rows, None] - points[candidates][None], axis=-1)
        chosen = dict(zip(*linear_sum_assignment(distance), strict=True)) if len(rows) else {}
        for number, row in enumerate(rows.tolist()):
            result[row] = names[candidates[chosen[number]]] if number in chosen else f"latent_{row}"
    for row in range(pairs):
        name = result[row]
        result[row], result[pairs + row] = (
            (name, mirrored_name(name)) if name.startswith("left_") else (f"left_{name}", f"right_{name}")
        )
    return tuple(result)
