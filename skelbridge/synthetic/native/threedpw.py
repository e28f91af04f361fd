"""3DPW: one or two people before a hand-held phone, SMPL in Python 2 pickles, landscape and portrait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import write_image, write_pickle
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.native._smpl import Act, act
from skelbridge.synthetic.scene import Floats, Scene, look_at, virtual_scene
from skelbridge.synthetic.truth import Truth

FRAMES = 5

_Pairs = set[tuple[int, int]]

#: Name, split, genders, picture size, (person, frame) without a valid camera, (person, frame) without 2D joints.
_SEQUENCES: tuple[tuple[str, str, str, tuple[int, int], _Pairs, _Pairs], ...] = (
    ("courtyard_arguing_00", "train", "mf", (1920, 1080), {(1, 0), (1, 1)}, set()),
    ("courtyard_hug_00", "validation", "ff", (1080, 1920), {(0, 4)}, {(0, 2), (1, 0)}),
    ("downtown_walking_00", "test", "m", (1080, 1920), {(0, 4)}, {(0, 3)}),
)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    return [truth for number in range(len(_SEQUENCES)) for truth in _sequence(out, number)]


def _sequence(out: Path, number: int) -> list[Truth]:
    name, split, genders, size, lost, unseen = _SEQUENCES[number]
    scene = virtual_scene(len(genders), FRAMES, seed=30 + number)
    people = [act("smpl", {"m": "male", "f": "female"}[gender], scene, person) for person, gender in enumerate(genders)]
    cameras = _hand_held(size, number)
    flat = [_openpose(scene, person, cameras) for person in range(len(people))]
    for person, frame in unseen:
        flat[person][frame] = 0
    valid = np.ones((len(people), FRAMES), np.int64)
    for person, frame in lost:
        valid[person, frame] = 0
    nowhere = ~valid.any(axis=0)
    spelling = ("poses2D", "gender") if number == 0 else ("poses2d", "genders")
    content = _content(name, people, cameras) | {
        spelling[0]: flat,
        spelling[1]: list(genders),
        "campose_valid": list(valid),
    }
    content["cam_poses"][nowhere] = np.nan  # where the camera is not known at all, its pose is nothing to go by
    write_pickle(out / "sequenceFiles" / split / f"{name}.pkl", content, python2=True)
    truths = []
    for frame, camera in enumerate(cameras):
        image = out / "imageFiles" / name / f"image_{frame:05d}.jpg"
        write_image(image, coarse(camera, scene, frame, size, 4), 75)
        for person, one in enumerate(people):
            if (person, frame) not in lost | unseen:
                world = 1000 * one.points[frame, :24]
                path = image.relative_to(out).as_posix()
                truths.append(Truth("smpl_24", split, path, points=camera.to_camera(world), world=world))
    return truths


def _content(name: str, people: list[Act], cameras: list[Camera]) -> dict[str, Any]:
    """What a sequence file holds of people and cameras, but for their 2D joints and whether they are valid."""
    poses = [one.pose.reshape(FRAMES, 72) for one in people]
    matrices = np.tile(np.eye(4), (FRAMES, 1, 1))
    matrices[:, :3, :3] = np.stack([np.asarray(camera.rotation) for camera in cameras])
    matrices[:, :3, 3] = np.stack([np.asarray(camera.translation) / 1000 for camera in cameras])
    betas = [np.concatenate([one.betas, np.full(290, 0.01)]) for one in people]
    return {
        "sequence": name,
        "poses": poses,
        "trans": [one.translation for one in people],
        "betas": betas,
        "jointPositions": [one.points[:, :24].reshape(FRAMES, 72) for one in people],
        "poses_60Hz": [pose.repeat(2, axis=0) for pose in poses],
        "trans_60Hz": [one.translation.repeat(2, axis=0) for one in people],
        "img_frame_ids": 2 * np.arange(FRAMES),
        "betas_clothed": betas,
        "v_template_clothed": [one.model.arrays["v_template"][:8] for one in people],
        "texture_maps": [],
        "cam_poses": matrices,
        "cam_intrinsics": np.asarray(cameras[0].matrix),
    }


def _openpose(scene: Scene, person: int, cameras: list[Camera]) -> Floats:
    """2D joints of a person in the order of coco_18, (F, 3, 18): x, y, score."""
    world = scene.joints("coco_18")[:, person]
    found = np.stack([camera.project(points) for camera, points in zip(cameras, world, strict=True)])
    return np.concatenate([found.round(1), np.full((*found.shape[:2], 1), 0.8)], axis=-1).swapaxes(1, 2)


def _hand_held(size: tuple[int, int], number: int) -> list[Camera]:
    """A camera for each frame, which walks along and sways."""
    cameras = []
    for frame in range(FRAMES):
        angle = 0.8 * number + 0.05 * frame
        away = 4200 if size[0] > size[1] else 6800
        at = (away * np.sin(angle), 1550 + 20 * (frame % 2), away * np.cos(angle))
        sway = (0.02 * np.sin(frame), 1, 0.02 * np.cos(frame))
        cameras.append(look_at(at, (100, 950, 0), focal=1961.0, size=size, up=sway))
    return cameras
