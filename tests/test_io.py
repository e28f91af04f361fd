"""Reading and writing pose files: closed forms, and there and back through every container."""

from __future__ import annotations

import ast
import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pose_files import AMC, BVH, SAMPLES, c3d_bytes, small_poses

from skelbridge.errors import FileFormatError, InputError
from skelbridge.io import CONTAINERS, asf_amc, bvh, read, write
from skelbridge.io.c3d import read_c3d
from skelbridge.io.files import rate_from_period
from skelbridge.io.motion import Motion, relative_rotations, rotation_product
from skelbridge.poses import Poses
from skelbridge.skeletons import Skeleton, skeleton

RELAXED = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


# ---- there and back

NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.floats(-1, 1), st.just(0.0))


@st.composite
def some_poses(draw: st.DrawFn, dims: int, people: bool, format: str = "coco_17") -> Poses:
    card = skeleton(format)
    lead = (draw(st.integers(1, 4)), *([draw(st.integers(1, 3))] if people else []))
    points = draw(hnp.arrays(np.float64, (*lead, len(card), dims), elements=NUMBERS))
    points[draw(hnp.arrays(bool, points.shape[:-1]))] = np.nan
    if dims == 3:
        points[..., 2] += 5  # keeps clear of what looks like a score
    confidence = draw(st.none() | hnp.arrays(np.float64, points.shape[:-1], elements=st.floats(0, 1)))
    return Poses(points, card, confidence, "px" if dims == 2 else "mm", draw(st.sampled_from([None, 25.0, 29.97])))


def there_and_back(poses: Poses, path: Path) -> Poses:
    if path.suffix == "":
        path = path / str(len(list(path.parent.iterdir())) + np.random.default_rng().integers(1 << 40))
    write(poses, path)
    return read(path)


