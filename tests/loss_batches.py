"""Random batches for the tests of the losses: everything that masks and clamps are for, and a small autoencoder."""

from dataclasses import dataclass

import numpy as np
import torch

from skelbridge.bridge.acae import Joints
from skelbridge.estimator.autoencoder import Autoencoder
from skelbridge.estimator.examples import Examples
from skelbridge.estimator.names2d import NAMES_2D

JOINTS = Joints.of(["coco_17", "h36m_17"])
LATENTS = 5


@dataclass
class Batch:
    """Predictions joints (B, J, 3), latents (B, L, 3), labels and cameras, all float64 numpy arrays."""

    joints: np.ndarray
    latents: np.ndarray
    truth: np.ndarray
    pixels: np.ndarray
    intrinsics: np.ndarray
    side: int

    @property
    def deep(self):
        return len(self.truth)

    def parts(self, points):
        """Those of the examples with 3D labels, and the others."""
        return points[: self.deep], points[self.deep :]

    def examples(self, kind=torch.float64):
        images = torch.zeros(len(self.joints), 3, self.side, self.side, dtype=torch.uint8)
        rest = [torch.tensor(a, dtype=kind) for a in (self.intrinsics, self.truth, self.pixels)]
        return Examples(images, *rest, torch.arange(len(images)))


def cameras(rng, distance, side):
    """Cameras under which a crop shows one to three metres at each distance (B,); a little skewed."""
    focal = distance * side / 2000 * rng.uniform(0.7, 2.2, len(distance))
    K = np.zeros((len(distance), 3, 3))
    K[:, 0, 0], K[:, 1, 1], K[:, 0, 1], K[:, 2, 2] = focal, focal * 1.03, 0.02 * focal, 1
    K[:, :2, 2] = side / 2 + rng.normal(0, 8, (len(distance), 2))
    return K


def batch(seed=0, deep=5, flat=4, side=256):
    """People at 0.35 to 40 m, some joints unknown, near, behind the camera, or outside of the crop."""
    rng = np.random.default_rng(seed)
    size, J = deep + flat, len(JOINTS)
    distance = np.resize([3000.0, 12_000, 350, 40_000, 5000, 2000, 700], size)
    truth = rng.normal(0, 350, (size, J, 3)) + distance[:, None, None] * [0, 0, 1]
    joints = truth + rng.normal(0, 80, truth.shape) + rng.normal(0, 150, (size, 1, 3))
    latents = rng.normal(0, 350, (size, LATENTS, 3)) + distance[:, None, None] * [0, 0, 1]
    for points in (truth, joints, latents):
        points[..., 2][rng.random(points.shape[:2]) < 0.05] *= -1
    truth[..., 0][rng.random((size, J)) < 0.06] *= 20  # far aside, where no crop looks
    K = cameras(rng, distance, side)
    u = np.einsum("bij,bnj->bni", K[:, :2], truth / truth[..., 2:])[:, : len(NAMES_2D)]
    truth[rng.random((size, J)) < 0.2] = np.nan
    truth[:1, 3, 1] = np.nan  # one coordinate is enough
    u[rng.random(u.shape[:2]) < 0.2] = np.nan
    return Batch(joints, latents, truth[:deep], u[deep:], K, side)


def affine_rows(rng, rows, columns):
    """Random rows that sum to one to the last bit of float32: whole numbers over 64."""
    weights = rng.integers(-12, 24, (rows, columns)).astype(float)
    weights[:, 0] += 64 - weights.sum(axis=1)
    return weights / 64


def small_autoencoder(seed=0):
    """One whose weights float32 holds exactly, so that it can be compared with float64."""
    rng = np.random.default_rng(seed)
    return Autoencoder(affine_rows(rng, LATENTS, len(JOINTS)), affine_rows(rng, len(JOINTS), LATENTS))
