"""The relation of two formats: which affine combination of source joints gives each target joint, and how well.

The expected squared error of a target joint estimated with weights w has three parts, kept apart:

- bridge: what an affine map cannot know; e M eᵀ with e = (its placement) - w (the sources' placements),
- placement: how surely we know where the joints lie; joints placed on the same landmarks share their error,
- noise: of the source points, Σ w_j² v_j.

The weights minimise their sum plus the L1 penalty; small ones are pruned and the rest solved again.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge.file import Bridge
from skelbridge.bridge.solver import RIDGE, near_convex_weights
from skelbridge.errors import InputError
from skelbridge.skeletons import Skeleton

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Price of negative weights: mm² of squared error for each 0.5 of negative weight, on a body of 1.7 m.
PENALTY = 20.0
#: Weights below this are pruned.
SMALLEST_WEIGHT = 0.02
#: A joint at the same place is copied unless the best combination is better by this factor of the rms error, and more.
COPY_WITHIN = 1.25
#: Problems solved in one go, so that memory stays bounded.
_CHUNK = 2048


@dataclass(frozen=True)
class Solution:
    """Weights (T, S), rows sum to one, and the rms expected error in its parts, (T,), mm on a body of 1.7 m."""

    weights: Array
    bridge: Array
    placement: Array
    noise: Array

    @property
    def total(self) -> Array:
        """The expected error in total, (T,), mm on a body of 1.7 m."""
        return np.sqrt(self.bridge**2 + self.placement**2 + self.noise**2)


@dataclass(frozen=True)
class JointMoments:
    """Second moments of the sources and the targets together, (S + T, S + T), mm² on a body of 1.7 m.

    For e with entries that sum to zero, e J eᵀ is the expected squared length of the vector e X: its bridge part, and
    its placement part.
    """

    bridge: Array
    placement: Array


class Relation:
    """Everything about one source and one target format that does not depend on what is missing in a frame."""

    def __init__(self, bridge: Bridge, source: Skeleton, target: Skeleton, placement: float = 1.0):
        A, B = source.placement, target.placement
        self.source, self.target = source, target
        self._mirror = None if source.one_hand or source.asymmetric else source.mirror_index
        self._target_mirror = None if target.one_hand else target.mirror_index
        self.same_place = np.abs(B[:, None] - A[None]).max(axis=2) < 1e-6
        self._namesake = _namesakes(self.same_place, source, target)
        rows = np.concatenate([A, B])
        places = placement**2 * _place_covariance(rows, source, target)
        self._take(JointMoments(rows @ bridge.moments @ rows.T, places), 1.0, 1.0)

    def updated(self, moments: JointMoments, simplicity: float, factor: Array | float) -> Relation:
        """The same formats with other moments.

        simplicity: factor on the price of negative weights and on the bound for small ones; factor (T,): on each
        target's squared bridge and placement error, which changes what is expected, not the weights.
        """
        other = copy(self)
        other._take(moments, simplicity, factor)
        return other

    def _take(self, moments: JointMoments, simplicity: float, factor: Array | float) -> None:
        self.joint_moments, self.simplicity, self._factor = moments, simplicity, factor
        self._moments, self._place_moments = self._parts(moments.bridge), self._parts(moments.placement)
        self._base: dict[bytes, Array] = {}

    def solve(self, available: Mask, variance: Array) -> list[Solution]:
        """Solve for several patterns of availability at once.

        Parameters: available (P, S), at least one joint each; variance (P, S), of the sources' noise, mm² on a body
        of 1.7 m. Returns one Solution a pattern.

        A target whose best weights do not touch what a pattern misses, or has with more noise, keeps those weights.
        """
        if not available.any(axis=1).all():
            raise InputError("a pattern without any available joint", expected="at least one joint")
        weights = np.empty((len(available), len(self.target), len(self.source)))
        pattern, target = self._take_unaffected(weights, available, variance)
        image = [self._image(p, t, available, variance) for p, t in zip(pattern, target, strict=True)]
        for start in range(0, len(pattern), _CHUNK):
            part = slice(start, start + _CHUNK)
            weights[pattern[part], target[part]] = self._solve_tied(
                image[part], target[part], available[pattern[part]], variance[pattern[part]]
            )
        return [self.judge(W, v) for W, v in zip(weights, variance, strict=True)]

    def judge(self, weights: Array, variance: Array) -> Solution:
        """The expected error of given weights (T, S), with source noise of variance (S,), mm²."""
        bridge, placement = (_squared_error(weights, K, b, c) for K, b, c in (self._moments, self._place_moments))
        parts = (bridge * self._factor, placement * self._factor, weights**2 @ variance)
        return Solution(weights, *(np.sqrt(np.maximum(part, 0)) for part in parts))

    def expected_distance(self, pairs: NDArray[np.intp]) -> Array:
        """Rms distance of pairs of source joints (P, 2), mm on a body of 1.7 m."""
        K, (i, j) = self._moments[0], pairs.T
        return np.sqrt(np.maximum(K[i, i] + K[j, j] - 2 * K[i, j], 1.0))

    def nearest_pairs(self) -> NDArray[np.intp]:
        """Each source joint with its nearest other one that is not at the same place, (S, 2)."""
        count = len(self.source)
        everyone = np.stack(np.meshgrid(np.arange(count), np.arange(count), indexing="ij"), axis=-1).reshape(-1, 2)
        distance = self.expected_distance(everyone).reshape(count, count)
        return np.stack([np.arange(count), np.where(distance > 20, distance, np.inf).argmin(axis=1)], axis=1)

    def _parts(self, joint: Array) -> tuple[Array, Array, Array]:
        """Moments of the sources (S, S), of targets with sources (T, S), of each target (T,).

        Mirror images are made equal to the last bit; targets without a partner (single markers) have none.
        """
        n, mirror, target_mirror = len(self.source), self._mirror, self._target_mirror
        K, b, c = (joint[:n, :n] + joint[:n, :n].T) / 2, joint[n:, :n], np.diag(joint)[n:]
        if mirror is not None:
            K = (K + K[np.ix_(mirror, mirror)]) / 2
            if target_mirror is not None:
                sided = np.array([name not in self.target.asymmetric for name in self.target.names])
                b = np.where(sided[:, None], (b + b[np.ix_(target_mirror, mirror)]) / 2, b)
                c = np.where(sided, (c + c[target_mirror]) / 2, c)
        return K, b, c

    def _take_unaffected(self, weights: Array, available: Mask, variance: Array) -> tuple[NDArray[np.intp], ...]:
        """Fill in what the complete pattern already gives; the (pattern, target) pairs that are left to solve."""
        everything = np.ones((1, len(self.source)), dtype=bool)
        left = np.ones(weights.shape[:2], dtype=bool)
        for p, (seen, v) in enumerate(zip(available, variance, strict=True)):
            nominal = np.full(len(v), v[seen].min())
            worse = ~seen | (v > nominal)
            if not worse.any():
                continue  # this is the complete pattern itself
            base = self._base.get(nominal.tobytes())
            if base is None:
                base = self._base[nominal.tobytes()] = self.solve(everything, nominal[None])[0].weights
            weights[p] = base
            left[p] = (base[:, worse] != 0).any(axis=1)
        return np.nonzero(left)

    def _image(self, p: int, t: int, available: Mask, variance: Array) -> str:
        """How a problem relates to its mirror image: "self", "mirrored" (solve the image instead), or "plain"."""
        if self._mirror is None or self._target_mirror is None or self.target.names[t] in self.target.asymmetric:
            return "plain"
        mine = (available[p].tobytes(), variance[p].tobytes(), int(t))
        other = (
            available[p][self._mirror].tobytes(),
            variance[p][self._mirror].tobytes(),
            int(self._target_mirror[t]),
        )
        return "self" if mine == other else "mirrored" if mine > other else "plain"

    def _solve_tied(self, image: list[str], target: NDArray[np.intp], allowed: Mask, variance: Array) -> Array:
        """Solve problems so that mirrored problems get mirrored weights to the last bit, then prune and refit."""
        swap = np.array([kind == "mirrored" for kind in image])
        own = np.array([kind == "self" for kind in image])
        if swap.any() and self._mirror is not None and self._target_mirror is not None:
            target = np.where(swap, self._target_mirror[target], target)
            allowed = np.where(swap[:, None], allowed[:, self._mirror], allowed)
            variance = np.where(swap[:, None], variance[:, self._mirror], variance)
        weights, price, noise = self._copies(target, allowed, variance)
        # No combination costs less than its noise would, were the errors nothing else.
        least = 1 / np.where(allowed, 1 / (variance + RIDGE), 0).sum(axis=1)
        open_ = np.flatnonzero(price >= least * COPY_WITHIN**2 + noise)
        target, allowed, variance = target[open_], allowed[open_], variance[open_]
        best = self._solve_pruned(target, allowed, variance, own[open_])
        better = self._cost(best, target, variance) * COPY_WITHIN**2 + noise[open_] < price[open_]
        weights[open_[better]] = best[better]
        alone = (weights != 0).sum(axis=1) == 1
        weights[alone] = weights[alone] != 0  # exactly one, not one to rounding: a copy is a copy
        if swap.any() and self._mirror is not None:
            weights = np.where(swap[:, None], weights[:, self._mirror], weights)
        return weights

    def _solve_pruned(self, target: NDArray[np.intp], allowed: Mask, variance: Array, own: Mask) -> Array:
        """The best combinations (N, S) without small weights; problems that are their `own` image are tied."""
        K = self._moments[0] + self._place_moments[0]
        b = self._moments[1][target] + self._place_moments[1][target]
        penalty, smallest = PENALTY * self.simplicity, SMALLEST_WEIGHT * self.simplicity
        weights = self._tie(near_convex_weights(K, b, variance, allowed, penalty), own)
        small = (weights != 0) & (np.abs(weights) < smallest)
        while small.any():
            again = small.any(axis=1)
            left = (weights != 0)[again] & ~small[again]
            refit = near_convex_weights(K, b[again], variance[again], left, penalty)
            weights[again] = self._tie(refit, own[again])
            small = (weights != 0) & (np.abs(weights) < smallest)
        return weights

    def _copies(self, target: NDArray[np.intp], allowed: Mask, variance: Array) -> tuple[Array, Array, Array]:
        """Copies of the source joints at each target's place: weights (N, S), their cost (N,), the least noise (N,).

        The cost is infinite where there is no such joint. A combination takes the place of a copy only where it is
        better by COPY_WITHIN and by more than the noise of the best source, as where the joint itself is of low
        confidence: some noise could be averaged away, but people expect a point that is given to come back as it is.
        """
        same = self._namesake[target] & allowed
        shares = same / (variance + RIDGE)
        total = shares.sum(axis=1, keepdims=True)
        copies = shares / np.where(total > 0, total, 1)
        cost = np.where(same.any(axis=1), self._cost(copies, target, variance), np.inf)
        return copies, cost, np.where(allowed, variance, np.inf).min(axis=1)

    def _cost(self, weights: Array, target: NDArray[np.intp], variance: Array) -> Array:
        """Expected squared error of each problem's weights (N, S), (N,) mm²."""
        K, b, c = (part + place for part, place in zip(self._moments, self._place_moments, strict=True))
        noise = np.einsum("ns,ns->n", weights**2, variance + RIDGE)
        return _squared_error(weights, K, b[target], c[target]) + noise

    def _tie(self, weights: Array, own: NDArray[np.bool_]) -> Array:
        """Average the problems that are their own mirror image with that image."""
        if own.any() and self._mirror is not None:
            weights[own] = (weights[own] + weights[own][:, self._mirror]) / 2
        return weights


def _squared_error(weights: Array, K: Array, b: Array, c: Array) -> Array:
    """w K wᵀ - 2 b wᵀ + c for each row of weights (n, S), with K (S, S), b (n, S), c (n,)."""
    return c + np.einsum("ns,ns->n", weights @ K - 2 * b, weights)


def _place_covariance(rows: Array, source: Skeleton, target: Skeleton) -> Array:
    """Covariance of the placement errors of sources and targets, shaped like the joint moments.

    The errors of two joints are correlated as far as their placements, the rows, share landmarks (their cosine):
    joints placed alike share one error, and so does a middle with the joints that it is the middle of.
    """
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    u = np.concatenate([source.placement_uncertainty, target.placement_uncertainty])
    covariance: Array = u[:, None] * u[None, :] * (directions @ directions.T)
    np.fill_diagonal(covariance, u**2)
    return covariance


def _namesakes(same_place: Mask, source: Skeleton, target: Skeleton) -> Mask:
    """The sources at a target's place, (T, S); only the one of the target's name where there is one."""
    names = np.array(target.names)[:, None] == np.array(source.names)[None]
    both: Mask = np.logical_and(same_place, names)
    return np.where(both.any(axis=1, keepdims=True), both, same_place)