@pytest.mark.parametrize("people", [False, True])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_npz_and_csv_keep_everything(suffix: str, dims: int, people: bool, tmp_path: Path) -> None:
    @RELAXED
    @given(some_poses(dims, people))
    def check(poses: Poses) -> None:
        back = there_and_back(poses, tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(back.points, poses.points)
        assert (back.skeleton, back.units, back.fps) == (poses.skeleton, poses.units, poses.fps)
        if poses.confidence is None:
            assert back.confidence is None
        else:
            np.testing.assert_array_equal(back.confidence, poses.confidence)

    check()


@RELAXED
@given(poses=some_poses(dims=3, people=False))
def test_trc_keeps_points_rate_and_units(poses: Poses, tmp_path: Path) -> None:
    poses = replace(poses, fps=poses.fps or 100.0)
    back = there_and_back(poses, tmp_path / "a.trc")
    assert (back.skeleton.id, back.units, back.fps) == ("coco_17", "mm", poses.fps)
    np.testing.assert_array_equal(back.points, poses.points)


@RELAXED
@given(poses=some_poses(dims=2, people=True))
def test_coco_keeps_points(poses: Poses, tmp_path: Path) -> None:
    back = there_and_back(poses, tmp_path / "a.json")
    assert (back.skeleton.id, back.units, back.fps) == ("coco_17", "px", poses.fps)
    np.testing.assert_array_equal(back.points, poses.points.reshape(back.points.shape))


@pytest.mark.parametrize("dims", [2, 3])
def test_openpose_keeps_points_and_confidence(dims: int, tmp_path: Path) -> None:
    @RELAXED
    @given(some_poses(dims, people=True, format="openpose_25b_25"))
    def check(poses: Poses) -> None:
        back = there_and_back(poses, tmp_path)
        assert back.skeleton.id == "openpose_25b_25"
        sure = np.where(np.isnan(poses.points[..., 0]), 0, 1 if poses.confidence is None else poses.confidence)
        gone = (np.nan_to_num(poses.points) == 0).all(axis=-1) & (sure == 0)  # (0, 0, 0) says missing
        np.testing.assert_array_equal(back.points, np.where(gone[..., None], np.nan, poses.points))
        np.testing.assert_array_equal(back.confidence, sure)

    check()


def walking(frames: int = 40, format: str = "cmu_mocap_31") -> Poses:
    """Points of a rigid skeleton under random smooth rotations, by forward kinematics."""
    card = skeleton(format)
    rng = np.random.default_rng(5)
    parents = np.full(len(card), -1)
    for a, b in card.edge_index:
        parents[b] = a
    order = [card.index(card.root[0])]
    for joint in order:
        order += [k for k in range(len(card)) if parents[k] == joint]
    place = {joint: k for k, joint in enumerate(order)}
    tree = np.array([place.get(parents[joint], -1) for joint in order])
    angles = np.cumsum(rng.normal(scale=0.08, size=(frames, len(card), 3)), axis=0)
    # Segments of one parent turn together: rotations written for the parent, found at its children.
    rotations = rotation_product("zxy", angles)[:, tree]
    motion = Motion(card.names, tree, rng.normal(size=(len(card), 3)) * 200, rotations, angles[:, 0] * 500)
    points = np.empty((frames, len(card), 3))
    points[:, order] = motion.positions()
    return Poses(points, card, units="mm", fps=120.0)


@pytest.mark.parametrize("format", ["cmu_mocap_31", "smpl_24"])
def test_bvh_keeps_the_points_of_a_rigid_skeleton(format: str, tmp_path: Path) -> None:
    poses = walking(format=format)
    notes = write(poses, tmp_path / "a.bvh")
    back = read(tmp_path / "a.bvh", format)
    assert notes == []
    assert back.fps == 120
    np.testing.assert_allclose(back.points, poses.points, atol=0.02)
    assert there_and_back(back, tmp_path / "b.bvh").skeleton.id == format  # found by the names


def test_bvh_follows_bones_that_turn_apart(tmp_path: Path) -> None:
    poses = walking()
    card = poses.skeleton
    points = poses.points.copy()
    spin = rotation_product("x", np.linspace(0, 1, len(points))[:, None])
    start = points[:, [card.index("pelvis")]]
    leg = [card.index(f"left_{name}") for name in ("hip", "knee", "ankle", "foot", "toe")]
    points[:, leg] = (points[:, leg] - start) @ spin + start
    assert write(replace(poses, points=points), tmp_path / "a.bvh") == []
    back = read(tmp_path / "a.bvh")
    assert back.skeleton == card
    np.testing.assert_allclose(back.points, points, atol=0.02)


def test_bvh_says_how_far_points_moved_and_what_was_filled(tmp_path: Path) -> None:
    poses = walking()
    points = poses.points + np.random.default_rng(0).normal(size=poses.points.shape) * 5
    points[3:6, 7] = np.nan
    points[:, 12] = np.nan
    points[10, 0] = np.nan
    notes = " ".join(write(replace(poses, points=points), tmp_path / "a.bvh"))
    assert "spine2" in notes
    assert "4 missing points filled" in notes
    assert "moved the points" in notes
    back = read(tmp_path / "a.bvh", "cmu_mocap_31").points
    assert np.isnan(back[:, 12]).all()
    kept = np.delete(np.arange(31), 12)
    assert np.nanmedian(np.linalg.norm(back - points, axis=-1)[:, kept]) < 20
    lengths = np.linalg.norm(back[:, 2] - back[:, 1], axis=-1)
    assert np.ptp(lengths) < 1e-3


def test_what_a_container_cannot_hold_is_refused_or_told(tmp_path: Path) -> None:
    flat, solid = small_poses(dims=2), small_poses(dims=3)
    for poses, name, word in [
        (flat, "a.trc", "3D"), (flat, "a.bvh", "3D"),
        (solid, "a.json", "2D"), (solid, "a.c3d", "one of"),
        (replace(solid, fps=None), "a.trc", "fps"), (replace(solid, fps=None), "a.bvh", "fps"),
    ]:  # fmt: skip
        with pytest.raises(InputError, match=word):
            write(poses, tmp_path / name)
    assert not list(tmp_path.iterdir())
    sure = replace(flat, confidence=np.full((3, 17), 0.8))
    assert "confidence" in " ".join(write(sure, tmp_path / "a.json"))
    write(flat, tmp_path / "op")
    with pytest.raises(InputError, match="empty"):
        write(flat, tmp_path / "op")


def test_a_skeleton_of_the_file_survives_npz(tmp_path: Path) -> None:
    own = Skeleton.model_validate({"id": "mine", "joints": [{"name": "a"}, {"name": "b"}], "edges": [["a", "b"]]})
    back = there_and_back(Poses(np.ones((4, 2, 3)) * 9, own), tmp_path / "a.npz")
    assert back.skeleton == own


# ---- articulated motion


def test_bvh_by_hand(tmp_path: Path) -> None:
    motion = bvh.read_motion(SAMPLES["bvh"](tmp_path))
    assert motion.names == ("Hips", "Chest", "Head", "Head_end", "Left Leg", "Left Leg_end")
    assert (motion.fps, motion.units, len(motion)) == (120.0, None, 2)
    np.testing.assert_allclose(motion.rest_positions()[3], [0, 10, 0])
    p = motion.positions()
    np.testing.assert_allclose(p[0], motion.rest_positions() + np.array([1, 2, 3]))  # the root's OFFSET is not added
    np.testing.assert_allclose(p[1, 1], [1 - 5, 2, 3])  # z by 90 degrees takes y to -x
    # Channels in order, each about the axes turned so far: R = R1 R2 R3.
    hips = rotation_product("zxy", np.radians([90.0, 0, 0]))
    chest = rotation_product("yzx", np.radians([30.0, 40, 50]))
    head = rotation_product("zxy", np.radians([10.0, 20, 30]))
    np.testing.assert_allclose(p[1, 2], p[1, 1] + hips @ chest @ [0, 3, 0])
    np.testing.assert_allclose(p[1, 3], p[1, 2] + hips @ chest @ head @ [0, 2, 0])
    leg = rotation_product("xyz", np.radians([90.0, 0, 0]))
    np.testing.assert_allclose(p[1, 5], p[1, 4] + hips @ leg @ [0, -4, 1])
    np.testing.assert_allclose(motion.global_rotations()[1, 3], hips @ chest @ head)


def test_bvh_position_channels_replace_the_offset(tmp_path: Path) -> None:
    text = BVH.replace("CHANNELS 3 Yrotation", "CHANNELS 4 Xposition Yrotation")
    path = tmp_path / "a.bvh"
    rows = ["1 2 3 0 0 0 7 0 0 0 0 0 0 0 0 0", "1 2 3 0 0 0 -7 0 0 0 0 0 0 0 0 0"]
    path.write_text(text[: text.index("1 2 3")] + "\n".join(rows))
    p = bvh.read_motion(path).positions()
    np.testing.assert_allclose(p[:, 1], [[8, 7, 3], [-6, 7, 3]])


def test_asf_amc_by_hand(tmp_path: Path) -> None:
    motion = asf_amc.read_motion(SAMPLES["amc"](tmp_path))
    assert motion.names == ("root", "lhip", "lfemur", "ltibia")
    assert motion.fps is None
    assert motion.units == pytest.approx(56.4444, abs=1e-4)
    p = motion.positions()
    np.testing.assert_allclose(p[0], [[1, 2, 3], [3, 2, 3], [3, -6, 3], [3, -13, 3]], atol=1e-12)
    root = rotation_product("y", np.radians([90.0]))
    np.testing.assert_allclose(p[1, 1], np.array([1, 2, 3]) + root @ [2, 0, 0])
    # Fixed axes in the order x, y, z: the last stands leftmost. A bone turns its own end.
    c = rotation_product("zyx", np.radians([70.0, -30, 20]))
    femur = root @ c @ rotation_product("zyx", np.radians([30.0, 20, 10])) @ c.T
    np.testing.assert_allclose(p[1, 2], p[1, 1] + femur @ [0, -8, 0])
    c = rotation_product("z", np.radians([20.0]))
    tibia = femur @ c @ rotation_product("x", np.radians([40.0])) @ c.T
    np.testing.assert_allclose(p[1, 3], p[1, 2] + tibia @ [0, -7, 0])


def test_amc_radians_and_named_asf(tmp_path: Path) -> None:
    path = SAMPLES["amc"](tmp_path)
    degrees = asf_amc.read_motion(path).positions()
    asf = (tmp_path / "01.asf").rename(tmp_path / "other.asf")
    turned = AMC.replace(":DEGREES", ":RADIANS").replace(
        "10 20\n 30", " ".join(map(repr, np.radians([10, 20, 30]).tolist()))
    )
    turned = turned.replace("ltibia 40", f"ltibia {np.radians(40)!r}".replace("np.float64(", "").replace(")", ""))
    turned = turned.replace("root 1 2 3 0 90 0", f"root 1 2 3 0 {np.pi / 2!r} 0")
    path.write_text(turned)
    np.testing.assert_allclose(asf_amc.read_motion(path, asf).positions(), degrees, atol=1e-12)
    assert read(path, asf_path=asf, fps=120).fps == 120


def test_rebased_motion_is_the_same_motion(tmp_path: Path) -> None:
    motion = bvh.read_motion(SAMPLES["bvh"](tmp_path))
    rebased = motion.rebased(1)
    np.testing.assert_allclose(rebased.positions(), motion.positions(), atol=1e-12)
    np.testing.assert_allclose(rebased.rotations[1], np.tile(np.eye(3), (6, 1, 1)), atol=1e-12)
    again = relative_rotations(motion.parents, motion.global_rotations())
    np.testing.assert_allclose(again, motion.rotations, atol=1e-12)


@pytest.mark.parametrize(
    ("written", "rate"),
    [("0.0083333", 120), (".0083333", 120), ("0.008333", 120), ("0.033333", 30), ("0.033367", 29.97),
     ("0.04", 25), ("0.016667", 60), ("0.0", None), ("-1", None), ("1e-3", 1000)],
)  # fmt: skip
def test_rates(written: str, rate: float | None) -> None:
    assert rate_from_period(written) == (pytest.approx(rate, rel=2e-5) if rate else None)


# ---- markers


@pytest.mark.parametrize(("scale", "order"), [(-1.0, "<"), (-0.1, ">"), (0.5, "<"), (0.5, ">")])
def test_c3d(scale: float, order: str, tmp_path: Path) -> None:
    points = np.round(np.random.default_rng(0).normal(size=(6, 5, 3)) * 900)
    points[2, 1] = np.nan
    points[3, 0] = 0
    labels = ["Ann:LANK", "Ann:RANK", "*11", "LKneeAng", "Ann:C7"]
    (tmp_path / "a.c3d").write_bytes(c3d_bytes(points, labels, scale=scale, order=order, extra="LKneeAng"))
    poses = read(tmp_path / "a.c3d")
    assert (poses.skeleton.id, poses.units, poses.fps) == ("plug_in_gait_39", "mm", 50)
    natives = [joint.native for joint in poses.skeleton.joints]
    for native, column in (("LANK", 0), ("RANK", 1), ("C7", 4)):
        expected = points[:, column].copy()
        expected[(expected == 0).all(axis=-1)] = np.nan
        np.testing.assert_allclose(poses.points[:, natives.index(native)], expected, atol=1e-3)
    assert "(0, 0, 0)" in " ".join(poses.notes)
    assert np.isnan(poses.points).all(axis=(0, 2)).sum() == 36


@pytest.mark.parametrize(("unit", "millimetres"), [(b"mm", 1), (b"cm", 10), (b"m ", 1000)])
def test_read_c3d_gives_every_point_in_millimetres(unit: bytes, millimetres: float) -> None:
    points = np.random.default_rng(0).normal(size=(6, 3, 3))
    points[2, 1] = np.nan
    labels = ["LANK", "*11", "LKneeAng"]
    content = c3d_bytes(points, labels, extra="LKneeAng").replace(b"\2\1mm", b"\2\1" + unit)
    found, names, rate = read_c3d(content, Path("a.c3d"))
    np.testing.assert_allclose(found, millimetres * points, rtol=1e-6)
    assert (names, rate) == (labels, 50)


def test_read_c3d_refuses_points_that_are_no_places_and_cut_files() -> None:
    content = c3d_bytes(np.ones((6, 3, 3)), ["a", "b", "c"])
    with pytest.raises(FileFormatError, match="UNITS"):
        read_c3d(content.replace(b"\2\1mm", b"\2\1Nm"), Path("a.c3d"))
    with pytest.raises(FileFormatError, match="6 frames"):
        read_c3d(content[:-20], Path("a.c3d"))


def test_trc_empty_cells_crlf_and_missing_blank_line(tmp_path: Path) -> None:
    text = (
        "PathFileType\t4\t(X/Y/Z)\ta.trc\r\nDataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\r\n60\t60\t2\t2\tm\r\n"
        "Frame#\tTime\tRHip\t\t\tLHip\t\t\r\n\t\tX1\tY1\tZ1\tX2\tY2\tZ2\r\n"
        "7\t0.1\t1\t2\t3\t\t\t\t\r\n8\t0.2\t1\t2\tNaN\t4\t5\t6\r\n"
    )
    (tmp_path / "a.trc").write_bytes(text.encode())
    poses = read(tmp_path / "a.trc", "body_25")
    nan = np.nan
    np.testing.assert_array_equal(poses.joint("right_hip"), [[1, 2, 3], [1, 2, nan]])
    np.testing.assert_array_equal(poses.joint("left_hip"), [[nan, nan, nan], [4, 5, 6]])
    assert (poses.units, poses.fps) == ("m", 60)
    assert "missing" in " ".join(poses.notes)


# ---- names


def trc_with(names: list[str], folder: Path) -> Path:
    head = ["PathFileType\t4\t(X/Y/Z)\ta.trc", "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits"]
    head += [f"60\t60\t1\t{len(names)}\tmm", "Frame#\tTime\t" + "\t\t\t".join(names), ""]
    row = "\t".join(str(v) for v in range(3 * len(names)))
    (folder / "a.trc").write_text("\n".join([*head, f"1\t0\t{row}"]) + "\n")
    return folder / "a.trc"


@pytest.mark.parametrize(
    "format", ["cmu_mocap_31", "cmu_bvh_31", "mixamo_65", "plug_in_gait_39", "coco_17", "halpe_26"]
)
def test_native_names_are_known_whatever_their_dress(format: str, tmp_path: Path) -> None:
    card = skeleton(format)
    natives = [joint.native for joint in card.joints]
    plain = read(trc_with(natives, tmp_path))
    assert plain.skeleton == card
    np.testing.assert_array_equal(plain.points[0, :, 0], np.arange(len(card)) * 3)
    dressed = ["Bob:" + native.rpartition(":")[2].upper().replace("_", " ") for native in natives]
    assert read(trc_with(dressed, tmp_path)).skeleton == card
    backwards = read(trc_with(natives[::-1], tmp_path), format)
    np.testing.assert_array_equal(backwards.points[0, :, 0], np.arange(len(card))[::-1] * 3)


def test_unknown_names_get_a_skeleton_of_their_own(tmp_path: Path) -> None:
    names = ["left_a", "right_a", "left_alone", "b c", "b c"]
    poses = read(trc_with(names, tmp_path))
    assert poses.skeleton.mirror == (("left_a", "right_a"),)
    assert poses.skeleton.asymmetric == ("left_alone",)
    assert poses.skeleton.names[3] == "b_c"
    assert "cannot be converted" in " ".join(poses.notes)
    with pytest.raises(InputError, match="names of coco_17"):
        read(trc_with(names, tmp_path), "coco_17")


def test_left_out_points_are_told(tmp_path: Path) -> None:
    poses = read(trc_with(["RHip", "LHip", "RKnee", "extra"], tmp_path), "body_25")
    assert "left out: extra" in " ".join(poses.notes)
    assert (~np.isnan(poses.points[0, :, 0])).sum() == 3


def test_a_user_card_gives_the_names(tmp_path: Path) -> None:
    card = tmp_path / "lab.toml"
    card.write_text(
        'id = "lab_2"\n[[joints]]\nname = "knee"\nnative = "K1"\n[[joints]]\nname = "ankle"\nnative = "A1"\n'
    )
    poses = read(trc_with(["A1", "K1"], tmp_path), card)
    np.testing.assert_array_equal(poses.points[0, :, 0], [3, 0])


def test_the_same_tree_under_other_names_is_taken_by_order(tmp_path: Path) -> None:
    card = tmp_path / "other.toml"
    joints = "".join(f'[[joints]]\nname = "j{k}"\nnative = "N{k}"\n' for k in range(4))
    path = SAMPLES["amc"](tmp_path)
    card.write_text('id = "other_4"\nedges = [["j0", "j1"], ["j1", "j2"], ["j2", "j3"]]\n' + joints)
    np.testing.assert_array_equal(read(path, card).points, read(path).points)
    card.write_text('id = "other_4"\nedges = [["j0", "j1"], ["j1", "j2"], ["j1", "j3"]]\n' + joints)
    with pytest.raises(InputError, match="other_4"):
        read(path, card)


# ---- detections


def test_openpose_people_parts_and_ambiguity(tmp_path: Path) -> None:
    def person(value: float) -> dict:
        body = [value, 2 * value, 0.5] * 24 + [0, 0, 0]
        return {
            "pose_keypoints_2d": body,
            "hand_left_keypoints_2d": [value, 1, 1] * 21,
            "face_keypoints_2d": [],
        }

    for frame, people in enumerate([[person(1), person(2)], [], [person(3)]]):
        (tmp_path / f"v_{frame:012d}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": people}))
    poses = read(tmp_path)
    assert (poses.points.shape, poses.skeleton.id) == ((3, 2, 25, 2), "body_25")
    assert "BODY_25B" in " ".join(poses.notes)
    np.testing.assert_array_equal(poses.points[[0, 0, 2], [0, 1, 0], 0, 1], [2, 4, 6])
    assert np.isnan(poses.points[1]).all()
    assert np.isnan(poses.points[0, 0, 24]).all()
    assert poses.confidence is not None
    assert poses.confidence[0, 0, 24] == 0
    assert read(tmp_path, "openpose_25b_25").skeleton.id == "openpose_25b_25"
    hand = read(tmp_path, part="hand_left")
    assert (str(hand.skeleton), hand.points.shape) == ("openpose_hand_21:left", (3, 2, 21, 2))


