"""BEDLAM: rendered people as neutral SMPL-X in npz files, a world for each row, some pictures on their side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import write_image, write_npz, write_video
from skelbridge.synthetic.native._pictures import coarse, extent
from skelbridge.synthetic.native._smpl import body_model, follow, posed, write_models
from skelbridge.synthetic.scene import Floats, Scene, about_y, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (1280, 720)

#: The groups whose frames lie there as videos.
_FILMED = ("20221024_3-10_100_batch01handhair_static_highSchoolGym",)

#: Group as the npz files and as the folders call it, its sequences, people, frames a sequence, frames between labels.
_GROUPS = (
    ("20221010_3_1000_batch01hand", "20221010_3_1000_batch01hand", "6fps", (0, 4), 2, 5, 5),
    ("20221020-3-8_250_highbmihand_zoom_highSchoolGym_a", "20221020_3-8_250_highbmihand_zoom_highSchoolGym_a", "6fps",
     (17,), 2, 5, 5),
    ("20221011_1_250_batch01hand_closeup_suburb_a", "20221011_1_250_batch01hand_closeup_suburb_a", "6fps",
     (2,), 1, 5, 5),
    ("20221024_3-10_100_batch01handhair_static_highSchoolGym", "20221024_3-10_100_batch01handhair_static_highSchoolGym",
     "30fps", (0,), 2, 5, 1),
)  # fmt: skip


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    write_models(out / "models", {"smplx": ("neutral",)})
    return [truth for number in range(len(_GROUPS)) for truth in _group(out, number)]


def _group(out: Path, number: int) -> list[Truth]:
    labels, folder, rate, sequences, people, frames, step = _GROUPS[number]
    closeup = "closeup" in folder
    size = SIZE[::-1] if closeup else SIZE
    rows: list[dict[str, Any]] = []
    truths: list[tuple[str, int, Floats]] = []
    for sequence in sequences:
        pictures = []
        scene = _y_down(virtual_scene(people, step * (frames - 1) + 1, seed=200 + 10 * number + sequence))
        for frame in range(0, scene.frames, step):
            camera = _camera(size, closeup, sequence, frame)
            name = f"seq_{sequence:06d}/seq_{sequence:06d}_{frame:04d}.png"
            pictures.append(coarse(camera, scene, frame, size, 4))
            image, shown = f"{folder}/png/{name}", -1
            if folder in _FILMED:
                image, shown = f"{folder}/mp4/seq_{sequence:06d}.mp4", frame
            else:
                write_image(out / image, np.rot90(pictures[-1]) if closeup else pictures[-1])
            for person in range(people):
                row, points = _row(scene, person, frame, camera)
                pixels = camera.project_seen(points)
                low = extent(pixels)
                row |= {
                    "imgname": name,
                    "center": low[:2] + low[2:] / 2,
                    "scale": low[3] / 200,
                    "gtkps": np.column_stack([pixels, np.ones(len(pixels))]),
                    "gender": ("female", "male")[person % 2],
                    "sub": f"rp_person_{person}",
                    "motion_info": "0000",
                }
                rows.append(row)
                truths.append((image, shown, points))
        if folder in _FILMED:
            write_video(out / folder / "mp4" / f"seq_{sequence:06d}.mp4", pictures, 30)
    write_npz(
        out / "all_npz_12_training" / f"{labels}_{rate}.npz",
        **{key: np.array([r[key] for r in rows]) for key in rows[0]},
    )
    split = np.where(np.arange(len(rows)) < 0.8 * len(rows), "train", "val")
    return [
        Truth("smplx_127", str(word), image, shown, points=points)
        for word, (image, shown, points) in zip(split, truths, strict=True)
    ]


def _row(scene: Scene, person: int, frame: int, camera: Camera) -> tuple[dict[str, Any], Floats]:
    """A body and its camera as a row has them, and its points in the camera, (127, 3) mm.

    The row's world has its origin where the body was put, and is turned so that the camera looks along z but for pitch
    and roll.
    """
    turn = np.asarray(camera.rotation)
    yaw = float(np.arctan2(turn[2, 0], turn[2, 2]))
    put = scene.landmarks[0, person].mean(axis=0) * [1, 0, 1]
    joints = (scene.joints("smplx_55")[[frame], person] - put) @ about_y(-yaw).T / 1000
    model = body_model("smplx", "neutral")
    betas, pose, translation = follow(model, joints, seed=person)
    betas = np.append(betas, 0.3)
    seen_turn, seen_move = turn @ about_y(yaw), camera.to_camera(put) / 1000
    world = posed(model, betas, pose, translation)[0]
    extrinsics = np.eye(4)
    extrinsics[:3, :3], extrinsics[:3, 3] = seen_turn, seen_move
    points = world @ seen_turn.T + seen_move
    root = model.rest_joints(betas)[0]
    seen_pose = pose[0].copy()
    seen_pose[0] = _turned(seen_turn, pose[0, 0])
    return {
        "pose_world": pose[0].ravel(),
        "pose_cam": seen_pose.ravel(),
        "shape": betas,
        "trans_world": translation[0],
        "trans_cam": points[0] - root,
        "cam_int": np.asarray(camera.matrix),
        "cam_ext": extrinsics,
    }, 1000 * points


def _turned(rotation: Floats, axis_angle: Floats) -> Floats:
    from scipy.spatial.transform import Rotation

    return (Rotation.from_matrix(rotation) * Rotation.from_rotvec(axis_angle)).as_rotvec()


def _y_down(scene: Scene) -> Scene:
    return Scene(scene.landmarks * [1, -1, -1], scene.fps)


def _camera(size: tuple[int, int], closeup: bool, sequence: int, frame: int) -> Camera:
    """A camera that orbits and zooms, pitched and a little rolled, in a world with y down."""
    lens = 30 + 0.2 * frame
    focal = np.array([lens / 36, lens / 20.25]) * (1280, 720)
    focal = focal[::-1] if closeup else focal
    yaw, pitch, roll = 0.4 + 0.3 * sequence + 0.01 * frame, 0.12, 0.05
    c, s, d, t = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    tilt = np.array([[d, -t, 0], [t, d, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    turn = tilt @ about_y(-yaw)
    at = np.array([0, -900, 0]) - (3800 if closeup else 5200) * turn[2]
    matrix = np.array([[focal[0], 0, size[0] / 2], [0, focal[1], size[1] / 2], [0, 0, 1]])
    return Camera(matrix, turn, -turn @ at)
