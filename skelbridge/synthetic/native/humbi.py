"""HUMBI: a folder a moment, a picture a camera, joints and SMPL in text, camera centres in the extrinsics."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import write_image, write_text
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.native._smpl import body_model, follow
from skelbridge.synthetic.scene import Y_DOWN, Floats, Scene, ring, to_axes, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (1920, 1080)

#: Subject, its moments, cameras with a calibration, cameras with pictures.
_SUBJECTS = (
    (1, (1, 61, 241), (0, 4, 37, 106), (0, 4, 106)),
    (88, (12, 60), (2, 4, 51), (2, 4, 51, 77)),
)
#: Of the fitted body, which is larger than its shape numbers say.
SCALE = 1.07


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    return [truth for number in range(len(_SUBJECTS)) for truth in _subject(out, number)]


def _subject(out: Path, number: int) -> list[Truth]:
    subject, moments, calibrated, pictured = _SUBJECTS[number]
    folder = out / f"subject_{subject}" / "body"
    ids = sorted({*calibrated, *pictured})
    scene, cameras = to_axes(
        Y_DOWN, virtual_scene(frames=len(moments), seed=800 + number, step=4), ring(len(ids), focal=1690, size=SIZE)
    )
    rig = dict(zip(ids, cameras, strict=True))
    _calibration(folder, {one: rig[one] for one in calibrated}, len(moments))
    world = scene.joints("body_25")[:, 0]
    world[1, 22:25] = np.nan  # a foot that was not reconstructed
    fits = _fits(scene)
    truths = []
    for frame, moment in enumerate(moments):
        place = folder / f"{moment:08d}"
        lines = _lines(world[frame] / 1000).replace("nan", "-nan(ind)")  # as Windows programs write it
        write_text(place / "reconstruction" / "keypoints.txt", lines)
        write_text(place / "reconstruction" / "smpl_parameter.txt", "\n".join(f"{x:.8f}" for x in fits[frame]) + "\n")
        for one in pictured:
            image = place / "image" / f"image{one:07d}.jpg"
            write_image(image, coarse(rig[one], scene, frame, SIZE, 8), 70)
            if one in calibrated:
                path, seen = image.relative_to(out).as_posix(), rig[one].to_camera(world[frame])
                truths.append(Truth("body_25", "train", path, points=seen, world=world[frame]))
    return truths


def _calibration(folder: Path, cameras: dict[int, Camera], frames: int) -> None:
    head = f"NumCameras: {len(cameras)}\nNumFrames: {frames}\nNumP: 1\n"
    inner, outer, both = head, head, head
    for one, camera in cameras.items():
        matrix, turn = np.asarray(camera.matrix), np.asarray(camera.rotation)
        centre = camera.position[None] / 1000
        inner += f"0 {one}\n{_lines(matrix)}"
        outer += f"0 {one}\n{_lines(centre)}{_lines(turn)}"
        both += f"0 {one}\n{_lines(matrix @ turn @ np.column_stack([np.eye(3), -centre[0]]))}"
    for name, text in (("intrinsic", inner), ("extrinsic", outer), ("project", both)):
        write_text(folder / f"{name}.txt", text)


def _fits(scene: Scene) -> Floats:
    """The 86 numbers of the fitted SMPL of each frame: scale, translation, pose, shape."""
    model = body_model("smpl", "neutral")
    betas, pose, translation = follow(model, scene.joints("smpl_24")[:, 0] / 1000 / SCALE)
    count = len(pose)
    scale, shape = np.full((count, 1), SCALE), np.tile(betas, (count, 1))
    return np.concatenate([scale, SCALE * translation, pose.reshape(count, 72), shape], axis=1)


def _lines(rows: Floats) -> str:
    return "".join(" ".join(f"{value:.9f}" for value in row) + "\n" for row in rows)
