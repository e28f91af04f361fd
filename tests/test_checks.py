"""Self-checks: virtual people pass, in any pose and place; what is wrong with the data is found and named."""

import json

import numpy as np
import pytest

from skelbridge.camera import Camera
from skelbridge.datasets.checks import Checks, judged
from skelbridge.datasets.facing import facing_votes
from skelbridge.io import read
from skelbridge.skeletons import formats, skeleton
from skelbridge.store import Samples
from skelbridge.store.writer import merged_reports
from skelbridge.synthetic.scene import Z_UP, about_y, ring, virtual_scene

SIZE = (640, 480)
CAMERAS = ring(3, focal=500.0, size=SIZE)
PLACED = [card.id for card in formats() if not card.one_hand and all(joint.at for joint in card.joints)]


@pytest.fixture(scope="module")
def scene():
    return virtual_scene(2, 40, seed=3)


def blocks(scene, format="h36m_17", change=None, camera_change=None, **text):
    """The scene's people as samples, a block for each camera and person; `change` edits the points in the camera."""
    world = scene.joints(format)
    for view, camera in enumerate(CAMERAS):
        for person in range(scene.people):
            points = camera.to_camera(world[:, person])
            flat = camera.project_seen(points)
            box = np.concatenate([np.nanmin(flat, axis=1), np.ptp(flat, axis=1)], axis=1)
            yield Samples.of(
                format, points=points if change is None else change(points), points2d=flat if change is None else None,
                camera=camera if camera_change is None else camera_change(camera), world_known=True, box=box,
                frame=range(len(points)), person=person, image_size=SIZE, view=str(view), subject=f"S{person}",
                sequence="s", native="file.x", **text,
            )  # fmt: skip


def checked(samples):
    samples = list(samples)
    checks = Checks(samples[0].skeleton)
    for block in samples:
        checks.add(block)
    return {check.name: check for check in judged(checks.figures())}


def failed(samples):
    return {name for name, check in checked(samples).items() if not check.passed}


@pytest.mark.parametrize("name", ["h36m_17", "coco_17", "smpl_24", "panoptic_19", "bml_movi_87", "umpm_15", "jta_22"])
def test_virtual_people_pass_every_check(scene, name):
    found = checked(blocks(scene, name))
    assert all(check.passed for check in found.values()), found
    assert {"body height", "left and right", "reprojection", "in front of the camera", "boxes"} <= set(found)


def test_figures_are_true(scene):
    found = checked(blocks(scene))
    assert found["reprojection"].found.startswith("0.00 px")
    assert "240 of 240" in found["left and right"].found
    real = np.median(np.linalg.norm(np.diff(scene.landmarks[:, 0, :2], axis=1), axis=-1))
    assert real > 0
    height = float(found["body height"].found.split(" mm")[0])
    assert 1450 < height < 1950


@pytest.mark.parametrize("name", PLACED)
def test_mirrored_and_swapped_people_are_told_in_every_format(scene, name):
    card = skeleton(name)
    points = scene.joints(name).reshape(-1, len(card), 3)
    for wrong in (points * [-1, 1, 1], points[:, card.mirror_index]):
        assert facing_votes(wrong, card).mean() < -0.9
    assert facing_votes(points, card).mean() > 0.9


@pytest.mark.parametrize("turn", [np.eye(3), Z_UP, Z_UP.T, about_y(2) @ Z_UP, -np.diag([1.0, 1, -1])])
def test_lying_and_upside_down_people_do_not_fool_it(scene, turn):
    points = scene.joints("coco_17").reshape(-1, 17, 3) @ turn.T
    assert facing_votes(points, skeleton("coco_17")).mean() > 0.9


def test_real_people_who_move_wildly_pass_too(real):
    """Motion capture of two people who walk, jump, climb, box and tumble."""
    files = sorted((real / "cmu_mocap").rglob("*.amc"))
    votes = [facing_votes((p := read(file)).in_units("mm").points, p.skeleton) for file in files]
    every = np.concatenate(votes)
    assert len(every) > 10_000
    assert (every > 0).sum() > 0.97 * (every != 0).sum()


