"""JTA: pedestrians of a game, one row of numbers for each joint, already in the camera's axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import write_json, write_video
from skelbridge.synthetic.native._pictures import coarse, inside
from skelbridge.synthetic.scene import Scene, look_at, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (1920, 1080)
_MATRIX = np.array([[1158.0, 0, 960], [0, 1158, 540], [0, 0, 1]])

#: Split, number of the sequence, people, how far off they are (m).
_SEQUENCES = (("train", 0, 3, 5.0), ("train", 10, 1, 38.0), ("val", 256, 2, 4.0), ("test", 384, 2, 7.0))
_FRAMES = 6


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    truths: list[Truth] = []
    for sequence in _SEQUENCES:
        truths += _sequence(out, *sequence)
    return truths


def _sequence(out: Path, split: str, number: int, people: int, metres: float) -> list[Truth]:
    scene = virtual_scene(people, _FRAMES, seed=number)
    seen = look_at((1000 * metres * 0.3, 2500, 1000 * metres), (0, 950, 0), focal=1, size=SIZE)
    camera = Camera(_MATRIX, seen.rotation, seen.translation)
    video = out / "videos" / split / f"seq_{number}.mp4"
    write_video(video, (coarse(camera, scene, frame, SIZE, 4) for frame in range(_FRAMES)), 30)
    rows, truths = [], []
    for frame in range(_FRAMES):
        for person in _annotated(frame, people):
            points = camera.to_camera(scene.joints("jta_22")[frame, person])
            image = camera.project_seen(points)
            hidden = _hidden(scene, camera, frame, person)
            for joint, ((u, v), (x, y, z)) in enumerate(zip(image.tolist(), (points / 1000).tolist(), strict=True)):
                own = int((joint + frame) % 7 == 0)
                rows.append([frame + 1, 10 + 3 * person, joint, u, v, x, y, z, int(hidden[joint]), own])
            truths.append(
                Truth("jta_22", split, video.relative_to(out).as_posix(), frame, points=points, points2d=image)
            )
    write_json(out / "annotations" / split / f"seq_{number}.json", rows)
    return truths


def _annotated(frame: int, people: int) -> range:
    """Nobody in the second frame and in the last one, one person in the third."""
    return range({1: 0, 2: 1, _FRAMES - 1: 0}.get(frame, people))


def _hidden(scene: Scene, camera: Camera, frame: int, person: int) -> np.ndarray:
    """Which joints somebody nearer to the camera covers, roughly: those near to theirs in the picture."""
    joints = camera.to_camera(scene.joints("jta_22")[frame])
    image = camera.project_seen(joints)
    hidden = np.zeros(joints.shape[1], bool)
    for other in np.flatnonzero(joints[..., 2].mean(axis=1) < joints[person, :, 2].mean()):
        apart = np.linalg.norm(image[person, :, None] - image[other], axis=-1).min(axis=1)
        hidden |= apart < 0.08 * _MATRIX[0, 0] * 1000 / joints[other, :, 2].mean()
    return hidden & inside(image[person], SIZE)
