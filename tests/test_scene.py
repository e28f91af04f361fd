"""The virtual scene: where its people are, what its cameras see, and that pictures show the people there."""

import numpy as np
import pytest

from skelbridge.landmarks import landmarks
from skelbridge.skeletons import skeleton
from skelbridge.synthetic.scene import Y_DOWN, Z_UP, Scene, about_y, draw, look_at, ring, to_axes, virtual_scene

SIZE = (320, 240)


def of(scene, name):
    return scene.landmarks[..., landmarks().index(name), :]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("people", [1, 2, 3])
def test_people_stand_on_the_floor_near_the_origin_and_apart(people, seed):
    scene = virtual_scene(people, frames=10, seed=seed)
    assert scene.landmarks.shape == (10, people, len(landmarks().names), 3)
    assert np.isfinite(scene.landmarks).all()
    np.testing.assert_allclose(scene.landmarks[..., 1].min(axis=2), 0, atol=1e-9)
    assert np.linalg.norm(scene.landmarks[..., [0, 2]], axis=-1).max() < 3000
    middles = scene.landmarks.mean(axis=2)
    for one in range(people):
        for other in range(one):
            assert np.linalg.norm(middles[:, one] - middles[:, other], axis=-1).min() > 1000


def test_people_are_of_human_size_and_rigid():
    scene = virtual_scene(3, frames=12, seed=4)
    shin = np.linalg.norm(of(scene, "left_knee") - of(scene, "left_ankle"), axis=-1)
    assert (shin > 300).all()
    assert (shin < 550).all()
    np.testing.assert_allclose(shin, shin[:1].repeat(12, axis=0), rtol=0.01)


def test_the_seed_decides_everything():
    same, again, other = (virtual_scene(2, frames=3, seed=seed).landmarks for seed in (8, 8, 9))
    np.testing.assert_array_equal(same, again)
    assert np.abs(same - other).max() > 100


def test_steps_leave_out_frames():
    """The poses of every second frame; only the walk, which spans the clip, has other places."""
    fine, coarse = virtual_scene(frames=9, seed=3), virtual_scene(frames=5, seed=3, step=2)
    assert coarse.fps == fine.fps / 2
    assert coarse.frames == 5
    assert coarse.people == 1
    centred = [s.landmarks - s.landmarks.mean(axis=2, keepdims=True) for s in (fine, coarse)]
    np.testing.assert_allclose(centred[1], centred[0][::2], atol=1e-6)


def test_joints_are_where_the_card_says():
    scene = virtual_scene(2, frames=2)
    joints = scene.joints("coco_17")
    assert joints.shape == (2, 2, 17, 3)
    card = skeleton("coco_17")
    away = np.linalg.norm(joints[..., card.index("left_knee"), :] - of(scene, "left_knee"), axis=-1)
    assert away.max() < 60
    assert (np.linalg.norm(joints[..., card.index("left_knee"), :] - of(scene, "right_knee"), axis=-1) > away).all()


def test_about_y_turns_z_towards_x():
    np.testing.assert_allclose(about_y(np.pi / 2) @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(about_y(0.3) @ about_y(-0.3), np.eye(3), atol=1e-12)


@pytest.mark.parametrize("up", [(0, 1, 0), (0, 0, 1), (0, -1, 0)])
def test_a_camera_looks_at_its_target(up):
    up = np.array(up, float)
    side = np.array([1.0, 0, 0])
    ahead = np.cross(up, side)
    position, target = 200 * up - 3000 * ahead, 200 * up
    camera = look_at(position, target, focal=500, size=SIZE, up=up)
    middle = (np.array(SIZE) - 1) / 2
    np.testing.assert_allclose(camera.position, position, atol=1e-9)
    np.testing.assert_allclose(camera.project(target), middle)
    np.testing.assert_allclose(camera.project(target + 300 * up), middle - [0, 50])
    right = np.cross(ahead, up)
    np.testing.assert_allclose(camera.project(target + 300 * right), middle + np.array([50, 0]))


def test_a_ring_of_cameras_looks_inwards():
    cameras = ring(4, focal=300, size=SIZE, radius=5000, height=1600)
    places = np.stack([camera.position for camera in cameras])
    np.testing.assert_allclose(np.linalg.norm(places[:, [0, 2]], axis=1), 5000)
    np.testing.assert_allclose(places[:, 1], 1600)
    np.testing.assert_allclose(places[:2], -places[2:] + [0, 3200, 0], atol=1e-8)  # opposite each other
    for camera in cameras:
        np.testing.assert_allclose(camera.project((0, 1000, 0)), (np.array(SIZE) - 1) / 2)


@pytest.mark.parametrize(("axes", "up"), [(Z_UP, (0, 0, 1)), (Y_DOWN, (0, -1, 0))])
def test_other_axes_change_the_world_but_no_picture(axes, up):
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)
    np.testing.assert_allclose(axes @ [0, 1, 0], up)
    scene, cameras = virtual_scene(frames=2), ring(2, focal=300, size=SIZE, distortion=(-0.2, 0.1))
    turned, moved = to_axes(axes, scene, cameras)
    np.testing.assert_allclose(turned.landmarks @ up, scene.landmarks[..., 1], atol=1e-9)
    for before, after in zip(cameras, moved, strict=True):
        np.testing.assert_allclose(after.project(turned.landmarks), before.project(scene.landmarks), atol=1e-9)


