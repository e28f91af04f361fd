"""Real files of the tools that people use, where they are at hand, checked against what must hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from skelbridge.errors import FileFormatError
from skelbridge.io import bvh, read, write
from skelbridge.io.motion import Motion
from skelbridge.poses import Poses


def some(real: Path, pattern: str) -> list[Path]:
    found = sorted(real.glob(pattern))
    if not found:
        pytest.skip(f"no {pattern} in {real}")
    return found


def lengths(points: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[..., edges[:, 0], :] - points[..., edges[:, 1], :], axis=-1)


def bone_lengths(motion: Motion) -> np.ndarray:
    child = np.flatnonzero(motion.parents >= 0)
    return lengths(motion.positions(), np.stack([motion.parents[child], child], axis=1))


def test_cmu_mocap_stands_on_the_floor_in_millimetres(real: Path) -> None:
    frames = 0
    for path in some(real, "cmu_mocap/subjects/*/*.amc"):
        poses = read(path)
        frames += len(poses)
        assert (poses.skeleton.id, poses.units, poses.fps) == ("cmu_mocap_31", "mm", None)
        assert not np.isnan(poses.points).any()
        femur = np.linalg.norm(poses.joint("left_knee") - poses.joint("left_hip"), axis=-1)
        assert 400 < femur.min() <= femur.max() < 432
        assert np.ptp(lengths(poses.points, poses.skeleton.edge_index), axis=0).max() < 1e-6
        side = poses.joint("left_hip") - poses.joint("right_hip")
        toes = poses.joint("left_toe") - poses.joint("left_foot") + poses.joint("right_toe") - poses.joint("right_foot")
        forward = np.cross(side, [0, 1, 0])
        assert np.median(np.sum(forward * toes, axis=-1)) > 0  # left is left
    assert frames == 12822


@pytest.mark.parametrize(("clip", "low", "high"), [("02_05", 36, 50), ("02_01", 10, 66)])
def test_feet_of_cmu_clips_stay_near_the_floor(clip: str, low: float, high: float, real: Path) -> None:
    poses = read(some(real, f"cmu_mocap/subjects/*/{clip}.amc")[0])
    lowest = poses.points[..., 1].min(axis=1)
    assert low < np.percentile(lowest, 5)
    assert np.percentile(lowest, 95) < high


def test_every_bvh_keeps_its_bones_and_its_floor(real: Path) -> None:
    for path in [*some(real, "bvh/*/*.bvh"), *some(real, "cmu_bvh/*.bvh")]:
        motion = bvh.read_motion(path)
        assert motion.fps in (30, 60, 120), path
        assert np.ptp(bone_lengths(motion), axis=0).max() < 1e-6
        points = motion.positions()
        extent = np.median(np.ptp(points, axis=1), axis=0)
        up = int(np.argmax(extent))
        assert up in (1, 2)
        lowest = points[..., up].min(axis=1)
        if path.parent.name in ("bvh-python", "pybvh"):
            # The floor moves by a hundredth of the height; with the opposite rotation order by a tenth.
            assert np.percentile(lowest, 95) - np.percentile(lowest, 5) < 0.05 * extent[up], path


def test_cgspeed_bvh_and_asf_are_known(real: Path) -> None:
    poses = read(some(real, "bvh/pybvh/cmu_12_01_walk.bvh")[0])
    assert (poses.skeleton.id, poses.fps, poses.units) == ("cmu_bvh_31", 120, "unknown")
    femur = np.linalg.norm(poses.joint("left_knee") - poses.joint("left_hip"), axis=-1) * 25.4 / 0.45
    assert 300 < femur.mean() < 480  # the unit of the ASF files, not stored in the BVH
    other_names = read(some(real, "cmu_bvh/131_01.bvh")[0], "cmu_bvh_31")
    assert not np.isnan(other_names.points).any()


def test_one_clip_of_cmu_is_the_same_through_bvh(real: Path, tmp_path: Path) -> None:
    poses = read(some(real, "cmu_mocap/subjects/02/02_03.amc")[0], fps=120)
    write(poses, tmp_path / "a.bvh")
    back = read(tmp_path / "a.bvh", units="mm")
    assert (back.skeleton.id, back.fps) == ("cmu_mocap_31", 120)
    np.testing.assert_allclose(back.points, poses.points, atol=0.02)


@pytest.mark.parametrize(
    ("name", "frames", "points", "units", "rate"),
    [("Sample01/Eb015pi", 450, 26, "mm", 50), ("Sample01/Eb015vr", 450, 26, "mm", 50),
     ("Sample02/pc_real", 89, 36, "mm", 50), ("Sample02/dec_int", 89, 36, "mm", 50),
     ("kinematics_tennis_serve", 1092, 39, "m", 50), ("many_analogs", 710, 32, "mm", 100)],
)  # fmt: skip
def test_c3d_counts(name: str, frames: int, points: int, units: str, rate: float, real: Path) -> None:
    poses = read(some(real, f"c3d/**/{name}.c3d")[0])
    assert (poses.points.shape, poses.units, poses.fps) == ((frames, points, 3), units, rate)


def test_c3d_of_two_number_formats_hold_one_movement(real: Path) -> None:
    for one, other in (("Sample01/Eb015pi", "Sample01/Eb015vr"), ("Sample02/pc_real", "Sample02/dec_int")):
        a, b = (read(some(real, f"c3d/**/{name}.c3d")[0]) for name in (one, other))
        np.testing.assert_array_equal(np.isnan(a.points), np.isnan(b.points))
        np.testing.assert_allclose(a.points, b.points, atol=0.1)


def test_c3d_agrees_with_ezc3d(real: Path) -> None:
    ezc3d = pytest.importorskip("ezc3d", reason="ezc3d is not installed")
    for path in some(real, "c3d/**/*.c3d"):
        theirs = ezc3d.c3d(str(path))
        labels = [label.rpartition(":")[2].strip() for label in theirs["parameters"]["POINT"]["LABELS"]["value"]]
        points = theirs["data"]["points"][:3].transpose(2, 1, 0)
        poses = read(path, partial=True)
        names = [joint.native or joint.name for joint in poses.skeleton.joints]
        ours = poses.points[:, [names.index(label) for label in labels if label in names]]
        points = points[:, [k for k, label in enumerate(labels) if label in names]]
        points = np.where((points == 0).all(axis=-1, keepdims=True), np.nan, points)
        np.testing.assert_allclose(ours, points, atol=2e-4)


def test_the_cut_c3d_is_refused_unless_asked(real: Path) -> None:
    path = some(real, "c3d/ezc3d/Optotrak.c3d")[0]
    with pytest.raises(FileFormatError, match="partial=True"):
        read(path)
    assert read(path, partial=True).points.shape == (29, 54, 3)


def test_plug_in_gait_markers_of_a_tennis_player(real: Path) -> None:
    poses = read(some(real, "c3d/kineticstoolkit/kinematics_tennis_serve.c3d")[0])
    assert poses.skeleton.id == "plug_in_gait_39"
    height = np.nanmedian(np.nanmax(poses.points[..., 2], axis=1) - np.nanmin(poses.points[..., 2], axis=1))
    assert 1.4 < height < 2.6  # metres, the racket arm may be up


def test_trc_of_pose2sim_and_opencap(real: Path) -> None:
    for path in some(real, "pose2sim/**/*.trc"):
        poses = read(path, "halpe_26")
        assert (poses.units, poses.fps, len(poses)) == ("m", 60, 12 if "Static" in path.name else 100)
        seen = ~np.isnan(poses.points).any(axis=(0, 2))
        assert seen.sum() == 21
        thigh = np.linalg.norm(poses.joint("left_hip") - poses.joint("left_knee"), axis=-1)
        assert 0.3 < thigh.mean() < 0.5
    walk = read(some(real, "opencap/**/walk.trc")[0], "body_25")
    assert (walk.units, walk.fps, len(walk)) == ("m", 60, 222)
    assert (~np.isnan(walk.points).any(axis=(0, 2))).sum() == 20
    heels = np.minimum(walk.joint("left_heel")[:, 1], walk.joint("right_heel")[:, 1])
    assert -0.05 < heels.min() <= np.percentile(heels, 30) < 0.05
    assert len(read(some(real, "opencap/**/walk.trc")[0]).skeleton) == 63


@pytest.mark.parametrize(
    ("pattern", "format", "people"),
    [("coco/test_coco.json", "coco_17", 9), ("coco/test_coco_wholebody.json", "coco_wholebody_133", 9),
     ("halpe/test_halpe.json", "halpe_136", 9), ("aic/test_aic.json", "aic_14", 6),
     ("crowdpose/test_crowdpose.json", "crowdpose_14", 3), ("exlpose/test_exlpose.json", "crowdpose_14", 2),
     ("humanart/test_humanart.json", "coco_17", 2), ("jhmdb/test_jhmdb_sub1.json", "jhmdb_15", 2),
     ("mhp/test_mhp.json", "mhp_16", 2), ("ochuman/test_ochuman.json", "coco_17", 3),
     ("posetrack18/annotations/test_posetrack18_val.json", "posetrack18_17", 3)],
)  # fmt: skip
def test_coco_files(pattern: str, format: str, people: int, real: Path) -> None:
    poses = read(some(real, pattern)[0])
    assert (poses.skeleton.id, len(poses), poses.units) == (format, people, "px")
    assert poses.confidence is not None
    np.testing.assert_array_equal(np.isnan(poses.points).any(axis=-1), poses.confidence == 0)


def test_body_points_of_whole_body_files_are_those_of_coco(real: Path) -> None:
    plain = read(some(real, "coco/test_coco.json")[0])
    whole = read(some(real, "coco/test_coco_wholebody.json")[0])
    np.testing.assert_array_equal(whole.points[:, :17], plain.points)


def up_to_down(poses: Poses, above: str, below: str) -> float:
    """Share of the people of whom `above` is higher in the picture than `below`."""
    rise = poses.joint(below)[..., 1] - poses.joint(above)[..., 1]
    return float((rise[~np.isnan(rise)] > 0).mean())


def test_openpose_folders(real: Path) -> None:
    folders = some(real, "pose2sim/**/cam*_json")
    assert len(folders) == 8
    for folder in folders:
        as_25b, as_25 = read(folder, "openpose_25b_25"), read(folder)
        assert as_25.skeleton.id == "body_25"
        assert "BODY_25B" in " ".join(as_25.notes)
        assert len(as_25b) == len(list(folder.glob("*.json")))
        # Read in the right order people stand on their feet; in the wrong one they do not hang together.
        assert up_to_down(as_25b, "left_shoulder", "left_hip") > 0.9
        assert up_to_down(as_25b, "left_hip", "left_ankle") > 0.9
        with_neck = [poses.skeleton.edge_index for poses in (as_25b, as_25)]
        right, wrong = (
            np.nanmedian(lengths(poses.points[:, 0], edges))
            for poses, edges in zip((as_25b, as_25), with_neck, strict=True)
        )
        assert right < wrong


def test_openpose_parts_of_one_picture(real: Path) -> None:
    path = some(real, "openpose_json/*/*_openpose.json")[0]
    body, face = read(path), read(path, "openpose_hand_21:left", part="hand_left")
    assert (body.skeleton.id, body.points.shape) == ("body_25", (1, 1, 25, 2))
    assert face.points.shape == (1, 1, 21, 2)
    assert up_to_down(body, "nose", "left_knee") in (0.0, 1.0)


def test_alphapose_and_mmpose(real: Path) -> None:
    alpha = read(some(real, "alphapose_json/*/*.json")[0])
    assert (alpha.skeleton.id, len(alpha)) == ("halpe_26", 80)
    assert up_to_down(alpha, "head_top", "neck") > 0.9
    mm = read(some(real, "mmpose_predictions/*.json")[0])
    assert (mm.skeleton.id, mm.points.shape) == ("coco_wholebody_133", (62, 1, 133, 2))
    assert up_to_down(mm, "nose", "left_hip") > 0.9


def test_arrays_with_a_named_format(real: Path) -> None:
    body = read(some(real, "h36m/test_h36m_body3d.npz")[0], "h36m_17", key="S", units="m")
    assert body.points.shape == (3, 17, 3)
