"""SPEC-SYN: neutral SMPL whose place before the camera is only to be found from projected joints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.camera import Camera
from skelbridge.skeletons import skeleton
from skelbridge.synthetic.native._files import write_image, write_npz
from skelbridge.synthetic.native._pictures import coarse, extent
from skelbridge.synthetic.native._smpl import act, write_models
from skelbridge.synthetic.scene import Floats, Scene, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (1920, 1080)

#: Split, then a picture each: people, pitch and roll in radians, focal length in pixels.
_SPLITS = (
    ("train", ((2, 0.15, 0.0, 1300.0), (2, -0.1, 0.12, 2400.0))),
    ("test", ((1, 0.5, -0.05, 900.0), (2, 0.05, 0.02, 3600.0))),
)
#: Which joints of the smplx package's SMPL make openpose_gt.
_OPENPOSE = (24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34)
#: The joints of S.
_SPREAD = ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
           "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist")  # fmt: skip


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    write_models(out / "models", {"smpl": ("neutral",)})
    truths = []
    for number, (split, pictures) in enumerate(_SPLITS):
        rows: list[dict[str, Any]] = []
        for index, (people, pitch, roll, focal) in enumerate(pictures):
            name = f"images/{split}/agora-cam-v2_{index:05d}.png"
            turn, camera = _camera(pitch, roll, focal)
            scene = _before(camera, virtual_scene(people, 1, seed=500 + 10 * number + index))
            write_image(out / "spec-syn" / name, coarse(camera, scene, 0, SIZE, 4))
            for person in range(people):
                row, points = _row(scene, person, camera)
                rows.append(row | {"imgname": name, "cam_rotmat": turn, "cam_pitch": pitch, "cam_roll": roll})
                # float32 pixels and the pose found from them leave a millimetre open
                truths.append(Truth("smpl_24", split, f"spec-syn/{name}", points=points, tolerance=1.0))
        columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
        write_npz(out / "spec-syn" / "annotations" / f"{split}.npz", **columns)
    return truths


def _row(scene: Scene, person: int, camera: Camera) -> tuple[dict[str, Any], Floats]:
    """A person's record, and its 24 joints in the camera, mm. The record turns the body otherwise than the picture."""
    body = act("smpl", "neutral", scene, person)
    seen = camera.to_camera(1000 * body.points[0])
    pixels = camera.project_seen(seen)[list(_OPENPOSE)]
    pose = body.pose[0].copy()
    pose[0] = (0.1, 1.3 * person, -0.2)
    spread = body.points[0, [skeleton("smpl_24").index(name) for name in _SPREAD]]
    low = extent(pixels)
    return {
        "pose": pose.ravel(),
        "pose_0yaw_inverseyz": (pose * [1, -1, -1]).ravel(),
        "shape": body.betas,
        "cam_int": np.asarray(camera.matrix),
        "openpose_gt": np.column_stack([pixels, np.ones(25)]).astype(np.float32),
        "S": np.column_stack([spread - spread.mean(axis=0), np.ones(12)]),
        "center": low[:2] + low[2:] / 2,
        "scale": low[3] / 200,
        "focal_length": np.asarray(camera.matrix)[0, 0],
    }, seen[:24]


def _camera(pitch: float, roll: float, focal: float) -> tuple[Floats, Camera]:
    """The rotation of a pitched and rolled camera, and the camera at the origin of a world with y down."""
    c, s, d, t = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    turn = np.array([[d, -t, 0], [t, d, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    matrix = np.array([[focal, 0, SIZE[0] / 2], [0, focal, SIZE[1] / 2], [0, 0, 1]])
    return turn, Camera(matrix, turn, (0, 0, 0))


def _before(camera: Camera, scene: Scene) -> Scene:
    """The scene with y down, its middle where the camera looks."""
    spot = np.asarray(camera.rotation)[2] * (3.0 * np.asarray(camera.matrix)[0, 0] + 1200) + [0, 950, 0]
    return Scene(scene.landmarks * [1, -1, -1] + spot, scene.fps)
