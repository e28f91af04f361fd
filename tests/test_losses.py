"""The losses: against plain numpy that was written apart, in closed form, and where gradients must stay finite."""

import numpy as np
import numpy_losses as plain
import pytest

pytest.importorskip("torch", reason="losses need torch (pip install skelbridge[train])")
import torch
from loss_batches import JOINTS, batch
from pydantic import ValidationError

import skelbridge
from skelbridge.bridge.acae import Joints
from skelbridge.estimator.losses import LossSettings, in_view, loss_2d, loss_3d, masked_mean, project
from skelbridge.estimator.names2d import NAMES_2D, names2d_matrix

SETTINGS = LossSettings()
NAMES = names2d_matrix(JOINTS)
GROUPS = plain.groups_of(JOINTS.names, NAMES_2D)
SEEDS = range(6)


def losses(made, kind=torch.float64, settings=SETTINGS):
    """The four losses of a batch, and the predictions (B, J, 3) that they are of."""
    examples, deep = made.examples(kind), made.deep
    points = torch.tensor(made.joints, dtype=kind, requires_grad=True)
    found = loss_3d(points[:deep], examples.points, examples.intrinsics[:deep], made.side, settings)
    found["weak"] = loss_2d(
        points[deep:], examples.points2d, NAMES.to(kind), examples.intrinsics[deep:], made.side, settings
    )
    return found, points


def plain_losses(made):
    """The same by the numpy version."""
    (joints3, joints2), (K3, K2) = made.parts(made.joints), made.parts(made.intrinsics)
    return {
        "relative": plain.mean_relative_loss(joints3, made.truth),
        "projection": plain.projection_loss(joints3, made.truth, K3, made.side),
        "absolute": plain.absolute_loss(joints3, made.truth),
        "weak": plain.loss_2d(joints2, made.pixels, K2, made.side, GROUPS),
    }


def loss_of(points, labels, camera=((500.0, 0, 128), (0, 500, 128), (0, 0, 1)), settings=SETTINGS):
    """The three terms of one example in float64 of a crop of 256 pixels, from lists."""
    points, labels = (torch.as_tensor(p, dtype=torch.float64)[None] for p in (points, labels))
    return loss_3d(points, labels, torch.tensor(camera, dtype=torch.float64)[None], 256, settings)


# -- against numpy -------------------------------------------------------------------------------------------------


def test_random_batches_have_all_that_masks_are_for():
    found = dict.fromkeys(("unknown", "behind", "near", "far", "predicted behind", "in", "out", "aside", "away"), 0)
    for made in map(batch, SEEDS):
        truth, joints, K = (torch.tensor(a[: made.deep]) for a in (made.truth, made.joints, made.intrinsics))
        known, depth = truth.isfinite().all(dim=-1), truth[..., 2]
        seen, front = in_view(project(joints, K), 256, 0.75), known & (depth > 300)
        beside, around = (in_view(project(truth, K), 256, border) for border in (0, -20))
        masks = [~known, depth < 0, (depth > 0) & (depth < 300), depth > 20_000, joints[..., 2] < 0,
                 front & seen, front & ~seen, front & seen & around & ~beside, front & seen & ~around]  # fmt: skip
        found = {name: found[name] + mask.sum().item() for name, mask in zip(found, masks, strict=True)}
    assert min(found.values()) >= 10, found


@pytest.mark.parametrize("term", ["relative", "projection", "absolute", "weak"])
@pytest.mark.parametrize("seed", SEEDS)
def test_each_loss_is_that_of_plain_numpy(term, seed):
    made = batch(seed, side=256 if seed % 2 else 384)
    expected = plain_losses(made)[term]
    assert expected > 0.01
    assert losses(made)[0][term].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_single_precision_is_enough(seed):
    made = batch(seed)
    found = losses(made, torch.float32)[0]
    for term, expected in plain_losses(made).items():
        assert found[term].dtype == torch.float32
        assert found[term].item() == pytest.approx(expected, rel=2e-5), term


