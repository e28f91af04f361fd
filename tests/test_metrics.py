"""Pose metrics and protocols: examples done by hand, invariances, and other implementations of the same."""

import numpy as np
import pytest
import scipy.spatial
from scipy.spatial.transform import Rotation

from skelbridge.errors import InputError, UnknownNameError
from skelbridge.evaluate.metrics import aligned, auc, cps, distances, evaluate, pck, rooted
from skelbridge.evaluate.protocols import match_people, protocol, protocols, rescale_bones
from skelbridge.skeletons import Joint, Skeleton, skeleton

H36M = skeleton("h36m_17")
ALL = ("mpjpe", "pmpjpe", "nmpjpe", "abs_mpjpe", "pck100", "cps200", "auc150", "auc_3dhp", "auc_3dpw")


def two_joints():
    """A skeleton of a root and one joint."""
    return Skeleton(id="stick_2", title="a stick", joints=(Joint(name="root"), Joint(name="tip")), root=("root",))


def poses(count=20, joints=17, seed=0, spread=300.0):
    return np.random.default_rng(seed).normal(0, spread, (count, joints, 3))


def away(truth, mm, seed=1):
    """Poses whose every joint is at a distance."""
    step = np.random.default_rng(seed).normal(size=truth.shape)
    return truth + mm * step / np.linalg.norm(step, axis=-1, keepdims=True)


# -- by hand ----------------------------------------------------------------------------------------------------------


def test_a_stick_by_hand():
    """Three sticks of which the tips are 0, 30 and 100 mm off after the roots are put together."""
    truth = np.array([[[0, 0, 0], [0, 0, 500.0]]] * 3) + np.array([10, 20, 3000])
    predicted = truth + np.array([7, 0, 0])
    predicted[1, 1] += [0, 30, 0]
    predicted[2, 1] += [0, 60, 80]
    names = ["mpjpe", "abs_mpjpe", "pck100", "pck100.5", "pck30", "cps100", "cps101", "auc100", "auc_3dhp", "auc_3dpw"]
    found = evaluate(predicted, truth, two_joints(), names)
    assert found["mpjpe"] == pytest.approx((30 + 100) / 6)
    assert found["abs_mpjpe"] == pytest.approx((7 * 4 + np.hypot(7, 30) + np.sqrt(49 + 100**2)) / 6)
    assert found["pck100"] == pytest.approx(100 * 5 / 6)  # 100 mm is not below 100
    assert found["pck100.5"] == 100
    assert found["pck30"] == pytest.approx(100 * 4 / 6)
    assert found["cps100"] == pytest.approx(100 * 2 / 3)
    assert found["cps101"] == 100
    assert found["auc100"] == pytest.approx(100 * (4 + 0.7) / 6)
    assert found["auc_3dhp"] == pytest.approx(100 * (4 * 30 + 24 + 10) / 31 / 6)  # bins 1, 7 and 21 of 31
    assert found["auc_3dpw"] == pytest.approx(100 * (6 - (4 * 0.5 + 7.5 + 25.5) / 50) / 6)


def test_two_points_are_always_similar_so_they_do_not_count():
    truth, predicted = poses(5, 2), poses(5, 2, seed=3)
    np.testing.assert_allclose(aligned(predicted, truth), truth, atol=1e-9)
    found = evaluate(predicted, truth, two_joints(), ["pmpjpe"])
    assert np.isnan(found["pmpjpe"])
    assert found.scores["pmpjpe"].poses == 0


def test_scale_alone_by_hand():
    truth = np.array([[[5, 5, 5], [5, 5, 105.0]]])
    predicted = np.array([[[0, 0, 0], [0, 30, 40.0]]])  # best factor: 40·100 / 50² = 1.6
    found = evaluate(predicted, truth, two_joints(), ["nmpjpe"])
    assert found["nmpjpe"] == pytest.approx(np.hypot(1.6 * 30, 100 - 1.6 * 40) / 2)


def test_a_reflection_does_not_align():
    """A tetrahedron and its mirror image are one rotation apart only up to half of the mirrored spread."""
    truth = np.array([[[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1.0]]]) * 100
    mirrored = truth * [-1, 1, 1]
    assert distances(aligned(mirrored, truth), truth).mean() > 100
    # singular values are all equal: their sum with one sign turned is a third of the whole
    left = (truth**2).sum() * (1 - 1 / 9)
    assert ((aligned(mirrored, truth) - truth) ** 2).sum() == pytest.approx(left)


