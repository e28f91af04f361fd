"""The 2D evidence: triangulation against synthetic cameras, matching of people, measures of a body."""

import numpy as np
import pytest

from benchmarks.body_measures import LENGTHS, foretold, leg, measured, of_format
from benchmarks.evidence_2d import CARD, STATIC, detections, pose2sim_cameras, to_trc, trial_report
from benchmarks.same_people import apart, labels_report, load, matched, mean_over_people, neighbours, pixels_per_mm
from benchmarks.triangulation import (
    the_person_in_all_views,
    triangulate,
    triangulate_robustly,
    turned_to_agree,
)
from benchmarks.trunk_points import along_trunk, middle, trunk_line, trunk_points, upright
from skelbridge.body.rotations import about
from skelbridge.bridge import rest_body
from skelbridge.camera import Camera
from skelbridge.poses import Poses
from skelbridge.skeletons import skeleton

MATRIX = [[1500.0, 0, 640], [0, 1500, 480], [0, 0, 1]]


def ring(count=4, distance=4.0):
    """Cameras round the origin at breast height that look at it; metres, z up."""
    cameras = []
    for angle in np.linspace(0.3, 5.5, count):
        at = distance * np.array([np.cos(angle), np.sin(angle), 0.3])
        forward = -at / np.linalg.norm(at)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        R = np.stack([right, np.cross(forward, right), forward])
        cameras.append(Camera(MATRIX, R, -R @ at, (-0.1, 0.02, 1e-4, 0)))
    return cameras


def scene(count=300, seed=0):
    return np.random.default_rng(seed).uniform(-0.8, 0.8, (count, 3))


def seen_by(cameras, points, noise=0.0, seed=1):
    image = np.stack([camera.project(points) for camera in cameras])
    return image + np.random.default_rng(seed).normal(size=image.shape) * noise


def test_rays_that_meet_give_the_point():
    cameras, points = ring(), scene()
    np.testing.assert_allclose(triangulate(cameras, seen_by(cameras, points), np.ones((4, 300))), points, atol=1e-9)


def test_the_error_is_that_of_the_best_point():
    """No step of a finite size away from the solution lowers the residuals in the picture by more than rounding."""
    cameras, points = ring(), scene(20)
    image = seen_by(cameras, points, noise=2.0)
    found = triangulate(cameras, image, np.ones((4, 20)))

    def cost(X):
        rays = [c.rays(i) - c.to_camera(X)[:, :2] / c.to_camera(X)[:, 2:] for c, i in zip(cameras, image, strict=True)]
        return np.sum(np.square(rays), axis=(0, 2))

    for step in np.concatenate([np.eye(3), -np.eye(3)]) * 2e-3:
        assert (cost(found + step) > cost(found)).all()


@pytest.mark.parametrize("bad", range(4))
def test_one_wrong_view_is_found_and_left_out(bad):
    cameras, points = ring(), scene()
    image = seen_by(cameras, points, noise=1.0)
    image[bad] += 60
    found = triangulate_robustly(cameras, image, np.ones((4, 300)))
    assert not found.used[bad].any()
    assert found.used.sum() == 3 * 300
    assert np.sqrt(np.mean(np.sum((found.points - points) ** 2, axis=1))) < 0.006
    assert (found.pixels[bad] > 30).all()


def test_what_is_unsure_or_unseen_is_not_used():
    cameras, points = ring(), scene(40)
    image, sure = seen_by(cameras, points), np.ones((4, 40))
    image[0, :10] = np.nan
    sure[1, 5:15] = 0.1
    found = triangulate_robustly(cameras, image, sure)
    assert np.isnan(found.points[5:10]).all()  # two views are left: fewer than three
    known = np.r_[0:5, 10:40]
    np.testing.assert_allclose(found.points[known], points[known], atol=1e-9)
    assert not found.used[0, :10].any()
    assert not found.used[1, 5:15].any()


