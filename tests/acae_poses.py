"""Poses in several formats for the tests of the autoencoder, from the motion that the package carries."""

from functools import lru_cache
from pathlib import Path

import numpy as np

import skelbridge
from skelbridge.bridge.acae import Joints
from skelbridge.landmarks import landmarks

FORMATS = ("coco_17", "h36m_17", "smpl_24")


@lru_cache(maxsize=1)
def motion():
    """Landmarks (153, landmarks, 3) mm of a body that walks and turns."""
    with np.load(Path(skelbridge.__file__).parent / "samples" / "motion.npz", allow_pickle=False) as file:
        return file["landmarks"].astype(float)


def turns(count, rng):
    """Random rotations (count, 3, 3)."""
    q, r = np.linalg.qr(rng.normal(size=(count, 3, 3)))
    return q * np.sign(np.einsum("nii->ni", r) * np.linalg.det(q)[:, None])[:, None]


def mirrored(bodies):
    """The mirror images of bodies (..., landmarks, 3), left and right relabelled."""
    return bodies[..., landmarks().mirror, :] * [-1, 1, 1]


def bodies(count, seed=0):
    """Landmarks (count, landmarks, 3) mm of bodies of varied proportions, left- and right-handed, turned at random."""
    rng = np.random.default_rng(seed)
    points = motion()[rng.integers(0, len(motion()), count)]
    points = np.where(rng.random((count, 1, 1)) < 0.5, points, mirrored(points))
    slim = 1 + 0.05 * rng.normal(size=(count, 1, 3)) * np.cos(
        points[..., [1, 0, 1]] / rng.normal(600, 60, (count, 1, 1))
    )
    return np.einsum("nij,nlj->nli", turns(count, rng), (points - points.mean(axis=1, keepdims=True)) * slim)


def poses(formats, count, seed=0, depth=0.0):
    """Joints and poses (count, J, 3) mm float32; with a depth, that far in front of a camera that looks along z."""
    joints = Joints.of(formats)
    points = np.einsum("jl,nld->njd", joints.placement, bodies(count, seed), optimize=True)
    return joints, (points + np.array([0, 0, depth])).astype(np.float32)