# -- invariances and other implementations ----------------------------------------------------------------------------


def test_what_each_measure_does_not_see():
    truth = poses()
    turn = Rotation.random(len(truth), random_state=0).as_matrix()
    similar = 1.3 * truth @ turn + poses(len(truth), 1, seed=2)
    found = evaluate(similar, truth, H36M, ALL)
    assert found["pmpjpe"] < 1e-6
    assert found["nmpjpe"] > 100
    larger = evaluate(0.7 * truth + np.array([10, 20, 30]), truth, H36M, ALL)
    assert larger["nmpjpe"] < 1e-6
    assert larger["mpjpe"] > 50
    moved = evaluate(truth + np.array([30, 0, 40]), truth, H36M, ALL)
    assert moved["mpjpe"] < 1e-9
    assert moved["abs_mpjpe"] == pytest.approx(50)
    assert moved["pck100"] == moved["cps200"] == 100


def test_turning_both_changes_nothing():
    truth = poses()
    predicted = away(truth, 80)
    turn = Rotation.random(random_state=1).as_matrix()
    before, after = evaluate(predicted, truth, H36M, ALL), evaluate(predicted @ turn, truth @ turn, H36M, ALL)
    for name in ALL:
        assert after[name] == pytest.approx(before[name], rel=1e-9)


def test_procrustes_against_scipy():
    """scipy's disparity is the squared error when both are of unit norm; it allows reflections, so none is needed."""
    truth = poses(30)
    predicted = 0.8 * away(truth, 100) + 40
    ours = aligned(predicted, truth)
    for mine, P, T in zip(ours, predicted, truth, strict=True):
        assert np.linalg.det(Rotation.align_vectors(T - T.mean(0), P - P.mean(0))[0].as_matrix()) > 0
        _, _, disparity = scipy.spatial.procrustes(T, P)
        assert ((mine - T) ** 2).sum() == pytest.approx(disparity * ((T - T.mean(0)) ** 2).sum())
        rotation = Rotation.align_vectors(T - T.mean(0), P - P.mean(0))[0]
        rigid = rotation.apply(P - P.mean(0)) + T.mean(0)
        np.testing.assert_allclose(aligned(P, T, scale=False), rigid, atol=1e-6)


def test_against_mmpose():
    functional = pytest.importorskip("mmpose.evaluation.functional", reason="mmpose is not installed")
    truth = poses(30)
    predicted = 0.8 * away(truth, 100)
    mask = np.ones(truth.shape[:2], dtype=bool)
    found = evaluate(predicted, truth, H36M, ["abs_mpjpe", "pmpjpe"])
    assert found["abs_mpjpe"] == pytest.approx(functional.keypoint_mpjpe(predicted, truth, mask), rel=1e-5)
    theirs = functional.keypoint_mpjpe(predicted, truth, mask, alignment="procrustes")
    assert found["pmpjpe"] == pytest.approx(theirs, rel=1e-5)


def test_areas_are_means_of_pck():
    distance = np.random.default_rng(0).uniform(0, 250, (400, 14))
    thresholds = np.linspace(0, 150, 31)
    assert auc(distance, "3dhp") == pytest.approx(np.mean([pck(distance, t) for t in thresholds]))
    fine = (np.arange(3000) + 0.5) / 3000 * 150
    assert auc(distance, 150) == pytest.approx(np.mean([pck(distance, t) for t in fine]), abs=0.01)
    centres = (np.arange(50) + 0.5) / 50 * 199
    assert auc(distance, "3dpw") == pytest.approx(np.mean([pck(distance, t) for t in centres]), abs=0.6)


def test_functions_and_evaluation_agree():
    truth = poses()
    predicted = away(truth, 90)
    found, distance = evaluate(predicted, truth, H36M, ALL), distances(rooted(predicted, 0), rooted(truth, 0))
    assert found["mpjpe"] == pytest.approx(distance.mean())
    assert found["pck100"] == pytest.approx(pck(distance, 100))
    assert found["cps200"] == pytest.approx(cps(distance, 200))
    assert found["auc_3dpw"] == pytest.approx(auc(distance, "3dpw"))


