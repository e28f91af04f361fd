"""The moment matrix and the weight solver: closed forms, invariances, and cvxpy as an independent judge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skelbridge.bridge import MomentAccumulator, affine_weights, near_convex_weights
from skelbridge.bridge.solver import RIDGE
from skelbridge.errors import InputError

MIRROR = np.array([0, 2, 1, 4, 3])


def bodies(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 5, 3)) * 300, rng.uniform(1400, 1900, count)


def moments(points, stature, mirror=MIRROR):
    accumulator = MomentAccumulator(mirror)
    accumulator.add(points, stature)
    return accumulator.result()


def problem(sources, targets, seed, noise=0.0):
    """Moments of random correlated sources and of targets that depend on them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, sources)) @ rng.normal(size=(sources, sources)) * rng.uniform(5, 100)
    Y = X @ rng.dirichlet(np.full(sources, 0.3), size=targets).T + rng.normal(size=(60, targets)) * 5
    return X.T @ X / 60, (X.T @ Y / 60).T, np.full((targets, sources), noise)


def test_moments_give_mean_squared_lengths():
    points, stature = bodies(50)
    M = moments(points, stature, np.arange(5))
    e = np.array([1, -0.4, -0.6, 0, 0])
    direct = np.square(np.einsum("l,nld->nd", e, points * (1700 / stature)[:, None, None])).sum(1).mean()
    assert e @ M @ e == pytest.approx(direct)


def test_moments_do_not_see_rigid_motion_or_size():
    points, stature = bodies(20)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    moved = (points @ turn + 1000) * 2.5
    np.testing.assert_allclose(moments(moved, stature * 2.5), moments(points, stature), rtol=1e-9, atol=1e-6)


def test_moments_are_mirror_symmetric_to_the_last_bit():
    M = moments(*bodies(30))
    assert (M[np.ix_(MIRROR, MIRROR)] == M).all()
    assert (M == M.T).all()


def test_moments_in_batches_equal_one_pass():
    points, stature = bodies(64)
    accumulator = MomentAccumulator(MIRROR)
    for part in np.array_split(np.arange(64), 7):
        accumulator.add(points[part], stature[part])
    np.testing.assert_allclose(accumulator.result(), moments(points, stature), rtol=1e-12)


@pytest.mark.parametrize("points", [np.zeros((2, 4, 3)), np.full((2, 5, 3), np.nan), np.zeros((5, 3))])
def test_moments_refuse_wrong_batches(points):
    with pytest.raises(InputError, match="expected"):
        MomentAccumulator(MIRROR).add(points, np.ones(len(points)))


def test_moments_of_nothing_are_refused():
    with pytest.raises(InputError, match="at least one"):
        MomentAccumulator(MIRROR).result()


@given(st.integers(0, 10_000), st.integers(2, 12))
@settings(max_examples=30, deadline=None)
def test_closed_form_satisfies_the_optimality_conditions(seed, sources):
    K, b, _ = problem(sources, 3, seed)
    W = affine_weights(K, b.T)
    np.testing.assert_allclose(W.sum(1), 1, atol=1e-9)
    gradient = W @ K - b  # constant along each row: the multiplier of the sum
    assert np.ptp(gradient, axis=1).max() < 1e-6 * np.abs(K).max()


def test_closed_form_shares_equally_between_coincident_sources():
    K, b, _ = problem(4, 3, 0)
    pick = [0, 1, 2, 3, 3]
    W = affine_weights(K[np.ix_(pick, pick)], b.T[pick])
    np.testing.assert_allclose(W[:, 3], W[:, 4], atol=1e-6)
    np.testing.assert_allclose(W[:, 3] + W[:, 4], affine_weights(K, b.T)[:, 3], atol=1e-6)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    ("sources", "noise", "penalty"), [(5, 0, 5), (17, 64, 10), (17, 0, 500), (9, 1, 0), (25, 25, 50)]
)
def test_near_convex_weights_are_the_optimum_that_cvxpy_finds(seed, sources, noise, penalty):
    cp = pytest.importorskip("cvxpy")
    K, b, variance = problem(sources, 4, seed, noise)
    W = near_convex_weights(K, b, variance, np.ones_like(b, dtype=bool), penalty)
    np.testing.assert_allclose(W.sum(1), 1, atol=1e-9)
    full = K + np.diag(variance[0] + RIDGE)
    root = np.linalg.cholesky(full)
    for w, target in zip(W, b, strict=True):
        v = cp.Variable(sources)
        goal = cp.sum_squares(root.T @ v) - 2 * target @ v + penalty * cp.norm1(v)
        cp.Problem(cp.Minimize(goal), [cp.sum(v) == 1]).solve(solver="CLARABEL")
        reference = v.value / v.value.sum()

        def cost(x, target=target):
            return x @ full @ x - 2 * target @ x + penalty * np.abs(x).sum()

        assert cost(w) <= cost(reference) + 1e-6 * (1 + abs(cost(reference)))


def test_near_convex_weights_use_only_allowed_sources():
    K, b, variance = problem(10, 6, 3)
    allowed = np.random.default_rng(0).random(b.shape) < 0.4
    allowed[:, 0] = True
    W = near_convex_weights(K, b, variance, allowed, 10)
    assert (W[~allowed] == 0).all()
    np.testing.assert_allclose(W.sum(1), 1, atol=1e-9)


def test_a_strong_penalty_leaves_no_negative_weight():
    K, b, variance = problem(12, 8, 4)
    assert near_convex_weights(K, b, variance, np.ones_like(b, dtype=bool), 1e7).min() >= 0


def test_without_penalty_and_noise_both_solvers_agree():
    K, b, variance = problem(8, 5, 5)
    W = near_convex_weights(K, b, variance, np.ones_like(b, dtype=bool), 0)
    np.testing.assert_allclose(W, affine_weights(K, b.T), atol=1e-4)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_sources_does_not_matter(seed):
    K, b, variance = problem(9, 4, seed, noise=4)
    order = np.random.default_rng(seed).permutation(9)
    everything = np.ones_like(b, dtype=bool)
    W = near_convex_weights(K, b, variance, everything, 20)
    V = near_convex_weights(K[np.ix_(order, order)], b[:, order], variance, everything, 20)
    np.testing.assert_allclose(V, W[:, order], atol=1e-8)