def test_the_real_person_is_told_from_false_ones():
    cameras = ring()
    frames, joints = 6, 12
    points = scene(frames * joints).reshape(frames, joints, 3)
    image = np.random.default_rng(3).uniform(0, 1200, (4, frames, 3, joints, 2))
    slots = np.random.default_rng(4).integers(0, 3, (4, frames))
    for view, camera in enumerate(cameras):
        image[view, np.arange(frames), slots[view]] = camera.project(points)
    empty = (slots[0] + 1) % 3
    image[0, np.arange(frames), empty] = np.nan
    chosen = the_person_in_all_views(cameras, image, np.ones(image.shape[:-1]))
    np.testing.assert_array_equal(chosen, slots)


def test_a_turned_camera_is_turned_back():
    cameras, points = ring(), scene()
    image = seen_by(cameras, points, noise=0.5)
    image[1, ::25] += 200  # some gross errors
    c = cameras[2]
    R = about(np.array([1.0, 2, 0.5]), np.deg2rad(1.0)) @ c.rotation
    given = [*cameras[:2], Camera(c.matrix, R, -R @ c.position, c.distortion), cameras[3]]
    found, angle = turned_to_agree(given, image, np.ones((4, 300)))
    for camera, true in zip(found, cameras, strict=True):
        off = np.arccos(np.clip((np.trace(camera.rotation @ true.rotation.T) - 1) / 2, -1, 1))
        assert np.rad2deg(off) < 0.1
        np.testing.assert_allclose(camera.position, true.position, atol=1e-9)
    assert angle == pytest.approx(1.0, abs=0.1)


def people(card, count=4, seed=0):
    """Labels of people on two pictures: the rest body at several sizes and places, facing the camera."""
    rng = np.random.default_rng(seed)
    flat = (card.placement @ rest_body().landmarks)[:, :2] * [1, -1]
    size, shift = rng.uniform(0.1, 0.3, (count, 1, 1)), rng.uniform(200, 900, (count, 1, 2))
    meta = {"image_ids": [k % 2 for k in range(count)], "notes": []}
    return Poses(flat * size + shift, card, units="px", meta=meta), size[:, 0, 0]


def test_people_are_matched_by_picture_and_points():
    whole, _ = people(skeleton("coco_wholebody_133"))
    halpe, _ = people(skeleton("halpe_136"))
    order = np.array([2, 0, 3, 1])
    points = halpe.points[order]
    points[1] += 300  # nobody's
    shuffled = Poses(points, halpe.skeleton, meta={"image_ids": [halpe.meta["image_ids"][k] for k in order]})
    assert matched(whole, shuffled) == [(1, 3), (2, 0), (3, 2)]
    elsewhere = Poses(points, halpe.skeleton, meta={"image_ids": [7, 7, 7, 7]})
    assert matched(whole, elsewhere) == []


def test_a_shift_along_the_foot_is_seen_as_such():
    whole, _ = people(skeleton("coco_wholebody_133"))
    card = skeleton("halpe_136")
    halpe, _ = people(card)
    points = halpe.points.copy()
    for side in ("left", "right"):
        heel, toe = (halpe.points[:, card.index(f"{side}_{joint}")] for joint in ("heel", "big_toe"))
        along = (toe - heel) / np.linalg.norm(toe - heel, axis=1, keepdims=True)
        points[:, card.index(f"{side}_big_toe")] += 20 * along * pixels_per_mm(whole)[:, None]
    moved = Poses(points, card, meta=halpe.meta)
    found = apart(whole, moved, matched(whole, moved), "big toe")
    np.testing.assert_allclose(found.off, np.tile([20.0, 0], (8, 1)), atol=1e-6)
    assert mean_over_people(found.off[:, 0], found.person) == pytest.approx((20, 0), abs=1e-6)
    np.testing.assert_allclose(apart(whole, moved, matched(whole, moved), "heel").length, 0, atol=1e-9)