# -- missing joints, roots, groups ------------------------------------------------------------------------------------


def test_missing_joints_do_not_count_whichever_side_they_are_missing_on():
    truth = poses()
    predicted = away(truth, 60)
    truth[0, 3], predicted[1, 5], truth[2, 9, 1] = np.nan, np.nan, np.nan
    predicted[3], truth[4, 0] = np.nan, np.nan  # no pose; no root
    found = evaluate(predicted, truth, H36M, ALL)
    assert found.scores["abs_mpjpe"].joints == 20 * 17 - 3 - 17 - 1
    assert found["abs_mpjpe"] == pytest.approx(60)
    for name in ("mpjpe", "nmpjpe", "pck100", "cps200", "auc150"):
        assert (found.scores[name].poses, found.scores[name].joints) == (18, 18 * 17 - 3)
    parts = [evaluate(predicted[i], truth[i], H36M, ["pmpjpe"]).scores["pmpjpe"] for i in (slice(3), [4], slice(5, 20))]
    assert [part.joints for part in parts] == [3 * 17 - 3, 16, 15 * 17]
    both = found.scores["pmpjpe"]
    assert both.joints == sum(part.joints for part in parts)
    assert both.value == pytest.approx(sum(part.value * part.joints for part in parts) / both.joints)


def test_alignment_ignores_missing_joints():
    truth = poses(4)
    similar = 2 * truth @ Rotation.random(random_state=3).as_matrix() + 70
    similar[:, 4], truth[:, 8] = np.nan, np.nan
    off = distances(aligned(similar, truth), truth)
    assert np.isnan(off[:, [4, 8]]).all()
    assert np.nanmax(off) < 1e-6


def test_nothing_known_is_nan_and_not_zero():
    truth = np.full((3, 17, 3), np.nan)
    found = evaluate(poses(3), truth, H36M, ALL)
    assert all(np.isnan(found[name]) and found.scores[name].joints == 0 for name in ALL)
    empty = evaluate(poses(0), poses(0), H36M, ALL)
    assert all(np.isnan(empty[name]) and empty.scores[name].poses == 0 for name in ALL)


def test_the_root_is_a_joint_by_name_or_place_a_middle_or_none():
    truth = poses()
    predicted = away(truth, 100)

    def error(root):
        return evaluate(predicted, truth, H36M, ["mpjpe"], root=root)["mpjpe"]

    def by_hand(origin):
        return np.linalg.norm((predicted - origin(predicted)) - (truth - origin(truth)), axis=-1).mean()

    middle = [H36M.index("left_hip"), H36M.index("right_hip")]
    assert error("card") == error("pelvis") == error(0) == pytest.approx(by_hand(lambda x: x[:, :1]))
    assert error(["left_hip", "right_hip"]) == pytest.approx(by_hand(lambda x: x[:, middle].mean(1, keepdims=True)))
    assert error("neck") == pytest.approx(by_hand(lambda x: x[:, [H36M.index("neck")]]))
    assert error(None) == pytest.approx(100)
    assert evaluate(predicted, truth, H36M, ["mpjpe"], root=["left_hip", "right_hip"]).root == "left_hip + right_hip"


def test_joints_that_count_may_leave_out_the_root():
    truth = poses()
    predicted = away(truth, 100)
    distance = distances(rooted(predicted, 0), rooted(truth, 0))
    found = evaluate(predicted, truth, H36M, ["mpjpe"], joints=["left_wrist", "neck"])
    assert found["mpjpe"] == pytest.approx(distance[:, [H36M.index("left_wrist"), H36M.index("neck")]].mean())


def test_the_standard_error_of_complete_poses_is_that_of_a_mean():
    truth = poses(50)
    predicted = truth + np.random.default_rng(5).normal(0, 60, truth.shape)
    score = evaluate(predicted, truth, H36M, ["mpjpe"]).scores["mpjpe"]
    each = distances(rooted(predicted, 0), rooted(truth, 0)).mean(axis=1)
    assert score.error == pytest.approx(each.std(ddof=1) / np.sqrt(50))
    assert np.isnan(evaluate(predicted[:1], truth[:1], H36M, ["mpjpe"]).scores["mpjpe"].error)