def test_coco_flags_names_and_whole_body(tmp_path: Path) -> None:
    def file(annotation: dict, names: list[str]) -> Path:
        people = [{"category_id": 1, "image_id": 5, **annotation}]
        category = {"id": 1, "name": "person", "keypoints": names}
        content = {"images": [], "annotations": people, "categories": [category]}
        (tmp_path / "a.json").write_text(json.dumps(content))
        return tmp_path / "a.json"

    natives = [joint.native for joint in skeleton("crowdpose_14").joints]
    rows = [1, 2, 2, 3, 4, 1, 5, 6, 0] + [7, 8, 2] * 11
    poses = read(file({"keypoints": rows}, natives))
    assert (poses.skeleton.id, poses.meta["image_ids"]) == ("crowdpose_14", [5])
    assert poses.confidence is not None
    np.testing.assert_array_equal(poses.confidence[0, :4], [1, 0.5, 0, 1])
    assert np.isnan(poses.points[0, 2]).all()
    body = {"keypoints": [1, 1, 2] * 17, "foot_kpts": [2, 2, 2] * 6, "face_kpts": [3, 3, 0.4] * 68}
    poses = read(file({**body, "lefthand_kpts": [4, 4, 0] * 21, "righthand_kpts": [5, 5, 1] * 21}, []))
    assert poses.skeleton.id == "coco_wholebody_133"
    np.testing.assert_array_equal(poses.points[0, [0, 17, 23, 132], 0], [1, 2, 3, 5])
    assert np.isnan(poses.points[0, 91:112]).all()


