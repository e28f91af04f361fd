"""A camera from what it saw: known points of the world and their places in the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera

Floats = NDArray[np.float64]

#: Fewer points leave the camera open.
FEWEST = 6


def resected(points: Floats, image: Floats, centre: tuple[float, float]) -> tuple[Camera, float] | None:
    """The pinhole camera that sees points (N, 3) at image (N, 2), and its mean error (root of squares) in pixels.

    The principal point is known, the focal lengths are not. A linear start (the direct linear transformation of Hartley
    and Zisserman, "Multiple View Geometry", 7.1, with the centre given) is refined over the pixels. None where fewer
    than six points, or points in one plane or on a line, leave the camera open.
    """
    if len(points) < FEWEST:
        return None
    middle = points.mean(axis=0)
    scale = np.sqrt(((points - middle) ** 2).sum(axis=1).mean())
    start = _linear((points - middle) / scale, image - centre) if scale > 0 else None
    if start is None:
        return None
    seen = (points - middle) / scale

    def off(values: Floats) -> Any:
        x, y, z = (Rotation.from_rotvec(values[:3]).apply(seen) + values[3:6]).T
        z = np.where(np.abs(z) < 1e-9, 1e-9, z)
        fx, fy = np.exp(values[6:])
        return np.concatenate([fx * x / z + centre[0] - image[:, 0], fy * y / z + centre[1] - image[:, 1]])

    with np.errstate(all="ignore"):
        found = least_squares(off, start, method="lm")
    rotation, (fx, fy) = Rotation.from_rotvec(found.x[:3]).as_matrix(), np.exp(found.x[6:])
    matrix = np.array([[fx, 0, centre[0]], [0, fy, centre[1]], [0, 0, 1]])
    shift = scale * found.x[3:6] - rotation @ middle
    error = float(np.sqrt((found.fun**2).sum() / len(points)))
    if not (np.isfinite(matrix).all() and np.isfinite(shift).all() and np.isfinite(error)):
        return None
    lens = Camera(matrix, rotation, shift)
    return (lens, error) if (lens.to_camera(points)[:, 2] > 0).all() else None


def _linear(points: Floats, image: Floats) -> Floats | None:
    """Rotation vector, shift and logarithms of the focal lengths by linear least squares; None where they are open."""
    pixel = np.abs(image).max()
    one, zero = np.c_[points, np.ones(len(points))], np.zeros((len(points), 4))
    u, v = (image / pixel).T[:, :, None]
    _, values, rows = np.linalg.svd(np.r_[np.c_[one, zero, -u * one], np.c_[zero, one, -v * one]], full_matrices=False)
    if values[10] < 1e-9 * values[0]:
        return None
    matrix = rows[-1].reshape(3, 4)
    matrix = matrix / np.linalg.norm(matrix[2, :3])
    matrix = matrix * np.sign((one @ matrix[2]).mean() or 1)
    focal = np.linalg.norm(matrix[:2, :3], axis=1)
    if not (focal > 1e-9).all() or not np.isfinite(matrix).all():
        return None
    matrix[:2] /= focal[:, None]
    left, _, right = np.linalg.svd(matrix[:, :3])
    rotation = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
    return np.concatenate([Rotation.from_matrix(rotation).as_rotvec(), matrix[:, 3], np.log(focal * pixel)])