@pytest.mark.parametrize(("deep", "flat"), [(4, 0), (0, 4), (0, 0)])
def test_a_part_may_be_empty(deep, flat):
    made = batch(deep=deep, flat=flat)
    found, points = losses(made)
    for term, expected in plain_losses(made).items():
        assert found[term].item() == pytest.approx(expected, rel=1e-12), term
        assert (expected > 0) == bool(flat if term == "weak" else deep)
    sum(found.values()).backward()
    assert points.grad.isfinite().all()


# -- names ---------------------------------------------------------------------------------------------------------


def test_names_of_weak_supervision_are_those_of_coco():
    assert skelbridge.skeleton("coco").names == NAMES_2D


def test_joints_of_a_name_are_averaged_whatever_their_format():
    joints = Joints.of(["smpl_24", "coco_17", "h36m_17", "mano_16:left"])
    weights = dict(zip(NAMES_2D, names2d_matrix(joints), strict=True))
    found = {joints.names[i]: w.item() for i, w in enumerate(weights["left_knee"]) if w}
    assert found == dict.fromkeys(["smpl_24/left_knee", "coco_17/left_knee", "h36m_17/left_knee"], pytest.approx(1 / 3))
    assert {joints.names[i] for i in weights["left_eye"].nonzero()[:, 0]} == {"coco_17/left_eye"}


def test_markers_beside_a_joint_are_not_that_joint():
    joints = Joints.of(["bml_movi_87"])
    assert [name for name in joints.names if "/left_knee_" in name]
    row = names2d_matrix(joints)[NAMES_2D.index("left_knee")]
    assert [joints.names[i] for i in row.nonzero()[:, 0]] == ["bml_movi_87/left_knee"]


def test_labels_that_no_format_knows_do_not_count():
    joints = Joints.of(["smpl_24"])
    names = names2d_matrix(joints)
    assert (names[:5] == 0).all()
    camera = torch.tensor([[[500.0, 0, 128], [0, 500, 128], [0, 0, 1]]])
    points, labels = torch.tensor([[[0.0, 0, 2000]]]).expand(1, 24, 3), torch.full((1, 17, 2), 128.0)
    labels = labels + torch.tensor([3.0, 4])  # every joint projects to (128, 128)
    found = loss_2d(points, labels, names, camera, 256, SETTINGS)
    assert found.item() == pytest.approx(3.5 * 2.2 / 256)
    anywhere = LossSettings(view=-20)  # also where no joint at all would be, in the corner of the crop
    assert loss_2d(points, labels[:, :5], names[:5], camera, 256, anywhere) == 0


def test_projections_are_averaged_not_points_and_before_the_difference():
    camera = torch.tensor([[[100.0, 0, 128], [0, 100, 128], [0, 0, 1]]])
    points = torch.tensor([[[1000.0, 0, 1000], [1000, 0, 4000]]])  # 100 and 25 pixels right of the centre
    found = loss_2d(points, torch.tensor([[[190.5, 128]]]), torch.tensor([[0.5, 0.5]]), camera, 256, SETTINGS)
    assert found.item() == pytest.approx(0, abs=1e-6)  # (100 + 25) / 2; each alone is 37.5 off, their mean point 22.5


def test_a_label_is_left_out_when_a_joint_of_it_lies_behind_the_camera():
    camera = torch.tensor([[[100.0, 0, 128], [0, 100, 128], [0, 0, 1]]])
    names, label = torch.tensor([[0.5, 0.5]]), torch.tensor([[[140.0, 128]]])
    for depth, counts in ((1000.0, True), (1.0, False), (-1000.0, False)):
        points = torch.tensor([[[0.0, 0, 1000], [0, 0, depth]]], requires_grad=True)
        found = loss_2d(points, label, names, camera, 256, SETTINGS)
        found.backward()
        assert (found.item() > 0) == counts
        assert bool(points.grad.any()) == counts


# -- closed forms --------------------------------------------------------------------------------------------------

FLAT = torch.tensor([[-200.0, 100, 2500], [150, -80, 2500], [40, 300, 2500]], dtype=torch.float64)