def test_a_picture_shows_each_person_where_the_points_are():
    scene = virtual_scene(2, frames=3, seed=2)
    for camera in ring(3, focal=260, size=SIZE):
        picture, masks = draw(camera, scene, 1, SIZE)
        empty, _ = draw(camera, Scene(scene.landmarks + np.array([0, 1e5, 0]), scene.fps), 1, SIZE)
        assert picture.shape == (240, 320, 3)
        assert picture.dtype == np.uint8
        assert masks.shape == (2, 240, 320)
        assert masks.dtype == bool
        assert not (masks[0] & masks[1]).any()
        np.testing.assert_array_equal(picture[~masks.any(axis=0)], empty[~masks.any(axis=0)])
        chest = 0.5 * (of(scene, "pelvis") + of(scene, "neck_base"))[1]
        for person in range(2):
            column, row = np.round(camera.project(chest[person])).astype(int)
            assert masks[:, row, column].any()
            rows, columns = np.nonzero(masks[person])
            low, high = (
                camera.project(scene.landmarks[1, person]).min(0),
                camera.project(scene.landmarks[1, person]).max(0),
            )
            assert columns.min() > low[0] - 15
            assert columns.max() < high[0] + 15
            assert rows.min() > low[1] - 15
            assert rows.max() < high[1] + 15


def test_the_nearer_person_hides_the_other():
    scene = virtual_scene(2, frames=1, seed=2)
    middles = scene.landmarks[0].mean(axis=1)
    along = (middles[0] - middles[1]) / np.linalg.norm(middles[0] - middles[1])
    for near, direction in ((0, along), (1, -along)):
        camera = look_at(middles[near] + 2500 * direction, middles[1 - near], focal=200, size=SIZE)
        _, masks = draw(camera, scene, 0, SIZE)
        alone = [draw(camera, Scene(scene.landmarks[:, [p]], 20.0), 0, SIZE)[1][0] for p in range(2)]
        np.testing.assert_array_equal(masks[near], alone[near])
        np.testing.assert_array_equal(masks[1 - near], alone[1 - near] & ~alone[near])
        assert (alone[0] & alone[1]).any()


def test_nobody_behind_the_camera_is_drawn():
    camera = look_at((0, 1000, 3000), (0, 1000, 6000), focal=200, size=SIZE)
    assert not draw(camera, virtual_scene(), 0, SIZE)[1].any()


def test_the_left_trouser_leg_is_the_darker_one():
    scene = virtual_scene(frames=1, seed=1)
    shades = {}
    for side, other in (("left", "right"), ("right", "left")):
        shin = 0.5 * (of(scene, f"{side}_knee") + of(scene, f"{side}_ankle"))[0, 0]
        outwards = (of(scene, f"{side}_hip") - of(scene, f"{other}_hip"))[0, 0]
        camera = look_at(shin + 2500 * outwards / np.linalg.norm(outwards), shin, focal=300, size=SIZE)
        shades[side] = draw(camera, scene, 0, SIZE)[0][SIZE[1] // 2, SIZE[0] // 2].astype(int).sum()
    assert shades["left"] < shades["right"]


def test_drawing_twice_gives_the_same():
    camera, scene = ring(1, focal=300, size=SIZE)[0], virtual_scene(2)
    for one, again in zip(draw(camera, scene, 3, SIZE), draw(camera, scene, 3, SIZE), strict=True):
        np.testing.assert_array_equal(one, again)
