"""The virtual body: landmarks against anny's own skinning, shapes, poses, retargeted motions."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from skelbridge.body.hierarchy import find_joints
from skelbridge.body.model import SEGMENTS, Shapes, VirtualBody, anny_model, middle_shapes, mirrored_shape
from skelbridge.body.motions import at_frames, key_frames, load_motions, read_motion
from skelbridge.body.random_poses import HANDS, LIMBS, TRUNK, joint_angles, random_poses, with_random_hands
from skelbridge.body.rest import upright
from skelbridge.body.retarget import retarget
from skelbridge.body.sample import sample_bodies
from skelbridge.body.shapes import sample_shapes
from skelbridge.errors import CardError, InputError
from skelbridge.landmarks import Landmarks, read_landmarks

pytest.importorskip("anny", reason="the virtual body needs the package anny")

LANDMARKS = """
[[landmark]]
name = "pelvis"
part = "trunk"
kind = "joint_center"
definition = "root"
heads = { root = 1 }

[[landmark]]
name = "neck_front"
part = "trunk"
kind = "surface"
definition = "somewhere on the skin"
vertices = { 4121 = 1 }

[[landmark]]
name = "left_elbow"
part = "arm"
kind = "bony"
definition = "between elbow and skin"
heads = { "lowerarm01.L" = 0.5 }
vertices = { 10763 = 0.25, 8953 = 0.25 }

[[landmark]]
name = "left_foot"
part = "foot"
kind = "joint_center"
definition = "ankle"
heads = { "foot.L" = 1 }
"""


@pytest.fixture(scope="module")
def body() -> VirtualBody:
    return VirtualBody()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Landmarks:
    path = tmp_path_factory.mktemp("cards") / "landmarks.toml"
    path.write_text(LANDMARKS)
    return read_landmarks(path)


def angles_between(first: NDArray, second: NDArray) -> NDArray:
    """Degrees between vectors (..., 3)."""
    product = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return np.degrees(np.arccos(np.clip(np.sum(first * second, axis=-1) / product, -1, 1)))


# The body against anny


def anny_landmarks(body: VirtualBody, poses: NDArray, shapes: Shapes) -> NDArray:
    """The landmarks, from anny's own skinning of the whole mesh."""
    import torch

    from skelbridge.body.model import LOCAL_CHANGES, PHENOTYPES

    model, axes = anny_model(), np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    local = {
        label: torch.as_tensor(shapes.local_changes[:, column])
        for column, name in enumerate(LOCAL_CHANGES)
        for label in ([name, "r" + name[1:]] if name.startswith("l-") else [name])
    }
    arguments = {
        "phenotype_kwargs": dict(zip(PHENOTYPES, torch.as_tensor(shapes.phenotypes).T, strict=True)),
        "local_changes_kwargs": local,
        "facial_actions": dict(zip(body.faces, torch.as_tensor(shapes.face).T, strict=True)),
    }
    rest = model(**arguments)
    heads = rest["rest_bone_heads"].numpy() @ axes.T
    turned = poses.copy()
    for bone, (start, end) in SEGMENTS.items():
        for side in "LR":
            index, first, last = (body.bones.index(f"{name}.{side}") for name in (bone, start, end))
            for n in range(len(shapes)):
                wanted = body.reference_heads[last] - body.reference_heads[first]
                turned[n, index] @= Rotation.align_vectors(wanted, heads[n, last] - heads[n, first])[0].as_matrix()
    deltas = torch.eye(4, dtype=torch.float64).repeat(len(shapes), len(body.bones), 1, 1)
    deltas[:, :, :3, :3] = torch.as_tensor(axes.T @ turned @ axes @ rest["rest_bone_poses"][..., :3, :3].numpy())
    posed = model(pose_parameters=deltas, pose_parameterization="world-orient", **arguments)
    vertices = 1000 * posed["vertices"].numpy() @ axes.T
    posed_heads = 1000 * posed["bone_poses"][..., :3, 3].numpy() @ axes.T
    base = {int(index): vertex for vertex, index in enumerate(model.base_mesh_vertex_indices)}
    found = np.full((len(shapes), len(body.points.names), 3), np.nan)
    for landmark in body.points.listed:
        found[:, body.points.index(landmark.name)] = sum(
            weight * posed_heads[:, body.bones.index(bone)] for bone, weight in landmark.heads.items()
        ) + sum(weight * vertices[:, base[index]] for index, weight in landmark.vertices.items())
    return found


