"""Cameras: from the world into the camera and onto the image, and from the image back to rays.

The camera looks along +z, x is right and y down (OpenCV); the image is in pixels, (0, 0) the centre of its first
pixel. Lenses follow Brown and Conrady with OpenCV's eight coefficients, the rational ones among them: "OpenCV: Camera
Calibration and 3D Reconstruction", Detailed Description. Human3.6M's lens differs from it in one factor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.errors import InputError

Array = NDArray[np.float64]

#: How a lens bends: OpenCV's model, or that of Human3.6M's code, which has the products in the tangential terms once
#: where OpenCV has them twice (2 p1 x y, 2 p2 x²).
Lens = Literal["opencv", "h36m"]

#: Newton steps of undistortion; what has not settled by then has no answer.
_STEPS, _SETTLED = 30, 1e-10


def bend(flat: Array, distortion: Array, twice: ArrayLike) -> tuple[Array, Array]:
    """Undistorted x / z, y / z (..., 2) after the lens, and its radial factor (...).

    distortion: the eight coefficients as `Camera` has them, (8,), or (..., 8) for a lens a point; twice: 2 for OpenCV's
    lens, 1 for Human3.6M's.
    """
    k1, k2, p1, p2, k3, k4, k5, k6 = np.moveaxis(distortion, -1, 0)
    x, y = flat[..., 0], flat[..., 1]
    square = x**2 + y**2
    above, below = 1 + square * (k1 + square * (k2 + square * k3)), 1 + square * (k4 + square * (k5 + square * k6))
    radial = above / below
    bent = [
        x * radial + twice * (p1 * x * y + p2 * x**2) + p2 * square,
        y * radial + twice * (p2 * x * y + p1 * y**2) + p1 * square,
    ]
    return np.stack(bent, axis=-1), radial


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera with lens distortion.

    matrix: (3, 3), the intrinsics in pixels, last row 0, 0, 1.
    rotation (3, 3) and translation (3,): a point in the camera is rotation @ (point in the world) + translation, in
        the world's unit.
    distortion: k1, k2, p1, p2, k3, k4, k5, k6 (k radial, the last three in the denominator; p tangential); those left
        out are 0.
    lens: the model that the coefficients belong to.

    Raises InputError for other shapes, numbers that are not finite, and a rotation that is none.
    """

    matrix: ArrayLike
    rotation: ArrayLike = field(default_factory=lambda: np.eye(3))
    translation: ArrayLike = (0.0, 0.0, 0.0)
    distortion: ArrayLike = ()
    lens: Lens = "opencv"

    def __post_init__(self) -> None:
        bends = np.asarray(self.distortion, dtype=float).ravel()
        if len(bends) > 8:
            raise InputError("distortion", expected="at most k1, k2, p1, p2, k3 ... k6", got=f"{len(bends)} numbers")
        if self.lens not in get_args(Lens):
            raise InputError("the camera's lens", expected=" or ".join(get_args(Lens)), got=self.lens)
        object.__setattr__(self, "distortion", np.pad(bends, (0, 8 - len(bends))))
        for name, shape in (("matrix", (3, 3)), ("rotation", (3, 3)), ("translation", (3,)), ("distortion", (8,))):
            values = np.asarray(getattr(self, name), dtype=float)
            if values.shape != shape or not np.isfinite(values).all():
                raise InputError(f"the camera's {name}", expected=f"finite numbers of shape {shape}", got=values)
            object.__setattr__(self, name, values)
        if not np.array_equal(self._K[2], [0, 0, 1]) or self._K[0, 0] <= 0 or self._K[1, 1] <= 0:
            raise InputError("the camera's matrix", expected="focal lengths above 0, last row 0, 0, 1", got=self._K)
        if np.abs(self._R @ self._R.T - np.eye(3)).max() > 1e-3 or np.linalg.det(self._R) < 0:
            raise InputError("the camera's rotation", expected="orthonormal rows, determinant 1", got=self._R)

    @property
    def _K(self) -> Array:
        return np.asarray(self.matrix)

    @property
    def _R(self) -> Array:
        return np.asarray(self.rotation)

    @property
    def position(self) -> Array:
        """Where the camera stands in the world, (3,)."""
        return -self._R.T @ np.asarray(self.translation)

    def to_camera(self, points: ArrayLike) -> Array:
        """Points of the world (..., 3) in the camera's axes."""
        return np.asarray(points) @ self._R.T + np.asarray(self.translation)

    def to_world(self, points: ArrayLike) -> Array:
        """Points in the camera's axes (..., 3) in the world."""
        return (np.asarray(points) - np.asarray(self.translation)) @ self._R

    def project(self, points: ArrayLike) -> Array:
        """Points of the world (..., 3) in the image, (..., 2) pixels; NaN behind the camera.

        NaN as well where the lens model, which holds for what the lens sees, would fold the far outside back into
        the image.
        """
        return self.project_seen(self.to_camera(points))

    def project_seen(self, points: ArrayLike) -> Array:
        """As `project`, of points in the camera's axes (..., 3)."""
        seen = np.asarray(points, dtype=float)
        ahead = np.where(seen[..., 2:] > 0, seen[..., 2:], np.nan)
        flat = seen[..., :2] / ahead
        flat = np.where(np.sum(flat**2, axis=-1, keepdims=True) < self.fold, flat, np.nan)
        return self._distorted(flat)[0] @ self._K[:2, :2].T + self._K[:2, 2]

    def rays(self, image: ArrayLike) -> Array:
        """Points of the image (..., 2) as x / z and y / z in the camera's axes, the distortion undone, (..., 2).

        By Newton's method; NaN where no point of the scene is seen there.
        """
        wanted = (np.asarray(image, dtype=float) - self._K[:2, 2]) @ np.linalg.inv(self._K[:2, :2]).T
        flat, step = wanted, np.zeros_like(wanted)
        with np.errstate(all="ignore"):  # what runs away becomes NaN below
            for _ in range(_STEPS):
                bent, (xx, xy, yx, yy) = self._distorted(flat)
                off = wanted - bent
                step = np.stack([yy * off[..., 0] - xy * off[..., 1], xx * off[..., 1] - yx * off[..., 0]], axis=-1)
                step = step / (xx * yy - xy * yx)[..., None]
                flat = flat + step
                if not np.nanmax(np.abs(step), initial=0) > _SETTLED:
                    break
            settled = (np.abs(step) <= _SETTLED).all(axis=-1) & (np.sum(flat**2, axis=-1) < self.fold)
        return np.where(settled[..., None], flat, np.nan)

    def _distorted(self, flat: Array) -> tuple[Array, tuple[Array, Array, Array, Array]]:
        """Undistorted x / z, y / z (..., 2) after the lens, and the derivatives: xx, xy, yx, yy (...)."""
        k1, k2, p1, p2, k3, k4, k5, k6 = np.asarray(self.distortion)
        x, y = flat[..., 0], flat[..., 1]
        twice = 2 if self.lens == "opencv" else 1
        bent, radial = bend(flat, np.asarray(self.distortion), twice)
        square = x**2 + y**2
        below = 1 + square * (k4 + square * (k5 + square * k6))
        slope = 2 * (k1 + square * (2 * k2 + square * 3 * k3) - radial * (k4 + square * (2 * k5 + square * 3 * k6)))
        slope = slope / below
        xx = radial + x**2 * slope + twice * (p1 * y + 2 * p2 * x) + 2 * p2 * x
        yy = radial + y**2 * slope + twice * (p2 * x + 2 * p1 * y) + 2 * p1 * y
        xy = x * y * slope + twice * p1 * x + 2 * p2 * y
        yx = x * y * slope + twice * p2 * y + 2 * p1 * x
        return bent, (xx, xy, yx, yy)

    @cached_property
    def fold(self) -> float:
        """Squared distance from the axis, in x / z and y / z, up to which the radial distortion grows."""
        k1, k2, _, _, k3, k4, k5, k6 = np.asarray(self.distortion)
        if not any((k1, k2, k3, k4, k5, k6)):
            return np.inf
        above, below, square = (np.polynomial.Polynomial(c) for c in ([1, k1, k2, k3], [1, k4, k5, k6], [0, 1]))
        # r above / below, with square = r², grows as long as this is above zero, and has a pole where below is zero
        growth = (above + 2 * square * above.deriv()) * below - 2 * square * above * below.deriv()
        roots = np.concatenate([growth.trim().roots(), below.trim().roots()])
        real = roots.real[(np.abs(roots.imag) < 1e-12) & (roots.real > 0)]
        return float(real.min(initial=np.inf))
