"""RICH: static cameras around people fitted with gendered SMPL-X, whose hands are principal components."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import write_image, write_json, write_opencv, write_pickle
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.native._smpl import body_model, follow, hand_pose, posed, write_models
from skelbridge.synthetic.scene import Floats, Scene, ring, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (344, 252)
FEMALE = (9, 10, 12, 13, 16, 17, 18, 19, 21)

#: Split, scene, subjects, action, first frame, suffix of the pictures, (subject, frame) without a body.
_SEQUENCES: tuple[tuple[str, str, tuple[int, ...], str, int, str, set[tuple[int, int]]], ...] = (
    ("train", "BBQ", (1,), "guitar", 97, "jpeg", set()),
    ("val", "Pavallion", (3, 18), "tossball", 11, "png", {(18, 12)}),
    ("test", "Gym", (11,), "pushup1", 240, "bmp", {(11, 241)}),
)
FRAMES = 3
#: Numbers of the cameras that have a calibration, of the one that moves and has none, and of one without pictures.
CAMERAS, MOVING, BLIND = (0, 1, 4), 10, 6


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    write_models(out / "models", {"smplx": ("male", "female")})
    words = {str(subject): "female" if subject in FEMALE else "male" for subject in range(22)}
    write_json(out / "resource" / "gender.json", words)
    suffixes = dict.fromkeys(("Gym", "BBQ", "ParkingLot1", "ParkingLot2"), "bmp") | {"Pavallion": "png"}
    write_json(out / "resource" / "imgext.json", suffixes | {"LectureHall": "png"})
    return [truth for number in range(len(_SEQUENCES)) for truth in _sequence(out, number)]


def _sequence(out: Path, number: int) -> list[Truth]:
    split, place, subjects, action, first, suffix, absent = _SEQUENCES[number]
    scene, cameras = _in_first_camera(virtual_scene(len(subjects), FRAMES, seed=300 + number), _cameras())
    for view, camera in zip((*CAMERAS, BLIND), (*cameras, cameras[-1]), strict=True):
        extrinsics = np.column_stack([camera.rotation, np.asarray(camera.translation) / 1000])
        calibration = {
            "CameraMatrix": extrinsics,
            "Intrinsics": np.asarray(camera.matrix),
            "Distortion": np.asarray(camera.distortion)[:5],
        }
        write_opencv(out / "scan_calibration" / place / "calibration" / f"{view:03d}.xml", calibration)
    world = {"R": np.diag([1, -1, -1]), "t": np.array([0.1, 2.0, -0.3]), "c": 1.0}
    write_json(out / "multicam2world" / f"{place}_multicam2world.json", world)
    name = "_".join([place, *(f"{subject:03d}" for subject in subjects), action])
    bodies = [
        _body(out / f"{split}_body" / name, scene, person, subjects, first, absent) for person in range(len(subjects))
    ]
    truths = []
    for view, camera in zip((*CAMERAS, MOVING), (*cameras, cameras[0]), strict=True):
        for frame in range(FRAMES):
            image = out / split / name / f"cam_{view:02d}" / f"{first + frame:05d}_{view:02d}.{suffix}"
            write_image(image, coarse(camera, scene, frame, SIZE, 1))
            for subject, points in zip(subjects, bodies, strict=True):
                if view != MOVING and (subject, first + frame) not in absent:
                    path, seen = image.relative_to(out).as_posix(), camera.to_camera(points[frame])
                    truths.append(Truth("smplx_127", split, path, points=seen, world=points[frame]))
    return truths


def _body(
    folder: Path, scene: Scene, person: int, subjects: Sequence[int], first: int, absent: set[tuple[int, int]]
) -> Floats:
    """Write the bodies of a person; returns their points in the world, (F, 127, 3) mm."""
    subject = subjects[person]
    model = body_model("smplx", "female" if subject in FEMALE else "male")
    betas, pose, translation = follow(model, scene.joints("smplx_55")[:, person] / 1000, seed=subject)
    rng = np.random.default_rng(subject)
    hands = rng.normal(0, 0.6, (2, 12)) + rng.normal(0, 0.05, (FRAMES, 2, 12))
    for side, joint in enumerate((25, 40)):
        pose[:, joint : joint + 15] = hand_pose(model, "lr"[side], hands[:, side])  # type: ignore[arg-type]
    expression = rng.normal(size=10)
    for frame in range(FRAMES):
        if (subject, first + frame) in absent:
            continue
        fitted = {
            "global_orient": pose[frame, 0],
            "body_pose": pose[frame, 1:22],
            "betas": betas,
            "transl": translation[frame],
            "left_hand_pose": hands[frame, 0],
            "right_hand_pose": hands[frame, 1],
            "jaw_pose": pose[frame, 22],
            "leye_pose": pose[frame, 23],
            "reye_pose": pose[frame, 24],
            "expression": expression,
        }
        rows = {key: value.reshape(1, -1).astype(np.float32) for key, value in fitted.items()}
        write_pickle(folder / f"{first + frame:05d}" / f"{subject:03d}.pkl", rows)
    return 1000 * posed(model, betas, pose, translation, expression)


def _cameras() -> list[Camera]:
    return ring(len(CAMERAS), focal=290, size=SIZE, radius=5200, distortion=(-0.02, 0.01, 0.0003, -0.0002, 0.001))


def _in_first_camera(scene: Scene, cameras: list[Camera]) -> tuple[Scene, list[Camera]]:
    """The scene and the cameras in the axes of the first camera."""
    one = cameras[0]
    turns = [np.asarray(camera.rotation) @ np.asarray(one.rotation).T for camera in cameras]
    moves = [
        camera.translation - turn @ np.asarray(one.translation) for camera, turn in zip(cameras, turns, strict=True)
    ]
    moved = [Camera(c.matrix, turn, move, c.distortion) for c, turn, move in zip(cameras, turns, moves, strict=True)]
    return Scene(one.to_camera(scene.landmarks), scene.fps), moved
