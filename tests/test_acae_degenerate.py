"""Input that is odd, poor or wrong: a defined result, or one error that says what is wrong and how to mend it."""

import warnings

import numpy as np
import pytest
from acae_poses import FORMATS, poses

pytest.importorskip("torch", reason="fitting needs torch (pip install skelbridge[fit])")
import torch

from skelbridge import skeleton
from skelbridge.bridge.acae import Joints, fit_acae
from skelbridge.errors import InputError
from skelbridge.landmarks import landmarks
from skelbridge.skeletons import Joint, Skeleton

SIZE = (12, 4)


@pytest.fixture(autouse=True)
def no_warnings():
    """What is defined comes without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module="torch")
        yield


def sound(acae):
    """Whether an autoencoder is what it should be."""
    for weights, rows, columns in (
        (acae.encoder, acae.latent_mirror, acae.joints.mirror), (acae.decoder, acae.joints.mirror, acae.latent_mirror),
    ):  # fmt: skip
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
        sided = (acae.joints.mirror >= 0).all()
        assert not sided or (weights[rows][:, columns] == weights).all()
    assert np.isfinite(acae.mean_pose).all()
    assert len(set(acae.latents)) == len(acae.latents)
    assert "nan" not in acae.report()
    return True


def point_format(id, **joints):
    """A format of joints at given landmarks."""
    return Skeleton(id=id, title=id, joints=tuple(Joint(name=n, at=at, uncertainty=5) for n, at in joints.items()))


# -- defined results -------------------------------------------------------------------------------------------------


def test_a_joint_that_never_moves():
    joints, points = poses(FORMATS, 300)
    points[:, 20] = [10, 20, 30]
    assert sound(fit_acae(points, joints, SIZE))


def test_a_body_that_never_moves():
    joints, points = poses(FORMATS, 300)
    points[:] = points[0]
    acae = fit_acae(points, joints, SIZE)
    assert sound(acae)
    assert acae.held_out["error"].mean() < 100


@pytest.mark.parametrize("side", [0, 1])
def test_joints_that_coincide_on_one_side_only(side):
    joints, points = poses(FORMATS, 300)
    points[:, joints.slice_of("smpl_24").start + 1 + side] = points[:, joints.slice_of("h36m_17").start + (4, 1)[side]]
    assert sound(fit_acae(points, joints, SIZE))


def test_two_joints_that_are_one():
    joints, points = poses(FORMATS, 300)
    left, right = (joints.names.index(f"smpl_24/{side}_hip") for side in ("left", "right"))
    points[:, [left, right]] = points[:, joints.names.index("h36m_17/pelvis"), None]
    acae = fit_acae(points, joints, SIZE)
    assert sound(acae)
    np.testing.assert_allclose(acae.decoder[left].sum(), 1)


def test_a_format_with_one_joint():
    nose = point_format("nose_only", nose={"nose_tip": 1.0})
    joints, points = poses([nose, "coco_17"], 300)
    acae = fit_acae(points, joints, (8, 1))
    assert sound(acae)
    assert acae.decode(acae.mean_latents, format=nose).shape == (1, 3)
    alone, point = poses([nose], 300)
    refused(point, alone, "two or more places", latents=(0, 1))


def test_fewer_poses_than_joints():
    joints, points = poses(FORMATS, 30)
    assert sound(fit_acae(points, joints, SIZE))


def test_as_many_latents_as_places():
    joints, points = poses("coco_17", 100)
    acae = fit_acae(points, joints, (16, 1), l1=0.05)
    assert sound(acae)
    assert acae.held_out["error"].max() < 2


def test_one_latent():
    joints, points = poses("coco_17", 100)
    acae = fit_acae(points, joints, (0, 1))
    assert sound(acae)
    np.testing.assert_array_equal(acae.decoder, np.ones((17, 1)))


def test_no_sided_joints():
    spine = point_format("spine", head={"head_top": 1.0}, nose={"nose_tip": 1.0}, navel={"navel": 1.0},
                         crotch={"crotch": 1.0})  # fmt: skip
    joints, points = poses([spine], 200)
    acae = fit_acae(points, joints, (0, 2))
    assert sound(acae)
    with pytest.raises(InputError, match=r"latents: expected at most \(0, 4\).*got \(2, 1\)"):
        fit_acae(points, joints, (2, 1))


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_hand_alone(side):
    from skelbridge.bridge.file import rest_body

    joints, points = poses([f"mano:{side}", f"mediapipe_hand_21:{side}"], 300)
    acae = fit_acae(points, joints, (0, 8), l1=0.1)
    np.testing.assert_allclose(acae.decoder.sum(axis=1), 1, atol=1e-12)
    assert acae.held_out["error"].mean() < 15
    np.testing.assert_allclose(acae.skeleton.placement @ rest_body().landmarks, acae.mean_latents, atol=0.01)
    assert len(set(acae.latents)) == 8
    assert not any("left" in name or "right" in name for name in acae.latents)
    assert all(set(joint.at) <= {n for n in landmarks().names if n.startswith(side)} for joint in acae.skeleton.joints)


def test_both_hands_and_a_body():
    joints, points = poses(["coco_17", "mano:left", "mano:right"], 300)
    acae = fit_acae(points, joints, (14, 1), l1=0.1)
    assert sound(acae)
    assert (acae.joints.mirror[17:33] == np.arange(33, 49)).all()


def test_single_markers_without_a_mirror_image():
    joints, points = poses(["coco_17", "plug_in_gait_39"], 400)
    acae = fit_acae(points, joints, (12, 3), l1=0.1)
    single = joints.mirror < 0
    assert single.any()
    assert (acae.encoder[:, single] == 0).all()
    np.testing.assert_allclose(acae.decoder.sum(axis=1), 1, atol=1e-12)
    assert np.isfinite(acae.held_out["error"][~single]).all()
    off = np.linalg.norm(acae.reconstruct(points) - points, axis=-1).mean(axis=0)
    assert off[single].max() < 80
    assert "nan" not in acae.report()


def test_a_single_marker_that_is_seldom_known():
    joints, points = poses(["coco_17", "plug_in_gait_39"], 400)
    single, seldom = joints.mirror < 0, points.copy()
    seldom[:340, single] = np.nan
    acae = fit_acae(seldom, joints, (12, 3), l1=0.1)
    off = np.linalg.norm(acae.reconstruct(points) - points, axis=-1).mean(axis=0)
    assert off[single].max() < 100
    seldom[345:, single] = np.nan
    refused(seldom, joints, "at least 10 that know each.*plug_in_gait_39/back", latents=(12, 3))


def test_wholly_missing_poses_are_left_out():
    joints, points = poses("coco_17", 200)
    gaps = np.insert(points, [0, 50, 200], np.nan, axis=0)
    with_gaps, without = fit_acae(gaps, joints, (8, 1)), fit_acae(points, joints, (8, 1))
    np.testing.assert_array_equal(with_gaps.encoder, without.encoder)
    assert without.certificate["poses"] == 200


def test_a_pose_with_one_joint_known():
    joints, points = poses("coco_17", 200)
    points[3, 1:] = np.nan
    points[7, :16] = np.nan
    assert sound(fit_acae(points, joints, (8, 1)))


def test_a_coordinate_that_is_missing_makes_the_joint_missing():
    joints, points = poses("coco_17", 200)
    one, all_three = points.copy(), points.copy()
    one[::7, 3, 1], all_three[::7, 3] = np.nan, np.nan
    np.testing.assert_array_equal(fit_acae(one, joints, (8, 1)).encoder, fit_acae(all_three, joints, (8, 1)).encoder)


def test_whole_numbers_and_halves_are_poses():
    joints, points = poses("coco_17", 200)
    whole = points.round()
    want = fit_acae(whole, joints, (8, 1)).encoder
    for given in (whole.astype(np.int32), whole.astype(float), torch.tensor(whole).double(), whole[None][0].copy("F")):
        np.testing.assert_array_equal(fit_acae(given, joints, (8, 1)).encoder, want)


def test_poses_far_from_the_origin():
    joints, points = poses("coco_17", 200)
    near, far = (fit_acae(p, joints, (8, 1)).held_out["error"].mean() for p in (points, points + np.array([0, 0, 2e4])))
    assert far == pytest.approx(near, rel=0.1)


def test_formats_without_places_are_named_after_their_joints():
    cards = [skeleton(name) for name in ("coco_17", "h36m_17")]
    bare = [
        Skeleton(
            id=f"bare_{card.id}", title="bare", joints=tuple(Joint(name=n) for n in card.names), mirror=card.mirror
        )
        for card in cards
    ]
    _, points = poses(cards, 300)
    acae = fit_acae(points, bare, (8, 2))
    assert sound(acae)
    assert set(acae.latents) <= {j.name for card in cards for j in card.joints}
    with pytest.raises(InputError, match="bare"):
        _ = acae.skeleton


# -- one clear error -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good():
    return poses("coco_17", 100)


def refused(points, joints, words, latents=(8, 1), **settings):
    """That a fit is refused in one line which holds the words."""
    with pytest.raises(InputError, match=words) as caught:
        fit_acae(points, joints, latents, **settings)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("shape", [(100, 16, 3), (100, 17, 2), (17, 3), (100, 51), (2, 100, 17, 3)])
def test_other_shapes(shape):
    refused(np.zeros(shape), "coco_17", r"poses to fit on: expected .*\(N, 17, 3\).*coco_17.*got float64 of shape")


def test_other_kinds_of_numbers(good):
    joints, points = good
    refused(points.astype(str), joints, "poses to fit on: expected numbers")
    refused(points.astype(complex), joints, "complex")
    refused(iter([points, points[:, :5]]), joints, r"got float32 of shape \(100, 5, 3\)")
    refused(5, joints, "poses to fit on")
    refused("poses.npz", joints, "poses to fit on")


def test_infinities(good):
    joints, points = good
    for wrong in (np.inf, -np.inf):
        bad = points.copy()
        bad[50, 3, 1] = wrong
        refused(bad, joints, "poses to fit on: expected finite numbers.*infinity")


def test_too_few_poses(good):
    joints, points = good
    refused(points[:19], joints, "at least 20.*got 19")
    refused(points[:0], joints, "at least 20.*got 0")
    refused(iter([]), joints, "at least 20.*got 0")
    refused(points * np.nan, joints, "at least 20.*got 0")
    refused(points, joints, "sample", sample=5)


def test_a_joint_that_is_never_known(good):
    joints, points = good
    bad = points.copy()
    bad[:, 3] = np.nan
    refused(bad, joints, r"1 joints? .*missing in every pose.*coco_17/left_ear.*Leave")


def test_two_joints_that_are_never_known_together(good):
    joints, points = good
    bad = points.copy()
    bad[::2, 3], bad[1::2, 5] = np.nan, np.nan
    refused(bad, joints, r"coco_17/left_ear and coco_17/left_shoulder are never known in the same pose.*attached later")


def test_formats_that_never_meet():
    joints, points = poses(["coco_17", "h36m_17"], 100)
    points[::2, :17], points[1::2, 17:] = np.nan, np.nan
    refused(points, joints, "coco_17/nose and h36m_17/pelvis are never known in the same pose")


def test_a_left_hand_without_its_right():
    joints, points = poses(["coco_17", "mano:left"], 100)
    refused(points, joints, r"mano_16:left.*expected both hands.*Add mano_16:right")


def test_a_hand_without_its_side():
    refused(np.zeros((100, 16, 3)), "mano", r"mano_16.*side.*mano_16:left")


@pytest.mark.parametrize(
    "latents", [(7, 1), (-2, 1), (8, -1), (0, 0), (18, 1), (8, 2), (8,), 8, (8, 1, 1), (8.0, 1.5), None]
)
def test_numbers_of_latents(good, latents):
    refused(*good[::-1], "latents: expected", latents=latents)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("l1", -1.0), ("l1", (0.1, -0.1)), ("l1", np.nan), ("l1", (0.1,)), ("l1", "high"), ("l1", np.inf),
        ("loss", "l3"), ("delta", 0.0), ("delta", np.nan), ("solver", "magic"), ("prune", -0.1), ("prune", 0.5),
        ("held_out", 1.0), ("held_out", -0.1), ("held_out", np.nan), ("importance", "people"),
        ("importance", np.ones(16)), ("importance", -np.ones(17)), ("importance", np.zeros(17)),
        ("sample", 0), ("sample", -5), ("sample", 2.5), ("device", "abacus"), ("seed", -1), ("seed", 0.5),
    ],
)  # fmt: skip
def test_settings(good, name, value):
    refused(*good[::-1], name, **{name: value})


def test_l1_may_be_a_whole_number(good):
    joints, points = good
    for given in (1, np.float32(1), np.int64(1), [1, 1.0], np.array([1.0, 1.0])):
        assert fit_acae(points, joints, (8, 1), l1=given).certificate["l1"] == (1.0, 1.0)


def test_projections_need_a_camera(good):
    joints, points = good
    refused(points, joints, r"projection=True: expected poses in camera space.*in front.*got 90 of 90", projection=True)
    behind = points + np.array([0, 0, 4000])
    behind[4, 2, 2] = -1.0
    refused(behind, joints, "got 1 of 90", projection=True)


def test_formats(good):
    _, points = good
    refused(points, [], "joints: expected one or more formats")
    refused(np.concatenate([points, points], axis=1), ["coco_17", "coco"], "each once.*coco_17")
    assert len(Joints.of("coco")) == 17
