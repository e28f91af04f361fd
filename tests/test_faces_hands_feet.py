"""Face, hand and foot points of all formats on the rest body: on the skin, in the right order, on the right side."""

import numpy as np
import pytest

from skelbridge.bridge import rest_body
from skelbridge.skeletons import formats

LEFT, UP, FORWARD = np.eye(3)
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
CARDS = [card.with_side("left") if card.one_hand else card for card in formats()]


def places(card, prefix="left_"):
    """Joint -> its place on the rest body, mm; joints of a left hand or side without their prefix."""
    points = card.placement @ rest_body().landmarks
    return {name.removeprefix("" if card.one_hand else prefix): p for name, p in zip(card.names, points, strict=True)}


def with_joints(*names):
    """The formats that have all of these joints on their left."""
    found = [card for card in CARDS if all(n in card.names or f"left_{n}" in card.names for n in names)]
    return pytest.mark.parametrize("card", found, ids=str)


def turning(points):
    """Twice the signed area of a polygon as seen from the front; positive runs against the clock."""
    x, y = np.asarray(points) @ LEFT, np.asarray(points) @ UP
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


@pytest.mark.parametrize("card", CARDS, ids=str)
def test_points_on_the_skin_lie_on_it(card):
    """Of what is said to be known to a centimetre; clicked heels lie a little inside the outline."""
    vertices = rest_body().vertices
    points = card.placement @ rest_body().landmarks
    for joint, point in zip(card.joints, points, strict=True):
        if joint.kind in ("surface", "fingertip") and joint.placement_uncertainty <= 12 and card.id != "mhr_70":
            assert np.linalg.norm(vertices - point, axis=1).min() < 12, joint.name


@with_joints("index1", "index2", "index3", "pinky1")
def test_fingers_run_from_the_wrist_outwards_side_by_side(card):
    at = places(card)
    wrist = at.get("hand_root", at["wrist"])
    for finger in FINGERS:
        chain = [wrist, *(at[f"{finger}{k}"] for k in "1234" if f"{finger}{k}" in at)]
        bones = np.diff(chain, axis=0)
        assert (np.sum(bones[:-1] * bones[1:], axis=1) > 0).all(), finger
        assert (np.linalg.norm(bones, axis=1) > 12).all(), finger
    across = at["pinky1"] - at["index1"]
    row = [across @ at["thumb3"], *(across @ at[f"{finger}1"] for finger in FINGERS[1:])]
    assert row == sorted(row)
    assert 45 < np.linalg.norm(across) < 75


@with_joints("big_toe", "heel")
def test_feet_point_forward_with_the_big_toe_inside(card):
    at = places(card)
    assert at["heel"] @ FORWARD < at["ankle"] @ FORWARD - 20
    assert at["big_toe"] @ FORWARD > at["ankle"] @ FORWARD + 150
    assert 200 < np.linalg.norm(at["big_toe"] - at["heel"]) < 262
    if "small_toe" in at:
        assert at["small_toe"] @ LEFT > at["big_toe"] @ LEFT + 50


@with_joints("jaw1", "jaw8", "chin")
def test_the_outline_of_the_face_runs_from_the_ears_to_the_chin(card):
    at = places(card)
    line = np.array([*(at[f"jaw{k}"] for k in range(1, 9)), at["chin"]])
    assert (np.diff(line @ LEFT)[1:] < 0).all()
    assert (np.diff(line @ UP) < 0).all()
    assert abs((line[0] - at["ear"]) @ UP) < 30


@with_joints("eye_contour1", "brow1", "mouth1")
def test_features_of_the_face_run_the_right_way_and_lie_one_above_the_other(card):
    at = places(card)
    brow = np.array([at[f"brow{k}"] for k in range(1, 6)])
    assert (np.diff(brow @ LEFT) < 0).all()
    eye = [at[f"eye_contour{k}"] for k in range(1, 7)]
    assert turning(eye) > 200  # from the outer corner over the upper lid
    assert eye[0] @ LEFT > eye[3] @ LEFT
    bridge = np.array([at[f"nose_bridge{k}"] for k in range(1, 5)])
    assert (np.diff(bridge @ UP) < 0).all()
    assert (np.diff(bridge @ FORWARD) > 0).all()
    rows = [brow.mean(0), np.mean(eye, axis=0), bridge[-1], at["nose_base"], at["mouth_top"], at["lip_top"]]
    rows += [at["lip_bottom"], at["mouth_bottom"]]
    assert (np.diff(np.array(rows) @ UP) <= 0).all()
    mouth = [at[name] for name in ("mouth1", "mouth2", "mouth3", "mouth_top", "mouth_bottom", "mouth4", "mouth5")]
    assert turning(mouth) > 200  # from the corner over the upper lip to the middle, back below


@with_joints("eye", "ear", "shoulder")
def test_eyes_and_ears_are_on_their_side_of_the_head(card):
    at, other = places(card), places(card, "right_")
    for name in ("eye", "ear"):
        np.testing.assert_allclose(at[name] * [-1, 1, 1], other[name], atol=2.0)
    assert 50 < 2 * at["eye"] @ LEFT < 70
    assert 135 < 2 * at["ear"] @ LEFT < 165
    assert at["nose"] @ FORWARD > at["eye"] @ FORWARD > at["ear"] @ FORWARD