def test_neighbours_lie_where_the_card_puts_them():
    whole, size = people(skeleton("coco_wholebody_133"))
    told = neighbours(whole.points[:1] / size[0], whole.skeleton, "eyes to chin")
    rest = whole.skeleton.placement @ rest_body().landmarks
    eyes = (rest[whole.skeleton.index("left_eye")] + rest[whole.skeleton.index("right_eye")]) / 2
    np.testing.assert_allclose(told, [[rest[whole.skeleton.index("chin"), 1] - eyes[1], 0]], atol=1e-6)


def test_measures_do_not_depend_on_size_place_and_direction():
    card = skeleton("openpose_25b_25")
    rest = (card.placement @ rest_body().landmarks)[None]
    told = foretold(card)
    turned = rest @ about(np.array([1.0, 2, 3]), 1.0).T * 1.3 + [100, 5, 7]
    get = of_format(np.concatenate([rest * 1.3, turned]), card)
    size = told["thigh"].value + told["shank"].value
    for name, value in told.items():
        if np.isfinite(value.value):
            np.testing.assert_allclose(measured(get, name, leg(get)) * size, value.value, atol=1e-6)
    left, right = (rest[0, card.index(f"{side}_hip")] for side in ("left", "right"))
    assert told["hip to hip"].value == pytest.approx(np.linalg.norm(left - right))
    assert set(LENGTHS) <= set(told)


def test_a_point_on_the_trunk_is_told_from_any_direction():
    card = skeleton("mpii_16")
    rest = (card.placement @ rest_body().landmarks)[None]
    on_line = rest.copy()
    on_line[:, card.index("neck")] = middle(rest, card, "shoulder") + 0.2 * trunk_line(rest, card)
    for angle in (0.3, 1.2, 2.5):
        picture = (on_line @ about(np.array([0.2, 1, 0.1]), angle).T)[..., :2] * 0.31 + 7
        assert along_trunk(picture, card, "neck") == pytest.approx([0.2])
        assert upright(picture, card).all()
    from_above = (on_line @ about(np.array([1.0, 0, 0]), 1.2).T)[..., :2]
    assert not upright(from_above, card).any()


def test_the_uncertainty_of_a_width_is_that_of_two_mirrored_places():
    card = skeleton("coco_17")
    u = card.placement_uncertainty[card.index("left_hip")]
    assert foretold(card, draws=4000)["hip to hip"].places == pytest.approx(2 * u / np.sqrt(3), rel=0.15)


def test_the_labels_of_the_real_people(real):
    _, whole, halpe = load(real)
    pairs = matched(whole, halpe)
    assert len(pairs) == 7  # two of the nine people have no labels
    assert all(whole.meta["ids"][a] == halpe.meta["ids"][b] for a, b in pairs)
    lines = list(labels_report(real))
    assert sum("people are identical numbers" in line for line in lines) == 2
    assert not any("nan" in line for line in lines)


def test_the_real_trunks(real):
    rows = {(row.name, row.joint): row for row in trunk_points(real)}
    np.testing.assert_allclose(rows["mpii", "thorax"].seen, 0, atol=2)  # MPII's thorax is computed from the shoulders
    assert all(np.isfinite(row.seen).all() and len(row.seen) for row in rows.values())


def test_the_real_cameras_give_the_points_of_the_tool_that_recorded_them(real):
    folder = real / "pose2sim" / "S00_Demo_Session"
    cameras = pose2sim_cameras(folder)
    trial = folder / "S00_P00_SingleParticipant" / STATIC
    image, confidence = detections(trial)
    found = triangulate_robustly(
        cameras, image[:, :, 0].reshape(4, -1, 2), confidence[:, :, 0].reshape(4, -1), least=4, limit=100
    )
    points = found.points.reshape(-1, len(CARD), 3)[..., [1, 2, 0]] * 1000
    assert float(to_trc(trial, points).split()[0]) < 15
    rows, _ = trial_report(cameras, trial)
    assert len(rows) == 2
