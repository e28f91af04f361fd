"""Labels of virtual people: a format's joints, placed the dataset's own way, with noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skelbridge.body.rotations import Floats
from skelbridge.skeletons import skeleton
from skelbridge.synthetic.virtual.spec import Noise, VirtualDataset


def systematic(spec: VirtualDataset, seed: int) -> Floats:
    """By how much each joint of the dataset lies off its format's place, (J, 3) mm: x to the person's left, y up, z
    forward in the pelvis; left and right are mirror images. Of the size that the spec says, rms of the lengths."""
    card, size = skeleton(spec.skeleton), spec.noise.systematic
    rng = np.random.default_rng([seed, spec.number, 77])
    drawn = rng.standard_normal((len(card), 3))
    mirror = card.mirror_index
    drawn = drawn + drawn[mirror] * [-1, 1, 1]  # a central joint is its own mirror image: it stays in the middle
    length = np.sqrt(np.mean(np.sum(drawn**2, axis=1)))
    return drawn * (size / length)


def placed(spec: VirtualDataset, seed: int, landmarks: Floats, pelvis: Floats) -> Floats:
    """The dataset's joints on bodies, (..., J, 3) mm: landmarks (..., L, 3), and the pelvis's turn (..., 3, 3)."""
    off = systematic(spec, seed) @ np.swapaxes(pelvis, -1, -2)
    return skeleton(spec.skeleton).placement @ landmarks + off


def noisy(points: Floats, size: float, noise: Noise, rng: np.random.Generator) -> Floats:
    """Points (J, D) as somebody labelled them, `size` off in each direction; NaN where he did not."""
    joints = len(points)
    off = size * rng.standard_normal(points.shape)
    far = rng.random(joints) < noise.outliers
    off[far] += noise.outlier_size * rng.standard_normal(points.shape)[far]
    return np.where((rng.random(joints) < noise.missing)[:, None], np.nan, points + off)


def inside(points: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which points (..., 2) are in a picture of `size` (width, height)."""
    return np.logical_and.reduce((points >= -0.5) & (points < np.array(size) - 0.5), axis=-1)
