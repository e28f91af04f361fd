"""Learning a format from paired poses: what is learned, how fast, what is expected of it, and what is refused."""

import numpy as np
import pytest

from skelbridge.bridge import affine_weights, shipped_bridge
from skelbridge.convert import Converter
from skelbridge.errors import InputError
from skelbridge.skeletons import skeleton

SOURCE, TARGET = skeleton("coco_17"), skeleton("h36m_17")
HIPS = [TARGET.index("left_hip"), TARGET.index("right_hip")]
MOMENTS = shipped_bridge().moments
#: A root of the bridge's moments: times unit noise, bodies with exactly those moments.
_ROOT = np.linalg.cholesky(MOMENTS + 1e-3 * np.eye(len(MOMENTS))) / np.sqrt(3)


def moved_places():
    """The target's placements with its hips some 40 mm from where the card has them: nearer the middle and lower."""
    B = TARGET.placement.copy()
    for hip, other, knee in (("left_hip", "right_hip", "left_knee"), ("right_hip", "left_hip", "right_knee")):
        t, o, k = (TARGET.index(name) for name in (hip, other, knee))
        B[t] = 0.75 * TARGET.placement[t] + 0.17 * TARGET.placement[o] + 0.08 * TARGET.placement[k]
    return B


PLACES = moved_places()


def pairs(count, seed=0, noise=5.0):
    """Bodies with exactly the moments of the bridge, sources with noise, and the truth of the moved format."""
    rng = np.random.default_rng(seed)
    bodies = np.einsum("lk,nkd->nld", _ROOT, rng.normal(size=(count, len(_ROOT), 3)))
    X = SOURCE.placement @ bodies
    return X + rng.normal(size=X.shape) * noise / np.sqrt(3), PLACES @ bodies


TEST = pairs(3000, seed=99)


def measured(converter, pair=TEST):
    """Rms errors and expected errors of each target on held-out bodies, (T,), in the units of the poses."""
    out = converter(pair[0])
    error = np.sqrt(np.mean(np.sum((out.points - pair[1]) ** 2, axis=-1), axis=0))
    return error, np.sqrt(np.mean(out.expected_error**2, axis=0))


def rms(values):
    return np.sqrt(np.mean(values**2))


@pytest.fixture(scope="module")
def bridge():
    return Converter(SOURCE, TARGET, max_error=1e9)


@pytest.fixture(scope="module")
def fitted(bridge):
    return bridge.fit(*pairs(300))


def optimum():
    """The best that any weights can do: least squares of infinitely many pairs, (T,)."""
    A = SOURCE.placement
    W = affine_weights(A @ MOMENTS @ A.T + 25 * np.eye(17), A @ MOMENTS @ PLACES.T)
    off = PLACES - W @ A
    return np.sqrt(np.einsum("tl,tl->t", off @ MOMENTS, off) + 25 * np.sum(W**2, axis=1))


def test_a_wrong_place_is_learned_from_300_pairs(bridge, fitted):
    before, after, best = measured(bridge)[0], measured(fitted)[0], optimum()
    assert (before[HIPS] > 30).all()
    assert (after[HIPS] < 1.1 * best[HIPS]).all()
    assert (after < 1.1 * best + 0.5).all()


@pytest.mark.parametrize("count", [10, 20])
def test_few_pairs_do_no_harm(bridge, count):
    before = rms(measured(bridge)[0])
    assert all(rms(measured(bridge.fit(*pairs(count, seed)))[0]) < 1.02 * before for seed in range(4))


def test_few_pairs_of_a_format_that_lies_as_its_card_says_leave_the_bridge(bridge):
    for seed in range(3):
        X, truth = pairs(12, seed)[0], bridge(TEST[0]).points
        f = bridge.fit(X, bridge(X).points)
        assert rms(np.linalg.norm(f(TEST[0]).points - truth, axis=-1)) < 3


def test_many_pairs_make_it_least_squares(bridge):
    error = measured(bridge.fit(*pairs(2000)))[0]
    np.testing.assert_allclose(error, optimum(), rtol=0.05)


@pytest.mark.parametrize("count", [30, 100, 300])
def test_expected_errors_hold_on_held_out_bodies(bridge, count):
    for seed in range(3):
        error, expected = measured(bridge.fit(*pairs(count, seed)))
        assert 0.8 < rms(error) / rms(expected) < 1.25
        assert (error / expected).min() > 0.6
        assert (error / expected).max() < 1.5


def test_the_old_converter_is_unchanged_and_pairs_in_metres_elsewhere_teach_the_same(bridge, fitted):
    before = bridge.solution.weights.copy()
    X, Y = pairs(300)
    other = bridge.fit(X / 1000 + 4, Y / 1000 + 4)
    np.testing.assert_array_equal(bridge.solution.weights, before)
    np.testing.assert_allclose(other.solution.weights, fitted.solution.weights, atol=1e-6)
    np.testing.assert_allclose(other.expected_error, fitted.expected_error, rtol=1e-6)