def test_the_standard_error_covers_what_repetition_shows():
    """Poses of a person err alike: errors that take people for independent match the spread of many trials."""
    rng = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(300):
        sizes = rng.integers(5, 40, 12)
        groups = np.repeat(np.arange(12), sizes)
        truth = np.zeros((len(groups), 2, 3))
        off = np.repeat(rng.normal(100, 30, 12), sizes) + rng.normal(0, 5, len(groups))
        predicted = truth + off[:, None, None] * np.array([[0, 0, 0], [0, 0, 1]])
        score = evaluate(predicted, truth, two_joints(), ["mpjpe"], groups=groups).scores["mpjpe"]
        values.append(score.value)
        errors.append(score.error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def test_the_mean_over_groups():
    truth = poses(10)
    predicted = truth.copy()
    predicted[:8] = away(truth[:8], 40)
    groups = ["long"] * 8 + ["short"] * 2
    found = evaluate(predicted, truth, H36M, ["abs_mpjpe"], groups=groups, average="groups")
    assert found["abs_mpjpe"] == pytest.approx(20)
    assert found.scores["abs_mpjpe"].error == pytest.approx(20)  # two values, 40 and 0: their deviation 28.3 over √2
    assert evaluate(predicted, truth, H36M, ["abs_mpjpe"], groups=groups)["abs_mpjpe"] == pytest.approx(32)


def test_the_table_names_values_errors_and_counts():
    truth = poses()
    text = str(evaluate(away(truth, 50), truth, H36M, root=None))
    assert "h36m_17, root none, mean over poses, 20 independent" in text
    assert "mpjpe        50.00 ± 0.00 mm, 20 poses, 340 joints" in text
    assert "pck100      100.00 ± 0.00 %, 20 poses, 340 joints" in text


@pytest.mark.parametrize("name", ["pck", "pck0", "MPJPE", "pa_mpjpe", "auc_coco", "cps-5"])
def test_unknown_measures_are_refused(name):
    with pytest.raises(UnknownNameError, match="no measure"):
        evaluate(poses(), poses(), H36M, [name])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda P, T: (P[:, :16], T), "predicted"),
        (lambda P, T: (P, T[..., :2]), "truth"),
        (lambda P, T: (P[:3], T), "as many of each"),
        (lambda P, T: (P * np.where(np.arange(17)[:, None] == 4, np.inf, 1), T), "infinity"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, said):
    with pytest.raises(InputError, match=said):
        evaluate(*change(poses(), poses(seed=1)), H36M)


def test_arguments_that_do_not_fit_are_refused():
    P, T = poses(), poses(seed=1)
    with pytest.raises(InputError, match="groups"):
        evaluate(P, T, H36M, groups=[1, 2])
    with pytest.raises(InputError, match="mean over groups"):
        evaluate(P, T, H36M, average="groups")
    with pytest.raises(UnknownNameError, match="tail"):
        evaluate(P, T, H36M, root="tail")
    with pytest.raises(InputError, match="0 to 16"):
        evaluate(P, T, H36M, root=17)
    with pytest.raises(InputError, match="names no root"):
        evaluate(P[:, :1], T[:, :1], Skeleton(id="dot_1", title="a dot", joints=(Joint(name="dot"),)))


# -- protocols --------------------------------------------------------------------------------------------------------