@pytest.mark.parametrize(
    ("change", "names", "words"),
    [
        (lambda p: p * [-1, 1, 1], {"left and right"}, "mirrored"),
        (lambda p: p[:, skeleton("h36m_17").mirror_index], {"left and right"}, "swapped"),
        (lambda p: p / 1000, {"body height", "distance from the camera"}, "metres"),
        (lambda p: p / 10, {"body height", "boxes"}, "centimetres"),
        (lambda p: p * [1, 1, -1], {"left and right", "in front of the camera", "boxes"}, "behind"),
        (lambda p: p - [0, 0, 9000], {"in front of the camera"}, "camera"),
        (lambda p: p + np.array([1000, 0, 0]), {"boxes"}, "other people"),
    ],
)
def test_what_is_wrong_is_found_and_named(scene, change, names, words):
    found = checked(blocks(scene, change=change))
    bad = {name: check for name, check in found.items() if not check.passed}
    assert names & set(bad), found
    assert words in " ".join(check.mend + check.found for check in bad.values()) or words == "behind"


def test_a_wrong_camera_shows_in_the_reprojection(scene):
    other = {
        "focal length": lambda c: Camera(np.array(c.matrix) * [[1.3], [1.3], [1]], c.rotation, c.translation),
        "principal point": lambda c: Camera(np.array(c.matrix) + np.array([[0, 0, 90], [0, 0, 0], [0, 0, 0]])),
        "distortion": lambda c: Camera(c.matrix, distortion=(4.0,)),
    }
    for name, change in other.items():
        found = checked(blocks(scene, camera_change=change))
        assert not found["reprojection"].passed, name
        assert found["reprojection"].worst
        assert all(word in found["reprojection"].worst[0] for word in ("file.x", "frame", "px"))


def test_one_mirrored_view_among_good_ones_is_found(scene):
    many = list(blocks(scene))
    bad = [b for b in blocks(scene, change=lambda p: p * [-1, 1, 1]) if b.text["view"][0] == "2"]
    check = checked([b for b in many if b.text["view"][0] != "2"] + bad)["left and right"]
    assert not check.passed
    assert "view 2" in check.found


def test_single_bad_samples_fail_nothing(scene):
    samples = list(blocks(scene))
    for block in samples:
        block.points[::20] *= [-1, 1, 1]
        block.points[1::20, 3] += 2000
    assert failed(samples) == set()


def test_joints_in_another_order_are_found(scene):
    assert "limb symmetry" in failed(blocks(scene, change=lambda p: p[:, np.roll(np.arange(17), 2)]))


def test_children_pass_and_giants_do_not(scene):
    assert failed(blocks(scene, change=lambda p: (p - p[:, :1]) * 0.45 + p[:, :1])) == set()
    assert "body height" in failed(blocks(scene, change=lambda p: (p - p[:, :1]) * 1.6 + p[:, :1]))


def test_2d_labels_are_checked_as_far_as_they_go(scene):
    flat = [Samples.of("coco_17", points2d=CAMERAS[0].project(scene.joints("coco_17")[:, 0]), image_size=SIZE,
                       box=(0, 0, 640, 480), frame=range(40))]  # fmt: skip
    assert list(checked(flat)) == ["boxes"]
    empty = Samples.of("coco_17", points=np.full((3, 17, 3), np.nan))
    assert checked([empty]) == {}


def test_counts_of_jobs_add_up_to_the_same_judgement(scene):
    samples = list(blocks(scene))
    parts = []
    for block in samples:
        checks = Checks(block.skeleton)
        checks.add(block)
        parts.append(json.loads(json.dumps(checks.figures())))  # as they lie in a store
    whole = checked(samples)
    assert {check.name: str(check) for check in judged(merged_reports(parts))} == {n: str(c) for n, c in whole.items()}
