"""The moment matrix: the second moments of the landmarks over many poses of many bodies.

With X the landmarks of one body in mm, centred and scaled to a stature of 1.7 m, M is the mean of X Xᵀ (the sum over
the three axes is inside). For placements A of any joints, A M Aᵀ are those joints' moments, and for any row e whose
entries sum to zero, e M eᵀ is the mean squared length of the vector e X: all that least squares ever asks for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.errors import InputError

Array = NDArray[np.float64]

#: Bodies are scaled to this stature before their moments are taken, mm.
STATURE = 1700.0


class MomentAccumulator:
    """Adds up moments in one streaming pass; memory does not grow with the number of bodies.

    mirror (L,): for each landmark the position of its mirror image. The result is symmetric under it to the last bit.
    """

    def __init__(self, mirror: NDArray[np.intp]):
        self.mirror = mirror
        self.count = 0
        self._sum = np.zeros((len(mirror), len(mirror)))

    def add(self, landmarks: ArrayLike, stature: ArrayLike) -> None:
        """Add a batch: landmarks (N, L, 3) and each body's rest stature (N,), both in one unit of length."""
        X, size = np.asarray(landmarks, dtype=float), np.asarray(stature, dtype=float)
        if X.ndim != 3 or X.shape[1:] != (len(self.mirror), 3) or size.shape != X.shape[:1]:
            raise InputError(
                "the landmarks of a batch of bodies",
                expected=f"(N, {len(self.mirror)}, 3) with statures (N,)",
                got=f"{X.shape} with {size.shape}",
            )
        if not (np.isfinite(X).all() and (size > 0).all()):
            raise InputError("the landmarks of a batch of bodies", expected="finite points and positive statures")
        X = (X - X.mean(axis=1, keepdims=True)) * (STATURE / size)[:, None, None]
        rows = X.transpose(1, 0, 2).reshape(len(self.mirror), -1)
        self._sum += rows @ rows.T
        self.count += len(X)

    def result(self) -> Array:
        """The moment matrix, (L, L), mm² on a body of 1.7 m."""
        if not self.count:
            raise InputError("a moment matrix needs at least one body", got=0)
        M = self._sum / self.count
        M = (M + M.T) / 2
        return (M + M[np.ix_(self.mirror, self.mirror)]) / 2
