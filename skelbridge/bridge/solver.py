"""The weight solver: the best affine combination of sources for many targets at once.

For one target the problem is a convex quadratic one in its weights w over S sources,

    minimise   w K wᵀ - 2 b wᵀ + Σ v_j w_j² + penalty · |w|₁    subject to   Σ w_j = 1,

with K the sources' second moments, b their moments with the target and v the variance of each source's noise.
Because the weights sum to one, |w|₁ = 1 + 2 · (absolute sum of the negative weights): the penalty asks for
near-convex combinations (supplement of Sárándi et al., WACV 2023, S6).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Variance added to every source, mm²: far below any real noise, it makes the answer unique.
RIDGE = 1e-4
_TOLERANCE = 1e-9


def affine_weights(K: Array, b: Array, rcond: float = 1e-11) -> Array:
    """Weights without the L1 term, in closed form; the minimum-norm answer where sources coincide.

    Parameters: K (S, S) symmetric positive semi-definite, noise variances already on its diagonal; b (S, T).
    Returns (T, S), rows sum to one. Source of the formula: the KKT conditions, solved on an orthonormal basis Z of
    the directions that keep the sum: w = 1/S + Z (Zᵀ K Z)⁺ Zᵀ (b - K 1/S).
    """
    count = len(K)
    centre = np.full((count, 1), 1 / count)
    Z = np.linalg.svd(np.ones((1, count)))[2][1:].T
    values, vectors = np.linalg.eigh(Z.T @ K @ Z)
    kept = values > rcond * max(values.max(initial=0.0), np.abs(K).max())
    basis = Z @ vectors[:, kept]
    return (centre + basis @ ((basis.T @ (b - K @ centre)) / values[kept][:, None])).T


def near_convex_weights(K: Array, b: Array, variance: Array, allowed: NDArray[np.bool_], penalty: float) -> Array:
    """Weights with the L1 term, exact to rounding: an active-set method over all problems at once.

    Parameters: K (S, S); b (N, S), one row a problem; variance (N, S) of the sources' noise; allowed (N, S), which
    sources a problem may use (at least one each); penalty >= 0, in the units of K.
    Returns (N, S); rows sum to one, weights of other sources are exactly zero.

    Each problem starts from its best single source. A step solves the KKT system for the active sources and their
    signs and walks there until a weight reaches zero, which then leaves; at a solution the source that violates its
    optimality condition most enters. The objective falls at every step, so the method ends.
    """
    count = b.shape[1]
    variance = variance + RIDGE
    alone = np.where(allowed, np.diag(K) + variance - 2 * b, np.inf)
    weights = np.zeros_like(b)
    weights[np.arange(len(b)), alone.argmin(axis=1)] = 1.0
    signs = weights.copy()  # zero: not active
    open_ = np.arange(len(b))
    for _ in range(20 * count):
        if not len(open_):
            break
        w, s = weights[open_], signs[open_]
        goal, multiplier = _solve_active(K, b[open_], variance[open_], s, penalty)
        landed = _walk(w, s, goal)
        weights[open_], signs[open_] = w, s
        open_ = open_[_enter(K, b, variance, allowed, penalty, weights, signs, open_, multiplier, landed)]
    return weights


def _solve_active(K: Array, b: Array, variance: Array, signs: Array, penalty: float) -> tuple[Array, Array]:
    """Minimiser on the active sources with their signs held, (n, S), and the multiplier of the sum, (n,)."""
    size = int((signs != 0).sum(axis=1).max())
    order = np.argsort(signs == 0, axis=1, kind="stable")[:, :size]
    sign = np.take_along_axis(signs, order, axis=1)
    active = sign != 0
    system = np.zeros((len(b), size + 1, size + 1))
    block = K[order[:, :, None], order[:, None, :]] * (active[:, :, None] & active[:, None, :])
    diagonal = np.where(active, np.take_along_axis(variance, order, axis=1), 1.0)
    system[:, :size, :size] = block
    system[:, np.arange(size), np.arange(size)] += diagonal
    system[:, :size, size] = system[:, size, :size] = active
    right = np.ones((len(b), size + 1))
    right[:, :size] = (np.take_along_axis(b, order, axis=1) - penalty / 2 * sign) * active
    solution = np.asarray(np.linalg.solve(system, right[..., None])[..., 0], dtype=np.float64)
    goal = np.zeros_like(b)
    np.put_along_axis(goal, order, solution[:, :size] * active, axis=1)
    return goal, solution[:, size]


def _walk(weights: Array, signs: Array, goal: Array) -> NDArray[np.bool_]:
    """Move towards the goal, in place, until a weight would change its sign; True where the goal was reached."""
    leaving = (signs != 0) & (goal * signs < 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(leaving, weights / (weights - goal), np.inf).min(axis=1)
    landed = step >= 1
    step = np.minimum(step, 1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        first = leaving & (weights / (weights - goal) <= step)
    weights += step * (goal - weights)
    weights[first] = signs[first] = 0
    weights[landed] = goal[landed]
    return landed


def _enter(
    K: Array, b: Array, variance: Array, allowed: NDArray[np.bool_], penalty: float,
    weights: Array, signs: Array, open_: NDArray[np.intp], multiplier: Array, landed: NDArray[np.bool_],
) -> NDArray[np.bool_]:  # fmt: skip
    """Activate the worst violator of every problem that has landed; True for the problems that go on."""
    pull = b[open_] - weights[open_] @ K - variance[open_] * weights[open_] - multiplier[:, None]
    excess = np.where(allowed[open_] & (signs[open_] == 0), np.abs(pull) - penalty / 2, -np.inf)
    worst = excess.argmax(axis=1)
    rows = np.arange(len(open_))
    scale = np.abs(b[open_]).max(axis=1) + 1
    enters = landed & (excess[rows, worst] > _TOLERANCE * scale)
    chosen = rows[enters]
    signs[open_[chosen], worst[chosen]] = np.sign(pull[chosen, worst[chosen]])
    return enters | ~landed