@pytest.mark.parametrize(("faces", "tolerance"), [(False, 0.1), (True, 0.3)])
def test_landmarks_are_those_of_annys_own_skinning(body: VirtualBody, faces: bool, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    shapes, poses = sample_shapes(body, 4, rng, faces), random_poses(body, 4, rng)
    # Ours is symmetric; anny's second and third neck bones start up to 4 mm off the middle. Where the neck's
    # bones turn alike, that shows in those two points only. Its facial actions are 0.2 mm off.
    neck = [body.bones.index(name) for name in ("neck01", "neck02", "neck03", "head")]
    poses[:, neck] = poses[:, neck[:1]]
    ours, theirs = body.landmarks(poses, shapes), anny_landmarks(body, poses, shapes)
    off = np.linalg.norm(ours - theirs, axis=-1).max(axis=0)
    of_neck = {x.name for x in body.points.listed if {"neck02", "neck03"} & x.heads.keys()}
    listed = [x.name for x in body.points.listed]
    assert max(off[body.points.index(name)] for name in listed if name not in of_neck) < tolerance
    assert max([off[body.points.index(name)] for name in of_neck], default=0) < 4


def test_mirrored_poses_give_mirrored_landmarks(body: VirtualBody) -> None:
    rng = np.random.default_rng(1)
    shapes, poses = sample_shapes(body, 3, rng), random_poses(body, 3, rng)
    flip = np.diag([-1.0, 1, 1])
    face = shapes.face[:, [body.faces.index(mirrored_shape(f"facial_action:{name}")[14:]) for name in body.faces]]
    mirrored = Shapes(shapes.phenotypes, shapes.local_changes, face)
    np.testing.assert_allclose(
        body.landmarks(flip @ poses[:, body.mirror] @ flip, mirrored),
        body.landmarks(poses, shapes)[:, body.points.mirror] * [-1, 1, 1],
        atol=1e-8,
    )


def test_stature_is_the_height_of_the_mesh(body: VirtualBody) -> None:
    shapes = sample_shapes(body, 3, np.random.default_rng(2), faces=False)
    for n in range(3):
        mesh = body.mesh(np.eye(3), shapes[n : n + 1])
        # The reference pose holds the legs as the middle adult does: some millimetres to the rest mesh.
        assert np.ptp(mesh[:, 1]) == pytest.approx(body.stature(shapes[n : n + 1])[0], rel=0.02)


def test_a_small_landmark_file_can_be_read_off(small: Landmarks) -> None:
    body = VirtualBody(small)
    rest = body.rest(middle_shapes(2))
    assert rest.shape == (2, 6, 3)
    assert rest[0, small.index("left_elbow"), 0] > 100  # x is the body's left
    assert rest[0, small.index("left_foot"), 1] < -600  # y is up, the origin in the pelvis
    np.testing.assert_allclose(rest[:, small.index("right_elbow")], rest[:, small.index("left_elbow")] * [-1, 1, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("root = 1", "toot = 1"), "unknown bone.*root"),
        (("4121 = 1", "999999 = 1"), "vertex that the body's mesh does not have"),
        (("4121 = 1", "4121 = 0.9"), "sum of 1"),
        (("heads = { root = 1 }", "tails = { root = 1 }"), "bone tails"),
    ],
)
def test_wrong_landmarks_are_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "landmarks.toml"
    path.write_text(LANDMARKS.replace(*change))
    with pytest.raises(CardError, match=message):
        VirtualBody(read_landmarks(path))


