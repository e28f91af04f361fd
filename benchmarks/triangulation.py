"""Points in 3D from detections in several calibrated pictures, where some pictures may be wrong.

Detections are (views, frames, people, joints, 2), the people of a picture in no order; one person is looked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from skelbridge.body.rotations import about
from skelbridge.camera import Camera

Array = NDArray[np.float64]

#: What is seen with less confidence is not used; a picture that is off by more pixels is wrong.
LEAST_CONFIDENCE, MOST_PIXELS = 0.3, 15.0


@dataclass(frozen=True)
class Triangulated:
    """points (N, 3) in the cameras' world, NaN where too few pictures agree; used (views, N), which pictures did;
    pixels (views, N), how far each picture's detection lies from the point."""

    points: Array
    used: NDArray[np.bool_]
    pixels: Array


def triangulate(cameras: Sequence[Camera], image: Array, weight: Array) -> Array:
    """The points (N, 3) nearest to the rays through image (views, N, 2), by weighted linear least squares.

    The linear equations of a view, R1·X + t1 = u (R3·X + t3) and its like for v, are divided by the depth of the
    last solution, which makes their residuals those in the image (Hartley and Sturm, Triangulation, 1997).
    NaN where a view of non-zero weight has none.
    """
    depth = np.ones(image.shape[:2])
    for _ in range(3):
        normal, right = np.zeros((image.shape[1], 3, 3)), np.zeros((image.shape[1], 3))
        for camera, seen, w, z in zip(cameras, image, weight, depth, strict=True):
            R, t = np.asarray(camera.rotation), np.asarray(camera.translation)
            slopes = np.where(w[:, None] > 0, camera.rays(seen), 0)
            A = slopes[..., None] * R[2] - R[:2]
            share = (w / z**2)[:, None]
            normal += share[..., None] * np.einsum("nki,nkj->nij", A, A)
            right += share * np.einsum("nki,nk->ni", A, t[:2] - slopes * t[2])
        points = np.asarray(np.linalg.solve(normal, right[..., None])[..., 0], dtype=np.float64)
        depth = np.stack([np.abs(camera.to_camera(points)[:, 2]) for camera in cameras])
    return points


def _residuals(cameras: Sequence[Camera], points: Array, image: Array) -> Array:
    """Distance in pixels of each view's detection (views, N, 2) to the projected point, (views, N)."""
    pairs = zip(cameras, image, strict=True)
    return np.stack([np.linalg.norm(camera.project(points) - seen, axis=-1) for camera, seen in pairs])


def triangulate_robustly(
    cameras: Sequence[Camera], image: Array, confidence: Array, least: int = 3, limit: float = MOST_PIXELS
) -> Triangulated:
    """The point on which most pictures agree within `limit` pixels, of as many the most exactly; at least `least`.

    image (views, N, 2), confidence (views, N). All subsets of the pictures are tried: for a handful of cameras.
    """
    views, count = image.shape[:2]
    sure = np.isfinite(image).all(axis=-1) & (confidence >= LEAST_CONFIDENCE)
    found = Triangulated(np.full((count, 3), np.nan), np.zeros((views, count), bool), np.full((views, count), np.nan))
    best = np.full(count, np.inf)
    for size in range(views, least - 1, -1):
        wanted = np.isinf(best)
        for chosen in map(list, itertools.combinations(range(views), size)):
            tried = np.flatnonzero(wanted & sure[chosen].all(axis=0))
            weight = np.zeros((views, len(tried)))
            weight[chosen] = confidence[chosen][:, tried]
            points = triangulate(cameras, image[:, tried], weight)
            pixels = _residuals(cameras, points, image[:, tried])
            worst = pixels[chosen].max(axis=0)
            good = (worst <= limit) & (worst < best[tried])
            at = tried[good]
            best[at], found.points[at], found.pixels[:, at] = worst[good], points[good], pixels[:, good]
            found.used[:, at] = np.isin(np.arange(views), chosen)[:, None]
    return found


def the_person_in_all_views(
    cameras: Sequence[Camera], image: Array, confidence: Array, least: int = 3
) -> NDArray[np.intp]:
    """Which person of each picture is the one on whom most pictures agree, (views, frames).

    image (views, frames, people, joints, 2), confidence (views, frames, people, joints). All choices are tried; of
    those with as many agreeing points the one with the smallest residuals is taken.
    """
    views, frames, people, _, _ = image.shape
    most, chosen = np.full(frames, -np.inf), np.zeros((views, frames), dtype=np.intp)
    for choice in itertools.product(range(people), repeat=views):
        seen = np.stack([image[view, :, person] for view, person in enumerate(choice)])
        sure = np.stack([confidence[view, :, person] for view, person in enumerate(choice)])
        if not np.isfinite(seen).any(axis=(1, 2, 3)).all():
            continue
        found = triangulate_robustly(cameras, seen.reshape(views, -1, 2), sure.reshape(views, -1), least)
        worth = np.where(found.used, 1 - found.pixels / MOST_PIXELS / found.used.size, 0)
        score = worth.reshape(views, frames, -1).sum(axis=(0, 2))
        better = score > most
        most[better], chosen[:, better] = score[better], np.array(choice)[:, None]
    return chosen


def turned_to_agree(cameras: Sequence[Camera], image: Array, confidence: Array) -> tuple[list[Camera], float]:
    """The cameras turned on the spot so that what all of them see agrees, and the largest turn in degrees.

    A remedy for a calibration that is a little off. The positions stay, so sizes stay as well. image (views, N, 2),
    confidence (views, N); robust to pictures that are wrong (the price of a residual grows linearly beyond 5 pixels).
    """
    clear = np.isfinite(image).all(axis=(0, 2)) & (confidence >= LEAST_CONFIDENCE).all(axis=0)
    seen = image[:, clear][:, :: max(1, int(clear.sum()) // 600)]

    def turned(vectors: Array) -> list[Camera]:
        turns = about(vectors.reshape(-1, 3), np.linalg.norm(vectors.reshape(-1, 3), axis=1))
        rotations = [turn @ camera.rotation for turn, camera in zip(turns, cameras, strict=True)]
        pairs = zip(cameras, rotations, strict=True)
        return [Camera(camera.matrix, R, -R @ camera.position, camera.distortion) for camera, R in pairs]

    def residuals(vectors: Array) -> Array:
        views = turned(vectors)
        points = triangulate(views, seen, np.ones(seen.shape[:2]))
        return np.concatenate([(camera.project(points) - at).ravel() for camera, at in zip(views, seen, strict=True)])

    best = least_squares(residuals, np.zeros(3 * len(cameras)), loss="soft_l1", f_scale=5.0).x
    return turned(best), float(np.rad2deg(np.linalg.norm(best.reshape(-1, 3), axis=1).max()))
