"""Cameras: from the world into the camera and onto the image, and from the image back to rays.

The camera looks along +z, x is right and y down (OpenCV); the image is in pixels. Lenses follow Brown and Conrady
with OpenCV's five coefficients: "OpenCV: Camera Calibration and 3D Reconstruction", Detailed Description.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.errors import InputError

Array = NDArray[np.float64]

#: Newton steps of undistortion; what has not settled by then has no answer.
_STEPS, _SETTLED = 30, 1e-10


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera with lens distortion.

    matrix: (3, 3), the intrinsics in pixels, last row 0, 0, 1.
    rotation (3, 3) and translation (3,): a point in the camera is rotation @ (point in the world) + translation, in
        the world's unit.
    distortion: k1, k2, p1, p2, k3 (radial, radial, tangential, tangential, radial); those left out are 0.

    Raises InputError for other shapes, numbers that are not finite, and a rotation that is none.
    """

    matrix: ArrayLike
    rotation: ArrayLike = field(default_factory=lambda: np.eye(3))
    translation: ArrayLike = (0.0, 0.0, 0.0)
    distortion: ArrayLike = ()

    def __post_init__(self) -> None:
        lens = np.asarray(self.distortion, dtype=float).ravel()
        if len(lens) > 5:
            raise InputError("distortion", expected="at most k1, k2, p1, p2, k3", got=f"{len(lens)} numbers")
        object.__setattr__(self, "distortion", np.pad(lens, (0, 5 - len(lens))))
        for name, shape in (("matrix", (3, 3)), ("rotation", (3, 3)), ("translation", (3,)), ("distortion", (5,))):
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
        seen = self.to_camera(points)
        ahead = np.where(seen[..., 2:] > 0, seen[..., 2:], np.nan)
        flat = seen[..., :2] / ahead
        flat = np.where(np.sum(flat**2, axis=-1, keepdims=True) < self._fold, flat, np.nan)
        return self._distorted(flat)[0] @ self._K[:2, :2].T + self._K[:2, 2]

    def rays(self, image: ArrayLike) -> Array:
        """Points of the image (..., 2) as x / z and y / z in the camera's axes, the distortion undone, (..., 2).

        By Newton's method; NaN where no point of the scene is seen there.
        """
        wanted = (np.asarray(image, dtype=float) - self._K[:2, 2]) @ np.linalg.inv(self._K[:2, :2]).T
        flat, step = wanted, np.zeros_like(wanted)
        with np.errstate(all="ignore"):  # what runs away becomes NaN below
            for _ in range(_STEPS):
                bent, (xx, xy, yy) = self._distorted(flat)
                off = wanted - bent
                step = np.stack([yy * off[..., 0] - xy * off[..., 1], xx * off[..., 1] - xy * off[..., 0]], axis=-1)
                step = step / (xx * yy - xy**2)[..., None]
                flat = flat + step
                if not np.nanmax(np.abs(step), initial=0) > _SETTLED:
                    break
            settled = (np.abs(step) <= _SETTLED).all(axis=-1) & (np.sum(flat**2, axis=-1) < self._fold)
        return np.where(settled[..., None], flat, np.nan)

    def _distorted(self, flat: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        """Undistorted x / z, y / z (..., 2) after the lens, and the derivatives: xx, xy = yx, yy (...)."""
        k1, k2, p1, p2, k3 = np.asarray(self.distortion)
        x, y = flat[..., 0], flat[..., 1]
        square = x**2 + y**2
        radial = 1 + square * (k1 + square * (k2 + square * k3))
        slope = 2 * (k1 + square * (2 * k2 + square * 3 * k3))
        bent = np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (square + 2 * x**2),
                y * radial + p1 * (square + 2 * y**2) + 2 * p2 * x * y,
            ],
            axis=-1,
        )
        xx = radial + x**2 * slope + 2 * p1 * y + 6 * p2 * x
        yy = radial + y**2 * slope + 6 * p1 * y + 2 * p2 * x
        return bent, (xx, x * y * slope + 2 * p1 * x + 2 * p2 * y, yy)

    @cached_property
    def _fold(self) -> float:
        """Squared distance from the axis up to which the radial distortion grows: r + k1 r³ + k2 r⁵ + k3 r⁷."""
        k1, k2, _, _, k3 = np.asarray(self.distortion)
        roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1])
        real = roots.real[(np.abs(roots.imag) < 1e-12) & (roots.real > 0)]
        return float(real.min(initial=np.inf))