def test_poses_of_a_wrong_shape_are_refused(body: VirtualBody) -> None:
    with pytest.raises(InputError, match="poses"):
        body.landmarks(np.zeros((2, 5, 3, 3)), middle_shapes(2))


# Random poses


def test_random_poses_keep_within_joint_limits(body: VirtualBody) -> None:
    rng = np.random.default_rng(4)
    drawn = joint_angles(4000, rng)
    for angle in TRUNK + LIMBS + HANDS:
        assert angle.low <= drawn[angle.name].min()
        assert drawn[angle.name].max() <= angle.high
    assert np.corrcoef(drawn["hip_flexion"], drawn["knee_flexion"])[0, 1] > 0.5
    poses = random_poses(body, 200, rng)
    np.testing.assert_allclose(np.linalg.det(poses), 1)
    heads = body.heads(poses, Shapes(*(np.repeat(part, 200, 0) for part in vars(middle_shapes(1)).values())))
    at = {bone: heads[:, body.bones.index(bone)] for bone in body.bones}
    for side in "LR":
        thigh = at[f"lowerleg01.{side}"] - at[f"upperleg01.{side}"]
        shank = at[f"foot.{side}"] - at[f"lowerleg01.{side}"]
        bend = angles_between(thigh, shank)
        assert bend.max() < 140
        forearm, upper_arm = (
            at[f"wrist.{side}"] - at[f"lowerarm01.{side}"],
            at[f"lowerarm01.{side}"] - at[f"upperarm01.{side}"],
        )
        assert angles_between(upper_arm, forearm).max() < 150


def test_random_hands_move_fingers_only(body: VirtualBody) -> None:
    rng = np.random.default_rng(5)
    poses = random_poses(body, 3, rng)
    changed = with_random_hands(body, poses, rng)
    moved = np.abs(changed - poses).max(axis=(0, 2, 3)) > 1e-9
    assert all(name.startswith("finger") for name, moves in zip(body.bones, moved, strict=True) if moves)
    assert moved.sum() == 30


# Motions

T_POSE: dict[str, tuple[str, tuple[float, float, float]]] = {
    "Hips": ("", (0, 0, 0)), "Spine": ("Hips", (0, 10, 0)), "Spine1": ("Spine", (0, 12, 0)),
    "Spine2": ("Spine1", (0, 12, 0)), "Neck": ("Spine2", (0, 14, 0)), "Head": ("Neck", (0, 10, 1)),
    "HeadTop_End": ("Head", (0, 18, 0)),
    **{
        f"{side}{name}": (parent if parent in ("Hips", "Spine2") else f"{side}{parent}", (sign * x, y, z))
        for side, sign in (("Left", 1), ("Right", -1))
        for name, parent, (x, y, z) in (
            ("UpLeg", "Hips", (9, -4, 0)), ("Leg", "UpLeg", (0, -42, 1)), ("Foot", "Leg", (0, -41, -2)),
            ("ToeBase", "Foot", (1, -8, 14)), ("Toe_End", "ToeBase", (0, 0, 6)),
            ("Shoulder", "Spine2", (5, 12, 0)),
            ("Arm", "Shoulder", (13, 0, 0)), ("ForeArm", "Arm", (28, 0, 0)), ("Hand", "ForeArm", (26, 0, 0)),
            ("HandMiddle1", "Hand", (10, 0, 0)), ("HandIndex1", "Hand", (9, 0, 3)),
        )
    },
}  # fmt: skip
BENDS = {"Leg": (70, 0, 0), "ForeArm": (0, -60, 0), "UpLeg": (-50, 10, 10), "Arm": (20, -40, -50)}