def test_a_shift_of_the_whole_pose():
    found = loss_of(FLAT + torch.tensor([3, -4, 5]), FLAT)
    assert found["relative"].item() == pytest.approx(0, abs=1e-12)
    assert found["absolute"].item() == pytest.approx(0.004)
    found = loss_of(FLAT + torch.tensor([3, -4, 0]), FLAT)
    assert found["projection"].item() == pytest.approx(500 / 2500 * 3.5 * 2.2 / 256)


def test_only_known_joints_are_centred_and_counted():
    labels = np.array([[0.0, 0, 2000], [0, 300, 2000], [np.nan, 0, 2000]])
    found = loss_of([[0.0, 0, 2000], [0, 330, 2000], [9e6, 9e6, 2000]], labels)
    assert found["relative"].item() == pytest.approx(0.015 / 3)  # each of two is 15 mm off the mean, in y
    assert found["absolute"].item() == pytest.approx(0.030 / 6)


@pytest.mark.parametrize("depth", [299.0, 300.0, 301.0])
def test_labels_near_the_camera_count_relative_only(depth):
    found = loss_of([[0.0, 0, 400], [20, 0, 400]], [[0.0, 0, depth], [10, 0, depth]])
    assert found["relative"].item() == pytest.approx(0.005 / 3)
    assert (found["absolute"] > 0) == (found["projection"] > 0) == (depth > 300)


@pytest.mark.parametrize(("u", "counts"), [(23.9, False), (24.1, True), (231.9, True), (232.1, False)])
def test_predictions_count_where_the_heatmap_can_be(u, counts):
    x = (u - 128) * 2000 / 500
    for at in ([x, 0, 2000], [0, x, 2000]):
        assert (loss_of([at], [[1.0, 2, 2000]])["projection"] > 0) == counts


@pytest.mark.parametrize(("u", "counts"), [(-641, False), (-639, True), (895, True), (897, False)])
def test_labels_count_well_beyond_the_crop(u, counts):
    x = (u - 128) * 2000 / 500
    for at in ([x, 0, 2000], [0, x, 2000]):
        assert (loss_of([[1.0, 2, 2000]], [at])["projection"] > 0) == counts


@pytest.mark.parametrize("depth", [9000.0, 10_000.0, 20_000.0, 50_000.0])
def test_errors_in_depth_count_less_beyond_ten_metres(depth):
    points = torch.tensor([[[5.0, -5, depth + 100]]], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[[0.0, 0, depth]]], dtype=torch.float64)
    loss_3d(points, labels, torch.eye(3, dtype=torch.float64)[None], 256, SETTINGS)["absolute"].backward()
    np.testing.assert_allclose(points.grad[0, 0] * 3000, [1, -1, min(1, 10_000 / depth)], rtol=1e-12)


def test_the_mean_is_over_joints_or_over_examples():
    values = torch.tensor([[1.0, 2, 3], [10, 0, 0], [0, 0, 0]])
    mask = torch.tensor([[True, True, True], [True, False, False], [False, False, False]])
    assert masked_mean(values, mask).item() == 4
    assert masked_mean(values, mask, "examples").item() == 6


@pytest.mark.parametrize("term", ["relative", "projection", "absolute", "weak"])
def test_every_example_may_count_alike(term):
    made = batch(0)
    made.truth[1], made.pixels[1] = np.nan, np.nan  # nothing known: no example
    parts = [batch(0, deep=made.deep, flat=len(made.pixels)) for _ in made.joints]
    for n, part in enumerate(parts):  # each with the labels of one example only
        part.truth[:], part.pixels[:] = np.nan, np.nan
        if n < made.deep:
            part.truth[n] = made.truth[n]
        else:
            part.pixels[n - made.deep] = made.pixels[n - made.deep]
    each = [plain_losses(part)[term] for part in parts]
    found = losses(made, settings=LossSettings(mean="examples"))[0][term].item()
    assert found == pytest.approx(np.mean([value for value in each if value]), rel=1e-12)
    assert losses(made)[0][term].item() != pytest.approx(found, rel=1e-3)


# -- invariances ---------------------------------------------------------------------------------------------------


def upright(made):
    """The batch under cameras that mirror and quarter turns map to themselves."""
    made.intrinsics[:, :2] = made.intrinsics[:, :1, :1] * np.eye(3)[:2]
    made.intrinsics[:, :2, 2] = made.side / 2
    return made