def test_mediapipe_world_and_image(tmp_path: Path) -> None:
    path = SAMPLES["mediapipe"](tmp_path)
    world, image = read(path), read(path, space="image")
    assert (world.units, world.points.shape, image.units) == ("m", (1, 33, 3), "px")
    np.testing.assert_array_equal(image.points[0, 0], [160, 120])
    with pytest.raises(InputError, match="space"):
        read(path, space="screen")


def test_results_keep_scores_cut_to_one(tmp_path: Path) -> None:
    rows = [0, 0, 0] + [10, 20, 1.7] * 16
    (tmp_path / "r.json").write_text(json.dumps([{"image_id": "1.jpg", "keypoints": rows, "score": 3.1}]))
    poses = read(tmp_path / "r.json")
    assert poses.confidence is not None
    assert (poses.confidence[0, 0], poses.confidence[0, 1]) == (0, 1)
    assert np.isnan(poses.points[0, 0]).all()
    assert "cut to 1" in " ".join(poses.notes)


# ---- plain arrays and tables


def test_plain_arrays_need_their_format(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 600, (4, 17, 3))
    np.savez(tmp_path / "a.npz", keypoints=points, other=np.zeros(3))
    np.save(tmp_path / "a.npy", points.astype(np.float32))
    for name in ("a.npz", "a.npy"):
        with pytest.raises(InputError, match="format="):
            read(tmp_path / name)
        np.testing.assert_allclose(read(tmp_path / name, "coco_17").points, points, rtol=1e-6)
    np.save(tmp_path / "a.npy", np.concatenate([points, np.full((4, 17, 1), 0.5)], axis=-1))
    four = read(tmp_path / "a.npy", "coco_17")
    assert (four.dims, four.confidence is not None) == (3, True)
    scored = np.concatenate([points[..., :2], rng.uniform(0, 1, (4, 17, 1))], axis=-1)
    np.save(tmp_path / "a.npy", scored)
    poses = read(tmp_path / "a.npy", "coco_17")
    np.testing.assert_array_equal(poses.confidence, scored[..., 2])
    np.savez(tmp_path / "b.npz", x=points, y=points)
    assert read(tmp_path / "b.npz", "coco_17", key="y").points.shape == (4, 17, 3)


