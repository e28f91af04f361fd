"""Pictures of large size, drawn coarsely, and what else copies take from drawn people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.synthetic.scene import Floats, Image, Scene, draw


def coarse(camera: Camera, scene: Scene, frame: int, size: tuple[int, int], step: int = 2) -> Image:
    """A picture (height, width, 3) of a frame, of which each drawn pixel is `step` x `step` large."""
    return coarse_draw(camera, scene, frame, size, step)[0]


def coarse_draw(
    camera: Camera, scene: Scene, frame: int, size: tuple[int, int], step: int = 2
) -> tuple[Image, NDArray[np.bool_]]:
    """As `coarse`, and what one sees of each person, (people, height, width)."""
    shrink = np.array([[1, 0, (1 - step) / 2], [0, 1, (1 - step) / 2], [0, 0, step]]) / step
    small = Camera(
        shrink @ np.asarray(camera.matrix), camera.rotation, camera.translation, camera.distortion, camera.lens
    )
    picture, masks = draw(small, scene, frame, (size[0] // step, size[1] // step))
    large = picture.repeat(step, axis=0).repeat(step, axis=1)
    return large, masks.repeat(step, axis=1).repeat(step, axis=2)


def extent(points: Floats, margin: float = 0.0) -> Floats:
    """Left, top, width, height around points (J, 2), larger by a part of it on every side."""
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    return np.concatenate([low - margin * (high - low), (1 + 2 * margin) * (high - low)])


def inside(points: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which points (..., 2) lie in a picture of width, height."""
    with np.errstate(invalid="ignore"):
        return np.asarray(((points >= 0) & (points <= np.array(size) - 1)).all(axis=-1))
