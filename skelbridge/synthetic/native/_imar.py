"""What the IMAR sets (CHI3D, Fit3D, HumanSC3D) have in common: layout, cameras, joints of two rates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import write_json, write_video
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.scene import Z_UP, look_at, to_axes, virtual_scene
from skelbridge.synthetic.truth import Truth

VIEWS = ("50591643", "58860488", "60457274", "65906101")
SIZE = (900, 900)


@dataclass(frozen=True)
class Action:
    """A recording: people in the picture, video frames, joint rows and how many of them fall on a video frame.

    axis: the joints file has an axis of people, all of them; else it has one person.
    """

    subject: str
    name: str
    people: int
    frames: int
    rows: int
    stride: int = 1
    axis: bool = False


def write_actions(out: Path, actions: tuple[Action, ...], test: Action, info: str, signature: str) -> list[Truth]:
    """Write a set with one test recording; returns what reading it must give.

    info: file name of the list of subjects; signature: of the annotation of whole recordings.
    """
    subjects = list(dict.fromkeys(action.subject for action in actions))
    names = {who: [action.name for action in actions if action.subject == who] for who in subjects}
    write_json(
        out / info,
        {
            "train_subj_names": subjects,
            "test_subj_names": [test.subject],
            "subj_to_act": {**names, test.subject: [test.name]},
            "fps": 50,
        },
    )
    truths: list[Truth] = []
    for number, action in enumerate(actions):
        truths += _train(out, action, 10 * number)
    for who in subjects:
        content: dict[str, Any] = {name: {"fr_id": 2, "g_ids": [], "smplx_ids": []} for name in names[who]}
        if signature == "rep_ann.json":
            content = {name: [0, 2, 4] for name in names[who]}
        write_json(out / "train" / who / signature, content)
    _test(out, test)
    return truths


def _train(out: Path, action: Action, seed: int) -> list[Truth]:
    """Write one recording of the train set; returns its truths."""
    folder = out / "train" / action.subject
    scene, cameras = to_axes(Z_UP, virtual_scene(action.people, action.rows, seed=seed), _cameras(seed))
    shown = np.minimum(np.arange(action.frames) * action.stride, action.rows - 1)
    joints = scene.joints("imar_25")
    metres = joints.transpose(1, 0, 2, 3) / 1000
    name = f"{action.name}.json"
    write_json(folder / "joints3d_25" / name, {"joints3d_25": metres if action.axis else metres[0]})
    write_json(folder / "smplx" / name, _smplx(action))
    write_json(folder / "gpp" / name, _ghum(action))
    truths = []
    for view, camera in zip(VIEWS, cameras, strict=True):
        write_json(folder / "camera_parameters" / view / name, _parameters(camera))
        video = folder / "videos" / view / f"{action.name}.mp4"
        write_video(video, (coarse(camera, scene, row, SIZE) for row in shown), 50)
        for frame in range(action.frames):
            row = frame * action.stride
            if row < action.rows:
                image = video.relative_to(out).as_posix()
                for world in joints[row] if action.axis else joints[row, :1]:
                    truths.append(Truth("imar_25", "train", image, frame, points=camera.to_camera(world), world=world))
    return truths


def _cameras(seed: int) -> list[Camera]:
    """Four cameras in the corners, which differ a little from recording to recording."""
    rng = np.random.default_rng(seed)
    cameras = []
    for corner in range(4):
        angle = np.pi / 4 + corner * np.pi / 2 + rng.normal(scale=0.02)
        at = (4800 * np.sin(angle), 1600 + rng.normal(scale=20), 4800 * np.cos(angle))
        seen = look_at(at, (0, 950, 0), focal=1, size=SIZE)
        focal, middle = 1145 + rng.normal(scale=2, size=2), 450 + rng.normal(scale=6, size=2)
        matrix = np.array([[focal[0], 0, middle[0]], [0, focal[1], middle[1]], [0, 0, 1]])
        bends = (-0.21 + rng.normal(scale=0.005), 0.24, -0.0009, -0.0016, -0.002)
        cameras.append(Camera(matrix, seen.rotation, seen.translation, bends, "h36m"))
    return cameras


def _parameters(camera: Camera) -> dict[str, Any]:
    """A camera as the files have it: metres, the centre in place of the translation."""
    matrix, (k1, k2, p1, p2, k3, *_) = np.asarray(camera.matrix), np.asarray(camera.distortion)
    focal, middle = matrix[[0, 1], [0, 1]], matrix[:2, 2]
    return {
        "extrinsics": {"R": camera.rotation, "T": camera.position[None] / 1000},
        "intrinsics_w_distortion": {
            "f": focal[None],
            "c": middle[None],
            "k": [[k1, k2, k3]],
            "p": [[p1, p2]],
        },
        "intrinsics_wo_distortion": {"f": focal * 1.01, "c": middle + 1.5},
    }


def _smplx(action: Action) -> dict[str, Any]:
    """Parameters of a body at rest for every frame of the video."""
    lead = (action.people, action.frames) if action.axis else (action.frames,)
    turns = {"global_orient": 1, "body_pose": 21, "left_hand_pose": 15, "right_hand_pose": 15, "jaw_pose": 1,
             "leye_pose": 1, "reye_pose": 1}  # fmt: skip
    still = {"transl": np.zeros((*lead, 3)), "betas": np.zeros((*lead, 10)), "expression": np.zeros((*lead, 10))}
    return {**still, **{name: np.broadcast_to(np.eye(3), (*lead, count, 3, 3)) for name, count in turns.items()}}


def _ghum(action: Action) -> dict[str, Any]:
    lead = (action.people, action.frames) if action.axis else (action.frames,)
    return {"posing_values": np.zeros((*lead, 381)), "body_code": np.zeros((*lead[:-1], 16))}


def _test(out: Path, action: Action) -> None:
    """A recording without joints, seen by one camera."""
    scene, cameras = to_axes(Z_UP, virtual_scene(action.people, action.frames, seed=99), _cameras(99))
    folder = out / "test" / action.subject
    write_json(folder / "camera_parameters" / f"{action.name}.json", _parameters(cameras[0]))
    pictures = (coarse(cameras[0], scene, frame, SIZE) for frame in range(action.frames))
    write_video(folder / "videos" / f"{action.name}.mp4", pictures, 50)
