"""What is missing in a pose, filled in by its expectation: probabilistic principal components, learnt with the gaps.

A coordinate axis of a pose is a vector over the joints: a translation, a few factors of unit variance times their
loading, and noise. Loading and noise are found by expectation and maximisation over what is known (Tipping and Bishop
1999), from a start by classical scaling of the mean squared distances between joints that are known together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Array = NDArray[np.float64]

#: How many factors, rounds, and poses to learn them on, at most.
FACTORS, ROUNDS, LEARNT_ON = 24, 15, 4000
#: The standard deviation of a translation, in units of the loading: as good as free.
FREE = 1e4
#: Poses at a time.
BLOCK = 1000


def filled_in(points: Floats) -> Floats:
    """Poses (N, J, 3) without gaps; what was known stays. Every two joints must be known together in some pose."""
    gaps = np.isnan(points[..., 0])
    if not gaps.any():
        return points
    some = np.random.default_rng(0).permutation(len(points))[:LEARNT_ON]
    factors = Factors.learnt(points[np.sort(some)])
    result = points.copy()
    rows = np.flatnonzero(gaps.any(axis=1))
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        result[part] = np.where(gaps[part][..., None], factors.expected(points[part]), points[part])
    return result


@dataclass
class Factors:
    """loading (J, R) mm of factors of unit variance, and the variance of the noise, mm²."""

    loading: Array
    noise: float

    @classmethod
    def learnt(cls, points: Floats) -> Factors:
        """By expectation and maximisation, from poses (N, J, 3)."""
        values, vectors = np.linalg.eigh(scaled(points))
        count = min(FACTORS, len(values) - 1)
        least = max(values[-1] * 1e-6, 1e-6)
        loading = vectors[:, -count:] * np.sqrt(np.maximum(values[-count:], least))
        factors = cls(loading, max(float(values[:-count].clip(min=0).mean()), 100 * least))
        for _ in range(ROUNDS):
            factors = factors.improved(points)
        return factors

    def expected(self, points: Floats) -> Array:
        """The expectation of all joints (N, J, 3) given those that are known."""
        known, offsets, centre = _centred(points)
        scores, _ = self._scores(known, offsets)
        return np.asarray(self._basis @ scores + centre)

    def improved(self, points: Floats) -> Factors:
        """After one more round over poses (N, J, 3)."""
        J, R = self.loading.shape
        hessian, pull, square, total = np.zeros((J, R, R)), np.zeros((J, R)), np.zeros(J), 0.0
        for start in range(0, len(points), BLOCK):
            known, offsets, _ = _centred(points[start : start + BLOCK])
            scores, spread = self._scores(known, offsets)
            off = (offsets - FREE * scores[:, R:]) * known[..., None]
            z = scores[:, :R]
            second = z @ z.transpose(0, 2, 1) + 3 * spread[:, :R, :R]
            hessian += (known.T @ second.reshape(len(z), -1)).reshape(J, R, R)
            pull += np.einsum("njd,nrd->jr", off, z, optimize=True)
            square += (off**2).sum(axis=(0, 2))
            total += 3 * known.sum()
        loading = np.linalg.solve(hessian + 1e-9 * np.eye(R), pull[..., None])[..., 0].astype(np.float64)
        left = (square - 2 * (loading * pull).sum(axis=1) + np.einsum("jr,jrs,js->j", loading, hessian, loading)).sum()
        return Factors(loading, max(float(left) / total, 1e-6))

    @property
    def _basis(self) -> Array:
        """The loading beside the free translation, (J, R + 1)."""
        return np.concatenate([self.loading, np.full((len(self.loading), 1), FREE)], axis=1)

    def _scores(self, known: Array, offsets: Array) -> tuple[Array, Array]:
        """Mean (n, R + 1, 3) and covariance (n, R + 1, R + 1) of the factors of each pose given its known joints."""
        basis = self._basis
        J, R = basis.shape
        products = (basis[:, :, None] * basis[:, None, :]).reshape(J, -1)
        precision = (known @ products).reshape(-1, R, R) + self.noise * np.eye(R)
        spread = np.linalg.inv(precision).astype(np.float64)
        return spread @ (basis.T @ offsets), self.noise * spread


def _centred(points: Floats) -> tuple[Array, Array, Array]:
    """Which joints are known (n, J), the offsets from their centre (n, J, 3), zero where missing, and the centre."""
    known = ~np.isnan(points[..., 0])
    centre = np.nanmean(points.astype(np.float64), axis=1, keepdims=True)
    return known.astype(np.float64), np.where(known[..., None], points - centre, 0.0), centre


def scaled(points: Floats) -> Array:
    """Second moments of a coordinate about the joints' centre, (J, J) mm², by the mean squared distances of joints.

    Each distance is of the poses in which both joints are known (Torgerson 1952).
    """
    known, offsets, _ = _centred(points)
    count = known.T @ known
    square = (offsets**2).sum(axis=-1).T @ known
    flat = offsets.transpose(1, 0, 2).reshape(known.shape[1], -1)
    distance = np.divide(square + square.T - 2 * flat @ flat.T, 3 * count, out=np.zeros_like(count), where=count > 0)
    distance[count == 0] = distance[count > 0].mean()
    np.fill_diagonal(distance, 0)
    rows = distance - distance.mean(axis=0)
    return np.asarray(-(rows - rows.mean(axis=1, keepdims=True)) / 2)
