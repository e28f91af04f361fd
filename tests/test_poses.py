"""Poses and the check that every array of poses goes through."""

from __future__ import annotations

import time

import numpy as np
import pytest

from skelbridge.errors import InputError, SkelbridgeError
from skelbridge.poses import Poses, check_points
from skelbridge.skeletons import Skeleton, skeleton

COCO = skeleton("coco_17")


def body(*lead: int, dims: int = 3, size: float = 500.0) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(*lead, 17, dims)) * size


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (body(4)[:, :16], ["17", "16", "mpii_16"]),
        (np.zeros((5, 4, 17)), ["swapped"]),
        (np.zeros((5, 51)), ["flattened", "17, 3"]),
        (np.zeros((17, 4)), ["confidence="]),
        (np.zeros((17, 1)), ["2 or 3"]),
        (np.zeros(17), ["last two axes"]),
        (np.zeros((3, 17, 2), dtype=complex), ["complex128"]),
        (np.zeros((3, 17, 2), dtype=object), ["object"]),
        (np.zeros((3, 17, 2), dtype=bool), ["bool"]),
    ],
)
def test_what_cannot_be_poses_is_refused_with_the_mend(points: np.ndarray, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        Poses(points, COCO)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_score_taken_for_z_is_refused() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.uniform(0, 640, (2000, 17, 2))
    for third in (rng.uniform(0, 1, (2000, 17, 1)), rng.integers(0, 3, (2000, 17, 1))):
        with pytest.raises(InputError, match="confidence="):
            check_points(np.concatenate([pixels, third], axis=-1), COCO)


def test_true_3d_points_pass_the_score_check() -> None:
    metres = body(50, size=0.5)
    in_front = metres * [1, 1, 0.05] + [3.0, 1.0, 0.5]  # z within [0, 1], but no spread of pixels
    flat = np.concatenate([body(9, dims=2), np.zeros((9, 17, 1))], axis=-1)
    for points in (metres, in_front, flat, body(3), np.full((2, 17, 3), np.nan), np.zeros((0, 17, 3))):
        check_points(points, COCO, finite=True)


def test_an_infinity_is_named_with_its_joint_and_frame() -> None:
    points = body(6)
    points[4, COCO.index("left_knee"), 1] = np.inf
    with pytest.raises(InputError, match=r"left_knee.*pose 4"):
        Poses(points, COCO)
    check_points(points, COCO)  # not looked for unless asked


def test_the_check_costs_nothing_on_a_million_poses() -> None:
    points = np.zeros((1_000_000, 17, 3), dtype=np.float32)
    start = time.perf_counter()
    check_points(points, COCO)
    assert time.perf_counter() - start < 0.1


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidence": np.ones((4, 16))},
        {"confidence": np.full((4, 17), 1.2)},
        {"confidence": np.full((4, 17), np.nan)},
        {"units": "furlong"},
        {"fps": 0.0},
    ],
)
def test_wrong_companions_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Poses(body(4), COCO, **wrong)


def test_shapes_joints_and_units() -> None:
    poses = Poses(body(5, 2), "coco", np.ones((5, 2, 17)), units="m", fps=25)
    assert (len(poses), poses.dims, poses.skeleton.id) == (5, 3, "coco_17")
    np.testing.assert_array_equal(poses.joint("nose"), poses.points[:, :, 0])
    np.testing.assert_allclose(poses.in_units("inch").points * 0.0254, poses.points)
    single = Poses(body(), COCO)
    points, confidence = single.frames_and_people()
    assert (len(single), points.shape, confidence) == (1, (1, 1, 17, 3), None)
    with pytest.raises(InputError, match="unknown"):
        single.in_units("mm")
    with pytest.raises(InputError, match="people"):
        poses.one_person()
    with pytest.raises(InputError, match="frames and people"):
        Poses(body(1, 2, 3), COCO).frames_and_people()


def test_whole_numbers_become_floats() -> None:
    assert Poses(np.zeros((3, 17, 2), dtype=int), COCO).points.dtype == np.float64


def test_low_confidence_becomes_missing() -> None:
    confidence = np.tile(np.linspace(0, 1, 17), (3, 1))
    poses = Poses(body(3), COCO, confidence).with_confidence_threshold(0.5)
    np.testing.assert_array_equal(np.isnan(poses.points).any(axis=-1), confidence < 0.5)
    assert (poses.confidence[confidence < 0.5] == 0).all()


def test_a_skeleton_without_placement_is_told_when_converting() -> None:
    own = Skeleton.model_validate({"id": "mine", "joints": [{"name": "a"}, {"name": "b"}]})
    with pytest.raises(SkelbridgeError, match="where its joints lie"):
        Poses(np.zeros((2, 2, 3)), own).to("coco_17")


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("lead", [(6,), (6, 2)])
def test_xarray_there_and_back(lead: tuple[int, ...], dims: int) -> None:
    pytest.importorskip("xarray", reason="xarray is not installed")
    points = body(*lead, dims=dims)
    points[1, ..., 3, :] = np.nan
    poses = Poses(points, COCO, np.random.default_rng(2).uniform(size=points.shape[:-1]), "m", 30.0)
    back = Poses.from_xarray(poses.to_xarray())
    assert (back.skeleton, back.units, back.fps) == (COCO, "m", 30.0)
    np.testing.assert_array_equal(back.points, poses.frames_and_people()[0])
    np.testing.assert_array_equal(back.confidence, poses.frames_and_people()[1])
    assert Poses.from_xarray(Poses(points, COCO).to_xarray()).confidence is None


def test_movement_accepts_the_dataset_and_computes_on_it() -> None:
    datasets = pytest.importorskip("movement.validators.datasets", reason="movement is not installed")
    kinematics = pytest.importorskip("movement.kinematics", reason="movement is not installed")
    dataset = Poses(body(20, 2, dims=2), COCO, fps=50.0, units="px").to_xarray()
    datasets.ValidPosesInputs.validate(dataset)
    velocity = kinematics.compute_velocity(dataset.position)
    np.testing.assert_allclose(velocity.values[1:-1], np.gradient(dataset.position.values, 1 / 50, axis=0)[1:-1])


def test_datasets_of_movement_itself_are_read() -> None:
    load = pytest.importorskip("movement.io.load_poses", reason="movement is not installed")
    position = body(8, 1, dims=2).transpose(0, 3, 2, 1)
    native = [joint.native for joint in COCO.joints]
    poses = Poses.from_xarray(load.from_numpy(position, keypoint_names=native, fps=10))
    assert (poses.skeleton.id, poses.fps, poses.confidence) == ("coco_17", 10, None)
    np.testing.assert_array_equal(poses.points, position.transpose(0, 3, 2, 1))