def some_rotations(frames: int, seed: int = 0) -> dict[str, Rotation]:
    """Local rotations of the joints above; the first frame is the rest pose."""
    rng = np.random.default_rng(seed)
    rotations = {}
    for name in T_POSE:
        bend = next((np.array(b) for end, b in BENDS.items() if name.endswith(end)), np.zeros(3))
        bend = bend * ([1, -1, -1] if name.startswith("Right") else [1, 1, 1])
        euler = rng.uniform(0, 1, (frames, 1)) * bend + rng.normal(0, 6, (frames, 3))
        euler[0] = 0
        rotations[name] = Rotation.from_euler("xyz", euler, degrees=True)
    return rotations


def write_bvh(path: Path, rotations: dict[str, Rotation], axes: dict[str, Rotation] | None = None) -> Path:
    """Write the skeleton above as BVH; `axes`: each joint's own axes in the T-pose, else the world's."""
    axes = axes or dict.fromkeys(T_POSE, Rotation.identity())
    children = {name: [child for child, (parent, _) in T_POSE.items() if parent == name] for name in T_POSE}
    order: list[str] = []

    def lines(name: str, depth: int) -> list[str]:
        order.append(name)
        parent, offset = T_POSE[name]
        local = axes[parent].inv().apply(offset) if parent else np.array(offset)
        channels = "6 Xposition Yposition Zposition " if not parent else "3 "
        text = [
            f"{'JOINT' if parent else 'ROOT'} {name}", "{", "OFFSET " + " ".join(f"{x:.9f}" for x in local),
            f"CHANNELS {channels}Zrotation Xrotation Yrotation",
        ]  # fmt: skip
        for child in children[name]:
            text += lines(child, depth + 1)
        return [*text, *([] if children[name] else ["End Site", "{", "OFFSET 0 0 0", "}"]), "}"]

    text = ["HIERARCHY", *lines("Hips", 0)]
    frames = len(next(iter(rotations.values())))
    columns = [np.zeros((frames, 3))]
    for name in order:
        parent = T_POSE[name][0]
        local = (axes[parent].inv() if parent else Rotation.identity()) * rotations[name] * axes[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # in gimbal lock the angles are right, if not the only ones
            columns.append(local.as_euler("ZXY", degrees=True))
    rows = [" ".join(f"{x:.9f}" for x in row) for row in np.concatenate(columns, axis=1)]
    path.write_text("\n".join([*text, "MOTION", f"Frames: {frames}", "Frame Time: 0.01", *rows]) + "\n")
    return path


LIMB_SEGMENTS = {
    ("upperarm01", "lowerarm01"): ("shoulder", "elbow"), ("lowerarm01", "wrist"): ("elbow", "wrist"),
    ("upperleg01", "lowerleg01"): ("hip", "knee"), ("lowerleg01", "foot"): ("knee", "ankle"),
}  # fmt: skip


def assert_limbs_point_alike(body: VirtualBody, path: Path) -> None:
    """Arms and legs of retargeted bodies of several shapes point where the file's do, to a few degrees."""
    motion = read_motion(path)
    joints = find_joints(motion)
    motion = upright(motion, joints)
    motion = at_frames(motion, np.linspace(0, len(motion) - 1, 40).astype(int))
    poses, points = retarget(motion, body), motion.positions()
    heads = body.heads(poses, sample_shapes(body, len(poses), np.random.default_rng(0), faces=False))
    for (first, last), (start, end) in LIMB_SEGMENTS.items():
        for letter, side in zip("LR", joints.sides, strict=True):
            seen = heads[:, body.bones.index(f"{last}.{letter}")] - heads[:, body.bones.index(f"{first}.{letter}")]
            recorded = points[:, getattr(side, end)] - points[:, getattr(side, start)]
            assert angles_between(seen, recorded).max() < 5, (first, letter)


def test_limbs_of_a_bvh_clip_point_as_recorded(body: VirtualBody, tmp_path: Path) -> None:
    assert_limbs_point_alike(body, write_bvh(tmp_path / "clip.bvh", some_rotations(60)))


def test_zero_poses_of_bone_axes_make_no_difference(body: VirtualBody, tmp_path: Path) -> None:
    rotations = some_rotations(30)
    quarter = Rotation.create_group("O")
    rng = np.random.default_rng(6)
    axes = {name: quarter[int(rng.integers(24))] for name in T_POSE}
    axes["Hips"] = Rotation.identity()
    plain = write_bvh(tmp_path / "plain.bvh", rotations)
    turned = write_bvh(tmp_path / "turned.bvh", rotations, axes)
    first, second = (retarget(read_motion(path), body) for path in (plain, turned))
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_the_rest_pose_stands_with_palms_and_soles_down(body: VirtualBody, tmp_path: Path) -> None:
    pose = retarget(read_motion(write_bvh(tmp_path / "clip.bvh", some_rotations(10))), body)[:1]
    heads = body.heads(pose, middle_shapes(1))[0]
    at = {bone: heads[body.bones.index(bone)] for bone in body.bones}
    for side, out in (("L", 1), ("R", -1)):
        assert angles_between(pose[0, body.bones.index(f"foot.{side}")][:, 1], np.array([0, 1, 0])) < 5
        radial = at[f"finger2-1.{side}"] - at[f"finger5-1.{side}"]
        assert angles_between(radial, np.array([0, 0, 1])) < 35  # thumbs ahead, so palms down
        arm = at[f"wrist.{side}"] - at[f"upperarm01.{side}"]
        assert angles_between(arm, np.array([out, 0, 0])) < 5


def write_acclaim(folder: Path, frames: int) -> Path:
    """A made-up subject with the bones of the CMU database, in ASF/AMC."""
    bones = {
        "lowerback": ("root", (0, 2, 0)), "upperback": ("lowerback", (0, 2, 0)),
        "thorax": ("upperback", (0, 2, 0)),
        "lowerneck": ("thorax", (0, 1.5, 0)), "upperneck": ("lowerneck", (0, 1.5, 0.1)),
        "head": ("upperneck", (0, 1.6, 0)),
    }  # fmt: skip
    for side, sign in (("l", 1), ("r", -1)):
        for name, parent, (x, y, z) in (
            ("hipjoint", "root", (1.6, -1.7, 0.6)), ("femur", "hipjoint", (2.5, -7, 0)),
            ("tibia", "femur", (2.4, -6.7, 0)),
            ("foot", "tibia", (0.2, -0.5, 2.1)), ("toes", "foot", (0, 0, 1.1)),
            ("clavicle", "thorax", (3.5, 0.9, -0.2)),
            ("humerus", "clavicle", (4.9, 0, 0)), ("radius", "humerus", (3.3, 0, 0)),
            ("wrist", "radius", (1.7, 0, 0)),
            ("hand", "wrist", (0.7, 0, 0)), ("thumb", "wrist", (0.5, 0, 0.5)),
        ):  # fmt: skip
            bones[side + name] = (parent if parent in ("root", "thorax") else side + parent, (sign * x, y, z))
    text = [":version 1.10", ":name made_up", ":units", "mass 1.0", "length 0.45", "angle deg", ":root"]
    text += ["order TX TY TZ RX RY RZ", "axis XYZ", "position 0 0 0", "orientation 0 0 0", ":bonedata"]
    for name, (_, offset) in bones.items():
        length = float(np.linalg.norm(offset))
        direction = " ".join(f"{x / length:.9f}" for x in offset)
        text += ["begin", "id 1", f"name {name}", f"direction {direction}", f"length {length:.9f}"]
        text += ["axis 10 20 30 XYZ", "dof rx ry rz", "end"]
    text += [":hierarchy", "begin"]
    for parent in ("root", *bones):
        children = [name for name, (up, _) in bones.items() if up == parent]
        text += [" ".join([parent, *children])] if children else []
    (folder / "77.asf").write_text("\n".join([*text, "end"]) + "\n")
    rng, rows = np.random.default_rng(7), ["#!made up", ":FULLY-SPECIFIED", ":DEGREES"]
    for frame in range(1, frames + 1):
        rows += [str(frame), "root 0 17 0 " + " ".join(f"{x:.6f}" for x in rng.normal(0, 10, 3))]
        rows += [f"{name} " + " ".join(f"{x:.6f}" for x in rng.normal(0, 15, 3)) for name in bones]
    (folder / "77_01.amc").write_text("\n".join(rows) + "\n")
    return folder / "77_01.amc"


def test_limbs_of_an_acclaim_clip_point_as_recorded(body: VirtualBody, tmp_path: Path) -> None:
    assert_limbs_point_alike(body, write_acclaim(tmp_path, 40))


@pytest.mark.parametrize(
    "name",
    ["cmu_mocap/subjects/02/02_01.amc", "cmu_bvh/131_01.bvh", "cmu_bvh/005_05.bvh",
     "bvh/pybvh/cmu_12_01_walk.bvh", "bvh/pybvh/bvh_example.bvh",
     "bvh/pybvh/bvh_test2.bvh", "bvh/bvh-python/test_mocapbank.bvh"],
)  # fmt: skip
def test_limbs_of_real_clips_point_as_recorded(body: VirtualBody, real: Path, name: str) -> None:
    assert_limbs_point_alike(body, real / name)


def test_an_unknown_hierarchy_says_what_was_looked_for(tmp_path: Path) -> None:
    path = write_bvh(tmp_path / "clip.bvh", some_rotations(3))
    path.write_text(path.read_text().replace("LeftForeArm", "Tentacle"))
    with pytest.raises(InputError, match=r"clip\.bvh.*Mixamo \(not there: LeftForeArm\)"):
        load_motions(path)


def test_key_frames_skip_what_hardly_moves(tmp_path: Path) -> None:
    still = read_motion(write_bvh(tmp_path / "still.bvh", {name: Rotation.identity(50) for name in T_POSE}))
    assert key_frames(still).tolist() == [0]
    motion = read_motion(write_bvh(tmp_path / "clip.bvh", some_rotations(50)))
    frames = key_frames(motion)
    assert 5 < len(frames) < 50
    assert len(key_frames(motion, threshold=1e6)) == 1


def test_files_that_are_no_motions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no motion file or folder"):
        load_motions(tmp_path / "nowhere")
    with pytest.raises(InputError, match="at least one"):
        load_motions(tmp_path)


# The front door


def test_sampling_is_seeded_lazy_and_complete(body: VirtualBody, tmp_path: Path) -> None:
    clips = load_motions(write_bvh(tmp_path / "clip.bvh", some_rotations(40)))
    first, again = (list(sample_bodies(70, 8, clips, batch=32, body=body)) for _ in range(2))
    assert [len(batch) for batch in first] == [32, 32, 6]
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.landmarks, two.landmarks)
        np.testing.assert_array_equal(one.stature, two.stature)
    names = [name for batch in first for name in batch.clips]
    assert 0.5 < np.mean([name == "clip" for name in names]) < 0.9
    assert np.isfinite(first[0].landmarks).all()
    other = next(sample_bodies(70, 9, clips, batch=32, body=body))
    assert np.abs(other.landmarks - first[0].landmarks).max() > 10
    # A billion bodies cost nothing until they are asked for.
    assert len(next(sample_bodies(10**9, 0, batch=4, body=body))) == 4


def test_wrong_shares_and_counts_are_refused(body: VirtualBody) -> None:
    for arguments in ({"count": 0}, {"random_share": 1.5}, {"batch": 0}):
        with pytest.raises(InputError, match="sample_bodies"):
            sample_bodies(**{"count": 1, "seed": 0, "body": body, **arguments})