def test_weights_sum_to_one_are_tied_and_are_explained(fitted):
    W = fitted.solution.weights
    np.testing.assert_allclose(W.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_array_equal(W[TARGET.mirror_index][:, SOURCE.mirror_index], W)
    assert "expected error" in fitted.explain("left_hip")
    assert [row.joint for row in fitted.report().rows] == list(TARGET.names)
    assert fitted.status[HIPS[0]] == "estimated"
    assert fitted.placement_error[HIPS[0]] < 0.3 * Converter(SOURCE, TARGET).placement_error[HIPS[0]]


def test_mirrored_pairs_teach_the_same(bridge, fitted):
    X, Y = pairs(300)
    other = bridge.fit((X * [-1, 1, 1])[:, SOURCE.mirror_index], (Y * [-1, 1, 1])[:, TARGET.mirror_index])
    np.testing.assert_allclose(other.solution.weights, fitted.solution.weights, atol=1e-6)


def test_a_missing_joint_at_use_is_done_without(bridge, fitted):
    hole = TEST[0].copy()
    hole[:, SOURCE.index("left_knee")] = np.nan
    error, expected = measured(fitted, (hole, TEST[1]))
    assert np.isfinite(error).all()
    assert rms(error[HIPS]) < 0.6 * rms(measured(bridge, (hole, TEST[1]))[0][HIPS])
    assert 0.7 < rms(error) / rms(expected) < 1.3


def test_holes_in_the_pairs(bridge):
    X, Y = pairs(400)
    rng = np.random.default_rng(1)
    X[rng.random(X.shape[:2]) < 0.15] = np.nan
    Y[rng.random(Y.shape[:2]) < 0.15] = np.nan
    error, expected = measured(bridge.fit(X, Y))
    assert (error < 1.25 * optimum() + 1).all()
    assert 0.8 < rms(error) / rms(expected) < 1.25


def test_joints_that_never_appear_stay_as_the_bridge_has_them(bridge):
    X, Y = pairs(300)
    X[:, SOURCE.index("nose")] = np.nan
    head = TARGET.index("head_top")
    Y[:, head] = np.nan
    f = bridge.fit(X, Y)
    before, after = measured(bridge)[0], measured(f)[0]
    assert after[head] < 1.15 * before[head]
    assert (after[HIPS] < 0.5 * before[HIPS]).all()
    assert f.expected_error[head] == pytest.approx(bridge.expected_error[head], rel=0.35)


def test_people_are_not_taken_for_many_poses(bridge):
    """People whose hips lie each elsewhere: only the labels tell that other people's errors are larger."""
    rng = np.random.default_rng(5)

    def group(count, frames, seed):
        X, Y = pairs(count * frames, seed)
        own = np.repeat(rng.normal(scale=0.15, size=count), frames)
        Y[:, HIPS] += own[:, None, None] * (X[:, [14, 13]] - X[:, [11, 12]])
        return X, Y, np.repeat(np.arange(count), frames)

    X, Y, people = group(8, 40, 1)
    error, expected = measured(bridge.fit(X, Y, people=people), group(60, 20, 2)[:2])
    assert (error[HIPS] / expected[HIPS] > 0.6).all()
    assert (error[HIPS] / expected[HIPS] < 1.5).all()


def test_hands_and_a_second_fit(fitted):
    hand = Converter("mediapipe_hand_21:left", "mano_21:left", noise=1, max_error=1e9)
    rng = np.random.default_rng(0)
    bodies = np.einsum("lk,nkd->nld", _ROOT, rng.normal(size=(60, len(_ROOT), 3)))
    f = hand.fit(hand.source.placement @ bodies, hand.target.placement @ bodies)
    np.testing.assert_allclose(f.solution.weights.sum(axis=1), 1, atol=1e-9)
    again = fitted.fit(*pairs(300, seed=7))
    assert rms(measured(again)[0]) <= 1.01 * rms(measured(fitted)[0])


# -- refused -------------------------------------------------------------------------------------------------------

X0, Y0 = pairs(40)
STILL = np.repeat(X0[:1], 40, axis=0), np.repeat(Y0[:1], 40, axis=0)
TURN = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


@pytest.mark.parametrize(
    ("X", "Y", "words"),
    [
        (X0[:, :16], Y0, ["coco_17", "17"]),
        (X0, Y0[:, :16], ["h36m_17", "17"]),
        (X0[..., :2], Y0, ["frames, 17, 3"]),
        (X0[0], Y0[0], ["frames, 17, 3"]),
        (X0, Y0[:30], ["as many", "30", "40"]),
        (X0[:9], Y0[:9], ["at least 10", "9"]),
        (np.full_like(X0, np.nan), Y0, ["at least 10", "got 0"]),
        (X0, np.where(np.arange(40)[:, None, None] < 33, np.nan, Y0), ["at least 10", "got 7"]),
        (*STILL, ["all the same"]),
        (STILL[0] @ np.linalg.qr(np.random.default_rng(0).normal(size=(40, 3, 3)))[0], STILL[1], ["all the same"]),
        (X0 / 1000, Y0, ["unit", "times"]),
        (X0, Y0 + np.array([0, 0, 4000]), ["frame of reference", "4"]),
        (X0, Y0 @ TURN, ["axes"]),
        (X0, Y0[::-1], ["axes"]),
        (np.where(np.arange(17)[:, None] == 2, np.inf, X0), Y0, ["coco_17", "finite"]),
    ],
)
def test_bad_pairs_are_refused_in_one_clear_error(bridge, X, Y, words):
    with pytest.raises(InputError) as error:
        bridge.fit(X, Y)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_people_must_be_as_many_as_the_poses(bridge):
    with pytest.raises(InputError, match="people"):
        bridge.fit(X0, Y0, people=["anna"] * 39)