@pytest.mark.parametrize("turn", [np.diag([-1.0, 1, 1]), np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])])
def test_a_mirrored_or_turned_picture_has_the_same_losses(turn):
    made, turned = upright(batch(2)), upright(batch(2))
    turned.joints, turned.truth = turned.joints @ turn.T, turned.truth @ turn.T
    turned.pixels = (turned.pixels - 128) @ turn[:2, :2].T + 128
    first, second = losses(made)[0], losses(turned)[0]
    for term in first:
        assert second[term].item() == pytest.approx(first[term].item(), rel=1e-12), term


def test_relative_does_not_see_where_the_person_is():
    made, moved = batch(3), batch(3)
    moved.joints = moved.joints + np.random.default_rng(0).normal(0, 1000, (len(made.joints), 1, 3))
    first, second = losses(made)[0], losses(moved)[0]
    assert second["relative"].item() == pytest.approx(first["relative"].item(), rel=1e-12)
    assert second["absolute"].item() != pytest.approx(first["absolute"].item(), rel=1e-2)


def test_the_order_of_examples_does_not_matter():
    made, shuffled = batch(4), batch(4)
    for name in ("joints", "truth", "intrinsics"):
        points = getattr(shuffled, name)
        points[: made.deep] = points[: made.deep][::-1].copy()
    first, second = losses(made)[0], losses(shuffled)[0]
    for term in first:
        assert second[term].item() == pytest.approx(first[term].item(), rel=1e-12), term


# -- gradients -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", ["relative", "projection", "absolute", "weak"])
def test_gradients_are_derivatives(term):
    made = batch(5, deep=2, flat=2)
    made.joints, made.truth, made.pixels = made.joints[:, ::4], made.truth[:, ::4], made.pixels[:, :4]
    examples, names = made.examples(), torch.eye(4, made.joints.shape[1], dtype=torch.float64) / 2
    names = names + torch.roll(names, 1, 1)

    def loss(points):
        if term == "weak":
            return loss_2d(points[2:], examples.points2d, names, examples.intrinsics[2:], made.side, SETTINGS)
        return loss_3d(points[:2], examples.points, examples.intrinsics[:2], made.side, SETTINGS)[term]

    points = torch.tensor(made.joints, requires_grad=True)
    (grad,) = torch.autograd.grad(loss(points), points)
    assert grad.any()
    assert torch.autograd.gradcheck(loss, (points,), eps=1e-4)


def test_nothing_known_is_no_loss_and_no_gradient():
    made = batch(0)
    made.truth[:], made.pixels[:] = np.nan, np.nan
    found, points = losses(made)
    assert all(value.item() == 0 for value in found.values())
    sum(found.values()).backward()
    assert (points.grad == 0).all()


@pytest.mark.parametrize("depth", [-3000.0, -1.0, -1e-8, 0.0, 1e-30, 1.0, 1.0000001])
def test_predictions_at_and_behind_the_camera_give_finite_losses_and_gradients(depth):
    made = batch(1)
    made.joints[..., 2] = depth
    made.joints[:, 0, :2] = 0
    found, points = losses(made, torch.float32)
    assert all(value.isfinite() for value in found.values())
    assert found["projection"].item() == found["weak"].item() == 0 or depth > 1
    sum(found.values()).backward()
    assert points.grad.isfinite().all()
    assert points.grad[: made.deep].any()


def test_infinite_labels_are_unknown():
    made, missing = batch(1), batch(1)
    made.truth[:, 2, 1], made.pixels[:, 3, 0] = np.inf, -np.inf
    missing.truth[:, 2], missing.pixels[:, 3] = np.nan, np.nan
    (first, points), (second, _) = losses(made), losses(missing)
    assert {k: v.item() for k, v in first.items()} == {k: v.item() for k, v in second.items()}
    sum(first.values()).backward()
    assert points.grad.isfinite().all()


def test_settings_are_checked():
    with pytest.raises(ValidationError, match="projektion"):
        LossSettings(projektion=1)
    with pytest.raises(ValidationError, match="far"):
        LossSettings(far=0)