def test_foreign_tables(tmp_path: Path) -> None:
    natives = [joint.native for joint in skeleton("coco_17").joints]
    with (tmp_path / "a.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["time", *(f"{name}_{axis}" for name in natives for axis in ("x", "y", "score"))])
        writer.writerow([0.0, *([3, 4, 0.5] * 16), "", "", 0])
    poses = read(tmp_path / "a.csv")
    assert (poses.skeleton.id, poses.points.shape) == ("coco_17", (1, 17, 2))
    assert np.isnan(poses.points[0, 16]).all()
    (tmp_path / "b.csv").write_text(",".join(map(str, range(51))) + "\n")
    np.testing.assert_array_equal(read(tmp_path / "b.csv", "coco_17").points.ravel(), np.arange(51))


def test_options_set_what_the_file_does_not_say(tmp_path: Path) -> None:
    poses = read(SAMPLES["bvh"](tmp_path), units="cm", fps=60)
    assert (poses.units, poses.fps) == ("cm", 60)


def test_no_reader_unpickles_or_evaluates() -> None:
    import skelbridge.io

    for source in Path(skelbridge.io.__file__).parent.glob("*.py"):
        tree = ast.parse(source.read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        # a module of its own reads pickles, by a fixed vocabulary; its tests try to break out of it
        own = {"pickle", "load"} if source.name == "pickles.py" else set()
        assert not names & {"pickle", "eval", "exec", "compile"} - own, source
        assert not attributes & {"load", "loadtxt", "genfromtxt", "unpickle"} - own, source


def test_the_table_of_containers_is_sound() -> None:
    assert len({container.name for container in CONTAINERS}) == len(CONTAINERS)
    for container in CONTAINERS:
        assert (container.recognises is not None) == (container.suffix == ".json")