def test_every_protocol_runs_and_is_perfect_on_the_truth():
    for name, card in protocols().items():
        truth = poses(12, len(skeleton(card.format)))
        found = card.evaluate(truth, truth, groups=np.arange(12) // 4)
        assert list(found.scores) == [metric for each in card.measures for metric in each.metrics], name
        assert all(found[m] < 1e-6 for m in found.scores if m.endswith("mpjpe"))
        assert all(found[m] > 96 for m in found.scores if not m.endswith("mpjpe"))


def test_the_main_protocols_are_those_of_the_papers_tables():
    for name, joints in {"mupots_3d": 17, "3dpw": 24, "mpi_inf_3dhp": 17, "h36m": 17}.items():
        card = protocol(name)
        assert [each.metrics for each in card.measures] == [("mpjpe", "pmpjpe", "pck100", "cps200")]
        assert (len(skeleton(card.format)), card.truth, card.average) == (joints, "metric", "poses")
        assert card.root == ("pelvis",)
    with pytest.raises(UnknownNameError, match="mupots_3d"):
        protocol("mupots")


def test_limbs_alone_count_in_the_pck_of_3dpw():
    truth = poses(4, 24)
    predicted = truth.copy()
    card = skeleton("smpl_24")
    counted = protocol("3dpw_sota").measures[1].joints
    assert [card.index(name) for name in counted] == [1, 2, 4, 5, 7, 8, 16, 17, 18, 19, 20, 21]
    predicted[:, [i for i in range(1, 24) if card.names[i] not in counted]] += 500
    found = protocol("3dpw_sota").evaluate(predicted, truth)
    assert found["pck50"] == 100
    assert found["mpjpe"] > 300


def test_the_official_first_14_joints_of_3dhp():
    names = skeleton("mpi_inf_3dhp_17").names
    for name in ("mpi_inf_3dhp_sota", "mupots_3d_sota"):
        assert protocol(name).measures[-1].joints == names[:14]


def test_rescaled_bones_have_true_lengths_and_predicted_directions():
    card = skeleton("mpi_inf_3dhp_17")
    truth, predicted = poses(6), poses(6, seed=1)
    rescaled = rescale_bones(predicted, truth, card, "pelvis")
    np.testing.assert_array_equal(rescaled[:, 14], predicted[:, 14])

    def bones(points):
        return points[:, card.edge_index[:, 1]] - points[:, card.edge_index[:, 0]]

    def lengths(points):
        return np.linalg.norm(bones(points), axis=-1)

    np.testing.assert_allclose(lengths(rescaled), lengths(truth))
    same = bones(rescaled) / lengths(rescaled)[..., None], bones(predicted) / lengths(predicted)[..., None]
    np.testing.assert_allclose(*same, atol=1e-9)


def test_a_person_of_another_size_is_right_in_the_official_protocol_of_mupots():
    truth = poses(8)
    groups = np.arange(8) // 4
    found = protocol("mupots_3d_sota").evaluate(1.5 * truth, truth, groups)
    assert found["pck150"] == 100
    assert protocol("mpi_inf_3dhp_sota").evaluate(1.5 * truth, truth)["pck150"] < 60
    with pytest.raises(InputError, match="groups"):
        protocol("mupots_3d_sota").evaluate(truth, truth)


def test_bones_that_are_no_tree_are_refused():
    names = ("a", "b", "c")
    for edges in ((("a", "b"),), (("a", "b"), ("b", "c"), ("c", "a"))):
        card = Skeleton(id="odd_3", title="odd", joints=tuple(Joint(name=n) for n in names), edges=edges)
        with pytest.raises(InputError, match="one way"):
            rescale_bones(poses(1, 3), poses(1, 3), card, "a")


def test_people_are_matched_in_the_order_of_the_truth():
    truth = np.stack([np.zeros((17, 2)), np.zeros((17, 2)) + 30, np.zeros((17, 2)) + 500])
    near = np.zeros((17, 2)) + np.array([39, -39])
    partly = np.where(np.arange(17)[:, None] < 5, [30.0, 30.0], 900.0)  # 4 of the joints 1 to 13
    far = np.zeros((17, 2)) + 800
    assert match_people([far, partly, near], truth).tolist() == [2, 1, -1]
    assert match_people([partly, partly], truth[:1]).tolist() == [0]
    assert match_people(np.zeros((0, 17, 2)), truth).tolist() == [-1, -1, -1]


def test_who_matches_at_the_edge():
    truth = np.zeros((1, 17, 2))
    for shift, found in (([39.9, 39.9], 0), ([40.0, 0], -1), ([0, -40.0], -1)):
        assert match_people(truth + shift, truth).tolist() == [found]
    only_uncounted = np.full((1, 17, 2), 900.0)
    only_uncounted[0, [0, 14, 15, 16]] = 0
    assert match_people(only_uncounted, truth).tolist() == [-1]
    only_uncounted[0, 13] = 0
    assert match_people(only_uncounted, truth).tolist() == [0]
